import { describe, expect, it } from "vitest";
import { HIGH_HZ, LOW_HZ, pitch_of, SILENT_MS, SPAN_MS, tone_of } from "./pitch";

const ring_of = (values: number[], every_ms = 100) => ({ first: 0, total: values.length, time: (i: number) => i * every_ms, low_at: (i: number) => values[i]!, high_at: (i: number) => values[i]! });

describe("how a signal sounds", () => {
  it("rises with its value, in steps that are equal for the ear", () => {
    expect([pitch_of(0, 0, 10), pitch_of(5, 0, 10), pitch_of(10, 0, 10)]).toEqual([LOW_HZ, 440, HIGH_HZ]);
    expect([pitch_of(-3, 0, 10), pitch_of(99, 0, 10), pitch_of(7, 7, 7), pitch_of(NaN, 0, 10)]).toEqual([LOW_HZ, HIGH_HZ, 440, NaN]);
  });

  it("is measured by what it lately was", () => {
    expect(tone_of(ring_of([0, 10, 5]), 200)).toBe(440);
    const once_high = ring_of([1_000, ...Array.from({ length: SPAN_MS / 100 + 1 }, (_, k) => (k % 2 === 0 ? 0 : 10))]);
    expect(tone_of(once_high, once_high.time(once_high.total - 1))).toBe(LOW_HZ);
  });

  it("is nothing where there is nothing, or nothing of now", () => {
    expect([tone_of(null, 0), tone_of(ring_of([]), 0), tone_of(ring_of([1, NaN]), 100), tone_of(ring_of([1, 2]), 101 + SILENT_MS)]).toEqual([NaN, NaN, NaN, NaN]);
  });
});
