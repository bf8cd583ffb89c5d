import { describe, expect, it } from "vitest";
import { all_of, moved, PANELS_MAX, preset, PRESETS, read_layout, resized, ROWS_MAX, with_options, with_panel, without, type Layout } from "./layout";
import { decode_view, encode_view, LINK_CHARS_MAX, type RoomView } from "./link";
import { MARKERS_MAX, read_markers, with_marker } from "./markers";

const kinds = (layout: Layout): string[][] => layout.rows.map(({ panels }) => panels.map(({ panel }) => panel));
const overview = preset("overview");

describe("a layout", () => {
  it("is read back as it was written, for every one we offer", () => {
    for (const name of PRESETS) expect(read_layout(JSON.parse(JSON.stringify(preset(name))))).toEqual(preset(name));
  });

  it("is believed only as far as it makes sense", () => {
    expect(read_layout({ rows: [{ h: 1e9, panels: [{ panel: "grid", w: -4, options: { a: "x".repeat(500), b: 1, c: {}, d: NaN, e: "y" } }, { panel: "bomb" }, null] }, { panels: [] }, 7] }))
      .toEqual({ rows: [{ h: 5, panels: [{ id: "p1", panel: "grid", w: 0.2, options: { b: 1, e: "y" } }] }] });
    for (const wrong of [null, 1, "x", [], {}, { rows: [] }, { rows: [{ panels: [{ panel: "constructor" }] }] }]) expect(read_layout(wrong)).toBeNull();
    const many = { rows: Array.from({ length: 50 }, () => ({ panels: Array.from({ length: 50 }, () => ({ panel: "raw" })) })) };
    expect(all_of(read_layout(many)!).length).toBe(PANELS_MAX);
    expect(read_layout({ rows: Array.from({ length: 50 }, () => ({ panels: [{ panel: "raw" }] })) })!.rows.length).toBe(ROWS_MAX);
  });

  it("takes panels two to a row, each with a name of its own, until it is full", () => {
    let layout = preset("sensors");
    layout = with_panel(with_panel(layout, "waves"), "raw");
    expect(kinds(layout)).toEqual([["grid", "waves"], ["raw"]]);
    for (let k = 0; k < 30; k++) layout = with_panel(layout, "values");
    expect(all_of(layout).length).toBe(PANELS_MAX);
    expect(new Set(all_of(layout).map(({ id }) => id)).size).toBe(PANELS_MAX);
    expect(with_panel(layout, "raw")).toBe(layout);
  });

  it("moves panels along their row, into the next one, and into a row of their own", () => {
    expect(kinds(overview)).toEqual([["graph", "waves"], ["values", "waves"]]);
    expect(kinds(moved(overview, "p1", "right"))).toEqual([["waves", "graph"], ["values", "waves"]]);
    expect(moved(overview, "p1", "left")).toBe(overview);
    expect(kinds(moved(overview, "p1", "down"))).toEqual([["waves"], ["values", "waves", "graph"]]);
    expect(kinds(moved(overview, "p1", "up"))).toEqual([["graph"], ["waves"], ["values", "waves"]]);
    const single = preset("sensors");
    expect(moved(single, "p1", "down")).toBe(single);
    expect(moved(single, "nobody", "up")).toBe(single);
  });

  it("gives up an empty row with its last panel", () => {
    expect(kinds(without(without(overview, "p1"), "p2"))).toEqual([["values", "waves"]]);
  });

  it("moves an edge between two neighbours, and leaves each a tenth", () => {
    const [a, b] = resized(overview, { row: 0, at: 0 }, 0.1).rows[0]!.panels;
    expect([a!.w, b!.w].map((w) => Math.round(100 * w))).toEqual([148, 77]);
    const squeezed = resized(overview, { row: 0 }, -5).rows;
    expect(squeezed[0]!.h / (squeezed[0]!.h + squeezed[1]!.h)).toBeCloseTo(0.1);
    expect(resized(overview, { row: 1 }, 0.1)).toBe(overview);
    expect(resized(overview, { row: 0, at: 1 }, 0.1)).toBe(overview);
  });

  it("changes options of one panel and of no other", () => {
    const changed = with_options(overview, "p2", { look: "overlay" });
    expect(all_of(changed).map(({ options }) => options)).toEqual([{}, { kind: "ecg", look: "overlay" }, { kind: "heartrate" }, { kind: "respiration", look: "overlay" }]);
  });
});

describe("a link", () => {
  const view: RoomView = { layout: overview, window_s: 20, at_ms: 1_795_959_220_910, focused: "ada:ecg", filter: "Zoë · 心" };

  it("opens exactly this view, selection and time", () => {
    const text = encode_view(view);
    expect(text).toMatch(/^[\w-]+$/);
    expect(decode_view(text)).toEqual(view);
    expect(decode_view(encode_view({ ...view, at_ms: null, focused: null, filter: "" }))).toEqual({ ...view, at_ms: null, focused: null, filter: "" });
  });

  it("that is damaged, foreign or too long is none", () => {
    const text = encode_view(view);
    for (const wrong of ["", "%%%", "AAAA", text.slice(0, -7), btoa("null"), btoa('{"v":2,"rows":[{"panels":[{"panel":"grid"}]}]}'), btoa('{"v":1}'), "A".repeat(LINK_CHARS_MAX + 1)]) expect(decode_view(wrong), wrong.slice(0, 20)).toBeNull();
    const odd = btoa('{"v":1,"rows":[{"panels":[{"panel":"grid"}]}],"window":7,"at":"x","focus":5,"filter":{}}');
    expect(decode_view(odd)).toEqual({ layout: preset("sensors"), window_s: 10, at_ms: null, focused: null, filter: "" });
  });
});

describe("markers", () => {
  it("stand in order of time, each with a name, and the oldest make room", () => {
    let markers = with_marker(with_marker([], "3", 500), "1", 200);
    expect(markers.map(({ label, at_ms }) => [label, at_ms])).toEqual([["1", 200], ["3", 500]]);
    for (let k = 0; k < MARKERS_MAX + 5; k++) markers = with_marker(markers, "2", 1_000 + k);
    expect([markers.length, markers[0]!.at_ms, new Set(markers.map(({ id }) => id)).size]).toEqual([MARKERS_MAX, 1_005, MARKERS_MAX]);
  });

  it("are read back from what was kept, as far as that makes sense", () => {
    const markers = with_marker(with_marker([], "3", 500), "1", 200);
    expect(read_markers(JSON.stringify(markers)).map(({ label, at_ms }) => [label, at_ms])).toEqual([["1", 200], ["3", 500]]);
    for (const wrong of [null, "", "{", "{}", "[null, 5, {\"label\": \"12\", \"at_ms\": 3}, {\"label\": \"1\"}]"]) expect(read_markers(wrong)).toEqual([]);
  });
});
