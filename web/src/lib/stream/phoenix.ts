/**
 * The least of Phoenix channels, version 2, that a viewer needs: one socket, one channel, kept alive.
 *
 * It connects, joins, answers for pushes, beats every 30 s, comes back with growing pauses, and when
 * its token is refused asks its owner for a new one. Everything from outside comes in through
 * `Environment`, so tests bring their own sockets and clocks.
 */

export const HEARTBEAT_MS = 30_000;
export const REPLY_TIMEOUT_MS = 10_000;
export const BACKOFF_MS_MIN = 50;
export const BACKOFF_MS_MAX = 5_000;
/** Only a channel that held this long makes the next pause short again. */
export const SETTLED_MS = 5_000;

export type Link = "connecting" | "live" | "reconnecting" | "denied" | "absent" | "closed";

export interface SocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Environment {
  open(url: string): SocketLike;
  /** Between 0 and 1. */
  random(): number;
  set_timer(act: () => void, ms: number): unknown;
  clear_timer(timer: unknown): void;
}

/** A token to join with, or why there is none. */
export type Mint = { ok: true; topic: string } | { ok: false; why: "denied" | "absent" | "failed" };

export interface Handlers {
  mint(): Promise<Mint>;
  /** What to join with. */
  params: unknown;
  link(link: Link): void;
  /** The channel is (again) joined; everything said of streams before is void. */
  joined(response: unknown): void;
  event(event: string, payload: unknown): void;
  binary(event: string, data: Uint8Array): void;
}

export type Reply = { ok: boolean; response: unknown };

/** Refusals that say nothing against the token: the same again, later. */
const WAIT_REASONS = new Set(["timeout", "busy", "too_many_viewers"]);

export function reason_of({ response }: Reply): string {
  return String((response as { reason?: unknown } | null)?.reason ?? "");
}

/** Doubling from the least to the most, half of it left to chance so that a crowd spreads. */
export function backoff_ms(attempt: number, random: number): number {
  const full = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt, 16));
  return Math.max(BACKOFF_MS_MIN, full * (0.5 + random * 0.5));
}

const ascii = new TextDecoder();

export class ViewerChannel {
  private socket: SocketLike | null = null;
  private topic: string | null = null;
  private join_ref: string | null = null;
  private joined = false;
  private ref = 0;
  private attempt = 0;
  /** Counts connections that were begun; an answer to an earlier one comes too late. */
  private turn = 0;
  private pending = new Map<string, { done: (reply: Reply) => void; timer: unknown }>();
  private retry: unknown = null;
  private beat: unknown = null;
  private beat_ref: string | null = null;
  private stopped = true;
  private was_live = false;
  private settling: unknown = null;
  private url: string;
  private env: Environment;
  private handlers: Handlers;

  constructor(url: string, env: Environment, handlers: Handlers) {
    this.url = url;
    this.env = env;
    this.handlers = handlers;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.handlers.link("connecting");
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.drop();
    if (this.retry !== null) this.env.clear_timer(this.retry);
    this.retry = null;
    this.handlers.link("closed");
  }

  /** With a token of another kind, at once. */
  anew(): void {
    this.stopped = false;
    this.topic = null;
    this.attempt = 0;
    this.was_live = false;
    this.drop();
    if (this.retry !== null) this.env.clear_timer(this.retry);
    this.retry = null;
    this.handlers.link("connecting");
    void this.connect();
  }

  /** Goes on at once instead of waiting out the pause: the network is said to be back. */
  nudge(): void {
    if (this.stopped || this.retry === null) return;
    this.env.clear_timer(this.retry);
    this.retry = null;
    void this.connect();
  }

  /** What came cannot be trusted: leaves, and joins anew after a pause. */
  begin_again(): void {
    if (this.joined) this.lost();
  }

  get is_live(): boolean {
    return this.joined;
  }

  /** Says something on the joined channel. Refused, not queued, while it is not. */
  push(event: string, payload: unknown): Promise<Reply> {
    if (!this.joined || this.topic === null) {
      return Promise.resolve({ ok: false, response: { reason: "not_joined" } });
    }
    return this.ask(this.join_ref, this.topic, event, payload);
  }

  private ask(join_ref: string | null, topic: string, event: string, payload: unknown): Promise<Reply> {
    const ref = String(++this.ref);
    return new Promise((done) => {
      const timer = this.env.set_timer(() => {
        this.pending.delete(ref);
        done({ ok: false, response: { reason: "timeout" } });
      }, REPLY_TIMEOUT_MS);
      this.pending.set(ref, { done, timer });
      this.socket?.send(JSON.stringify([join_ref, ref, topic, event, payload]));
    });
  }

