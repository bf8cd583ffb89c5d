import { describe, expect, it } from "vitest";
import { Ring } from "../stream/ring";
import { DRAW_DELAY_MS, Strip, type Source } from "./strip";

const W = 500;
const WINDOW_MS = 1_000;
/** The beginning of a lap, so that columns are easy to tell. */
const T = 1_700_000_000_000;

/** Remembers what was asked of a canvas. */
class Paper {
  cleared: [x: number, w: number][] = [];
  points: [x: number, y: number][] = [];
  save(): void {}
  restore(): void {}
  beginPath(): void {}
  rect(): void {}
  clip(): void {}
  stroke(): void {}
  fillRect(): void {}
  clearRect(x: number, _y: number, w: number): void {
    this.cleared.push([x, w]);
  }
  moveTo(x: number, y: number): void {
    this.points.push([x, y]);
  }
  lineTo(x: number, y: number): void {
    this.points.push([x, y]);
  }
  forget(): void {
    this.cleared = [];
    this.points = [];
  }
}

function set_up(): { paper: Paper; ring: Ring; source: Source; draw: (at_ms: number) => void; feed: (from: number, to: number) => void } {
  const paper = new Paper();
  const ring = new Ring(1_000);
  const source: Source = { ring, epoch: 1, rate_hz: 250, live: true };
  const strip = new Strip(paper as unknown as CanvasRenderingContext2D, { x: 0, y: 0, w: W, h: 100 }, 1, WINDOW_MS, ["#fff"]);
  return {
    paper, ring, source,
    draw: (at_ms) => strip.draw(source, T + at_ms + DRAW_DELAY_MS),
    feed: (from, to) => {
      for (let t = from; t < to; t += 4) ring.push(T + t, [t % 40 === 0 ? 1 : 0], 0);
    },
  };
}

describe("a sweeping strip", () => {
  it("puts a sample at its time's column, high values high", () => {
    const { paper, draw, feed } = set_up();
    feed(0, 400);
    draw(396);
    // What lies past the edge is another lap's, and clipped.
    const spikes = paper.points.filter(([x, y]) => y < 50 && x < W).map(([x]) => Math.round(x));
    expect([...new Set(spikes)]).toEqual([0, 20, 40, 60, 80, 100, 120, 140, 160, 180]);
  });

  it("afterwards touches only the columns that changed, and the gap before them", () => {
    const { paper, draw, feed } = set_up();
    feed(0, 400);
    draw(396);
    paper.forget();
    feed(400, 416);
    draw(412);
    expect(paper.cleared.length).toBe(1);
    const [x, w] = paper.cleared[0]!;
    // 16 ms are eight columns; two before for the joint, ten ahead for the gap.
    expect(x).toBeGreaterThanOrEqual(194);
    expect(w).toBeLessThanOrEqual(23);
    expect(Math.max(...paper.points.map(([px]) => px))).toBeCloseTo(206, 5);
  });

  it("draws what came late where it belongs", () => {
    const { paper, draw, feed } = set_up();
    feed(0, 200);
    draw(196);
    draw(300);
    paper.forget();
    feed(200, 304);
    draw(304);
    const [x, w] = paper.cleared[0]!;
    expect(x).toBeLessThanOrEqual(98);
    expect(x + w).toBeGreaterThanOrEqual(152);
    expect(paper.points.some(([px]) => Math.abs(px - 120) < 0.01)).toBe(true);
  });

  it("moves its gap on when data do not", () => {
    const { paper, draw, feed } = set_up();
    feed(0, 400);
    draw(396);
    paper.forget();
    draw(600);
    expect(paper.points.every(([px]) => px <= 199)).toBe(true);
    expect(paper.cleared.some(([x, w]) => x + w >= 300)).toBe(true);
  });

  it("goes round at the end of a lap", () => {
    const { paper, draw, feed } = set_up();
    feed(0, 996);
    draw(990);
    paper.forget();
    feed(996, 1_020);
    draw(1_012);
    const lefts = paper.cleared.map(([x]) => x);
    expect(Math.max(...lefts)).toBeGreaterThan(480);
    expect(Math.min(...lefts)).toBe(0);
  });

  it("waits until its head has come a column further, each strip at a moment of its own", () => {
    const many = Array.from({ length: 100 }, set_up);
    for (const { feed, draw } of many) {
      feed(0, 400);
      draw(300);
    }
    for (const { paper } of many) paper.forget();
    // One millisecond is half a column: half of them move on, and the others with the next.
    const moved = (at_ms: number): number => many.filter(({ paper, draw }) => (paper.forget(), draw(at_ms), paper.cleared.length > 0)).length;
    const [first, second, none] = [moved(301), moved(302), moved(302.001)];
    expect([first + second, none]).toEqual([100, 0]);
    expect(Math.abs(first - 50)).toBeLessThanOrEqual(2);
  });

  it("makes room at once for what is beyond its scale, and gives it back when the trace has long been small", () => {
    const strip = new Strip(new Paper() as unknown as CanvasRenderingContext2D, { x: 0, y: 0, w: W, h: 100 }, 1, WINDOW_MS, ["#fff"]);
    const ring = new Ring(10_000);
    const source: Source = { ring, epoch: 1, rate_hz: 250, live: true };
    const run = (from: number, to: number, size: number): number => {
      for (let t = from; t < to; t += 4) {
        ring.push(T + t, [t % 40 === 0 ? size : 0], 0);
        if (t % 100 === 0) strip.draw(source, T + t + DRAW_DELAY_MS);
      }
      return strip.scale.high - strip.scale.low;
    };
    expect(run(0, 3_000, 1)).toBeCloseTo(1.15, 5);
    expect(run(3_000, 3_700, 4)).toBeCloseTo(4.6, 5);
    expect(run(3_700, 5_000, 1)).toBeCloseTo(4.6, 5);
    expect(run(5_000, 12_000, 1)).toBeCloseTo(1.15, 5);
  });
});
