import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, backoff_ms, HEARTBEAT_MS, SETTLED_MS, ViewerChannel, type Link, type Mint, type SocketLike } from "./phoenix";

class FakeSocket implements SocketLike {
  binaryType = "blob";
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  sent: [string | null, string, string, string, unknown][] = [];
  closed = false;
  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }
  close(): void {
    this.closed = true;
  }
  /** Answers the last thing said. */
  async reply(status: string, response: unknown = {}): Promise<void> {
    const [join_ref, ref, topic] = this.sent.at(-1)!;
    this.onmessage?.({ data: JSON.stringify([join_ref, ref, topic, "phx_reply", { status, response }]) });
    await vi.advanceTimersByTimeAsync(0);
  }
}

function set_up(mints: Mint[]) {
  const sockets: FakeSocket[] = [];
  const links: Link[] = [];
  const events: [string, unknown][] = [];
  const binaries: [string, number[]][] = [];
  let minted = 0;
  let joined = 0;
  const channel = new ViewerChannel(
    "ws://test",
    {
      open: () => {
        const socket = new FakeSocket();
        sockets.push(socket);
        return socket;
      },
      random: () => 1,
      set_timer: (act, ms) => setTimeout(act, ms),
      clear_timer: (timer) => clearTimeout(timer as never),
    },
    {
      mint: async () => mints[Math.min(minted++, mints.length - 1)]!,
      params: { form: "binary", version: 1 },
      link: (link) => links.push(link),
      joined: () => joined++,
      event: (event, payload) => events.push([event, payload]),
      binary: (event, data) => binaries.push([event, [...data]]),
    },
  );
  return { channel, sockets, links, events, binaries, minted: () => minted, joined: () => joined };
}

