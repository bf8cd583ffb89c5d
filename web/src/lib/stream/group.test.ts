import { describe, expect, it } from "vitest";
import { bytes, join, kind_of } from "./by_hand";
import { BEATS_MAX, decode_group, Group, MEASURABLE, read_group_event, Reading, READING_COLUMNS, Readings, READINGS_MAX, WHYS } from "./group";
import { Groups, type Answer } from "./groups";
import { Hub, type WorkerLike } from "./hub";
import type { ToPage, ToWorker } from "./messages";
import type { Reply } from "./phoenix";

const T = 1_700_000_000_000;

const head = (readings: number, members: number, name = "chör") =>
  bytes(["u8", 1], ["u8", new TextEncoder().encode(name).length], ["text", name], ["u16", readings], ["u16", members]);
const reading = (t: number, [R, kappa, null95, phase, R_smoothed, kappa_smoothed]: number[], measurable: number, members: number) =>
  bytes(["f64", t], ["f32", R!], ["f32", kappa!], ["f32", null95!], ["f32", phase!], ["f32", R_smoothed!], ["f32", kappa_smoothed!], ["u16", measurable], ["u16", members]);
const nothing = [NaN, NaN, NaN, NaN, NaN, NaN];
const states = bytes(["f32", 0.5], ["f32", NaN], ["f32", -3], ["u8", 255], ["u8", 6], ["u8", 255]);
const good = join(head(2, 3), reading(T + 0.5, nothing, 1, 3), reading(T + 100, [0.75, 0.125, 0.5, -1.5, 0.625, -0.25], 2, 3), states);

describe("a group frame of version 1", () => {
  it("is read byte for byte as the table has it", () => {
    const frame = decode_group(good);
    expect(frame.group).toBe("chör");
    expect([...frame.readings]).toEqual([T + 0.5, ...nothing, 1, 3, T + 100, 0.75, 0.125, 0.5, -1.5, 0.625, -0.25, 2, 3]);
    expect([...frame.phases]).toEqual([0.5, NaN, -3]);
    expect([...frame.why]).toEqual([MEASURABLE, 6, MEASURABLE]);
    expect(WHYS[6]).toBe("flat");
  });

  it("is read from the middle of a message, where no number is aligned", () => {
    const frame = decode_group(join(new Uint8Array(3), good).subarray(3));
    expect(frame.readings[READING_COLUMNS + Reading.R]).toBe(0.75);
  });

  it("may have no reading, and nobody in it", () => {
    expect(decode_group(head(0, 0))).toMatchObject({ group: "chör", readings: new Float64Array(0), phases: new Float32Array(0) });
  });
});

describe("what is not a group frame of version 1 is refused:", () => {
  it("any frame cut short, wherever it is cut", () => {
    for (let n = 0; n < good.length; n++) expect(kind_of(() => decode_group(good.subarray(0, n)))).toBe("truncated");
  });
  it("another version", () => expect(kind_of(() => decode_group(join(bytes(["u8", 2]), good.subarray(1))))).toBe("version"));
  it("bytes left over", () => expect(kind_of(() => decode_group(join(good, new Uint8Array(1))))).toBe("leftover"));
  it("a name that is not utf-8", () => expect(kind_of(() => decode_group(bytes(["u8", 1], ["u8", 1], ["u8", 255], ["u32", 0])))).toBe("utf8"));
  it("a reading without a time", () => expect(kind_of(() => decode_group(join(head(1, 0), reading(NaN, nothing, 0, 0))))).toBe("range"));
  it("a lie about how much there is, before anything is made of it", () =>
    expect(kind_of(() => decode_group(bytes(["u8", 1], ["u8", 0], ["u16", 65_535], ["u16", 65_535])))).toBe("truncated"));

  it("whatever the bytes, the error is ours", () => {
    let state = 0x2545f491;
    const random = (n: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % n;
    };
    const kinds = new Set<string>();
    for (let round = 0; round < 20_000; round++) {
      const copy = round % 4 === 0 ? new Uint8Array(random(120)).map(() => random(256)) : good.slice();
      if (round % 4 === 0 && copy.length > 0) copy[0] = 1;
      for (let k = random(6); k > 0; k--) if (copy.length > 0) copy[random(copy.length)] = random(256);
      kinds.add(kind_of(() => decode_group(copy)));
    }
    expect([...kinds].sort()).toEqual(["leftover", "none", "range", "truncated", "utf8", "version"]);
  });
});

