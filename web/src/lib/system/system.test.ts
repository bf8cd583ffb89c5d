import { describe, expect, it } from "vitest";
import { Asker } from "../ask";
import { LIST_MAX } from "../read";
import { known_text, ms_text, percent_text, system_strings, viewer_text } from "../strings";
import { Client } from "./client";
import { losses, picture, ribbon } from "./flow";
import { History, point_of, POINTS_MAX } from "./history";
import { read_decision, read_system, read_traces, type Flow } from "./shape";

/** An answer with everything that was agreed in it. */
const TOLD = {
  at: 1_790_000_000_000, uptime_ms: 7_432_000, version: "0.1.0",
  load: {
    level: "elevated", since_ms: 48_000, pressure: 0.76, weighted: 0.51, limited_by: "cpu", memory_protection: false, offset: -0.02,
    pressures: [{ name: "cpu", used: 0.76, measured: 1.52, limit: 2, unit: "cores" }, { name: "memory", used: 0.5, measured: 5e8, limit: 1e9, unit: "bytes" }],
    weights: { cpu: 0.45, broadcast: 0.3, queue: 0.15, memory: 0.1 },
    thresholds: [{ level: "elevated", enter: 0.7, exit: 0.6 }],
  },
  flow: {
    levels: [{ level: "high", asked_sps: 5_000, allowed_sps: 5_000, delivered_sps: 5_000 }, { level: "medium", asked_sps: 4_000, allowed_sps: 3_000, delivered_sps: 2_900 }],
    took: [{ layer: "budget", sps: 1_000 }, { layer: "socket", sps: 100 }], contended: true, allowed_sps: 8_000,
  },
  classes: [{ class: "bio", in_sps: 900, accepted_sps: 900, dropped_sps: 0, quota_sps: null, queued: 3 }],
  storage: { bytes: 100, limit_bytes: 400, hot_multiplier: 1, warm_multiplier: 0.5, squeeze: 1 },
  pacing: [{ level: "high", window_ms: 100, batch_size: 1, paused: false }],
  viewers: { open: 3, qualities: { high: 2, paused: 1 }, limited_by: { budget: 1 } },
  bio: {
    novelty: { events_total: 4, lifted: 1, recent: [{ at_ms_ago: 900, sensor_id: "s", attribute_id: "ecg", z: -6.5, boost_ms: 20_000 }] },
    forecast: { enabled: false, score: null, baseline: 0.5, known: 4, warmed: 0 }, correlation: { enabled: true, pairs: 7 },
    homeostasis: { offset: -0.02, p99_ms: 80, target_ms: 150, drop_rate: 0.01, saturated: false },
    arbiter: { contended: true, budget_fps: 900, groups: [{ level: "high", count: 2, asked_fps: 40, allowed_fps: 40 }] },
    circadian: { factor: 1.1, confidence: 0.4, hour_local: 14.5 },
  },
  ages: [{ stage: "delivery", class: "bio", p50: 4, p95: 9, p99: 12, count: 100 }],
  top: {
    sensors: [{ sensor_id: "s", class: "bio", level: "high", in_sps: 250, viewers: 2 }],
    viewers: [{ viewer: 7, choice: "auto", strong: "high", rest: "medium", limited_by: "budget", asked_sps: 9, allowed_sps: 6, delivered_sps: 5, waiting_bytes: 0, waiting_ms: 0, health: null }],
  },
  systems: [{ name: "conduct", state: "off", panics: 5, message: "division by zero", micros: 0 }],
  drops: [{ ledger: "door", reason: "rate_limited", count: 40, per_s: 2.5 }],
  balanced: true,
};

