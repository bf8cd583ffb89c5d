import { describe, expect, it } from "vitest";
import { intervals_of, scale_of, successive } from "./beats";

describe("a heart's intervals", () => {
  it("are between two beats, and none where a beat was missed or too many were found", () => {
    const beats = [0, 800, 1_650, 5_650, 6_450, 6_500, 7_300];
    expect(intervals_of(beats).map((one) => one?.rr_ms ?? null)).toEqual([800, 850, null, 800, null, 800]);
    expect([intervals_of([]), intervals_of([5])]).toEqual([[], []]);
  });

  it("are held against the one before only where they follow upon it", () => {
    expect(successive(intervals_of([0, 800, 1_650, 2_450, 9_000, 9_900, 10_800]))).toEqual([[800, 850], [850, 800], [900, 900]]);
  });

  it("have bounds that are round and hold all of them", () => {
    expect(scale_of([810, 850, 900])).toEqual({ low: 750, high: 950, step: 50 });
    for (const values of [[250, 2_500], [1_000], [799, 801]]) {
      const { low, high, step } = scale_of(values);
      expect(values.every((value) => value > low && value < high)).toBe(true);
      expect((high - low) / step).toBeLessThanOrEqual(7);
    }
  });
});
