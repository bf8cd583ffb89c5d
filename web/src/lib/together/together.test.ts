import { describe, expect, it } from "vitest";
import { place } from "../draw/circle";
import { nearest, unbroken } from "../draw/trace";
import { Group, MEASURABLE, Reading, READING_COLUMNS, Readings, WHYS, type Pair } from "../stream/group";
import { cycles_text, figure_text, lag_text } from "../strings";
import { view_of } from "../route";
import { choice_of, DEFAULT, hash_of, has_signal, wish_of, type Choice } from "./choice";
import { ahead_of, figures, is_locked, kappa_of, strangers_plv, type Verdict } from "./figures";

const T = 1_700_000_000_000;
type Why = (typeof WHYS)[number];

/** A group with so many seconds behind it: R of each tenth, and who can be measured. */
function group_of(states: (number | Why)[], seconds: number, R: (t_s: number) => number, null95 = 0.5, pairs: Pair[] = []): Group {
  const group = new Group();
  group.hear({ event: "members", group: "g", members: states.map((_, k) => `p${k}`), left_out: 0 });
  const measurable = states.filter((one) => typeof one === "number").length;
  const readings = new Float64Array(Math.round(seconds * 10) * READING_COLUMNS);
  for (let k = 0; k * READING_COLUMNS < readings.length; k++) {
    const one = R(k / 10);
    readings.set([T + k * 100, one, one, Number.isNaN(one) ? NaN : null95, 0, one, one, measurable, states.length], k * READING_COLUMNS);
  }
  group.take({
    group: "g", readings, phases: new Float32Array(states.map((one) => (typeof one === "number" ? one : NaN))),
    why: new Uint8Array(states.map((one) => (typeof one === "number" ? MEASURABLE : WHYS.indexOf(one)))),
  }, 1_000);
  group.hear({ event: "pairs", group: "g", pairs });
  return group;
}
const verdict = (group: Group, before: Verdict = "waiting", now_ms = 1_000): Verdict => figures(group, now_ms, before).verdict;
const three = [0, 0.1, 0.2];
const pair = (plv: number, common_s = 120): Pair => ({ a: 0, b: 1, plv, lag_s: 0, common_s });

describe("what readings come to in a word", () => {
  it("is nothing until the server has said who is in it", () => {
    expect(verdict(new Group())).toBe("waiting");
    const refused = new Group();
    refused.refused = "too_many_groups";
    expect(verdict(refused)).toBe("refused");
  });
  it("needs two people", () => {
    expect([verdict(group_of([], 1, () => NaN)), verdict(group_of([0], 1, () => NaN))]).toEqual(["nobody", "alone"]);
  });
  it("is that there is not enough data, as long as there is hope that it passes", () => {
    expect(verdict(group_of(["too_short", "too_short"], 5, () => NaN))).toBe("soon");
    expect(verdict(group_of([0, "gap", "flat"], 5, () => NaN))).toBe("soon");
    expect(verdict(group_of([0, "flat", "no_rhythm"], 5, () => NaN))).toBe("unmeasurable");
  });
  it("is not said of less than fifteen measured seconds, however clear they are", () => {
    expect(verdict(group_of(three, 14, () => 1))).toBe("soon");
    expect(verdict(group_of(three, 60, (t) => (t < 50 ? NaN : 1)))).toBe("soon");
    expect(verdict(group_of(three, 16, () => 1))).toBe("together");
  });
  it("is of the mean of half a minute, not of an instant", () => {
    expect(verdict(group_of(three, 60, (t) => (t > 55 ? 1 : 0.3)))).toBe("apart");
    const found = figures(group_of(three, 60, (t) => (t >= 45 ? 1 : 0.5)), 1_000, "waiting");
    expect([found.R, found.measured_ms]).toEqual([1, 30_100]);
    expect(found.R_mean).toBeCloseTo(0.75, 2);
    expect(found.null95_mean).toBe(0.5);
  });
  it("is not said of a few while most have only just begun", () => {
    expect(verdict(group_of([...three, "too_short", "too_short", "too_short", "too_short"], 60, () => 1))).toBe("soon");
    expect(verdict(group_of([...three, "too_short", "too_short", "flat", "flat"], 60, () => 1))).toBe("together");
  });
  it("holds until the figures are clear of it", () => {
    const near = group_of(three, 60, () => 0.51);
    expect([verdict(near), verdict(near, "apart"), verdict(near, "together")]).toEqual(["together", "apart", "together"]);
    const under = group_of(three, 60, () => 0.49);
    expect([verdict(under), verdict(under, "together")]).toEqual(["apart", "together"]);
  });
  it("is of two people how steady their distance was, wherever R stands", () => {
    expect(verdict(group_of([0, 3], 100, () => 1, 0.997))).toBe("soon");
    expect(verdict(group_of([0, 3], 100, () => 0.1, 0.997, [pair(0.9)]))).toBe("together");
    expect(verdict(group_of([0, 3], 100, () => 0.999, 0.997, [pair(0.4)]))).toBe("apart");
    expect(verdict(group_of([0, 3], 100, () => 0.999, 0.997, [pair(0.6, 60)]))).toBe("apart");
  });
  it("is that distances are steady when half of the pairs say so and R does not", () => {
    const all: Pair[] = [[0, 1], [0, 2], [1, 2]].map(([a, b]) => ({ a: a!, b: b!, plv: 0.9, lag_s: 2, common_s: 120 }));
    expect(verdict(group_of(three, 60, () => 0.2, 0.9, all))).toBe("distances");
    expect(verdict(group_of(three, 60, () => 0.95, 0.9, all))).toBe("together");
    expect(verdict(group_of(three, 60, () => 0.2, 0.9, [all[0]!, { ...all[1]!, plv: 0.1 }, { ...all[2]!, plv: 0.1 }]))).toBe("apart");
  });
  it("is that nothing comes, when nothing has come for four seconds", () => {
    expect([verdict(group_of(three, 60, () => 1), "together", 4_900), verdict(group_of(three, 60, () => 1), "together", 5_100)]).toEqual(["together", "stale"]);
  });
  it("counts who cannot be measured by reason, the most frequent first", () => {
    expect(figures(group_of([0, "flat", "no_rhythm", 1, 2, "no_rhythm"], 20, () => 1), 1_000, "waiting")).toMatchObject({ measurable: 3, members: 6, whys: [["no_rhythm", 2], ["flat", 1]] });
  });
});