describe("what the server says of itself", () => {
  it("is read value for value when it is as agreed", () => {
    const { top, load, systems, viewers, ...same } = TOLD;
    expect(read_system(TOLD)).toEqual({
      ...same,
      load: { ...load, weights: [{ name: "cpu", weight: 0.45 }, { name: "broadcast", weight: 0.3 }, { name: "queue", weight: 0.15 }, { name: "memory", weight: 0.1 }] },
      viewers: { open: 3, qualities: [{ name: "high", count: 2 }, { name: "paused", count: 1 }], limited_by: [{ name: "budget", count: 1 }] },
      sensors: top.sensors, top_viewers: top.viewers,
      systems: [{ name: "conduct", on: false, panics: 5, message: "division by zero", micros: 0 }],
    });
  });

  it.each([null, 7, "normal", [], {}, { load: null }, { load: [] }, { load: {} }, { load: { level: "dancing" } }])("is refused as a whole when it is %j", (value) => {
    expect(read_system(value)).toBe(null);
  });

  it("says little when little is told, and calls nothing zero that is not known", () => {
    const system = read_system({ load: { level: "normal" } })!;
    expect(system.load).toMatchObject({ level: "normal", since_ms: null, weighted: null, limited_by: null, pressures: [], thresholds: [] });
    expect([system.flow, system.storage, system.viewers, system.balanced, system.bio.forecast, system.uptime_ms]).toEqual([null, null, null, null, null, null]);
    const little = read_system({ load: { level: "normal" }, classes: [{ class: "bio", in_sps: 4 }], systems: [{ name: "conduct", micros: 3 }] })!;
    expect(little.classes[0]).toMatchObject({ in_sps: 4, dropped_sps: null, queued: null });
    expect(little.systems[0]).toEqual({ name: "conduct", on: true, panics: null, message: null, micros: 3 });
    expect([system.ages, system.systems, system.drops, system.sensors, system.top_viewers]).toEqual([[], [], [], [], []]);
  });

  it("loses what cannot be read of it, and keeps the rest", () => {
    const system = read_system({
      ...TOLD,
      load: { ...TOLD.load, pressure: "much", offset: NaN, limited_by: "moon", pressures: [{ name: "moon", used: 1 }, { name: "cpu", used: -1 }, { name: "queue", used: 0.2, measured: Infinity }, 7, null] },
      flow: { levels: [{ level: "high", asked_sps: 10, delivered_sps: 9 }, { level: "odd", asked_sps: 1, delivered_sps: 1 }, { level: "low" }], took: "all" },
      storage: { bytes: 3 },
      viewers: { open: 2, qualities: { high: "two", low: 1 } },
      ages: [{ stage: "delivery", class: "bio", p50: 1, p95: 2 }, ...TOLD.ages, ...TOLD.ages],
      top: null,
    })!;
    expect(system.load).toMatchObject({ pressure: 0, offset: 0, limited_by: null });
    expect(system.load.pressures).toEqual([{ name: "queue", used: 0.2, measured: null, limit: null, unit: "" }]);
    // What is not told to be cut is allowed.
    expect(system.flow).toEqual({ levels: [{ level: "high", asked_sps: 10, allowed_sps: 10, delivered_sps: 9 }], took: [], contended: false, allowed_sps: null });
    expect([system.storage, system.viewers?.qualities, system.ages.length]).toEqual([null, [{ name: "low", count: 1 }], 1]);
  });

  it("never grows without bound", () => {
    const drops = Array.from({ length: 3_000 }, (_, k) => ({ ledger: "door", reason: `r${k}`, count: 1, per_s: 1 }));
    expect(read_system({ ...TOLD, drops })!.drops.length).toBe(LIST_MAX);
  });

  it("explains a decision, step by step", () => {
    const told = { asked_hz: 250, allowed_hz: 10, delivered_hz: 9.9, limited_by: "socket", form: "digest", chain: [{ layer: "asked", allows_hz: 250, why: "auto" }, { layer: "storage", allows_hz: null, why: "all held" }, 3, { layer: "" }] };
    expect(read_decision(told)).toEqual({ ...told, chain: told.chain.slice(0, 2) });
    expect(read_decision({ ...told, delivered_hz: null })!.delivered_hz).toBe(null);
    for (const wrong of [null, {}, { ...told, asked_hz: "all" }]) expect(read_decision(wrong)).toBe(null);
  });

  it("follows a sample in the order of its time", () => {
    const stages = [{ stage: "door", at_ms: 0 }, { stage: "tick", at_ms: 2.5 }, { stage: "device", at_ms: -14 }, { stage: "flush" }];
    const [trace] = read_traces({ traces: [{ id: "17:4", sensor_id: "s", attribute_id: "ecg", class: "bio", stages, viewers: 2 }, { id: "18:4" }] })!;
    expect(trace!.stages).toEqual([{ stage: "device", at_ms: -14 }, { stage: "door", at_ms: 0 }, { stage: "tick", at_ms: 2.5 }]);
    expect(read_traces({ traces: [] })).toEqual([]);
    expect(read_traces({})).toBe(null);
  });
});