  private async connect(): Promise<void> {
    const turn = ++this.turn;
    if (this.topic === null) {
      const mint = await this.handlers.mint();
      if (this.stopped || turn !== this.turn) return;
      if (!mint.ok) {
        if (mint.why === "failed") this.again();
        else {
          this.stopped = true;
          this.handlers.link(mint.why);
        }
        return;
      }
      this.topic = mint.topic;
    }
    const socket = this.env.open(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (this.socket === socket) void this.join(socket);
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.hear(event.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
    socket.onerror = () => {};
  }

  private async join(socket: SocketLike): Promise<void> {
    this.beat_ref = null;
    this.beat_soon();
    this.join_ref = String(this.ref + 1);
    const topic = this.topic!;
    const reply = await this.ask(this.join_ref, topic, "phx_join", this.handlers.params);
    if (this.socket !== socket) return;
    if (reply.ok) {
      this.joined = true;
      this.was_live = true;
      this.settling = this.env.set_timer(() => (this.attempt = 0), SETTLED_MS);
      this.handlers.joined(reply.response);
      this.handlers.link("live");
      return;
    }
    // Unless it only has to wait, another token is the one thing this side can change.
    if (!WAIT_REASONS.has(reason_of(reply))) this.topic = null;
    this.lost();
  }

  private hear(data: unknown): void {
    if (typeof data === "string") this.hear_text(data);
    else if (data instanceof ArrayBuffer) this.hear_binary(new Uint8Array(data));
  }

  private hear_text(data: string): void {
    let message: unknown;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (!Array.isArray(message) || message.length !== 5) return;
    const [join_ref, ref, topic, event, payload] = message as [unknown, unknown, unknown, unknown, unknown];
    if (event === "phx_reply") {
      const { status, response } = (payload ?? {}) as { status?: unknown; response?: unknown };
      if (ref === this.beat_ref) {
        this.beat_ref = null;
        return;
      }
      const waiting = this.pending.get(String(ref));
      if (waiting === undefined) return;
      this.pending.delete(String(ref));
      this.env.clear_timer(waiting.timer);
      waiting.done({ ok: status === "ok", response });
      return;
    }
    if (topic !== this.topic || (join_ref !== null && join_ref !== this.join_ref)) return;
    if (event === "phx_close" || event === "phx_error") {
      // Taken over by another join of the same token, or gone: a token of our own, then.
      this.topic = null;
      this.lost();
      return;
    }
    if (this.joined && typeof event === "string") this.handlers.event(event, payload);
  }

  /** `00 jl tl el`, join_ref, topic, event, data. */
  private hear_binary(data: Uint8Array): void {
    if (data.length < 4 || data[0] !== 0) return;
    const topic_at = 4 + data[1]!;
    const event_at = topic_at + data[2]!;
    const data_at = event_at + data[3]!;
    if (data_at > data.length || !this.joined) return;
    if (ascii.decode(data.subarray(topic_at, event_at)) !== this.topic) return;
    this.handlers.binary(ascii.decode(data.subarray(event_at, data_at)), data.subarray(data_at));
  }

  private beat_soon(): void {
    if (this.beat !== null) this.env.clear_timer(this.beat);
    this.beat = this.env.set_timer(() => {
      this.beat = null;
      if (this.beat_ref !== null) {
        // The last one was never answered: the socket is open only in name.
        this.lost();
        return;
      }
      this.beat_ref = String(++this.ref);
      this.socket?.send(JSON.stringify([null, this.beat_ref, "phoenix", "heartbeat", {}]));
      this.beat_soon();
    }, HEARTBEAT_MS);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.joined = false;
    if (this.beat !== null) this.env.clear_timer(this.beat);
    this.beat = null;
    if (this.settling !== null) this.env.clear_timer(this.settling);
    this.settling = null;
    for (const { done, timer } of this.pending.values()) {
      this.env.clear_timer(timer);
      done({ ok: false, response: { reason: "disconnected" } });
    }
    this.pending.clear();
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
  }

  private lost(): void {
    this.drop();
    this.again();
  }

  private again(): void {
    if (this.stopped || this.retry !== null) return;
    this.handlers.link(this.was_live ? "reconnecting" : "connecting");
    this.retry = this.env.set_timer(() => {
      this.retry = null;
      void this.connect();
    }, backoff_ms(this.attempt++, this.env.random()));
  }
}
