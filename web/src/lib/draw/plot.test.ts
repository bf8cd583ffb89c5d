import { describe, expect, it } from "vitest";
import { History } from "../system/history";
import { apart, draw_plot, frame_of, GAP_MS, round_up, runs, ticks, top_of, type Plot } from "./plot";

/** Remembers what was asked of a canvas, in CSS pixels. */
class Paper {
  lines: [x: number, y: number][][] = [];
  texts: [text: string, y: number][] = [];
  dots: [x: number, y: number][] = [];
  private path: [number, number][] = [];
  setTransform(): void {}
  clearRect(): void {}
  save(): void {}
  restore(): void {}
  rect(): void {}
  clip(): void {}
  fill(): void {}
  fillRect(): void {}
  setLineDash(): void {}
  beginPath(): void {
    this.path = [];
  }
  moveTo(x: number, y: number): void {
    this.path.push([x, y]);
  }
  lineTo(x: number, y: number): void {
    this.path.push([x, y]);
  }
  stroke(): void {
    if (this.path.length > 0) this.lines.push([...this.path]);
  }
  arc(x: number, y: number): void {
    this.dots.push([x, y]);
  }
  fillText(text: string, _x: number, y: number): void {
    this.texts.push([text, y]);
  }
}

const [W, H] = [504, 128];
function draw(history: History, more: Partial<Plot> = {}): Paper {
  const paper = new Paper();
  draw_plot(paper as unknown as CanvasRenderingContext2D, W, H, 1, {
    history, now_ms: 100_000, window_ms: 100_000, series: [{ column: "a", colour: "#fff", dash: [] }], marks: [], top: 1, text: (value) => value.toFixed(2),
    words: { oldest: "before", now: "now" }, cursor_ms: null, colours: { text: "#fff", quiet: "#fff", line: "#fff", mark: "#fff" }, ...more,
  });
  return paper;
}
function history(...points: [at_ms: number, a: number][]): History {
  const it = new History();
  for (const [at_ms, a] of points) it.push(at_ms, { a });
  return it;
}

describe("a plot", () => {
  const { left, top, width, height } = frame_of(W, H, false);

  it("puts a figure at its time and its height", () => {
    const paper = draw(history([98_000, 0], [99_000, 0.5], [100_000, 1]));
    expect(paper.lines.at(-1)).toEqual([[left + width * 0.98, top + height], [left + width * 0.99, top + height / 2], [left + width, top]]);
  });

  it("breaks its line where nothing is known, and makes a dot of one point", () => {
    const paper = draw(history([10_000, 0.1], [11_000, 0.1], [11_000 + GAP_MS + 1, 0.2], [50_000, NaN], [90_000, 0.3], [91_000, 0.3]));
    expect(paper.lines.slice(3).map((line) => line.length)).toEqual([2, 2, 2]);
    expect(runs(history([0, 1], [1_000, NaN], [2_000, 1], [3_000, 2]), "a", -1)).toEqual([[0, 0], [2, 3]]);
    expect(runs(history([0, 1], [1_000, 1]), "b", -1)).toEqual([]);
  });

  it("draws where a level begins and where it ends", () => {
    const marked = frame_of(W, H, true);
    const paper = draw(history(), { marks: [{ name: "high", enter: 0.8, exit: 0.6 }, { name: "beyond", enter: 3, exit: 2 }] });
    const ys = paper.lines.slice(3).map((line) => line[0]![1]);
    expect(ys).toEqual([0.8, 0.6].map((value) => Math.round(marked.top + marked.height * (1 - value)) + 0.5));
    expect(paper.texts.map(([text]) => text)).toEqual(["0.00", "0.50", "1.00", "before", "now", "high"]);
  });

  it("reads every line at the cursor, and nothing where nothing is known", () => {
    const known = history([99_000, 0.25], [100_000, 0.5]);
    expect(draw(known, { cursor_ms: 99_000 }).dots).toEqual([[Math.round(left + width * 0.99) + 0.5, top + height * 0.75]]);
    expect(draw(known, { cursor_ms: 20_000 }).dots).toEqual([]);
  });

  it("makes room for what is higher than its scale, in round numbers, and forgets it with time", () => {
    const at = (now_ms: number) => top_of({ history: history([1_000, 730], [200_000, 3]), series: [{ column: "a", colour: "", dash: [] }], now_ms, window_ms: 100_000, top: 10 });
    expect([at(50_000), at(200_000)]).toEqual([1_000, 10]);
    expect([round_up(1.06), round_up(0.016), round_up(200), round_up(201), round_up(0)]).toEqual([1.5, 0.02, 200, 300, 1]);
  });

  it("numbers its scale in round steps", () => {
    expect([1.1, 1, 10, 200, 20_000].map((high) => ticks(high).join(" "))).toEqual(["0 0.5 1", "0 0.5 1", "0 5 10", "0 100 200", "0 10000 20000"]);
    expect(ticks(0.02)).toEqual([0, 0.01, 0.02]);
  });

  it("keeps labels apart, and within the plot", () => {
    expect(apart([10, 12, 60], 13, 100)).toEqual([10, 23, 60]);
    expect(apart([90, 95, 99], 13, 100)).toEqual([74, 87, 100]);
  });
});