describe("asking the server about itself", () => {
  it("names viewer, sensor and signal so that no name can be mistaken for another", async () => {
    const asked: string[] = [];
    const fetcher = async (url: RequestInfo | URL): Promise<Response> => {
      asked.push(String(url));
      return new Response(JSON.stringify(TOLD));
    };
    const client = new Client(new Asker("http://house:4000/#/system", () => null, fetcher as typeof fetch));
    expect((await client.system()).ok).toBe(true);
    await client.traces();
    await client.decision({ viewer: 7, sensor_id: "a&viewer=1 b", attribute_id: "" });
    await client.decision({ viewer: 7, sensor_id: "s", attribute_id: "ecg/2" });
    expect(asked).toEqual([
      "http://house:4000/api/system", "http://house:4000/api/system/traces",
      "http://house:4000/api/system/decision?viewer=7&sensor=a%26viewer%3D1+b", "http://house:4000/api/system/decision?viewer=7&sensor=s&attribute=ecg%2F2",
    ]);
  });
});

describe("the history", () => {
  it("keeps the newest points, in the order of time", () => {
    const history = new History();
    for (let k = 0; k < POINTS_MAX + 5; k++) history.push(k * 1_000, { a: k });
    expect(history.length).toBe(POINTS_MAX);
    expect([history.time(0), history.value("a", 0)]).toEqual([5_000, 5]);
    expect([history.time(POINTS_MAX - 1), history.value("a", POINTS_MAX - 1)]).toEqual([(POINTS_MAX + 4) * 1_000, POINTS_MAX + 4]);
  });

  it("knows nothing of what was not told, nor of what was told a ring ago", () => {
    const history = new History();
    history.push(0, { a: 1 });
    history.push(1_000, { b: 2 });
    expect([history.value("a", 0), history.value("a", 1), history.value("b", 0), history.value("b", 1), history.value("c", 1)]).toEqual([1, NaN, NaN, 2, NaN]);
    for (let k = 2; k < POINTS_MAX + 2; k++) history.push(k * 1_000, { b: k });
    expect(Array.from({ length: POINTS_MAX }, (_, k) => history.value("a", k)).every(Number.isNaN)).toBe(true);
  });

  it("takes of an answer what is plotted, and nothing for what it does not tell", () => {
    expect(point_of(read_system(TOLD)!)).toEqual({
      pressure: 0.76, level: 1, "used cpu": 0.76, "used memory": 0.5, "asked high": 5_000, "delivered high": 5_000, "asked medium": 4_000, "delivered medium": 2_900, "p99 bio": 12,
    });
    const ages = [{ ...TOLD.ages[0]!, count: 0 }, { ...TOLD.ages[0]!, class: "all" }, { ...TOLD.ages[0]!, stage: "intake", class: "motion" }];
    expect(point_of(read_system({ load: { level: "critical", pressure: 1 }, ages })!)).toEqual({ pressure: 1, level: 3 });
  });

  it("does not run back when a clock does", () => {
    const history = new History();
    history.push(2_000, { a: 1 });
    history.push(1_000, { a: 2 });
    history.push(2_000, { a: 3 });
    expect([history.length, history.value("a", 0)]).toEqual([1, 1]);
  });

  it("finds the point nearest to a moment, and none when none is near", () => {
    const history = new History();
    for (const t of [1_000, 2_000, 9_000]) history.push(t, { a: t });
    expect([history.nearest(1_400, 3_000), history.nearest(1_600, 3_000), history.nearest(20_000, 3_000), history.nearest(0, 3_000), history.nearest(5_500, 3_000)]).toEqual([0, 1, -1, 0, -1]);
    expect(new History().nearest(0, 1e9)).toBe(-1);
  });
});

