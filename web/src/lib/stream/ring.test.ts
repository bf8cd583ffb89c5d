import { describe, expect, it } from "vitest";
import { capacity_for, Cursor, Ring, RING_POINTS_MAX, RING_POINTS_MIN, trace_columns } from "./ring";

function filled(values: number[], step_ms = 4): Ring {
  const ring = new Ring(Math.max(1, values.length));
  values.forEach((v, i) => ring.push(i * step_ms, [v], 0));
  return ring;
}

function walked(ring: Ring, x_of: (t: number) => number, gap_ms = 1_000, from = ring.first): [number, number, boolean][] {
  const points: [number, number, boolean][] = [];
  trace_columns(ring, 0, from, ring.total, x_of, gap_ms, (x, v, move) => points.push([x, v, move]));
  return points;
}

describe("a ring", () => {
  it("keeps the newest and counts all", () => {
    // Slow enough that it holds its span without growing.
    const ring = new Ring(4);
    for (let i = 0; i < 10; i++) ring.push(i * 60_000, [i], 0);
    expect([ring.total, ring.first, ring.length]).toEqual([10, 6, 4]);
    expect([6, 7, 8, 9].map((i) => ring.low_at(i))).toEqual([6, 7, 8, 9]);
    expect(ring.lower_bound(7 * 60_000)).toBe(7);
    expect(ring.lower_bound(7 * 60_000 + 1)).toBe(8);
    expect(ring.lower_bound(1e12)).toBe(10);
  });

  it("takes room when a stream is faster than it said, and keeps its points in order", () => {
    const ring = new Ring(capacity_for(0));
    for (let i = 0; i < 3_000; i++) ring.push(i * 4, [i], 0);
    expect(ring.length).toBe(3_000);
    for (let i = 0; i < 3_000; i++) expect(ring.low_at(i)).toBe(i);
  });

  it("has a size that follows the rate within bounds", () => {
    expect(capacity_for(250)).toBe(6_000);
    expect(capacity_for(0)).toBe(RING_POINTS_MIN);
    expect(capacity_for(NaN)).toBe(RING_POINTS_MIN);
    expect(capacity_for(1e9)).toBe(RING_POINTS_MAX);
  });

  it("gives way to a seed that tells the same time better", () => {
    const ring = filled([1, 2, 3, 4, 5]);
    ring.truncate_from(8);
    expect([ring.total, ring.last_ms]).toEqual([2, 4]);
    ring.push(8, [30], 0);
    expect(ring.low_at(2)).toBe(30);
  });

  it("knows its extent, missing values aside", () => {
    const ring = filled([5, NaN, -2, 9]);
    const out = { low: 0, high: 0 };
    expect(ring.extent(0, out)).toBe(true);
    expect(out).toEqual({ low: -2, high: 9 });
    ring.push_range(16, -7, 20);
    expect(ring.extent(0, out) && out).toEqual({ low: -7, high: 20 });
    expect(ring.extent(1e9, out) && out).toEqual({ low: -7, high: 20 });
    expect(new Ring(4).extent(0, out)).toBe(false);
  });
});

describe("a trace by columns", () => {
  it("keeps first, lowest, highest and last of each pixel, in the order they happened", () => {
    const ring = filled([1, 5, -3, 2, 7, 7, 7, 7]);
    // Four samples a pixel.
    expect(walked(ring, (t) => t / 16)).toEqual([
      [0, 1, true],
      [0.25, 5, false],
      [0.5, -3, false],
      [0.75, 2, false],
      [1, 7, false],
      [1.75, 7, false],
    ]);
  });

  it("loses no extreme of noise, however many samples share a pixel", () => {
    const values = Array.from({ length: 5_000 }, (_, i) => Math.sin(i * i));
    const ring = filled(values);
    const points = walked(ring, (t) => t / 100);
    for (let column = 0; column < 200; column++) {
      const of_column = values.filter((_, i) => Math.floor((i * 4) / 100) === column).map(Math.fround);
      const drawn = points.filter(([x]) => Math.floor(x) === column).map(([, v]) => v);
      expect(Math.min(...drawn)).toBe(Math.min(...of_column));
      expect(Math.max(...drawn)).toBe(Math.max(...of_column));
      expect(drawn.length).toBeLessThanOrEqual(4);
    }
  });

  it("lifts the pen over a gap, a missing value and a digest", () => {
    const ring = new Ring(16);
    ring.push(0, [1], 0);
    ring.push(4, [1], 0);
    ring.push(5_000, [1], 0);
    ring.push(5_004, [NaN], 0);
    ring.push(5_008, [1], 0);
    ring.push_range(5_100, -1, 1);
    ring.push(5_104, [1], 0);
    expect(walked(ring, (t) => t).map(([x, , move]) => [x, move])).toEqual([
      [0, true], [4, false], [5_000, true], [5_008, true], [5_104, true],
    ]);
  });
});

describe("a cursor", () => {
  it("finds nothing wrong where each slice begins at the end of the last, plus what it missed", () => {
    const cursor = new Cursor();
    cursor.seed(100, 50);
    cursor.live(150, 8, 0);
    cursor.live(160, 5, 2);
    cursor.live(165, 25, 0);
    expect(cursor).toMatchObject({ gaps: 0, duplicates: 0, missed: 2, seeds: 1, next: 190 });
  });
  it("counts what was skipped and what came twice", () => {
    const cursor = new Cursor();
    cursor.seed(0, 0);
    cursor.live(3, 2, 0);
    cursor.live(4, 2, 0);
    expect(cursor).toMatchObject({ gaps: 3, duplicates: 1 });
  });
  it("begins again with a seed after a new channel", () => {
    const cursor = new Cursor();
    cursor.seed(0, 10);
    cursor.restart();
    cursor.seed(500, 20);
    cursor.live(520, 1, 0);
    expect(cursor).toMatchObject({ gaps: 0, duplicates: 0, seeds: 2 });
  });
});
