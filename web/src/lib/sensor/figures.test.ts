import { describe, expect, it } from "vitest";
import { pace_of } from "./figures";

const ring_of = (times: number[], first = 0) => ({ first, total: times.length, time: (i: number) => times[i]! });

describe("how a stream comes in", () => {
  it("is its mean interval, and how far intervals are from it", () => {
    const even = ring_of(Array.from({ length: 40 }, (_, k) => 20 * k));
    expect(pace_of(even)).toEqual({ mean_ms: 20, jitter_ms: 0 });
    // Sooner and later by 5 ms in turn.
    const uneven = ring_of(Array.from({ length: 41 }, (_, k) => 20 * k + (k % 2 === 0 ? 0 : 5)));
    expect(pace_of(uneven).mean_ms).toBe(20);
    expect(pace_of(uneven).jitter_ms).toBeCloseTo(5);
  });

  it("is not told of too few", () => {
    for (const few of [null, ring_of([]), ring_of([1, 2, 3]), ring_of(Array.from({ length: 40 }, (_, k) => k), 35)]) expect(pace_of(few).jitter_ms).toBeNaN();
  });
});
