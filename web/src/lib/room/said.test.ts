import { describe, expect, it } from "vitest";
import { freshness } from "../freshness";
import { count_text, past_text, rate_text } from "../strings";
import type { Stream } from "../stream/hub";
import { Ring } from "../stream/ring";
import { is_known, said_now, said_then, type Said } from "./said";

/** A figure a second, its value the second. */
function ring_of(from_s: number, to_s: number): Ring {
  const ring = new Ring(100);
  for (let s = from_s; s <= to_s; s++) ring.push(s * 1_000, [s], 0);
  return ring;
}
const told = ({ last_ms, value, standing }: Said): [number, number, string] => [last_ms, value, standing];
const STOPPED = 60_500;
const newest = { last_ms: 60_000, value: 60, text: "sixty" };

describe("what a stream says at the moment that is shown", () => {
  it("is its newest while time runs", () => {
    const ring = ring_of(50, 60);
    const stream = { card: { rate_hz: 1 }, last_ms: 60_000, value: 60, text: "", per_s: 1, ring } as Stream;
    expect([told(said_now(stream)), said_now(stream).i, said_now(stream).per_s]).toEqual([[60_000, 60, "here"], 10, 1]);
    expect([told(said_now(undefined)), said_now({ ...stream, ring: new Ring(5) }).i]).toEqual([[NaN, NaN, "here"], -1]);
  });

  it("is the last at or before it while time stands, and as old as it was then", () => {
    const found = { ring: ring_of(30, 60), standing: "here" as const };
    const at = (at_ms: number): Said => said_then(at_ms, STOPPED, newest, found, 1);
    expect([60_500, 60_000, 59_999, 30_000].map((t) => told(at(t)))).toEqual([[60_000, 60, "here"], [60_000, 60, "here"], [59_000, 59, "here"], [30_000, 30, "here"]]);
    expect([freshness([at(60_500)], 60_500), freshness([at(59_999)], 59_999)]).toEqual([{ age_ms: 500, stale: false }, { age_ms: 999, stale: false }]);
    // Judged by then: silent for long before the moment, however much has come since.
    expect(freshness([said_then(90_000, 95_000, newest, { ring: null, standing: "asking" }, 1)], 90_000)).toEqual({ age_ms: 30_000, stale: true });
  });

  it("is known at the moment time was stopped though nobody drew it, and of before only what was held or fetched", () => {
    const nothing = { ring: null, standing: "asking" as const };
    expect([told(said_then(STOPPED, STOPPED, newest, nothing, 1)), said_then(STOPPED, STOPPED, newest, nothing, 1).text]).toEqual([[60_000, 60, "here"], "sixty"]);
    const before = said_then(59_000, STOPPED, newest, nothing, 1);
    expect([told(before), before.text, is_known(before)]).toEqual([[NaN, NaN, "asking"], "", false]);
    expect(told(said_then(59_000, STOPPED, newest, { ring: ring_of(10, 59), standing: "kept" }, 1))).toEqual([59_000, 59, "kept"]);
    expect(told(said_then(59_000, STOPPED, undefined, { ring: null, standing: "not_kept" }, 1))).toEqual([NaN, NaN, "not_kept"]);
    // A device ahead of the server's clock has said what had come.
    expect(told(said_then(STOPPED, STOPPED, { ...newest, last_ms: 63_000 }, nothing, 1))).toEqual([63_000, 60, "here"]);
    // What was noted of the newest is a quarter of a second behind a ring.
    expect(told(said_then(STOPPED, STOPPED, { ...newest, last_ms: 58_000, value: 58 }, { ring: ring_of(30, 60), standing: "here" }, 1))).toEqual([60_000, 60, "here"]);
  });

  it("has no rate of then, and words for why it is not known", () => {
    const then = said_then(59_000, STOPPED, newest, { ring: null, standing: "not_kept" }, 1);
    expect([count_text(then.per_s), rate_text(then.per_s), count_text(0), rate_text(0)]).toEqual(["–", "–", "0", "0"]);
    expect((["here", "kept", "asking", "empty", "not_kept", "not_shared", "failed"] as const).map(past_text)).toEqual(["", "", "fetching…", "nothing kept of then", "not kept", "not shown to you", "could not be fetched"]);
  });
});

describe("a ring", () => {
  it("has one number for a point: the sample, the middle of what is known of it, or its mean", () => {
    const ring = new Ring(4, 2);
    ring.push(0, [1, 2], 0);
    ring.push_range(10, 4, 8);
    expect([ring.value_at(0), ring.value_at(0, 1), ring.value_at(1), ring.value_at(1, 1)]).toEqual([1, 2, 6, NaN]);
    ring.mean = Float32Array.of(0, 0, 5, 0, 0, 0, 0, 0);
    expect(ring.value_at(1)).toBe(5);
  });

  it("knows its last point at or before a moment, as clocks tell moments", () => {
    const now = 1_795_959_220_910;
    const ring = new Ring(4);
    for (const t of [now - 40, now - 30, now - 20, now - 20]) ring.push(t, [t], 0);
    expect([now - 41, now - 31, now - 30, now - 20, now].map((t) => ring.last_at(t))).toEqual([-1, 0, 1, 3, 3]);
    expect(new Ring(3).last_at(now)).toBe(-1);
  });
});
