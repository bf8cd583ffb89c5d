import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lead_ms, moment, MOMENTS_MAX, ring_from, PastRings, REFUSED_MS, type Shown } from "../room/past";
import { grid_s_for, reach_for, reaches_beyond, step_ms_for } from "../room/reach";
import type { PastPiece, PastWish } from "./messages";
import { MOMENT_CELLS_MAX, Pasts, periods_of, points_of, step_for, take_cells } from "./past";
import type { Reply } from "./phoenix";
import { Ring } from "./ring";

const wish = (more: Partial<PastWish> = {}): PastWish => ({ id: more.sensor_id ?? "ramp", sensor_id: "ramp", attribute_id: "ecg", rate_hz: 10, lanes: 1, names: [""], from_ms: 1_000, to_ms: 4_000, window_ms: 3_000, columns: 1_000, ...more });
const settle = async (): Promise<void> => {
  for (let k = 0; k < 200; k++) await Promise.resolve();
};

/** A server that keeps samples, and answers as docs/history.md says. */
function kept(samples: [number, unknown][], more: { busy?: number; refuses?: string; rows?: unknown[]; page_max?: number } = {}) {
  let { busy = 0 } = more;
  const asked: { [name: string]: unknown }[] = [];
  const pieces: PastPiece[] = [];
  const pasts = new Pasts({
    push: (_, payload): Promise<Reply> => {
      asked.push(payload as { [name: string]: unknown });
      if (busy-- > 0) return Promise.resolve({ ok: false, response: { reason: "busy" } });
      if (more.refuses !== undefined) return Promise.resolve({ ok: false, response: { reason: more.refuses } });
      if ("step" in payload) return Promise.resolve({ ok: true, response: { points: more.rows ?? [], damaged: 1 } });
      const { before, have = 0, count } = payload as { before: number; have?: number; count: number };
      const ones = samples.filter(([t]) => t < before).concat(samples.filter(([t]) => t === before).slice(0, -have || undefined).slice(0, have === 0 ? 0 : undefined));
      const page = ones.slice(-Math.min(count, more.page_max ?? count));
      const older = page.length < ones.length ? { before: page[0]![0], have: page.filter(([t]) => t === page[0]![0]).length } : null;
      return Promise.resolve({ ok: true, response: { samples: page, older, damaged: 0 } });
    },
    wait: () => Promise.resolve(),
    say: (piece) => pieces.push(piece),
  });
  return { pasts, asked, pieces };
}
/** A ramp: its value is its time. */
const ramp = (from: number, to: number, step: number): [number, number][] => Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, k) => [from + k * step, from + k * step]);

