/**
 * The page's side of the worker: mirrors of the rings being drawn, who is in the room, and the numbers.
 *
 * Samples go from here to a canvas on the frame and never through component state. What components may
 * react to (roster, link, the quarter-second numbers) is told to listeners.
 */

import type { AttentionMessage } from "./attention";
import type { Group, GroupWish } from "./group";
import type { HealthMessage } from "./health";
import {
  key_of, Row, ROW_COLUMNS, wall_ms,
  type Batch, type DetailRow, type Granted, type Lens, type Level, type PastPiece, type PastWish, type Quality, type Roster, type RosterSensor,
  type Stats, type StreamCard, type ToPage, type ToWorker,
} from "./messages";
import type { Link } from "./phoenix";
import { capacity_for, Ring } from "./ring";

export interface Stream {
  card: StreamCard;
  /** By `key_of`. */
  key: string;
  /** Present while someone draws it. */
  ring: Ring | null;
  /** Grows when the ring was begun again, and everything drawn of it is void. */
  epoch: number;
  per_s: number;
  last_ms: number;
  value: number;
  /** The newest payload of a stream without numbers, as JSON. */
  text: string;
  gaps: number;
  duplicates: number;
  missed: number;
  seeds: number;
  /** The page's clock when `last_ms` last changed: age as this page lived it. */
  changed_ms: number;
}

export interface WorkerLike {
  postMessage(message: ToWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToPage>) => void) | null;
}

export interface Listener {
  link?(link: Link): void;
  /** `levels_only`: who is here has not changed. */
  roster?(levels_only: boolean): void;
  quality?(granted: Granted): void;
  stats?(stats: Stats): void;
  detail?(sensor_id: string, rows: DetailRow[]): void;
  past?(piece: PastPiece): void;
}

export class Hub {
  readonly sensors = new Map<string, RosterSensor>();
  total = 0;
  link: Link = "connecting";
  joins = 0;
  /** Streams that were met so far: whoever holds one looks for it anew when there are others. */
  introduced = 0;
  quality: Granted = { level: "", reason: "", focused: "" };
  stats: Stats | null = null;
  private by_handle = new Map<number, Stream>();
  private by_key = new Map<string, Stream>();
  private by_sensor = new Map<string, Stream[]>();
  private watchers = new Map<string, number>();
  private watch_due = false;
  private waiting: Batch[] = [];
  /** By name; several panels may look at one. */
  private groups = new Map<string, { wish: GroupWish; held: Group[] }>();
  private listeners = new Set<Listener>();
  private worker: WorkerLike;
  private origin = "";
  private lens: Lens = { viewers_url: "", all: true, turn: 0 };

  constructor(worker: WorkerLike) {
    this.worker = worker;
    worker.onmessage = ({ data }) => this.hear(data);
  }

  /** `room`: its id, or null for the house as a whole. */
  start(origin: string, bearer: string | null, quality: Quality, room: string | null): void {
    this.origin = origin;
    this.lens = this.lens_of(room);
    const socket = new URL("/socket/websocket?vsn=2.0.0", origin);
    socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
    this.worker.postMessage({ kind: "start", socket_url: socket.href, bearer, quality, lens: this.lens });
  }