describe("the flow", () => {
  const flow = (levels: [asked: number, delivered: number][], took: Flow["took"] = []): Flow => ({
    levels: levels.map(([asked_sps, delivered_sps], k) => ({ level: (["high", "medium", "low"] as const)[k]!, asked_sps, allowed_sps: asked_sps, delivered_sps })),
    took, contended: false, allowed_sps: null,
  });

  const ROOM = { bars_px: 200, level_px: 40, layer_px: 20 };

  it("is as thick as it is much, and no layer stands in it when nothing is taken", () => {
    const drawn = picture(flow([[300, 300], [100, 100], [0, 0]], [{ layer: "budget", sps: 0 }]), ROOM);
    expect(drawn.levels.map(({ asked, delivered, lost }) => [asked.y, asked.h, delivered.h, lost.h])).toEqual([[4, 150, 150, 0], [162, 50, 50, 0], [236, 0, 0, 0]]);
    expect([drawn.layers, drawn.meets, drawn.lost_sps, drawn.height]).toEqual([[], null, 0, 256]);
  });

  it("parts by layer what all levels lost, below what is delivered", () => {
    const drawn = picture(flow([[300, 300], [100, 20]], [{ layer: "budget", sps: 60 }, { layer: "socket", sps: 20 }]), ROOM);
    const [high, medium] = drawn.levels as [typeof drawn.levels[0], typeof drawn.levels[0]];
    expect([high.lost.h, medium.lost.h, medium.lost.y + medium.lost.h]).toEqual([0, 40, medium.asked.y + medium.asked.h]);
    expect(drawn.layers.map(({ layer, sps, ends }) => [layer, sps, ends.h])).toEqual([["budget", 60, 30], ["socket", 20, 10]]);
    // What meets is what parts.
    expect(drawn.layers.reduce((sum, { leaves }) => sum + leaves.h, 0)).toBeCloseTo(drawn.meets!.h);
    expect(drawn.layers.map(({ ends }) => ends.y)).toEqual([220, 259]);
    expect(drawn.layers[0]!.ends.y).toBeGreaterThan(medium.asked.y + medium.asked.h);
    expect(drawn.height).toBe(274);
  });

  it("never parts more than meets, though the layers say they took more than is missing", () => {
    const drawn = picture(flow([[100, 20]], [{ layer: "budget", sps: 90 }, { layer: "socket", sps: 30 }]), ROOM);
    expect(drawn.meets!.h).toBe(160);
    expect(drawn.layers.map(({ leaves }) => leaves.h)).toEqual([120, 40]);
  });

  it("says so when no layer owns a loss, and takes no jitter for one", () => {
    expect(losses(flow([[1_000, 700]], [{ layer: "budget", sps: 200 }]))).toEqual([{ layer: "budget", sps: 200 }, { layer: "other", sps: 100 }]);
    expect(losses(flow([[1_000, 997]], [{ layer: "budget", sps: 3 }]))).toEqual([]);
    expect(losses(flow([[1_000, 1_004]]))).toEqual([]);
  });

  it("stays drawable when nothing is asked, and when more comes than is asked", () => {
    const nothing = picture(flow([[0, 0], [0, 0]]), ROOM);
    expect([nothing.asked_sps, ...nothing.levels.map(({ asked }) => asked.h)]).toEqual([0, 0, 0]);
    const more = picture(flow([[100, 200], [0, 50]]), ROOM);
    for (const { asked, delivered } of more.levels) for (const n of [asked.y, asked.h, delivered.y, delivered.h]) expect(Number.isFinite(n) && n >= 0 && n <= 300).toBe(true);
    expect(more.levels[0]!.delivered.h).toBe(160);
  });

  it("draws a ribbon from edge to edge", () => {
    expect(ribbon(10, { y: 0, h: 4 }, 110, { y: 20, h: 8 })).toBe("M10.0 0.0C60.0 0.0 60.0 20.0 110.0 20.0L110.0 28.0C60.0 28.0 60.0 4.0 10.0 4.0Z");
  });
});

describe("figures in words", () => {
  it("keep their size", () => {
    expect([percent_text(0), percent_text(0.004), percent_text(0.42), percent_text(1.06), percent_text(NaN)]).toEqual(["0 %", "0.4 %", "42 %", "106 %", "–"]);
    expect([ms_text(0), ms_text(0.42), ms_text(3.21), ms_text(120.4), ms_text(12_000), ms_text(-14)]).toEqual(["0 ms", "0.42 ms", "3.2 ms", "120 ms", "12 s", "-14 ms"]);
  });

  it("name a viewer by its place, and by who sat there before it", () => {
    expect([viewer_text(5), viewer_text(2 ** 32 * 3 + 7)]).toEqual(["5", "7.3"]);
  });

  it("say a change of level with what decided it", () => {
    expect(system_strings.level_is("elevated", "CPU")).toBe("Load is now elevated: CPU.");
    expect(system_strings.level_is("normal", null)).toBe("Load is now normal.");
    expect(known_text(null)).toBe("–");
  });
});
