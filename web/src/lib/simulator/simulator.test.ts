import { describe, expect, it } from "vitest";
import { bytes_text, fault_text, home_text, room_why_text, simulator_strings } from "../strings";
import { Asker, type Answer } from "../ask";
import { LIST_MAX } from "../read";
import { Client } from "./client";
import { Seeker, SEEK_EVERY_MS } from "./seek";
import { read_overview, read_recordings, read_running, type Running } from "./shape";
import { clock_text, length_text, position_at, recorded_at, seek_key, speed_text, speeds_with, spoken_time } from "./time";

const FEW = {
  name: "few", description: "A dozen people.", people: 12, sensors: 32, attributes: 64, samples_per_second: 4_230, viewers: 0, origin: "shipped", error: null,
};
const REPLAY = {
  id: "replay-1", kind: "replay", name: "monday", state: "running", seed: 7, speed: 2, sensors: 32, sensors_live: 31, samples_per_second: 4_230,
  started_at: 1_790_000_000_000, position_ms: 72_000, duration_ms: 300_000, recorded_at: 1_780_000_072_000, skipped_ms: 0, error: null, room: null,
};
const HEALTH = { checked_at: 1_790_000_000_000, every_ms: 30_000, ok: true, orphan_count: 0, orphans: [], missing_count: 0, missing: [], repaired: 0 };
const running = (more: object = {}): Running => read_running({ ...REPLAY, ...more })!;

describe("what the server says", () => {
  it("is read value for value when it is as agreed", () => {
    const overview = read_overview({ scenarios: [FEW], running: [REPLAY], health: HEALTH });
    expect(overview).toEqual({ scenarios: [FEW], running: [REPLAY], health: HEALTH });
  });

  it("says of an act for a room how it stands, and why not as it should", () => {
    const room = (value: unknown) => running({ room: value }).room;
    expect(room({ id: "r1", state: "waiting", why: "too_many", failures: 2 })).toEqual({ id: "r1", state: "waiting", why: "too_many" });
    expect([room({ id: "r1", state: "there", why: null }), room({ id: "r1", state: "sings" }), room({ state: "there" }), room("r1")]).toEqual([{ id: "r1", state: "there", why: "" }, { id: "r1", state: "waiting", why: "" }, null, null]);
    expect(home_text({ state: "waiting", why: "too_many" }, "Lab")).toBe("Not in Lab yet: the room has no place for all of it: a room has 1,000 sensors. It is tried again.");
    expect([home_text({ state: "there", why: "" }, undefined), home_text({ state: "lost", why: "not_found" }, "Lab"), room_why_text("brand_new")]).toEqual(["In a room of others", "Goes on without a room: the one it was for is gone.", "brand new"]);
  });

  it.each([null, undefined, 7, "few", [], {}, { scenarios: [] }, { scenarios: {}, running: [] }, { scenarios: [], running: null }])("is refused as a whole when it is %j", (value) => {
    expect(read_overview(value)).toBe(null);
  });

  it("loses the entries that cannot be named, and those that come twice", () => {
    const scenarios = [FEW, null, 3, [], {}, { ...FEW, name: "" }, { ...FEW, name: 7 }, { ...FEW, name: "x".repeat(300) }, { ...FEW, people: 99 }];
    const overview = read_overview({ scenarios, running: [REPLAY, REPLAY, { id: null }] })!;
    expect(overview.scenarios).toEqual([FEW]);
    expect(overview.running.length).toBe(1);
    expect(overview.health).toBe(null);
  });

  it("keeps what can be shown of an entry whose parts are wrong", () => {
    const wrong = { name: "odd", people: "many", sensors: -4, attributes: NaN, samples_per_second: null, description: 3, origin: "elsewhere", error: " " };
    expect(read_overview({ scenarios: [wrong], running: [] })!.scenarios[0]).toEqual({
      name: "odd", description: "", people: 0, sensors: 0, attributes: 0, samples_per_second: 0, viewers: 0, origin: "shipped", error: null,
    });
    expect(running({ state: "dancing" }).state).toBe("unknown");
    expect(running({ speed: 0 }).speed).toBe(1);
    expect(running({ error: "cut at 4,096 bytes" }).error).toBe("cut at 4,096 bytes");
    expect(running({ started_at: 1e300 }).started_at).toBe(null);
    expect(running({ position_ms: 999_999 }).position_ms).toBe(300_000);
    // A number that is not the seed would be worse than none.
    expect(running({ seed: 2 ** 60 }).seed).toBe(null);
  });

  it("never grows without bound", () => {
    const scenarios = Array.from({ length: 3_000 }, (_, k) => ({ ...FEW, name: `s${k}`, description: "d".repeat(10_000) }));
    const overview = read_overview({ scenarios, running: [] })!;
    expect(overview.scenarios.length).toBe(LIST_MAX);
    expect(overview.scenarios[0]!.description.length).toBeLessThan(4_100);
  });

  it("is not believed to be well when it names something that is wrong", () => {
    const health = (more: object) => read_overview({ scenarios: [], running: [], health: { ...HEALTH, ...more } })!.health!;
    expect(health({ orphan_count: 2 }).ok).toBe(false);
    expect(health({ ok: "yes" }).ok).toBe(false);
    const missing = ["a", "a", 3, { sensor_id: "b", act: "few", why: "no_feed" }, { why: "no_feed" }];
    expect(health({ missing_count: undefined, missing })).toMatchObject({ missing: ["a", "b (no feed)"], missing_count: 2, ok: false });
  });

  it("tells recordings and the one under way", () => {
    const monday = { name: "monday", bytes: 4_200_000, created_at: 1_780_000_000_000, duration_ms: 300_000, samples: 1_200_000, sensors: 32, hash: "9f3c", complete: false, error: null };
    const now = { name: "now", started_at: 1, elapsed_ms: 42_000, samples: 9, bytes: 10, warning: "The disk is almost full.", error: null };
    expect(read_recordings({ recordings: [monday, {}], recording: now, bytes_max: 20e9 })).toEqual({ recordings: [monday], recording: now, bytes_max: 20e9 });
    expect(read_recordings({ recordings: [], recording: null })).toEqual({ recordings: [], recording: null, bytes_max: null });
    expect(read_recordings({ recordings: "none" })).toBe(null);
  });
});

