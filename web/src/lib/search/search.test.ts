import { describe, expect, it } from "vitest";
import type { Answer } from "../ask";
import { PAUSE_MS, Seeker, type Sought } from "./seeker";
import { query_of, read_found, type Found } from "./shape";

const found = (query: string): Found => ({ query, people: [{ user_id: "u", display_name: query, nearly: false }], rooms: [], sensors: [], more: [] });

/** A seeker on made-up time: what it asked, what it was told to show, and the answers, given by hand. */
function bench() {
  const asked: { path: string; signal: AbortSignal; answer: (answer: Answer<Found>) => Promise<void> }[] = [];
  const told: Sought[] = [];
  const waiting = new Map<number, { act: () => void; ms: number }>();
  let count = 0;
  const seeker = new Seeker(
    (path, _, signal) => new Promise((done) => asked.push({ path, signal, answer: async (answer) => (done(answer), await Promise.resolve(), void (await Promise.resolve())) })),
    (sought) => told.push(sought),
    { set: (act, ms) => (waiting.set(++count, { act, ms }), count), clear: (timer) => void waiting.delete(timer as number) },
  );
  const pass = (ms: number): void => {
    for (const [timer, one] of [...waiting]) if ((one.ms -= ms) <= 0) (waiting.delete(timer), one.act());
  };
  return { seeker, asked, told, pass };
}

describe("a search while somebody types", () => {
  it("lets letters go by before it asks, once, and escapes what was typed", () => {
    const { seeker, asked, told, pass } = bench();
    seeker.seek("a");
    pass(PAUSE_MS - 1);
    seeker.seek("a b&c ");
    pass(PAUSE_MS - 1);
    expect([asked.length, told.map(({ standing }) => standing)]).toEqual([0, ["asking", "asking"]]);
    pass(1);
    expect(asked.map(({ path }) => path)).toEqual(["api/search?q=a%20b%26c&limit=5"]);
    // The same with a space behind it is no other question.
    seeker.seek("a b&c");
    pass(PAUSE_MS);
    expect(asked.length).toBe(1);
  });

  it("calls off what is not wanted any more, and tells no answer to it", async () => {
    const { seeker, asked, told, pass } = bench();
    seeker.seek("ann");
    pass(PAUSE_MS);
    seeker.seek("anna");
    expect(asked[0]!.signal.aborted).toBe(true);
    pass(PAUSE_MS);
    await asked[1]!.answer({ ok: true, value: found("anna") });
    await asked[0]!.answer({ ok: true, value: found("ann") });
    expect(told.at(-1)).toEqual({ standing: "found", found: found("anna"), fault: null });
    // While the next is asked, what was found stands; cleared, there is nothing.
    seeker.seek("annab");
    expect(told.at(-1)).toEqual({ standing: "asking", found: found("anna"), fault: null });
    seeker.seek("  ");
    expect(told.at(-1)).toEqual({ standing: "idle", found: null, fault: null });
    pass(PAUSE_MS);
    expect(asked.length).toBe(2);
  });

  it("says what went wrong, and believes no answer to another question", async () => {
    const { seeker, asked, told, pass } = bench();
    seeker.seek("x");
    pass(PAUSE_MS);
    const fault = { kind: "denied", status: 401, code: "unauthorized", sentence: "" } as const;
    await asked[0]!.answer({ ok: false, fault });
    expect(told.at(-1)).toEqual({ standing: "failed", found: null, fault });
    seeker.seek("y");
    pass(PAUSE_MS);
    await asked[1]!.answer({ ok: true, value: found("z") });
    expect(told.at(-1)?.fault?.kind).toBe("malformed");
    seeker.seek("w");
    pass(PAUSE_MS);
    const before = told.length;
    seeker.end();
    await asked[2]!.answer({ ok: true, value: found("w") });
    expect([asked[2]!.signal.aborted, told.length]).toEqual([true, before]);
  });
});

describe("what is found", () => {
  it("is read by kind, each once, and what is none is left out", () => {
    const sensor = { sensor_id: "a:ecg", sensor_name: "", connector_name: "Ada", activity_status: "online", match: "exact" };
    expect(read_found({ query: "a", people: [{ user_id: "u1", display_name: "Ada", match: "typo" }, { user_id: "u1" }, 3], rooms: [{ id: "r", name: "Lab" }, { name: "no id" }], sensors: [sensor], more: { people: true, rooms: false, sensors: "yes" } })).toEqual({
      query: "a", people: [{ user_id: "u1", display_name: "Ada", nearly: true }], rooms: [{ id: "r", name: "Lab", nearly: false }], sensors: [{ sensor_id: "a:ecg", sensor_name: "a:ecg", connector_name: "Ada", nearly: false }], more: ["people"],
    });
    expect([read_found(null), read_found({ people: [] })]).toEqual([null, null]);
    expect([query_of("  a  b "), [...query_of("😀".repeat(120))].length]).toEqual(["a  b", 100]);
  });
});