describe("what the server says of a group in words", () => {
  it("is who is in it, and for whom there was no room", () => {
    expect(read_group_event("group_members", { group: "g", members: ["a", "b"], left_out: 3 })).toEqual({ event: "members", group: "g", members: ["a", "b"], left_out: 3 });
  });
  it("is how pairs lie to each other; a figure there is not is none", () => {
    const pairs = [{ a: 0, b: 1, plv: 0.9, lag_s: -0.5, correlation_lag_s: null, common_s: 61 }, { a: 0, b: 2, plv: null, lag_s: "x", common_s: 60 }];
    expect(read_group_event("group_pairs", { group: "g", pairs })).toEqual({
      event: "pairs", group: "g", pairs: [{ a: 0, b: 1, plv: 0.9, lag_s: -0.5, common_s: 61 }, { a: 0, b: 2, plv: NaN, lag_s: NaN, common_s: 60 }],
    });
  });
  it("is how hearts beat", () => {
    const hearts = [{ member: 2, rate_bpm: 61.5, rmssd_ms: 40, sdnn_ms: 50, pnn50_pct: 12, window_s: 60, corrected_share: 0.02 }];
    expect(read_group_event("group_hearts", { group: "g", beats: [{ member: 2, t: T }], hearts })).toEqual({
      event: "hearts", group: "g", hearts: [{ member: 2, rate_bpm: 61.5, rmssd_ms: 40, sdnn_ms: 50, window_s: 60, corrected_share: 0.02 }], beats: [{ member: 2, t: T }], breathing: [],
    });
  });
  it.each([
    ["group_members", null], ["group_members", []], ["group_members", { group: 7, members: [] }], ["group_members", { group: "g", members: "ab" }],
    ["group_members", { group: "g", members: ["a", 7] }], ["group_members", { group: "g", members: Array(1_025).fill("a") }],
    ["group_pairs", { group: "g" }], ["group_pairs", { group: "g", pairs: [null] }], ["group_pairs", { group: "g", pairs: [{ a: 0, b: 0 }] }],
    ["group_pairs", { group: "g", pairs: [{ a: -1, b: 2 }] }], ["group_pairs", { group: "g", pairs: Array(191).fill({ a: 0, b: 1 }) }],
    ["group_hearts", { group: "g", hearts: [{ member: 1.5 }] }], ["group_hearts", { group: "g", hearts: {} }], ["group_hearts", { group: "g", hearts: [], beats: [{ member: 1, t: NaN }] }], ["group_what", { group: "g" }],
  ])("is refused whole where it cannot be read: %s %j", (event, payload) => expect(read_group_event(event, payload)).toBeNull());
});

const row = (t: number, R: number): number[] => [t, R, 0, 0.5, 0, R, 0, 2, 2];

describe("the readings of a group", () => {
  it("are the newest, and no more than there is room for", () => {
    const readings = new Readings();
    for (let k = 0; k < READINGS_MAX + 5; k++) readings.push(row(T + k * 100, k), 0);
    expect([readings.length, readings.total]).toEqual([READINGS_MAX, READINGS_MAX + 5]);
    expect([readings.value(0, Reading.R), readings.value(READINGS_MAX - 1, Reading.R), readings.value(READINGS_MAX, Reading.R)]).toEqual([5, READINGS_MAX + 4, NaN]);
    expect([readings.since(T), readings.since(T + 650), readings.since(T + 1e9)]).toEqual([0, 2, READINGS_MAX]);
  });
  it("are not told twice, and begin anew when the clock was set back", () => {
    const readings = new Readings();
    for (const [t, R] of [[0, 1], [100, 2], [100, 3], [50, 4], [200, 5]] as const) readings.push(row(T + t, R), 0);
    expect([0, 1, 2, 3].map((k) => readings.value(k, Reading.R))).toEqual([1, 2, 5, NaN]);
    readings.push(row(T - 60_000, 6), 0);
    expect([readings.length, readings.value(0, Reading.R)]).toEqual([1, 6]);
  });
});