describe("a span of the past", () => {
  it("is samples up to a minute, and beyond in whole seconds or minutes that were summed up, no more than a column has", () => {
    expect([5, 20, 60].map((s) => step_for(s * 1_000, 700))).toEqual([0, 0, 0]);
    expect([[600, 1_400], [600, 300], [3_600, 1_200], [3_600, 60], [86_400, 1_000]].map(([s, columns]) => step_for(s! * 1_000, columns!))).toEqual([1_000, 2_000, 3_000, 60_000, 120_000]);
  });

  it("is fetched page by page, each sample once, and no further back than was asked", async () => {
    const { pasts, asked, pieces } = kept(ramp(0, 10_000, 100), { page_max: 7 });
    pasts.want([wish()]);
    await settle();
    expect(pieces.length).toBe(1);
    expect([pieces[0]!.standing, pieces[0]!.step_ms]).toEqual(["kept", 0]);
    expect([...pieces[0]!.times]).toEqual(ramp(1_000, 4_000, 100).map(([t]) => t));
    expect([...pieces[0]!.low]).toEqual(ramp(1_000, 4_000, 100).map(([, v]) => v));
    expect(asked.length).toBe(5);
  });

  it("is asked for again while the server is busy, and said to be not there when it is not", async () => {
    const busy = kept(ramp(0, 5_000, 100), { busy: 3 });
    busy.pasts.want([wish()]);
    await settle();
    expect([busy.pieces[0]!.standing, busy.pieces[0]!.times.length]).toEqual(["kept", 31]);
    for (const [reason, standing] of [["not_kept", "not_kept"], ["unknown_event", "not_kept"], ["not_shared", "not_shared"], ["io", "failed"]] as const) {
      const { pasts, pieces } = kept([], { refuses: reason });
      pasts.want([wish()]);
      await settle();
      expect([pieces[0]!.standing, pieces[0]!.times.length], reason).toEqual([standing, 0]);
    }
  });

  it("asks for what is wanted last, and for nothing that is wanted no more: not to its end, and not for what is on its way already", async () => {
    const of = ({ id }: PastPiece): string => id;
    const { pasts, asked, pieces } = kept(ramp(0, 5_000, 100), { page_max: 7 });
    pasts.want([wish({ sensor_id: "a" }), wish({ sensor_id: "b" })]);
    pasts.want([wish({ sensor_id: "c" })]);
    await settle();
    expect([pieces.map(of), asked.map(({ sensor_id }) => sensor_id)]).toEqual([["c"], ["a", "c", "c", "c", "c", "c"]]);
    pasts.want([wish({ sensor_id: "a" })]);
    pasts.want([wish({ sensor_id: "b" }), wish({ sensor_id: "a" })]);
    await settle();
    expect([pieces.map(of), asked.length]).toEqual([["c", "a", "b"], 16]);
    // Another span of the same is another.
    pasts.want([wish({ sensor_id: "a" })]);
    pasts.want([wish({ sensor_id: "a", from_ms: 2_000 })]);
    await settle();
    expect([pieces.length, pieces[3]!.from_ms]).toEqual([4, 2_000]);
  });

  it("that is long is asked for in whole periods, and comes with lowest, highest and mean, lane by lane", async () => {
    const rows = [[0, "x", -1, 1, 0.5, 10], [0, "y", 5, 6, 5.5, 10], [1_000, "x", 2, 3, 2.5, 10], ["no"], [0, "z", 1, 2, 3, 4]];
    const { pasts, asked, pieces } = kept([], { rows });
    pasts.want([wish({ sensor_id: "a b", lanes: 2, names: ["x", "y"], window_ms: 600_000, columns: 900, from_ms: 1_234.5, to_ms: 601_234.5 })]);
    await settle();
    expect(asked).toEqual([{ sensor_id: "a b", attribute_id: "ecg", from: 1_000, to: 602_000, step: 1_000 }]);
    const [{ step_ms, times, low, high, mean, damaged }] = pieces as [PastPiece];
    expect([step_ms, [...times], [...low], [...high], [...mean], damaged]).toEqual([1_000, [0, 1_000], [-1, 5, 2, NaN], [1, 6, 3, NaN], [0.5, 5.5, 2.5, NaN], 1]);
    expect(periods_of([[0, "value", 1, 3, 2, 4], [0, "value", 0, 9, 8, 4]], [""], 1, 1_000)).toMatchObject({ low: Float32Array.of(0), high: Float32Array.of(9), mean: Float32Array.of(5) });
  });

  it("has the numbers of a payload in their order, whatever it is", () => {
    const cells = (payload: unknown, lanes: number): number[] => {
      const into = new Float32Array(lanes);
      take_cells(payload, into, 0, lanes);
      return [...into];
    };
    expect([cells(7, 1), cells({ x: 1, y: { z: null, w: true }, name: "a", k: [4, 5] }, 6), cells("x", 1), cells([1, 2, 3], 2)]).toEqual([[7], [1, NaN, 1, 4, 5, NaN], [NaN], [1, 2]]);
  });

  it("is folded where a column of pixels has many samples: nothing that sticks out is lost", () => {
    const samples: [number, number][] = ramp(0, 9_999, 1).map(([t]) => [t, t === 4_321 ? 100 : t % 2]);
    const points = points_of(samples, 1, 10);
    expect([points.step_ms, points.times.length, points.times[432]]).toEqual([10, 1_000, 4_320]);
    expect([points.low[432], points.high[432], points.high[431], points.mean[431]]).toEqual([0, 100, 1, 0.5]);
    expect(points_of(samples, 1, 2).step_ms).toBe(0);
    expect(points_of([], 1, 2).times.length).toBe(0);
  });
});

