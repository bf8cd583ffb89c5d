import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Attention, battery_of, COALESCE_MS, HOVER_HELD_MS, VISIBLE_DEBOUNCE_MS, type AttentionMessage } from "./attention";

describe("attention", () => {
  let said: AttentionMessage[];
  let attention: Attention;
  const last = (): AttentionMessage => said.at(-1)!;
  beforeEach(() => {
    vi.useFakeTimers();
    said = [];
    attention = new Attention((message) => said.push(message), {
      set_timer: (act, ms) => setTimeout(act, ms),
      clear_timer: (timer) => clearTimeout(timer as never),
    });
  });
  afterEach(() => void vi.useRealTimers());

  it("says everything of a tenth of a second in one message", () => {
    attention.hover("a", "pointer");
    attention.hover("b", "keyboard");
    attention.focus("c");
    attention.pin("d", true);
    attention.set_hidden(true);
    attention.set_battery("low");
    expect(said).toEqual([]);
    vi.advanceTimersByTime(COALESCE_MS);
    expect(said).toEqual([
      { visible: [], hovered: ["a", "b"], focused: ["c"], pinned: ["d"], hidden: true, battery: "low" },
    ]);
  });

  it("counts a tile on screen once it has stayed", () => {
    attention.set_visible("passing", true);
    attention.set_visible("staying", true);
    vi.advanceTimersByTime(VISIBLE_DEBOUNCE_MS - 1);
    attention.set_visible("passing", false);
    vi.advanceTimersByTime(1 + COALESCE_MS);
    expect(said.map(({ visible }) => visible)).toEqual([["staying"]]);
  });

  it("shows exactly what a composite shows, at once", () => {
    attention.set_visible("tile", true);
    attention.show_exactly(["x", "y"]);
    vi.advanceTimersByTime(COALESCE_MS);
    expect(last().visible).toEqual(["x", "y"]);
    vi.advanceTimersByTime(VISIBLE_DEBOUNCE_MS + COALESCE_MS);
    expect(last().visible).toEqual(["x", "y"]);
  });

  it("holds a hover two seconds after it ended", () => {
    attention.hover("a", "pointer");
    vi.advanceTimersByTime(COALESCE_MS);
    attention.leave("a", "pointer");
    vi.advanceTimersByTime(HOVER_HELD_MS - 1);
    expect(last().hovered).toEqual(["a"]);
    vi.advanceTimersByTime(1 + COALESCE_MS);
    expect(last().hovered).toEqual([]);
  });

  it("does not let go when the pointer returns in time", () => {
    attention.hover("a", "pointer");
    attention.leave("a", "pointer");
    vi.advanceTimersByTime(HOVER_HELD_MS - 10);
    attention.hover("a", "pointer");
    vi.advanceTimersByTime(HOVER_HELD_MS * 2);
    expect(last().hovered).toEqual(["a"]);
    expect(said.length).toBe(1);
  });

  it("counts keyboard focus as a hover of its own", () => {
    attention.hover("a", "pointer");
    attention.hover("a", "keyboard");
    attention.leave("a", "pointer");
    vi.advanceTimersByTime(HOVER_HELD_MS * 2);
    expect(last().hovered).toEqual(["a"]);
    attention.leave("a", "keyboard");
    vi.advanceTimersByTime(HOVER_HELD_MS + COALESCE_MS);
    expect(last().hovered).toEqual([]);
  });

  it("lets go of everything when the view changes", () => {
    attention.hover("a", "pointer");
    attention.hover("a", "keyboard");
    attention.hover("b", "keyboard");
    attention.leave_all();
    vi.advanceTimersByTime(HOVER_HELD_MS + COALESCE_MS);
    expect(attention.current().hovered).toEqual([]);
  });

  it("focuses one at a time", () => {
    attention.focus("a");
    attention.focus("b");
    vi.advanceTimersByTime(COALESCE_MS);
    expect(last().focused).toEqual(["b"]);
    attention.focus(null);
    vi.advanceTimersByTime(COALESCE_MS);
    expect(last().focused).toEqual([]);
  });

  it("does not repeat itself, unless the channel is new", () => {
    attention.focus("a");
    vi.advanceTimersByTime(COALESCE_MS);
    attention.focus("b");
    attention.focus("a");
    vi.advanceTimersByTime(COALESCE_MS);
    expect(said.length).toBe(1);
    attention.say_again();
    vi.advanceTimersByTime(COALESCE_MS);
    expect(said.length).toBe(2);
  });

  it("knows a tired battery", () => {
    expect([battery_of(0.1, false), battery_of(0.2, false), battery_of(0.3, false), battery_of(0.1, true)]).toEqual([
      "critical", "low", "normal", "normal",
    ]);
  });

  it("sees what any panel shows, and forgets what a panel showed that has gone", () => {
    attention.show_exactly(["a", "b"], "p1");
    attention.show_exactly(["b", "c"], "p2");
    attention.set_visible("d", true, "p3");
    vi.advanceTimersByTime(VISIBLE_DEBOUNCE_MS);
    expect(attention.current().visible).toEqual(["a", "b", "c", "d"]);
    attention.show_exactly([], "p1");
    expect(attention.current().visible).toEqual(["b", "c", "d"]);
    attention.show_none("p2");
    expect(attention.current().visible).toEqual(["d"]);
    attention.show_nothing();
    expect(attention.current().visible).toEqual([]);
  });
});
