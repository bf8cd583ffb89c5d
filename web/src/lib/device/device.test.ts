import { describe, expect, it } from "vitest";
import { read_heart_rate } from "./heart";
import { is_due, KEPT_COUNT_MAX, KEPT_MS_MAX, PACE_AT_FIRST, Queue, read_pace } from "./queue";

const sample = (timestamp: number) => ({ attribute_id: "button", payload: 1, timestamp });

describe("what waits to be sent", () => {
  it("is the last half minute and ten thousand at most, and what made room is counted", () => {
    const queue = new Queue();
    for (let k = 0; k < KEPT_COUNT_MAX + 3; k++) queue.put(sample(k));
    expect([queue.length, queue.dropped, queue.since_ms]).toEqual([KEPT_COUNT_MAX, 3, 3]);
    queue.age(KEPT_MS_MAX + 5_003);
    expect([queue.length, queue.dropped, queue.since_ms]).toEqual([KEPT_COUNT_MAX - 5_000, 5_003, 5_003]);
    queue.age(1e12);
    expect([queue.length, queue.since_ms]).toEqual([0, NaN]);
  });

  it("goes out in order, and what could not go is first again", () => {
    const queue = new Queue();
    for (let k = 0; k < 8; k++) queue.put(sample(k));
    const taken = queue.take(3);
    queue.give_back(taken);
    expect(queue.take(5).map(({ timestamp }) => timestamp)).toEqual([0, 1, 2, 3, 4]);
    for (let k = 0; k < 2_000; k++) queue.put(sample(k));
    expect(queue.take(2_000).length).toBe(500);
  });

  it("is due when a batch is full or its first has waited for a window, and never while paused", () => {
    const queue = new Queue();
    const pace = { ...PACE_AT_FIRST, size: 3, window_ms: 500 };
    expect(is_due(queue, pace, 1e9)).toBe(false);
    queue.put(sample(1_000));
    expect([is_due(queue, pace, 1_499), is_due(queue, pace, 1_500)]).toEqual([false, true]);
    queue.put(sample(1_001));
    queue.put(sample(1_002));
    expect([is_due(queue, pace, 1_002), is_due(queue, { ...pace, paused: true }, 9_000)]).toEqual([true, false]);
  });

  it("follows what the server asks, as far as that can be so", () => {
    const asked = { attention_level: "high", system_load: "normal", paused: false, recommended_batch_window: 100, recommended_batch_size: 1 };
    expect(read_pace(asked, PACE_AT_FIRST)).toEqual({ window_ms: 100, size: 1, paused: false, attention: "high" });
    for (const wrong of [null, {}, "x", { recommended_batch_window: -1, recommended_batch_size: 1e9, paused: "yes", attention_level: "mad" }]) expect(read_pace(wrong, PACE_AT_FIRST)).toEqual(PACE_AT_FIRST);
  });
});

describe("a strap's heart rate", () => {
  const of = (...bytes: number[]) => read_heart_rate(new DataView(new Uint8Array(bytes).buffer));

  it("is one byte or two, with contact, and intervals behind what it has spent", () => {
    expect(of(0x00, 72)).toEqual({ bpm: 72, rr_ms: [], contact: null });
    expect(of(0x07, 0x2c, 0x01)).toEqual({ bpm: 300, rr_ms: [], contact: true });
    expect(of(0x1c, 60, 0xff, 0x00, 0x00, 0x04, 0x00, 0x02)).toEqual({ bpm: 60, rr_ms: [1_000, 500], contact: false });
  });

  it("is none when it is cut off", () => {
    expect([of(), of(0), of(0x01, 72)]).toEqual([null, null, null]);
    expect(of(0x10, 72, 0x00)).toEqual({ bpm: 72, rr_ms: [], contact: null });
  });
});
