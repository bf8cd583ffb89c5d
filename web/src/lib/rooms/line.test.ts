import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Line, type Bearer, type Heard } from "./line";

/** A socket that a test opens, answers on and closes. */
class Wire {
  static all: Wire[] = [];
  url: string;
  readyState = 0;
  binaryType = "";
  said: [join_ref: string, ref: string, topic: string, event: string][] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: object) => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(url: string) {
    this.url = url;
    Wire.all.push(this);
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  send(text: string): void {
    const [join_ref, ref, topic, event] = JSON.parse(text) as [string, string, string, string];
    this.said.push([join_ref, ref, topic, event]);
  }
  close(): void {
    this.readyState = 3;
    this.onclose?.({ code: 1000, wasClean: true });
  }
  /** To the last join: ok, or why not. */
  answer(reason: string | null): void {
    const [join_ref, ref, topic] = this.said.filter(([, , , event]) => event === "phx_join").at(-1)!;
    this.onmessage?.({ data: JSON.stringify([join_ref, ref, topic, "phx_reply", reason === null ? { status: "ok", response: {} } : { status: "error", response: { reason } }]) });
  }
  get token(): string | null {
    return new URL(this.url, "http://x").searchParams.get("token");
  }
}

function heard() {
  const said: string[] = [];
  const of: Heard = { joined: () => said.push("joined"), event: () => {}, refused: (reason) => said.push(reason), closed: () => said.push("closed") };
  return { said, of };
}
const settle = () => vi.advanceTimersByTimeAsync(100);

describe("the line to rooms", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    Wire.all = [];
    vi.stubGlobal("location", { protocol: "http:", host: "x" });
    vi.stubGlobal("window", undefined);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  /** A line whose token is over after `good_ms`, and whoever renews it. */
  function line(good_ms: number, renews = true) {
    let mine: Bearer = { token: "first", until_ms: Date.now() + good_ms };
    const renew = vi.fn(() => {
      if (renews) mine = { token: "second", until_ms: Date.now() + 900_000 };
      return Promise.resolve(renews);
    });
    return { line: new Line(() => mine, renew, Wire), renew };
  }

  it("is opened once with a token that is good", async () => {
    const { line: one, renew } = line(900_000);
    const { said, of } = heard();
    one.open("lobby:u1", [], of);
    Wire.all[0]!.open();
    Wire.all[0]!.answer(null);
    await settle();
    expect([Wire.all.length, Wire.all[0]!.token, said, renew.mock.calls.length]).toEqual([1, "first", ["joined"], 0]);
    one.end();
  });

  it("that comes back with a token that is over is nobody's, and is opened again with the next one", async () => {
    const { line: one, renew } = line(1_000);
    const { said, of } = heard();
    one.open("lobby:u1", [], of);
    Wire.all[0]!.open();
    Wire.all[0]!.answer(null);
    await settle();
    // The laptop sleeps, and the line goes.
    vi.setSystemTime(Date.now() + 3_600_000);
    Wire.all[0]!.readyState = 3;
    Wire.all[0]!.onclose?.({ code: 1006, wasClean: false });
    await vi.advanceTimersByTimeAsync(20_000);
    const stale = Wire.all.at(-1)!;
    expect(stale.token).toBe("first");
    stale.open();
    await settle();
    const fresh = Wire.all.at(-1)!;
    expect([fresh === stale, fresh.token, renew.mock.calls.length]).toEqual([false, "second", 1]);
    fresh.open();
    await settle();
    fresh.answer(null);
    expect(said).toEqual(["joined", "joined"]);
    one.end();
  });

  it("that is refused renews once, and gives up when that does not help or there is nothing to renew", async () => {
    for (const renews of [true, false]) {
      Wire.all = [];
      const { line: one, renew } = line(900_000, renews);
      const { said, of } = heard();
      one.open("lobby:u1", [], of);
      Wire.all[0]!.open();
      Wire.all[0]!.answer("unauthorized");
      await settle();
      if (renews) {
        const next = Wire.all.at(-1)!;
        expect([next === Wire.all[0], next.token]).toEqual([false, "second"]);
        next.open();
        await settle();
        next.answer("unauthorized");
        await settle();
      }
      expect([said, renew.mock.calls.length]).toEqual([["unauthorized"], 1]);
      one.end();
    }
  });

  it("waits out what passes", async () => {
    const { line: one, renew } = line(900_000);
    const { said, of } = heard();
    one.open("lobby:u1", [], of);
    Wire.all[0]!.open();
    Wire.all[0]!.answer("hydrating");
    await vi.advanceTimersByTimeAsync(20_000);
    Wire.all[0]!.answer(null);
    expect([said, renew.mock.calls.length]).toEqual([["joined"], 0]);
    one.end();
  });
});