describe("a moment of the past", () => {
  const of_moment = (more: Partial<PastWish> = {}): PastWish => wish({ window_ms: 600_000, columns: 0, ...more });

  it("comes sample by sample however long a window is, and with the last one before its span", async () => {
    const { pasts, asked, pieces } = kept([[100, 7], [400, 8], ...ramp(2_000, 4_000, 1_000)]);
    pasts.want([of_moment()]);
    await settle();
    expect([pieces[0]!.step_ms, [...pieces[0]!.times], [...pieces[0]!.low]]).toEqual([0, [400, 2_000, 3_000, 4_000], [8, 2_000, 3_000, 4_000]]);
    expect([asked.length, "step" in asked[0]!]).toEqual([1, false]);
    // Of a stream that says little, the last there is, however long ago.
    const slow = kept([[100, 7], [400, 8]]);
    slow.pasts.want([of_moment({ rate_hz: 0 })]);
    await settle();
    expect([[...slow.pieces[0]!.times], slow.asked[0]!["count"]]).toEqual([[400], 50]);
    // It may stand at the end of another page.
    const paged = kept([[100, 7], [400, 8], ...ramp(1_000, 4_000, 100)], { page_max: 31 });
    paged.pasts.want([of_moment()]);
    await settle();
    expect([paged.pieces[0]!.times.length, paged.pieces[0]!.times[0], paged.asked.length]).toEqual([32, 400, 2]);
  });

  it("has all cells of a body, where a line has six, and is never folded", async () => {
    const cells = Array.from({ length: 99 }, (_, k) => k);
    const { pasts, pieces } = kept([[2_000, cells], [3_000, cells]]);
    pasts.want([of_moment({ lanes: 99 }), wish({ id: "line", lanes: 99 })]);
    await settle();
    expect([pieces[0]!.lanes, pieces[0]!.low.length, pieces[0]!.low[99 + 98], pieces[1]!.lanes, pieces[1]!.low.length]).toEqual([99, 198, 98, 6, 12]);
    const dense = kept(ramp(1_000, 4_000, 1));
    dense.pasts.want([of_moment({ rate_hz: 1_000, window_ms: 3_000 })]);
    await settle();
    expect([dense.pieces[0]!.step_ms, dense.pieces[0]!.times.length]).toEqual([0, 3_001]);
  });

  it("is bounded: of more than that, what is newest", async () => {
    const { pasts, pieces, asked } = kept(ramp(0, 20_000, 1));
    pasts.want([of_moment({ lanes: 255, from_ms: 0, to_ms: 20_000 })]);
    await settle();
    expect([pieces[0]!.times.length, pieces[0]!.times.at(-1), asked.length]).toEqual([2_160, 20_000, 10]);
    expect([9 * 216 * 255 < MOMENT_CELLS_MAX, 10 * 216 * 255 >= MOMENT_CELLS_MAX]).toEqual([true, true]);
  });

  it("is told by the wish it is for, beside the line of the same stream", async () => {
    const { pasts, pieces } = kept(ramp(0, 5_000, 100));
    pasts.want([wish({ id: "line" }), of_moment({ id: "moment" })]);
    await settle();
    expect(pieces.map(({ id, window_ms }) => [id, window_ms])).toEqual([["line", 3_000], ["moment", 600_000]]);
  });
});