describe("asking the server", () => {
  type Asked = { url: string; method: string; body: unknown; headers: Record<string, string> };
  function client(answer: () => Response | Promise<Response>, bearer: string | null = null) {
    const asked: Asked[] = [];
    const fetcher = async (url: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
      asked.push({ url: String(url), method: init.method!, body: init.body === undefined ? undefined : JSON.parse(init.body as string), headers: init.headers as Record<string, string> });
      return answer();
    };
    return { asked, client: new Client(new Asker("http://house:4000/#/simulator", () => bearer, fetcher as typeof fetch)) };
  }
  const json = (status: number, value: unknown) => new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
  const fault = <T>(answer: Answer<T>) => (answer.ok ? null : answer.fault);

  it("sends what was agreed, with the token, and nothing that was not given", async () => {
    const { asked, client: c } = client(() => json(201, REPLAY), "open sesame");
    await c.start("few", { seed: 3 });
    await c.replay("a/../b c");
    await c.remove("a/../b c");
    await c.seek("replay-1", 1234.6);
    await c.record("");
    expect(asked.map(({ method, url, body }) => [method, url, body])).toEqual([
      ["POST", "http://house:4000/api/simulator/start", { scenario: "few", seed: 3 }],
      ["POST", "http://house:4000/api/simulator/replay", { recording: "a/../b c" }],
      ["DELETE", "http://house:4000/api/recordings/a%2F..%2Fb%20c", undefined],
      ["POST", "http://house:4000/api/simulator/seek", { id: "replay-1", position_ms: 1235 }],
      ["POST", "http://house:4000/api/recordings", {}],
    ]);
    expect(asked.every(({ headers }) => headers["authorization"] === "Bearer open sesame" && headers["content-type"] === "application/json")).toBe(true);
  });

  it("sends no authorization when there is no token", async () => {
    const { asked, client: c } = client(() => json(200, { scenarios: [], running: [] }));
    expect(await c.overview()).toEqual({ ok: true, value: { scenarios: [], running: [], health: null } });
    expect(asked[0]!.headers).toEqual({});
  });

  it("takes an answer without a body for a yes", async () => {
    expect(await client(() => new Response(null, { status: 204 })).client.remove("monday")).toEqual({ ok: true, value: true });
  });

  it("passes on why the server said no", async () => {
    const clash = client(() => json(409, { error: "sensor s-1 is there already", code: "sensor_clash" })).client;
    expect(fault(await clash.start("few", {}))).toEqual({ kind: "refused", status: 409, code: "sensor_clash", sentence: "sensor s-1 is there already" });
    expect(fault(await client(() => json(401, { error: "unauthorized" })).client.overview())?.kind).toBe("denied");
    expect(fault(await client(() => new Response("nothing here", { status: 404 })).client.overview())?.kind).toBe("absent");
    expect(fault(await client(() => json(404, { error: "no", code: "not_running" })).client.stop("few"))?.kind).toBe("refused");
    expect(fault(await client(() => new Response("<h1>Bad gateway</h1>", { status: 502 })).client.overview())).toMatchObject({ kind: "refused", status: 502, sentence: "" });
  });

  it("never throws, whatever comes", async () => {
    for (const body of ["", "<html>", "null", "[]", "{}", '{"scenarios":{}}', '{"scenarios":[', "\u0000"]) {
      expect(fault(await client(() => new Response(body)).client.overview())?.kind, body).toBe("malformed");
    }
    expect(fault(await client(() => Promise.reject(new TypeError("Failed to fetch"))).client.overview())?.kind).toBe("unreachable");
    expect(fault(await client(() => Promise.reject(new DOMException("too long", "TimeoutError"))).client.overview())?.kind).toBe("late");
  });

  it("has words for every fault", () => {
    const said = (kind: "refused" | "denied" | "absent" | "unreachable" | "late" | "malformed", code = "", sentence = "", status = 409) => fault_text({ kind, code, sentence, status });
    expect(said("refused", "already_running")).toBe("It is running already.");
    expect(said("refused", "scenario_invalid", "my.toml:3: unknown key `coutn`, did you mean `count`?")).toBe("my.toml:3: unknown key `coutn`, did you mean `count`?");
    expect(said("refused", "no_room", "the disk is full")).toBe("The disk is full.");
    expect(said("refused", "brand_new", "", 507)).toBe("The server said no (507).");
    expect(said("unreachable")).toBe("The server does not answer.");
    for (const act of Object.keys(simulator_strings.could_not)) expect(simulator_strings.doing).toHaveProperty(act);
  });
});

