import { describe, expect, it, vi } from "vitest";
import { Asker } from "../ask";
import { session_strings as strings } from "../strings";
import { Client, is_going, read_session, read_sessions } from "./sessions";
import { PERIOD_MS, SessionsState, START } from "./sessions.svelte";

const person = (measurable: boolean) => ({ sensor_id: "a", measurable, why: measurable ? null : "too_short" });
const RUNNING = {
  name: "monday", state: "running", progress: null, why: null, signal: "breath", tier: "prompt", condition: "paced", started_at: 1_790_000_000_000,
  seconds: 12.5, people: [person(true), person(false), person(true)], left_out: 2, full: false,
};
const DONE = {
  name: "sunday", state: "done", signal: "breath", tier: "prompt", condition: "free", begin_ms: 1_780_000_000_000, duration_s: 300, people: 10,
  group: { mean_kappa: -0.02 }, significance: { outcome: "tested", method: "phase_randomised", p_group: 0.004 }, cautions: ["Mind this."], files: [],
};
const json = (status: number, value: unknown) => new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });

describe("what the server says of sessions", () => {
  it("is read of one that runs, and of one that is kept", () => {
    expect(read_session(RUNNING)).toMatchObject({ state: "running", at_ms: 1_790_000_000_000, seconds: 12.5, people: 3, measurable: 2, left_out: 2, condition: "paced", full: false });
    expect(read_session(DONE)).toMatchObject({ state: "done", at_ms: 1_780_000_000_000, seconds: 300, people: 10, mean_kappa: -0.02, p: 0.004, method: "phase_randomised", not_tested: null, cautions: ["Mind this."] });
    expect(read_session({ ...DONE, significance: { outcome: "not_tested", method: "none", reason: "too short" } })).toMatchObject({ p: null, not_tested: "too short" });
  });

  it("has no time where nothing was measured, and no progress beyond its end", () => {
    expect(read_session({ ...DONE, begin_ms: 0, group: { mean_kappa: null } })).toMatchObject({ at_ms: null, mean_kappa: null });
    expect(read_session({ ...RUNNING, state: "reporting", progress: 7 })!.progress).toBe(1);
  });

  it("loses what cannot be named or has no known state, and is no list when it is none", () => {
    expect(read_sessions({ sessions: [RUNNING, RUNNING, null, { name: "x", state: "dancing" }, { state: "done" }, { name: "odd", state: "broken", why: "cut" }] })!.sessions.map(({ name }) => name)).toEqual(["monday", "odd"]);
    for (const value of [null, [], {}, { sessions: {} }]) expect(read_sessions(value)).toBe(null);
    expect(read_session({ ...DONE, cautions: "no", people: -1, group: 3, significance: null, duration_s: "long" })).toMatchObject({ cautions: [], people: 0, mean_kappa: null, p: null, seconds: 0 });
  });
});

/** A house that keeps sessions as the real one does, as far as a page can tell. */
function house(bearer: string | null = null) {
  const held = new Map<string, Record<string, unknown>>();
  const asked: string[] = [];
  const bodies: unknown[] = [];
  let refuse: Response | null | "gone" = null;
  const fetcher = async (input: URL, init: RequestInit): Promise<Response> => {
    const path = input.pathname.replace("/api/synchrony/sessions", "");
    asked.push(`${init.method} ${path}`);
    if (init.body !== undefined) bodies.push(JSON.parse(init.body as string));
    const headers = init.headers as Record<string, string>;
    expect(headers["authorization"]).toBe(bearer === null ? undefined : `Bearer ${bearer}`);
    if (init.method !== "GET") expect(headers["content-type"]).toBe("application/json");
    if (refuse === "gone") throw new TypeError("no line");
    if (refuse !== null) return refuse;
    const [, name = "", more = ""] = path.split("/").map(decodeURIComponent);
    if (path === "" && init.method === "GET") return json(200, { sessions: [...held.values()], running_max: 8, kept_max: 256, people_max: 64 });
    if (path === "") {
      const body = bodies.at(-1) as { name?: string };
      held.set(body.name ?? "session-1", { ...RUNNING, name: body.name ?? "session-1" });
      return json(201, held.get(body.name ?? "session-1"));
    }
    const one = held.get(name);
    if (one === undefined) return json(404, { error: `there is no session \`${name}\``, code: "session_not_found" });
    if (more === "stop") {
      held.set(name, { ...one, state: "reporting", progress: 0 });
      return json(202, held.get(name));
    }
    if (more !== "") return new Response(`${more} of ${name}`);
    if (init.method === "DELETE") {
      held.delete(name);
      return new Response(null, { status: 204 });
    }
    return json(200, one);
  };
  const timers: { act: () => void; ms: number }[] = [];
  const saved: [string, string][] = [];
  const state = new SessionsState(new Client(new Asker("http://house:4000/#/together", () => bearer, fetcher as typeof fetch)), {
    set_timer: (act, ms) => {
      timers.push({ act, ms });
      return timers.at(-1);
    },
    clear_timer: (timer) => void (timers.includes(timer as never) && timers.splice(timers.indexOf(timer as never), 1)),
    save: (file, as) => void file.text().then((text) => saved.push([as, text])),
  });
  /** Lets the next poll happen, and waits for its answers. */
  const poll = async (): Promise<void> => {
    timers.shift()!.act();
    await settled();
  };
  /** All that was asked is answered. */
  const settled = () => (state as unknown as { line: Promise<void> }).line;
  return { held, asked, bodies, state, timers, saved, poll, settled, refuse: (how: typeof refuse) => (refuse = how) };
}
const states = ({ sessions }: SessionsState) => (sessions ?? []).map(({ name, state }) => `${name} ${state}`);