describe("figures", () => {
  it("hold pairs against what strangers come to in the time they had", () => {
    expect([60, 90, 120, 600].map(strangers_plv)).toEqual([0.74, 0.62, 0.5, 0.5]);
    expect([is_locked(pair(0.73, 60)), is_locked(pair(0.75, 60)), is_locked(pair(0.51, 120)), is_locked(pair(NaN))]).toEqual([false, true, true, false]);
  });
  it("tell who is ahead, the short way round", () => {
    expect(ahead_of(0.5 * Math.PI, 0)).toBeCloseTo(0.25);
    expect(ahead_of(-3, 3)).toBeCloseTo((2 * Math.PI - 6) / (2 * Math.PI));
    expect([kappa_of(1, 5), kappa_of(0, 2)]).toEqual([1, -1]);
  });
  it("are printed with a sign that is one", () => {
    expect([figure_text(0.824), figure_text(0.9968), figure_text(0.9999), figure_text(-0.001), figure_text(-1.25, 1), figure_text(NaN)]).toEqual(["0.82", "0.997", "1.00", "0.00", "−1.3", "–"]);
    expect([0.004, 0.12, -0.3].map(cycles_text)).toEqual(["with it", "0.12 ahead", "0.30 behind"]);
    expect(lag_text("Bea", "Ada", 0.6)).toBe("Bea is 0.6 s behind Ada");
    expect(lag_text("Bea", "Ada", -0.6)).toBe("Ada is 0.6 s behind Bea");
  });
});

describe("the address of a choice", () => {
  const some: Choice = { signal: "heart_low", tier: "live", who: ["a:b", "c,d", "ü&=?"] };
  it("opens exactly it", () => {
    for (const choice of [DEFAULT, some, { ...some, who: [] }]) {
      expect(choice_of(hash_of(choice))).toEqual(choice);
      expect(view_of(hash_of(choice))).toBe("together");
    }
  });
  it("says nothing, or what it says wrongly is not said", () => {
    expect(choice_of("#/together")).toBeNull();
    expect(choice_of("#/together?signal=brain&tier&who=%E0%A4%A")).toEqual(DEFAULT);
    expect(choice_of("#/together?who=only:%E0%A4%A,a,a,")).toEqual({ ...DEFAULT, who: ["a"] });
    expect(choice_of(`#/together?who=only:${Array.from({ length: 2_000 }, (_, k) => k).join(",")}`)?.who.length).toBe(1_024);
  });
  it("becomes a wish when there is somebody to compare, by one name whoever asks", () => {
    expect(wish_of(DEFAULT)).toEqual({ group: "together breath prompt all", signal: "breath", tier: "prompt", sensors: "all" });
    expect(wish_of({ ...DEFAULT, who: ["a"] })).toBeNull();
    const [one, other] = [wish_of({ ...DEFAULT, who: ["a", "b"] }), wish_of({ ...DEFAULT, who: ["b", "a"] })];
    expect(one).toEqual(other);
    expect(one?.group).not.toBe(wish_of({ ...DEFAULT, who: ["a", "c"] })?.group);
    expect(new TextEncoder().encode(one!.group).length).toBeLessThanOrEqual(128);
  });
  it("is of those who send the signal", () => {
    const sensor = (attribute_id: string) => ({ sensor_id: "s", sensor_name: "s", sensor_type: "x", connector_id: null, connector_name: null, level: "none" as const, attributes: [{ attribute_id, attribute_type: attribute_id, sampling_rate: 1 }] });
    expect([has_signal(sensor("respiration"), "breath"), has_signal(sensor("ecg"), "breath"), has_signal(sensor("ecg"), "heart_low")]).toEqual([true, false, true]);
  });
});

describe("what is drawn", () => {
  it("is the circle as a clock: the group at the top, ahead on the right", () => {
    expect(place(1, 1)).toEqual({ x: 0, y: -1 });
    expect(place(1 + Math.PI / 2, 1).x).toBeCloseTo(1);
    expect(place(0.9, 1).x).toBeLessThan(0);
  });
  it("is a line that breaks where nothing was measured, and where nothing came", () => {
    const readings = new Readings();
    for (const [t, R] of [[0, 1], [100, 1], [200, NaN], [300, 1], [2_000, 1], [2_100, 1]] as const) readings.push([T + t, R, 0, 0, 0, 0, 0, 2, 2], 0);
    const value = (k: number): number => readings.value(k, Reading.R);
    expect(unbroken(readings, value, 0)).toEqual([[0, 1], [3, 3], [4, 5]]);
    expect(unbroken(readings, value, 5)).toEqual([[5, 5]]);
    expect([nearest(readings, T + 140), nearest(readings, T + 1_200), nearest(readings, T + 9_000)]).toEqual([1, 4, -1]);
  });
});