describe("the time bar", () => {
  it("goes on between two answers, at the replay's own speed and not beyond its end", () => {
    expect(position_at(running(), 1_500)).toBe(75_000);
    expect(position_at(running({ speed: 0.5 }), 1_000)).toBe(72_500);
    expect(position_at(running({ speed: 100 }), 60_000)).toBe(300_000);
    expect(position_at(running({ state: "paused" }), 1_500)).toBe(72_000);
    expect(position_at(running({ state: "ended" }), 1_500)).toBe(72_000);
    expect(position_at(running(), -50)).toBe(72_000);
  });

  it("shows the moment that was recorded", () => {
    expect(recorded_at(running(), 75_000)).toBe(1_780_000_075_000);
    expect(recorded_at(running({ recorded_at: null }), 75_000)).toBe(null);
  });

  it("moves by keys: a second, ten with Shift, the ends", () => {
    const to = (key: string, shift = false, from = 5_000) => seek_key(key, shift, from, 20_000);
    expect([to("ArrowRight"), to("ArrowLeft"), to("ArrowUp"), to("ArrowDown")]).toEqual([6_000, 4_000, 6_000, 4_000]);
    expect([to("ArrowRight", true), to("ArrowLeft", true), to("ArrowRight", true, 15_000)]).toEqual([15_000, 0, 20_000]);
    expect([to("Home"), to("End"), to("PageUp"), to("a")]).toEqual([0, 20_000, 20_000, null]);
  });

  it("says times as they are written and as they are spoken", () => {
    expect([clock_text(0), clock_text(72_900), clock_text(600_000), clock_text(3_729_000), clock_text(NaN)]).toEqual(["0:00", "1:12", "10:00", "1:02:09", "–"]);
    expect([spoken_time(0), spoken_time(1_000), spoken_time(72_000), spoken_time(300_000), spoken_time(3_720_000), spoken_time(3_605_000)]).toEqual([
      "0 seconds", "1 second", "1 minute 12", "5 minutes", "1 hour 2 minutes", "1 hour 5 seconds",
    ]);
    expect(simulator_strings.at_of(spoken_time(72_000), spoken_time(300_000))).toBe("1 minute 12 of 5 minutes");
    expect([length_text(48_000), length_text(720_000), length_text(7_500_000), length_text(7_200_000)]).toEqual(["48 s", "12 min", "2 h 5 min", "2 h"]);
  });

  it("writes sizes and speeds", () => {
    expect([0, 999, 1_000, 4_249_000, 123_456_789, 20e9].map(bytes_text)).toEqual(["0 B", "999 B", "1.0 kB", "4.2 MB", "123 MB", "20 GB"]);
    expect([0.1, 1, 100, 1 / 3].map(speed_text)).toEqual(["0.1×", "1×", "100×", "0.333×"]);
    expect(speeds_with(3)).toContain(3);
    expect(new Set(speeds_with(1)).size).toBe(speeds_with(1).length);
  });

  /** A seeker on made-up time, whose server answers when told to. */
  function seeker() {
    let now = 0;
    const sent: { at: number; ms: number }[] = [];
    const waiting: { due: number; act: () => void }[] = [];
    let answer: (() => void) | null = null;
    const timers = {
      set_timer: (act: () => void, ms: number) => {
        const timer = { due: now + ms, act };
        waiting.push(timer);
        return timer;
      },
      clear_timer: (timer: unknown) => {
        const at = waiting.indexOf(timer as (typeof waiting)[number]);
        if (at >= 0) waiting.splice(at, 1);
      },
    };
    const send = (ms: number): Promise<void> => {
      sent.push({ at: now, ms });
      return new Promise((done) => (answer = done));
    };
    const it = new Seeker(send, timers, () => now);
    return {
      it,
      sent,
      async answer() {
        answer?.();
        answer = null;
        for (let k = 0; k < 5; k++) await Promise.resolve();
      },
      pass(ms: number) {
        now += ms;
        for (const timer of [...waiting].sort((a, b) => a.due - b.due)) {
          if (timer.due > now) continue;
          timers.clear_timer(timer);
          timer.act();
        }
      },
    };
  }

  it("asks at once, then not more often than agreed, and never loses the last place", async () => {
    const s = seeker();
    for (let k = 0; k < 50; k++) {
      s.it.to(1_000 * k);
      await s.answer();
      s.pass(20);
    }
    expect(s.sent.length).toBeLessThanOrEqual(Math.ceil(1_000 / SEEK_EVERY_MS) + 1);
    s.it.let_go();
    await s.answer();
    expect(s.sent[0]).toEqual({ at: 0, ms: 0 });
    expect(s.sent.at(-1)).toEqual({ at: 1_000, ms: 49_000 });
    for (let k = 2; k < s.sent.length - 1; k++) expect(s.sent[k]!.at - s.sent[k - 1]!.at).toBeGreaterThanOrEqual(SEEK_EVERY_MS);
  });

  it("waits for an answer before it asks again, and keeps its place until it is heard to be there", async () => {
    const s = seeker();
    s.it.hold();
    s.it.to(10_000);
    s.it.to(20_000);
    s.pass(5_000);
    s.it.let_go();
    expect(s.sent.length).toBe(1);
    s.it.settled();
    expect(s.it.wanted_ms).toBe(20_000);
    await s.answer();
    expect(s.sent.map(({ ms }) => ms)).toEqual([10_000, 20_000]);
    await s.answer();
    expect(s.it.busy).toBe(false);
    s.it.settled();
    expect(s.it.wanted_ms).toBe(null);
  });

  it("does not move under a finger", async () => {
    const s = seeker();
    s.it.hold();
    s.it.to(10_000);
    await s.answer();
    s.it.settled();
    expect(s.it.wanted_ms).toBe(10_000);
    s.it.let_go();
    s.it.settled();
    expect(s.it.wanted_ms).toBe(null);
  });
});
