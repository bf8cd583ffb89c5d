import { describe, expect, it } from "vitest";
import { Ring } from "../stream/ring";
import { draw_span, extent_of, figures_of, padded } from "./still";

/** A known ramp: the value is the number of tenths of a second. */
function ramp(): Ring {
  const ring = new Ring(64);
  for (let k = 0; k < 100; k++) ring.push(k * 100, [k], 0);
  return ring;
}

/** Notes where lines go. */
function paper(): { ctx: CanvasRenderingContext2D; points: [number, number][]; bars: number[][]; clip: number[] } {
  const noted = { points: [] as [number, number][], bars: [] as number[][], clip: [] as number[] };
  const ctx = {
    save() {}, restore() {}, beginPath() {}, clip() {}, stroke() {},
    rect: (...at: number[]) => (noted.clip = at),
    moveTo: (x: number, y: number) => noted.points.push([x, y]),
    lineTo: (x: number, y: number) => noted.points.push([x, y]),
    fillRect: (...at: number[]) => noted.bars.push(at),
  } as unknown as CanvasRenderingContext2D;
  return { ctx, get points() { return noted.points; }, get bars() { return noted.bars; }, get clip() { return noted.clip; } };
}

describe("a span", () => {
  const rect = { x: 10, y: 0, w: 200, h: 108 };

  it("puts a known ramp at the right pixels", () => {
    const { ctx, points } = paper();
    const span = { from_ms: 5_000, to_ms: 7_000, origin_ms: 5_000, window_ms: 2_000 };
    draw_span(ctx, rect, ramp(), span, { low: 50, high: 70 }, ["#fff"], 1, 10);
    // A tenth of a second is ten pixels, a step of one is five.
    for (const [k, x, y] of [[50, 10, 104], [60, 110, 54], [70, 210, 4]] as const) expect(points.find(([at]) => at === x), `sample ${k}`).toEqual([x, y]);
    expect(points.every(([x, y]) => Math.abs((x - 10) / 10 + 50 - (50 + (104 - y) / 5)) < 1e-9)).toBe(true);
  });

  it("draws the part of a sweep that goes on from the left", () => {
    const sheet = paper();
    draw_span(sheet.ctx, rect, ramp(), { from_ms: 6_000, to_ms: 7_000, origin_ms: 5_000, window_ms: 2_000 }, { low: 50, high: 70 }, ["#fff"], 1, 10);
    expect(sheet.clip).toEqual([110, 0, 100, 108]);
  });

  it("draws windows told by their extremes as bars, and breaks lines over a gap", () => {
    const ring = new Ring(16);
    ring.push(0, [1], 0);
    ring.push_range(1_000, 2, 4);
    const sheet = paper();
    draw_span(sheet.ctx, { x: 0, y: 0, w: 100, h: 108 }, ring, { from_ms: 0, to_ms: 1_000, origin_ms: 0, window_ms: 1_000 }, { low: 0, high: 10 }, ["#fff"], 1, 1);
    expect(sheet.bars.length).toBe(1);
    expect(sheet.bars[0]!.slice(1)).toEqual([64, 99, 20]);
  });

  it("knows its extent and its figures, between two moments and no further", () => {
    const out = { low: 0, high: 0 };
    expect(extent_of(ramp(), 5_000, 6_000, out)).toBe(true);
    expect(out).toEqual({ low: 50, high: 60 });
    expect(extent_of(ramp(), 20_000, 30_000, out)).toBe(false);
    expect(figures_of(ramp(), 5_000, 6_000)).toEqual({ low: 50, high: 60, mean: 55, last: 60, count: 11 });
    expect(figures_of(ramp(), 20_000, 30_000).count).toBe(0);
    expect(padded(5, 5).high).toBeGreaterThan(5);
  });
});