describe("sessions", () => {
  it("are begun of exactly the group that is chosen, and a name is only sent when there is one", async () => {
    const { state, bodies } = house();
    await state.start({ signal: "heart_low", tier: "live", who: ["b", "a"] }, { name: "monday", condition: "paced", room: null });
    await state.start({ signal: "breath", tier: "prompt", who: ["a", "b"] }, { name: "tuesday", condition: "free", room: "choir" });
    await state.start({ signal: "breath", tier: "prompt", who: "all" }, { name: "", condition: "free", room: null });
    expect(bodies).toEqual([
      { signal: "heart_low", tier: "live", sensors: ["a", "b"], condition: "paced", name: "monday" },
      { signal: "breath", tier: "prompt", sensors: ["a", "b"], condition: "free", name: "tuesday", room: "choir" },
      { signal: "breath", tier: "prompt", sensors: "all", condition: "free" },
    ]);
    expect(states(state)).toEqual(["monday running", "tuesday running", "session-1 running"]);
    expect(state.spoken).toBe(strings.started("session-1"));
  });

  it("are asked for every two seconds while one goes on and somebody looks, and else only on coming", async () => {
    const { state, held, asked, timers, poll, settled } = house();
    held.set("sunday", DONE);
    state.look(true);
    await settled();
    expect(states(state)).toEqual(["sunday done"]);
    expect(timers).toEqual([]);
    held.set("monday", RUNNING);
    state.look(true);
    await settled();
    expect(timers.map(({ ms }) => ms)).toEqual([PERIOD_MS]);
    asked.length = 0;
    await poll();
    // A list would have the server look into every report.
    expect(asked).toEqual(["GET /monday"]);
    state.look(false);
    expect(timers).toEqual([]);
  });

  it("are told when they are done, and then not asked for any more", async () => {
    const { state, held, timers, poll, settled } = house();
    held.set("monday", RUNNING);
    state.look(true);
    await settled();
    expect(await state.stop("monday")).toBe(true);
    expect(states(state)).toEqual(["monday reporting"]);
    expect(state.spoken).toBe(strings.reporting("monday"));
    held.set("monday", { ...RUNNING, state: "reporting", progress: 0.4 });
    await poll();
    expect(state.sessions![0]!.progress).toBe(0.4);
    held.set("monday", { ...DONE, name: "monday" });
    await poll();
    expect(states(state)).toEqual(["monday done"]);
    expect(state.spoken).toBe(strings.done("monday"));
    expect(timers).toEqual([]);
  });

  it("that somebody else has discarded go away", async () => {
    const { state, held, poll, settled } = house();
    held.set("monday", RUNNING);
    state.look(true);
    await settled();
    held.delete("monday");
    await poll();
    expect(states(state)).toEqual([]);
    expect(state.fault).toBe(null);
  });

  it("are deleted, and what was is said", async () => {
    const { state, held, settled } = house();
    held.set("monday", RUNNING).set("sunday", DONE);
    state.look(true);
    await settled();
    for (const session of state.sessions!) expect(await state.remove(session)).toBe(true);
    expect(states(state)).toEqual([]);
    expect(state.spoken).toBe(strings.gone("sunday"));
  });

  it("say the server's own sentence where they were refused, until that is closed", async () => {
    const { state, refuse } = house();
    refuse(json(409, { error: "there is a session `monday` already", code: "already_exists" }));
    expect(await state.start({ signal: "breath", tier: "prompt", who: "all" }, { name: "monday", condition: "free", room: null })).toBe(false);
    expect(state.faults.get(START)).toBe("Could not start the session. There is a session `monday` already.");
    expect(state.doing(START)).toBe(null);
    state.forgive(START);
    expect(state.faults.size).toBe(0);
  });

  it("stay on the page while the server is gone, and are asked for on", async () => {
    const { state, held, timers, refuse, poll, settled } = house();
    held.set("monday", RUNNING);
    state.look(true);
    await settled();
    refuse("gone");
    await poll();
    expect(state.fault?.kind).toBe("unreachable");
    expect(states(state)).toEqual(["monday running"]);
    expect(timers.length).toBe(1);
    refuse(null);
    await poll();
    expect(state.fault).toBe(null);
  });

  it("ask once at a time for one thing", async () => {
    const { state, held, asked, settled } = house();
    held.set("monday", RUNNING);
    state.look(true);
    await settled();
    const [first, second] = await Promise.all([state.stop("monday"), state.stop("monday")]);
    expect([first, second]).toEqual([true, false]);
    expect(asked.filter((one) => one === "POST /monday/stop").length).toBe(1);
  });

  it("have files that are fetched with the token, and addresses for whoever needs none", async () => {
    const { state, held, saved } = house("open sesame");
    held.set("sunday", DONE);
    expect(await state.fetch_file("sunday", "report.csv")).toBe(true);
    await vi.waitFor(() => expect(saved.length).toBe(1));
    expect(saved).toEqual([["sunday-report.csv", "report.csv of sunday"]]);
    expect(state.address_of("a/../b c", "report.html")).toBe("http://house:4000/api/synchrony/sessions/a%2F..%2Fb%20c/report.html");
    expect(is_going(read_session(DONE)!)).toBe(false);
  });
});