  /** Watches a room, or with null the house as a whole. Nobody is there until it has said who. */
  look_at(room: string | null): void {
    this.lens = this.lens_of(room);
    this.renew();
  }
  /** The same, for whoever this page is by now. */
  begin_again(): void {
    this.lens = { ...this.lens, turn: this.lens.turn + 1 };
    this.renew();
  }
  private renew(): void {
    this.worker.postMessage({ kind: "lens", lens: this.lens });
    this.sensors.clear();
    this.total = 0;
    for (const listener of this.listeners) listener.roster?.(false);
  }
  private lens_of(room: string | null): Lens {
    const path = room === null ? "/api/viewers" : `/api/rooms/${encodeURIComponent(room)}/viewers`;
    return { viewers_url: new URL(path, this.origin).href, all: room === null, turn: this.lens.turn + 1 };
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  bearer(bearer: string | null): void {
    this.worker.postMessage({ kind: "bearer", bearer });
  }
  attention(message: AttentionMessage): void {
    this.worker.postMessage({ kind: "attention", message });
  }
  set_quality(quality: Quality): void {
    this.worker.postMessage({ kind: "quality", quality });
  }
  health(report: HealthMessage): void {
    this.worker.postMessage({ kind: "health", report });
  }
  detail(sensor_id: string | null): void {
    this.worker.postMessage({ kind: "detail", sensor_id });
  }
  /** Of the past this is wanted, and nothing else; what comes of it is told to listeners. */
  past(wishes: PastWish[]): void {
    this.worker.postMessage({ kind: "past", wishes });
  }
  nudge(): void {
    this.worker.postMessage({ kind: "nudge" });
  }

  /** The server's clock, as far as can be told. */
  server_ms(): number {
    return wall_ms() - (this.stats?.clock_offset_ms ?? 0);
  }

  stream(sensor_id: string, attribute_id: string): Stream | undefined {
    return this.by_key.get(key_of(sensor_id, attribute_id));
  }
  stream_by(key: string): Stream | undefined {
    return this.by_key.get(key);
  }
  streams_of(sensor_id: string): Stream[] {
    return this.by_sensor.get(sensor_id) ?? [];
  }

  /** Draws on this stream from now on, until the answer is called. */
  watch(sensor_id: string, attribute_id: string): () => void {
    const key = key_of(sensor_id, attribute_id);
    this.watchers.set(key, (this.watchers.get(key) ?? 0) + 1);
    this.tell_watched();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.watchers.get(key) ?? 1) - 1;
      if (left > 0) this.watchers.set(key, left);
      else {
        this.watchers.delete(key);
        this.tell_watched();
      }
    };
  }

  /** Of every stream that is drawn, what is held of it, by `key_of`. */
  copy_rings(): Map<string, Ring> {
    const copies = new Map<string, Ring>();
    for (const [key, { ring }] of this.by_key) if (ring !== null) copies.set(key, ring.copy());
    return copies;
  }
  /** Of every stream, drawn or not, what is newest of it, by `key_of`. */
  copy_newest(): Map<string, { last_ms: number; value: number; text: string }> {
    return new Map([...this.by_key].map(([key, { last_ms, value, text }]) => [key, { last_ms, value, text }]));
  }
  each_ring(act: (ring: Ring) => void): void {
    for (const { ring } of this.by_key.values()) if (ring !== null) act(ring);
  }

  /** Whatever is said of this group goes into `group` from now on, until the answer is called. */
  watch_group(wish: GroupWish, group: Group): () => void {
    const known = this.groups.get(wish.group);
    if (known === undefined) {
      this.groups.set(wish.group, { wish, held: [group] });
      this.tell_groups();
    } else {
      // Who is in it is said once: whoever comes later is told here.
      const [first] = known.held;
      if (first?.met === true) group.hear({ event: "members", group: wish.group, members: first.members, left_out: first.left_out });
      Object.assign(group, { latency_ms: first?.latency_ms ?? NaN, refused: first?.refused ?? "" });
      known.held.push(group);
    }
    let is_held = true;
    return () => {
      if (!is_held) return;
      is_held = false;
      group.rest();
      const { held } = this.groups.get(wish.group)!;
      held.splice(held.indexOf(group), 1);
      if (held.length > 0) return;
      this.groups.delete(wish.group);
      this.tell_groups();
    };
  }

  private held(group: string): readonly Group[] {
    return this.groups.get(group)?.held ?? [];
  }

  private tell_groups(): void {
    this.worker.postMessage({ kind: "groups", wishes: [...this.groups.values()].map(({ wish }) => wish) });
  }

  private tell_watched(): void {
    if (this.watch_due) return;
    this.watch_due = true;
    queueMicrotask(() => {
      this.watch_due = false;
      for (const [key, stream] of this.by_key) if (!this.watchers.has(key)) stream.ring = null;
      this.worker.postMessage({ kind: "watch", keys: [...this.watchers.keys()] });
    });
  }

  /** On the frame: takes in what came, and lets the worker send more. */
  read(): void {
    for (const batch of this.waiting) {
      this.take(batch);
      const spare = [batch.index.buffer, batch.times.buffer, batch.low.buffer, batch.high.buffer];
      this.worker.postMessage({ kind: "taken", spare: batch }, spare);
    }
    this.waiting.length = 0;
  }

  private take(batch: Batch): void {
    let p = 0;
    let v = 0;
    for (let e = 0; e < batch.entries; e++) {
      const stream = this.by_handle.get(batch.index[e * 3]!);
      const count = batch.index[e * 3 + 2]!;
      if (stream === undefined) throw new Error("a batch names a stream that was never introduced");
      const lanes = stream.card.lanes;
      if (!this.watchers.has(stream.key)) {
        p += count;
        v += count * lanes;
        continue;
      }
      if (stream.ring === null || batch.index[e * 3 + 1] === 1) {
        stream.ring = new Ring(Math.max(capacity_for(stream.card.rate_hz, lanes), count), lanes);
        stream.epoch++;
      }
      const ring = stream.ring;
      for (let k = 0; k < count; k++, p++, v += lanes) ring.push_both(batch.times[p]!, batch.low, batch.high, v);
    }
  }

  private hear(message: ToPage): void {
    switch (message.kind) {
      case "link":
        this.link = message.link;
        this.joins = message.joins;
        for (const listener of this.listeners) listener.link?.(message.link);
        break;
      case "roster":
        if (message.turn !== this.lens.turn) break;
        this.take_roster(message.roster);
        {
          const { full, sensors, gone } = message.roster;
          const levels_only = !full && !sensors?.length && !gone?.length;
          for (const listener of this.listeners) listener.roster?.(levels_only);
        }
        break;
      case "quality":
        this.quality = message.granted;
        for (const listener of this.listeners) listener.quality?.(message.granted);
        break;
      case "cards":
        for (const card of message.cards) this.introduce(card);
        break;
      case "batch":
        this.waiting.push(message.batch);
        break;
      case "texts":
        for (const [handle, text] of message.texts) {
          const stream = this.by_handle.get(handle);
          if (stream !== undefined) stream.text = text;
        }
        break;
      case "stats":
        this.take_stats(message.stats);
        for (const listener of this.listeners) listener.stats?.(message.stats);
        break;
      case "detail":
        for (const listener of this.listeners) listener.detail?.(message.sensor_id, message.rows);
        break;
      case "past":
        for (const listener of this.listeners) listener.past?.(message.piece);
        break;
      // Into a ring at once: a page that draws nothing gathers nothing.
      case "group_frame":
        for (const group of this.held(message.frame.group)) group.take(message.frame, wall_ms());
        break;
      case "group_event":
        for (const group of this.held(message.event.group)) group.hear(message.event);
        break;
      case "group_answer": {
        const { group, latency_ms, refused } = message.answer;
        for (const one of this.held(group)) Object.assign(one, { latency_ms, refused });
        break;
      }
    }
  }

  private introduce(card: StreamCard): void {
    const known = this.by_handle.get(card.handle);
    if (known !== undefined) {
      if (known.card.lanes !== card.lanes) known.ring = null;
      known.card = card;
      return;
    }
    const key = key_of(card.sensor_id, card.attribute_id);
    const stream: Stream = {
      card, key, ring: null, epoch: 0, per_s: 0, last_ms: NaN, value: NaN, text: "",
      gaps: 0, duplicates: 0, missed: 0, seeds: 0, changed_ms: NaN,
    };
    this.by_handle.set(card.handle, stream);
    this.by_key.set(key, stream);
    this.introduced++;
    const siblings = this.by_sensor.get(card.sensor_id);
    if (siblings === undefined) this.by_sensor.set(card.sensor_id, [stream]);
    else siblings.push(stream);
  }

  private take_roster(roster: Roster): void {
    if (roster.full) this.sensors.clear();
    for (const sensor of roster.sensors ?? []) this.sensors.set(sensor.sensor_id, sensor);
    for (const id of roster.gone ?? []) this.sensors.delete(id);
    for (const [id, level] of Object.entries(roster.levels ?? {})) {
      const sensor = this.sensors.get(id);
      if (sensor !== undefined) sensor.level = level as Level;
    }
    this.total = roster.total;
  }

  private take_stats(stats: Stats): void {
    this.stats = stats;
    const rows = stats.rows;
    const now = wall_ms();
    for (let at = 0; at < rows.length; at += ROW_COLUMNS) {
      const stream = this.by_handle.get(rows[at + Row.handle]!);
      if (stream === undefined) continue;
      stream.per_s = rows[at + Row.per_s]!;
      const last_ms = rows[at + Row.last_ms]!;
      if (last_ms !== stream.last_ms) stream.changed_ms = now;
      stream.last_ms = last_ms;
      stream.value = rows[at + Row.value]!;
      stream.gaps = rows[at + Row.gaps]!;
      stream.duplicates = rows[at + Row.duplicates]!;
      stream.missed = rows[at + Row.missed]!;
      stream.seeds = rows[at + Row.seeds]!;
    }
  }

  /** Received over the last second, all attributes of a sensor. */
  rate_of(sensor_id: string): number {
    let sum = 0;
    for (const stream of this.streams_of(sensor_id)) sum += stream.per_s;
    return sum;
  }
}