describe("what the page holds of the past", () => {
  const key = "ramp\u0000ecg";
  const piece = (more: Partial<PastPiece> = {}): PastPiece => ({ id: key, standing: "kept", from_ms: 0, to_ms: 20_000, window_ms: 10_000, step_ms: 0, lanes: 1, damaged: 0, times: Float64Array.of(1_000, 9_000), low: Float32Array.of(1, 9), high: Float32Array.of(1, 9), mean: new Float32Array(), ...more });

  it("is a ring like others, and is drawn only where what is here does not reach", () => {
    let shown: Shown | null = { at_ms: 12_000, window_ms: 10_000, newest_ms: 60_000 };
    const here = new Ring(100);
    here.push(40_000, [1], 0);
    const rings = new PastRings(() => {}, () => shown, () => here, () => 0);
    expect(rings.standing_of(key, 1)).toBe("asking");
    rings.take(piece());
    expect([rings.standing_of(key, 1), rings.ring_of(key, 1)?.low_at(1), rings.ring_of(key, 1)?.lower_bound(5_000)]).toEqual(["kept", 9, 1]);
    shown = { at_ms: 55_000, window_ms: 10_000, newest_ms: 60_000 };
    expect([rings.standing_of(key, 1), rings.ring_of(key, 1)]).toEqual(["here", null]);
    shown = { at_ms: 35_000, window_ms: 10_000, newest_ms: 60_000 };
    expect([rings.standing_of(key, 1), rings.ring_of(key, 1)]).toEqual(["asking", null]);
    rings.take(piece({ from_ms: 20_000, to_ms: 40_000, times: new Float64Array(), low: new Float32Array(), high: new Float32Array() }));
    expect(rings.standing_of(key, 1)).toBe("empty");
    rings.take(piece({ standing: "not_kept" }));
    expect([rings.standing_of(key, 1), rings.ring_of(key, 1)]).toEqual(["not_kept", null]);
    shown = null;
    expect(rings.standing_of(key, 1)).toBe("here");
    expect(ring_from(piece({ step_ms: 1_000, mean: Float32Array.of(1, 9) })).mean?.[1]).toBe(9);
  });
});

describe("what is held of the past", () => {
  const drawn = { sensor_id: "ramp", attribute_id: "ecg", rate_hz: 0, lanes: 1, names: [""], columns: 100 };
  const key = "ramp\u0000ecg";
  const piece = (standing: PastPiece["standing"]): PastPiece => ({ id: key, standing, from_ms: 0, to_ms: 20_000, window_ms: 10_000, step_ms: 0, lanes: 1, damaged: 0, times: Float64Array.of(9_000), low: Float32Array.of(1), high: Float32Array.of(1), mean: new Float32Array() });
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is what panels draw, and no more", () => {
    const asked: PastWish[][] = [];
    const shown: Shown = { at_ms: 15_000, window_ms: 10_000, newest_ms: 60_000 };
    const rings = new PastRings((wishes) => asked.push(wishes), () => shown, () => null, () => 0);
    rings.draw("waves", [drawn]);
    rings.draw("tile", [drawn]);
    vi.runAllTimers();
    expect(asked.map((wishes) => wishes.length)).toEqual([1]);
    rings.take(piece("kept"));
    rings.draw("tile", []);
    vi.runAllTimers();
    expect([asked.at(-1), rings.standing_of(key, 0)]).toEqual([[], "kept"]);
    rings.draw("waves", []);
    vi.runAllTimers();
    expect(rings.standing_of(key, 0)).toBe("asking");
  });

  it("that could not be fetched is asked for again by itself, and what is not kept is not", () => {
    let now = 0;
    const asked: PastWish[][] = [];
    const shown: Shown = { at_ms: 15_000, window_ms: 10_000, newest_ms: 60_000 };
    const rings = new PastRings((wishes) => asked.push(wishes), () => shown, () => null, () => now);
    rings.draw("waves", [drawn]);
    vi.runAllTimers();
    rings.take(piece("failed"));
    now = REFUSED_MS;
    vi.runAllTimers();
    expect(asked.map((wishes) => wishes.length)).toEqual([1, 1]);
    rings.take(piece("not_kept"));
    now = 10 * REFUSED_MS;
    vi.runAllTimers();
    expect(asked.length).toBe(2);
  });
});