const token = (name: string): Mint => ({ ok: true, topic: `viewer:data:${name}` });
const soon = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe("a viewer's channel", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("joins its topic, hears its events, and only then says it is live", async () => {
    const t = set_up([token("a")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await soon();
    expect(t.sockets[0]!.sent[0]).toEqual(["1", "1", "viewer:data:a", "phx_join", { form: "binary", version: 1 }]);
    expect(t.links).toEqual(["connecting"]);
    await t.sockets[0]!.reply("ok", { form: "binary" });
    expect(t.links.at(-1)).toBe("live");
    t.sockets[0]!.onmessage?.({ data: JSON.stringify(["1", null, "viewer:data:a", "roster", { full: true }]) });
    expect(t.events).toEqual([["roster", { full: true }]]);
  });

  it("takes a push apart: 00, three lengths, three names, the rest", async () => {
    const t = set_up([token("a")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    const push = (topic: string): ArrayBuffer => {
      const parts = ["1", topic, "frame"].map((part) => [...new TextEncoder().encode(part)]);
      return new Uint8Array([0, ...parts.map((part) => part.length), ...parts.flat(), 9, 8, 7]).buffer;
    };
    t.sockets[0]!.onmessage?.({ data: push("viewer:data:a") });
    t.sockets[0]!.onmessage?.({ data: push("viewer:data:b") });
    t.sockets[0]!.onmessage?.({ data: new Uint8Array([0, 255, 255, 255]).buffer });
    expect(t.binaries).toEqual([["frame", [9, 8, 7]]]);
  });

  it("looks at something else at once, and an answer of before comes too late", async () => {
    const t = set_up([token("a"), token("b")]);
    t.channel.start();
    t.channel.anew();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    expect([t.sockets.length, t.sockets[0]!.sent[0]![2], t.links.at(-1)]).toEqual([1, "viewer:data:b", "live"]);
    t.channel.anew();
    await soon();
    expect([t.sockets.length, t.minted(), t.links.at(-1)]).toEqual([2, 3, "connecting"]);
  });

  it("asks no more where there is nothing to see, until it is told to", async () => {
    const t = set_up([{ ok: false, why: "absent" }, token("a")]);
    t.channel.start();
    await soon(60_000);
    expect([t.minted(), t.links]).toEqual([1, ["connecting", "absent"]]);
    t.channel.anew();
    await soon();
    expect(t.sockets.length).toBe(1);
  });

  it("comes back with the same token after the line drops, later each time", async () => {
    const t = set_up([token("a")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    t.sockets[0]!.onclose?.();
    expect(t.links.at(-1)).toBe("reconnecting");
    await soon(BACKOFF_MS_MIN);
    expect(t.sockets.length).toBe(2);
    t.sockets[1]!.onclose?.();
    await soon(BACKOFF_MS_MIN);
    expect(t.sockets.length).toBe(2);
    await soon(BACKOFF_MS_MIN);
    expect(t.sockets.length).toBe(3);
    t.sockets[2]!.onopen?.();
    await t.sockets[2]!.reply("ok");
    expect([t.minted(), t.joined(), t.links.at(-1)]).toEqual([1, 2, "live"]);
  });

  it("does not hammer a server whose every frame is refused", async () => {
    const t = set_up([token("a")]);
    t.channel.start();
    await soon();
    for (let round = 0; round < 7; round++) {
      const socket = t.sockets.at(-1)!;
      socket.onopen?.();
      await socket.reply("ok");
      t.channel.begin_again();
      await soon(backoff_ms(round, 1) - 1);
      expect(t.sockets.length).toBe(round + 1);
      await soon(1);
      expect(t.sockets.length).toBe(round + 2);
    }
    t.sockets.at(-1)!.onopen?.();
    await t.sockets.at(-1)!.reply("ok");
    await soon(SETTLED_MS);
    t.channel.begin_again();
    await soon(BACKOFF_MS_MIN);
    expect(t.sockets.length).toBe(9);
  });

  it("asks for a new token when its own is refused", async () => {
    const t = set_up([token("old"), token("new")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("error", { reason: "unauthorized" });
    await soon(BACKOFF_MS_MIN);
    t.sockets[1]!.onopen?.();
    expect(t.sockets[1]!.sent[0]![2]).toBe("viewer:data:new");
    await t.sockets[1]!.reply("ok");
    expect([t.minted(), t.links.at(-1)]).toEqual([2, "live"]);
  });

  it("keeps its token when the server only has no room just now", async () => {
    const t = set_up([token("a"), token("b")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("error", { reason: "busy" });
    await soon(BACKOFF_MS_MIN);
    t.sockets[1]!.onopen?.();
    await t.sockets[1]!.reply("ok");
    expect([t.minted(), t.links.at(-1)]).toEqual([1, "live"]);
  });

  it("asks for a new token when another page took its channel over", async () => {
    const t = set_up([token("a"), token("b")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    t.sockets[0]!.onmessage?.({ data: JSON.stringify(["1", null, "viewer:data:a", "phx_close", {}]) });
    await soon(BACKOFF_MS_MIN);
    expect([t.minted(), t.sockets.length]).toEqual([2, 2]);
  });

  it("stops, and says so, when it is not allowed in; and starts again when it is", async () => {
    const t = set_up([{ ok: false, why: "denied" }, token("a")]);
    t.channel.start();
    await soon(60_000);
    expect([t.links.at(-1), t.minted()]).toEqual(["denied", 1]);
    t.channel.start();
    await soon();
    expect(t.sockets.length).toBe(1);
  });

  it("tries again when the server cannot be reached, and stays merely connecting", async () => {
    const t = set_up([{ ok: false, why: "failed" }, token("a")]);
    t.channel.start();
    await soon(BACKOFF_MS_MIN);
    expect(t.sockets.length).toBe(1);
    expect(t.links).not.toContain("reconnecting");
  });

  it("beats every thirty seconds and gives up a line that no longer answers", async () => {
    const t = set_up([token("a")]);
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    await soon(HEARTBEAT_MS);
    expect(t.sockets[0]!.sent.at(-1)!.slice(2, 4)).toEqual(["phoenix", "heartbeat"]);
    await t.sockets[0]!.reply("ok");
    await soon(HEARTBEAT_MS);
    expect(t.sockets[0]!.closed).toBe(false);
    await soon(HEARTBEAT_MS);
    expect(t.sockets[0]!.closed).toBe(true);
    expect(t.links.at(-1)).toBe("reconnecting");
  });

  it("answers for what it pushes, also when the line drops meanwhile", async () => {
    const t = set_up([token("a")]);
    expect(await t.channel.push("attention", {})).toMatchObject({ ok: false });
    t.channel.start();
    await soon();
    t.sockets[0]!.onopen?.();
    await t.sockets[0]!.reply("ok");
    const heard = t.channel.push("set_quality", { quality: "high" });
    await t.sockets[0]!.reply("ok");
    expect(await heard).toEqual({ ok: true, response: {} });
    const lost = t.channel.push("set_quality", { quality: "low" });
    t.sockets[0]!.onclose?.();
    expect(await lost).toMatchObject({ ok: false, response: { reason: "disconnected" } });
  });

  it("waits between 0.05 and 5 s, whatever chance says", () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      for (const random of [0, 0.5, 0.999]) {
        expect(backoff_ms(attempt, random)).toBeGreaterThanOrEqual(BACKOFF_MS_MIN);
        expect(backoff_ms(attempt, random)).toBeLessThanOrEqual(BACKOFF_MS_MAX);
      }
    }
    expect(backoff_ms(30, 0)).toBe(BACKOFF_MS_MAX / 2);
  });
});
