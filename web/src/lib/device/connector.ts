/** Sends what this browser measures: one socket, a channel for each signal, at the pace the server asks for. */

import { Socket, type Channel } from "phoenix";
import { wall_ms } from "../stream/messages";
import { is_due, PACE_AT_FIRST, Queue, read_pace, type Pace } from "./queue";
import { NoSource, sources, type Measured, type SourceId } from "./sources";
import type { Shared, Standing } from "./state.svelte";

/** How often it is looked whether a batch is due. */
const LOOK_MS = 50;
/** And how often it is told how it goes. */
const TELL_EVERY = 5;
const SHOWN_CHARS_MAX = 80;
/** Refusals that pass: somebody has not left yet, or the server is busy. */
const PASSING = new Set(["busy", "not_owner", "timeout"]);
const again_ms = (tries: number): number => Math.min(5_000, 100 * 2 ** Math.min(tries, 6)) * (0.8 + 0.4 * Math.random());

interface Signal {
  channel: Channel;
  queue: Queue;
  pace: Pace;
  joined: boolean;
  end: () => void;
  sent: number;
  last: unknown;
}

type Tell = (change: Partial<Shared> & { source: SourceId }) => void;

export class Connector {
  private signals = new Map<SourceId, Signal>();
  private socket: Socket | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private looks = 0;
  private id: string;
  private tell: Tell;
  private token: () => string;

  constructor(id: string, tell: Tell, token: () => string) {
    this.id = id;
    this.tell = tell;
    this.token = token;
  }

  async share(source: SourceId, sensor_id: string, names: { device: string; sensor: string }, room_id: string | null): Promise<void> {
    const queue = new Queue();
    const measured: Measured = (attribute_id, payload) => {
      const signal = this.signals.get(source);
      if (signal?.queue !== queue) return;
      // Nothing is gathered for a server that wants nothing.
      signal.last = payload;
      if (!signal.pace.paused) queue.put({ attribute_id, payload, timestamp: Math.round(wall_ms()) });
    };
    const signal: Signal = { channel: null as unknown as Channel, queue, pace: PACE_AT_FIRST, joined: false, end: () => {}, sent: 0, last: null };
    this.signals.set(source, signal);
    let end: () => void;
    try {
      end = await sources[source].begin(measured, (why) => this.lose(source, why));
    } catch (error) {
      if (this.signals.get(source) === signal) this.lose(source, error instanceof NoSource ? error.why : "failed");
      return;
    }
    // Stopped while the browser asked.
    if (this.signals.get(source) !== signal) return end();
    signal.end = end;
    this.tell({ source, standing: "joining" });
    const attributes = sources[source].attributes;
    const params = (): object => ({
      connector_id: this.id, connector_name: names.device, sensor_id, sensor_name: names.sensor, sensor_type: attributes[0]!.attribute_type,
      attributes, sampling_rate: Math.max(1, ...attributes.map(({ sampling_rate }) => sampling_rate)), batch_size: 1, bearer_token: this.token(), ...(room_id === null ? {} : { room_id }),
    });
    signal.channel = this.line(names.device).channel(`sensocto:sensor:${sensor_id}`, params);
    signal.channel.on("backpressure_config", (config: unknown) => {
      signal.pace = read_pace(config, signal.pace);
      this.tell({ source, attention: signal.pace.attention, paused: signal.pace.paused });
    });
    signal.channel.onError(() => this.stand(source, signal, false, "offline"));
    signal.channel
      .join()
      .receive("ok", () => this.stand(source, signal, true, "shared"))
      .receive("error", (response?: { reason?: unknown }) => {
        const reason = String(response?.reason ?? "");
        if (!PASSING.has(reason)) this.lose(source, reason === "unauthorized" ? "unauthorized" : "turned_away");
      });
  }

  stop(source: SourceId): void {
    const signal = this.signals.get(source);
    if (signal === undefined) return;
    this.signals.delete(source);
    signal.end();
    signal.channel?.leave();
    if (this.signals.size === 0) this.rest();
  }
  stop_all(): void {
    for (const source of [...this.signals.keys()]) this.stop(source);
  }
  press(pressed: boolean): void {
    const signal = this.signals.get("button");
    if (signal === undefined || signal.pace.paused) return;
    signal.last = pressed ? 1 : 0;
    signal.queue.put({ attribute_id: "button", payload: pressed ? 1 : 0, timestamp: Math.round(wall_ms()) });
  }

  private lose(source: SourceId, why: Standing): void {
    this.stop(source);
    this.tell({ source, standing: why });
  }
  private stand(source: SourceId, signal: Signal, joined: boolean, standing: Standing): void {
    if (this.signals.get(source) !== signal) return;
    signal.joined = joined;
    this.tell({ source, standing });
  }

  private line(name: string): Socket {
    if (this.socket !== null) return this.socket;
    const socket = new Socket("/socket", { reconnectAfterMs: again_ms, rejoinAfterMs: again_ms });
    this.socket = socket;
    socket.connect();
    socket
      .channel(`sensocto:connector:${this.id}`, () => ({ connector_id: this.id, connector_name: name, connector_type: "web", features: [], bearer_token: this.token() }))
      .join();
    this.timer = setInterval(() => this.look(), LOOK_MS);
    return socket;
  }

  private look(): void {
    const now = wall_ms();
    const tells = this.looks++ % TELL_EVERY === 0;
    for (const [source, { channel, queue, pace, joined, ...signal }] of this.signals) {
      queue.age(now);
      const open = joined && this.socket!.isConnected() && channel.state === "joined";
      while (open && is_due(queue, pace, now)) {
        const batch = queue.take(Math.max(pace.size, 100));
        channel.push(batch.length === 1 ? "measurement" : "measurements_batch", batch.length === 1 ? batch[0]! : batch);
        this.signals.get(source)!.sent += batch.length;
      }
      if (tells) this.tell({ source, sent: this.signals.get(source)!.sent, waiting: queue.length, dropped: queue.dropped, last: shown(signal.last) });
    }
  }

  /** Nothing is shared: no line is held open for it. */
  private rest(): void {
    clearInterval(this.timer);
    this.socket?.disconnect();
    this.socket = null;
  }
}

/** Short enough to stand beside what it is of. */
function shown(value: unknown): string {
  if (value === null) return "";
  const parts = typeof value === "object" ? Object.entries(value).map(([key, part]) => `${key} ${String(part)}`) : [String(value)];
  return parts.join(" · ").slice(0, SHOWN_CHARS_MAX);
}