describe("what is held of a moment", () => {
  const figure = moment("ramp", "ecg", 1);
  const key = "ramp\u0000ecg";
  const id = `${key}\u0000moment`;
  const piece = (more: Partial<PastPiece> = {}): PastPiece => ({ id, standing: "kept", from_ms: 0, to_ms: 60_000, window_ms: 60_000, step_ms: 0, lanes: 1, damaged: 0, times: Float64Array.of(10_000, 20_000, 30_000), low: Float32Array.of(1, 2, 3), high: Float32Array.of(1, 2, 3), mean: new Float32Array(), ...more });
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  function rings_at(shown: Shown, here: Ring | null = null, knows = false) {
    const asked: PastWish[][] = [];
    const rings = new PastRings((wishes) => asked.push(wishes), () => shown, () => here, () => 0, () => knows);
    return { rings, asked, said: (span_ms = 0, lanes = 1): [string, number | undefined] => { const { ring, standing } = rings.moment_of(key, 1, lanes, span_ms); const i = ring?.last_at(shown.at_ms) ?? -1; return [standing, i < 0 ? undefined : ring!.value_at(i)]; } };
  }

  it("is asked for with what leads to it, of a figure a minute and as much again around, of what is quick less, and what comes beside it is the line's", () => {
    const shown: Shown = { at_ms: 500_000, window_ms: 600_000, newest_ms: 520_000 };
    const { rings, asked } = rings_at(shown);
    rings.draw("values", [figure]);
    rings.draw("waves", [{ ...figure, columns: 700, names: ["bpm"] }]);
    vi.runAllTimers();
    expect(asked.at(-1)!.map(({ id: of, from_ms, to_ms, window_ms, columns }) => [of === id, from_ms, to_ms, window_ms, columns])).toEqual([[true, 410_000, 520_000, 60_000, 0], [false, -400_000, 520_000, 600_000, 700]]);
    rings.take({ ...piece(), id: key, window_ms: 600_000, from_ms: -400_000, to_ms: 520_000, low: Float32Array.of(7, 8, 9) });
    rings.take(piece({ from_ms: 410_000, to_ms: 520_000, times: Float64Array.of(499_000), low: Float32Array.of(4), high: Float32Array.of(4) }));
    expect([rings.ring_of(key, 1)?.low_at(0), rings.moment_of(key, 1, 1, 0).ring?.low_at(0)]).toEqual([7, 4]);
    vi.runAllTimers();
    expect([[1, 1], [5, 1], [25, 1], [1_000, 1], [15, 99], [0, 1]].map(([hz, lanes]) => Math.round(lead_ms(hz!, lanes!)))).toEqual([60_000, 60_000, 12_000, 1_000, 1_212, 60_000]);
  });

  it("is the last at or before it, and why there is none is said", () => {
    const shown: Shown = { at_ms: 20_000, window_ms: 10_000, newest_ms: 90_000 };
    const { rings, said } = rings_at(shown);
    expect(said()).toEqual(["asking", undefined]);
    rings.take(piece());
    expect(said()).toEqual(["kept", 2]);
    shown.at_ms = 29_999;
    expect(said()).toEqual(["kept", 2]);
    shown.at_ms = 9_999;
    expect(said()).toEqual(["empty", undefined]);
    shown.at_ms = 60_001;
    expect(said()).toEqual(["asking", undefined]);
    // More before it, or more of its cells, than were fetched.
    shown.at_ms = 20_000;
    expect([said(20_000), said(20_001), said(0, 2)]).toEqual([["kept", 2], ["asking", undefined], ["asking", undefined]]);
    for (const standing of ["not_kept", "not_shared", "failed"] as const) {
      rings.take(piece({ standing, times: new Float64Array(), low: new Float32Array(), high: new Float32Array() }));
      expect(said()).toEqual([standing, undefined]);
    }
  });

  it("is what the page held itself, as far as that goes, and then nothing is asked", () => {
    const here = new Ring(10);
    here.push(15_000, [5], 0);
    here.push(16_000, [6], 0);
    const shown: Shown = { at_ms: 15_500, window_ms: 10_000, newest_ms: 90_000 };
    const { rings, asked, said } = rings_at(shown, here);
    rings.draw("values", [figure]);
    vi.runAllTimers();
    expect([asked.at(-1), said()]).toEqual([[], ["here", 5]]);
    // Of what leads to it a part is here: it is shown until the rest has come.
    rings.draw("map", [moment("ramp", "ecg", 1, 1, 60_000)]);
    vi.runAllTimers();
    expect([asked.at(-1)!.length, said(60_000)]).toEqual([1, ["here", 5]]);
    rings.take(piece({ from_ms: -90_000, to_ms: 45_000, times: Float64Array.of(-1_000, 15_200) , low: Float32Array.of(8, 9), high: Float32Array.of(8, 9) }));
    expect(said(60_000)).toEqual(["kept", 9]);
    // Before all that is here.
    shown.at_ms = 14_999;
    expect(said()).toEqual(["kept", 8]);
  });

  it("is not asked for where it is known without a ring, if a figure is all that is wanted", () => {
    const { rings, asked } = rings_at({ at_ms: 15_500, window_ms: 10_000, newest_ms: 90_000 }, null, true);
    rings.draw("tile", [figure]);
    vi.runAllTimers();
    rings.draw("pose", [moment("camera", "pose", 15, 99)]);
    vi.runAllTimers();
    expect(asked.map((wishes) => wishes.map(({ lanes }) => lanes))).toEqual([[], [99]]);
  });

  it("is one for all panels that want it, with all that any of them needs", () => {
    const { rings, asked } = rings_at({ at_ms: 500_000, window_ms: 10_000, newest_ms: 900_000 });
    rings.draw("raw", [moment("camera", "pose", 15)]);
    rings.draw("pose", [moment("camera", "pose", 15, 99)]);
    rings.draw("gaze", [moment("camera", "pose", 15, 3, 20_000)]);
    vi.runAllTimers();
    expect(asked.at(-1)!.map(({ lanes, from_ms }) => [lanes, from_ms])).toEqual([[99, 470_000]]);
  });

  it("is of so many at most: of others it could not be fetched", () => {
    const { rings, asked } = rings_at({ at_ms: 500_000, window_ms: 10_000, newest_ms: 900_000 });
    const of = (k: number): string => `s${k}`;
    rings.draw("raw", Array.from({ length: MOMENTS_MAX + 1 }, (_, k) => moment(of(k), "a", 1)));
    vi.runAllTimers();
    expect([asked.at(-1)!.length, rings.moment_of(`${of(0)}\u0000a`, 1, 1, 0).standing, rings.moment_of(`${of(MOMENTS_MAX)}\u0000a`, 1, 1, 0).standing]).toEqual([MOMENTS_MAX, "asking", "failed"]);
    rings.draw("raw", []);
    vi.runAllTimers();
    expect(rings.moment_of(`${of(MOMENTS_MAX)}\u0000a`, 1, 1, 0).standing).toBe("asking");
  });
});

describe("how far back", () => {
  it("the axis goes: no less than what is shown, no more often than need be", () => {
    expect([[5, 24], [24.3, 24], [25, 24], [61, 24], [3_000, 24], [90_000, 24], [1e9, 24], [Infinity, 0]].map(([behind, held]) => reach_for(behind!, held!))).toEqual([0, 0, 60, 600, 3_600, 604_800, 604_800, 604_800]);
    expect([reaches_beyond(24), reaches_beyond(120)]).toEqual([[0, 60, 600, 3_600, 86_400, 604_800], [0, 600, 3_600, 86_400, 604_800]]);
    expect([5, 20, 60, 600, 3_600].map((s) => [step_ms_for(s), s / grid_s_for(s)])).toEqual([[100, 5], [100, 20], [600, 12], [6_000, 10], [36_000, 12]]);
  });
});