describe("a group", () => {
  it("has a state for each member, and none while frame and members do not fit", () => {
    const group = new Group();
    group.take(decode_group(good), 1);
    expect(group.states).toBe(0);
    group.hear({ event: "members", group: "g", members: ["a", "b", "c"], left_out: 0 });
    expect([group.states, group.is_measurable(0), group.is_measurable(1), group.is_measurable(2), group.is_measurable(3)]).toEqual([3, true, false, true, false]);
  });
  it("keeps each heart's last beats once, in turn", () => {
    const group = new Group();
    group.hear({ event: "members", group: "g", members: ["a", "b"], left_out: 0 });
    const hear = (...beats: [number, number][]) => group.hear({ event: "hearts", group: "g", hearts: [], breathing: [], beats: beats.map(([member, t]) => ({ member, t })) });
    hear([0, T], [1, T + 5], [0, T + 800]);
    hear([0, T + 800], [0, T + 1_600], [0, T + 900]);
    expect([group.beats.get(0), group.beats.get(1)]).toEqual([[T, T + 800, T + 1_600], [T + 5]]);
    for (let k = 0; k < BEATS_MAX; k++) hear([1, T + 1_000 * (k + 1)]);
    expect([group.beats.get(1)!.length, group.beats.get(1)![0]]).toEqual([BEATS_MAX, T + 1_000]);
  });

  it("knows what breathing does to a heart for as long as it is told with the hearts", () => {
    const group = new Group();
    const heart = { member: 0, rate_bpm: 60, rmssd_ms: 40, sdnn_ms: 50, pnn50_pct: 10, window_s: 60, corrected_share: 0 };
    const tell = (breathing: unknown, hearts: unknown[] = [heart]) => {
      const event = read_group_event("group_hearts", { group: "g", hearts, beats: [], ...(breathing === null ? {} : { breathing }) });
      if (event !== null) group.hear(event);
      return event !== null;
    };
    tell([{ member: 0, breath_per_min: 6.1, plv: 0.93, coherence: 0.9, segments: 7, peak_to_trough_ms: 120.5 }]);
    expect(group.breathing.get(0)).toEqual({ member: 0, breath_per_min: 6.1, plv: 0.93, coherence: 0.9, segments: 7, peak_to_trough_ms: 120.5 });
    // Beats alone say nothing of it.
    tell([], []);
    expect(group.breathing.size).toBe(1);
    expect(tell([{ member: -1 }])).toBe(false);
    tell([{ member: 0, plv: null }]);
    expect(group.breathing.get(0)).toMatchObject({ plv: NaN, peak_to_trough_ms: NaN });
    // An older server tells nothing of it.
    tell(null);
    expect(group.breathing.size).toBe(0);
  });

  it("forgets pairs and hearts when others are in it, and only then", () => {
    const group = new Group();
    const members = (...ids: string[]) => group.hear({ event: "members", group: "g", members: ids, left_out: 0 });
    members("a", "b");
    group.hear({ event: "pairs", group: "g", pairs: [{ a: 0, b: 1, plv: 1, lag_s: 0, common_s: 60 }] });
    group.hear({ event: "hearts", group: "g", hearts: [{ member: 1, rate_bpm: 60, rmssd_ms: 1, sdnn_ms: 1, window_s: 60, corrected_share: 0 }], beats: [{ member: 1, t: T }], breathing: [{ member: 1, breath_per_min: 6, plv: 0.9, coherence: 0.8, segments: 7, peak_to_trough_ms: 80 }] });
    members("a", "b");
    expect([group.pairs.length, group.hearts.size, group.breathing.get(1)?.plv]).toEqual([1, 1, 0.9]);
    members("b", "c");
    expect([group.pairs.length, group.hearts.size, group.breathing.size]).toEqual([0, 0, 0]);
  });
  it("is told to the page for as long as somebody holds it", () => {
    const said: ToWorker[] = [];
    const worker: WorkerLike = { postMessage: (message) => void said.push(message), onmessage: null };
    const hub = new Hub(worker);
    const tell = (data: ToPage) => worker.onmessage?.({ data } as MessageEvent<ToPage>);
    const group = new Group();
    const release = hub.watch_group({ group: "chör", signal: "breath", tier: "live", sensors: "all" }, group);
    tell({ kind: "group_answer", answer: { group: "chör", latency_ms: 1_000, refused: "" } });
    tell({ kind: "group_frame", frame: decode_group(good) });
    tell({ kind: "group_frame", frame: { ...decode_group(good), group: "another" } });
    tell({ kind: "group_event", event: { event: "members", group: "chör", members: ["a", "b", "c"], left_out: 0 } });
    expect([group.latency_ms, group.readings.length, group.met]).toEqual([1_000, 2, true]);
    release();
    release();
    expect(said.map((message) => message.kind === "groups" && message.wishes.length)).toEqual([1, 0]);
    tell({ kind: "group_frame", frame: decode_group(join(head(1, 0), reading(T + 9_000, nothing, 0, 0))) });
    expect([group.readings.length, group.met]).toEqual([2, false]);
  });
});

describe("a group that two panels look at", () => {
  it("is asked for once, told to both, and to the second from who is in it", () => {
    const said: ToWorker[] = [];
    const worker: WorkerLike = { postMessage: (message) => void said.push(message), onmessage: null };
    const hub = new Hub(worker);
    const tell = (data: ToPage) => worker.onmessage?.({ data } as MessageEvent<ToPage>);
    const wish = { group: "chör", signal: "breath", tier: "live", sensors: "all" } as const;
    const [first, second] = [new Group(), new Group()];
    const leave_first = hub.watch_group(wish, first);
    tell({ kind: "group_answer", answer: { group: "chör", latency_ms: 1_000, refused: "" } });
    tell({ kind: "group_event", event: { event: "members", group: "chör", members: ["a", "b", "c"], left_out: 0 } });
    const leave_second = hub.watch_group(wish, second);
    expect([second.met, second.members, second.latency_ms]).toEqual([true, ["a", "b", "c"], 1_000]);
    tell({ kind: "group_frame", frame: decode_group(good) });
    expect([first.readings.length, second.readings.length]).toEqual([2, 2]);
    leave_first();
    leave_first();
    tell({ kind: "group_event", event: { event: "members", group: "chör", members: ["a", "b"], left_out: 0 } });
    expect([first.members.length, second.members.length]).toEqual([3, 2]);
    leave_second();
    expect(said.map((message) => message.kind === "groups" && message.wishes.length)).toEqual([1, 0]);
  });
});

describe("what the worker says of groups", () => {
  function desk() {
    const said: [string, unknown][] = [];
    const replies: ((reply: Reply) => void)[] = [];
    const waiting: (() => void)[] = [];
    const answers: Answer[] = [];
    const groups = new Groups(
      (event, payload) => {
        said.push([event, payload]);
        return new Promise((done) => replies.push(done));
      },
      (act) => void waiting.push(act),
      (answer) => void answers.push(answer),
    );
    const reply = async (response: unknown, ok = true) => {
      replies.shift()!({ ok, response });
      await Promise.resolve();
    };
    return { groups, said, waiting, answers, reply };
  }
  const wish = (group: string) => ({ group, signal: "breath" as const, tier: "live" as const, sensors: "all" as const });

  it("follows from what is wanted: the old one is let go before the new one is asked for", async () => {
    const { groups, said, answers, reply } = desk();
    groups.want([wish("a")]);
    groups.want([wish("a")]);
    await reply({ group: "a", latency_ms: 1_000 });
    groups.want([wish("b")]);
    expect(said).toEqual([["watch_group", wish("a")], ["unwatch_group", { group: "a" }], ["watch_group", wish("b")]]);
    expect(answers).toEqual([{ group: "a", latency_ms: 1_000, refused: "" }]);
    expect([groups.wants("a"), groups.wants("b")]).toEqual([false, true]);
  });
  it("is said again on every channel", async () => {
    const { groups, said, answers, reply } = desk();
    groups.want([wish("a")]);
    await reply({ reason: "not_joined" }, false);
    groups.begin_again();
    await reply({ latency_ms: 8_000 });
    groups.begin_again();
    expect(said.map(([event]) => event)).toEqual(["watch_group", "watch_group", "watch_group"]);
    expect(answers.length).toBe(1);
  });
  it("is said again to a server that is busy, unless it is not wanted any more", async () => {
    const { groups, said, waiting, reply } = desk();
    groups.want([wish("a")]);
    await reply({ reason: "busy" }, false);
    waiting.shift()!();
    expect(said.length).toBe(2);
    await reply({ reason: "rate_limited" }, false);
    groups.want([]);
    waiting.shift()!();
    expect(said.length).toBe(2);
  });
  it("comes to nothing where the server refuses, and the page is told why", async () => {
    const { groups, waiting, answers, reply } = desk();
    groups.want([wish("a")]);
    await reply({ reason: "too_many_groups" }, false);
    expect(answers).toEqual([{ group: "a", latency_ms: NaN, refused: "too_many_groups" }]);
    expect(waiting.length).toBe(0);
  });
});
