/**
 * What the worker keeps: every stream's ring, cursor and counters, and what the page has yet to see.
 *
 * The page names the streams it draws (`watch`); only their new points are put into batches.
 */

import { Form, type Card, type Frame, type Slice } from "./decode";
import { key_of, ROW_COLUMNS, type Batch, type DetailRow, type Stats, type StreamCard } from "./messages";
import { capacity_for, Cursor, LANES_MAX, lanes_of, Ring } from "./ring";
import { cell_names, payload_text } from "./shape";

/** Streams remembered; the longest-gone are forgotten first. */
export const STREAMS_MAX = 20_000;
const BUCKETS = 10;
const BUCKET_MS = 100;
const AGES = 512;
const AGE_WINDOW_MS = 2_000;

/** Things counted over the last whole second, to a tenth. */
export class Sliding {
  private buckets = new Float64Array(BUCKETS + 1);
  private at = 0;
  add(n: number, now_ms: number): void {
    this.advance(now_ms);
    this.buckets[this.at % (BUCKETS + 1)]! += n;
  }
  per_s(now_ms: number): number {
    this.advance(now_ms);
    let sum = 0;
    for (const n of this.buckets) sum += n;
    // The tenth that is still filling does not count.
    return sum - this.buckets[this.at % (BUCKETS + 1)]!;
  }
  private advance(now_ms: number): void {
    const at = Math.floor(now_ms / BUCKET_MS);
    if (at - this.at > BUCKETS) this.buckets.fill(0);
    else for (let k = this.at + 1; k <= at; k++) this.buckets[k % (BUCKETS + 1)] = 0;
    if (at > this.at) this.at = at;
  }
}

/**
 * How far this clock is ahead of the server's: the least seen over the last minute, because a frame can
 * be late but not early.
 */
export class ClockOffset {
  private now = NaN;
  private before = NaN;
  private since = NaN;
  observe(local_ms: number, server_ms: number): void {
    const offset = local_ms - server_ms;
    if (!Number.isFinite(offset)) return;
    if (!(local_ms - this.since < 30_000)) {
      this.before = this.now;
      this.now = offset;
      this.since = local_ms;
    } else if (offset < this.now) this.now = offset;
  }
  get ms(): number {
    return Number.isNaN(this.before) ? (Number.isNaN(this.now) ? 0 : this.now) : Math.min(this.now, this.before);
  }
}

class Stream {
  readonly handle: number;
  readonly key: string;
  card: Card;
  lanes: number;
  ring: Ring | null = null;
  cursor = new Cursor();
  received = new Sliding();
  latest: Float64Array;
  latest_text: string | null = null;
  /** The text the page was last told. */
  told_text: string | null = null;
  latest_ms = NaN;
  gone = false;
  /** Of the ring, the point the page has been sent up to; -1 when it has to begin again. */
  sent = -1;

  constructor(handle: number, key: string, card: Card) {
    this.handle = handle;
    this.key = key;
    this.card = card;
    this.lanes = lanes_of(card.attribute_type, card.width);
    this.latest = new Float64Array(card.width).fill(NaN);
  }

  introduce(card: Card): void {
    if (card.width !== this.card.width) {
      this.lanes = lanes_of(card.attribute_type, card.width);
      this.latest = new Float64Array(card.width).fill(NaN);
      this.ring = null;
      this.sent = -1;
    }
    this.card = card;
    this.gone = false;
    this.cursor.restart();
  }

  /** Remembers its name and gives up its memory. */
  leave(): void {
    this.gone = true;
    this.ring = null;
    this.sent = -1;
    this.cursor.restart();
  }

  /** A wide one takes a quarter of a megabyte: it is held while it is drawn. */
  open(drawn: boolean): Ring | null {
    if (this.lanes === 0 || (this.lanes > LANES_MAX && !drawn)) return null;
    return (this.ring ??= new Ring(capacity_for(this.card.rate_hz, this.lanes), this.lanes));
  }
  unwatch(): void {
    if (this.lanes > LANES_MAX) this.ring = null;
  }
}

export class Store {
  private by_id = new Map<number, Stream>();
  private by_key = new Map<string, Stream>();
  private watched = new Set<Stream>();
  private wanted = new Set<string>();
  private introduced: Stream[] = [];
  private handles = 0;
  private ages = new Float64Array(AGES).fill(NaN);
  private ages_at = new Float64Array(AGES);
  private age_count = 0;
  readonly clock = new ClockOffset();
  readonly samples = new Sliding();
  readonly bytes_rate = new Sliding();
  readonly message_rate = new Sliding();
  frames = 0;
  bytes = 0;
  refused = 0;
  last_frame_ms = NaN;

  /** A new channel: every stream will be introduced and seeded again. */
  restart(): void {
    this.by_id.clear();
    for (const stream of this.by_key.values()) stream.cursor.restart();
  }

  heard(bytes: number, now_ms: number): void {
    this.bytes += bytes;
    this.bytes_rate.add(bytes, now_ms);
    this.message_rate.add(1, now_ms);
  }

  take(frame: Frame, now_ms: number): void {
    this.frames++;
    this.last_frame_ms = now_ms;
    this.clock.observe(now_ms, frame.server_ms);
    for (const card of frame.cards) this.introduce(card);
    for (let i = 0; i < frame.n_slices; i++) {
      const slice = frame.slices[i]!;
      const stream = this.by_id.get(slice.id);
      if (stream !== undefined) this.slice(stream, slice, frame, now_ms);
    }
  }

  private introduce(card: Card): void {
    const key = key_of(card.sensor_id, card.attribute_id);
    let stream = this.by_key.get(key);
    if (stream === undefined) {
      this.forget_one();
      stream = new Stream(this.handles++, key, card);
      this.by_key.set(key, stream);
    } else {
      this.by_id.delete(stream.card.id);
      stream.introduce(card);
    }
    this.by_id.set(card.id, stream);
    if (this.wanted.has(key)) this.watched.add(stream);
    this.introduced.push(stream);
  }

  private forget_one(): void {
    if (this.by_key.size < STREAMS_MAX) return;
    for (const [key, stream] of this.by_key) {
      if (!stream.gone) continue;
      this.by_key.delete(key);
      this.by_id.delete(stream.card.id);
      this.watched.delete(stream);
      return;
    }
  }

  private slice(stream: Stream, slice: Slice, frame: Frame, now_ms: number): void {
    const { n, times_at, cells_at, width } = slice;
    if (slice.form === Form.Seed) {
      // A long seed comes in pieces, each going on where the last ended.
      const goes_on = stream.cursor.next === slice.from;
      stream.cursor.seed(slice.from, slice.covered);
      // The seed tells the past at full detail; what was held before it stays.
      if (n > 0 && !goes_on && stream.ring !== null) {
        stream.ring.truncate_from(frame.times[times_at]!);
        stream.sent = -1;
      }
    } else {
      stream.cursor.live(slice.from, slice.covered, slice.missed);
      stream.received.add(Math.max(n, 1), now_ms);
      this.samples.add(Math.max(n, 1), now_ms);
    }
    if (n > 0) {
      const last_ms = frame.times[times_at + n - 1]!;
      stream.latest_ms = last_ms;
      if (slice.texts !== null) stream.latest_text = slice.texts[n - 1]!;
      else {
        stream.latest_text = null;
        const at = cells_at + (n - 1) * width;
        for (let k = 0; k < width; k++) stream.latest[k] = frame.cells[at + k]!;
      }
      if (slice.form !== Form.Seed) {
        const slot = this.age_count++ % AGES;
        this.ages[slot] = now_ms - this.clock.ms - last_ms;
        this.ages_at[slot] = now_ms;
      }
    }
    if (stream.gone || slice.texts !== null) return;
    const ring = stream.open(this.watched.has(stream));
    if (ring === null) return;
    if (slice.form === Form.Digest && slice.numeric && slice.count > 1) {
      ring.push_range(n > 0 ? frame.times[times_at]! : frame.server_ms, slice.min, slice.max);
      return;
    }
    for (let k = 0; k < n; k++) ring.push(frame.times[times_at + k]!, frame.cells, cells_at + k * width);
  }

  leave(sensor_ids: ReadonlySet<string>): void {
    for (const stream of this.by_key.values()) if (sensor_ids.has(stream.card.sensor_id)) stream.leave();
  }

  /** A full roster: who is not in it has left. */
  keep_only(sensor_ids: ReadonlySet<string>): void {
    for (const stream of this.by_key.values()) {
      if (!stream.gone && !sensor_ids.has(stream.card.sensor_id)) stream.leave();
    }
  }

  watch(keys: string[]): void {
    this.wanted = new Set(keys);
    const watched = new Set<Stream>();
    for (const key of keys) {
      const stream = this.by_key.get(key);
      if (stream === undefined) continue;
      if (!this.watched.has(stream)) stream.sent = -1;
      watched.add(stream);
    }
    for (const stream of this.watched) if (!watched.has(stream)) stream.unwatch();
    this.watched = watched;
  }

  /** Streams introduced since last asked. */
  cards(): StreamCard[] {
    const cards = this.introduced.map(({ handle, card, lanes }) => ({
      handle,
      sensor_id: card.sensor_id,
      attribute_id: card.attribute_id,
      attribute_type: card.attribute_type,
      rate_hz: card.rate_hz,
      width: card.width,
      lanes,
      names: cell_names(card.shape, lanes),
    }));
    this.introduced = [];
    return cards;
  }

  /** What the page has not seen of what it watches; null when there is nothing. `spare` is written over. */
  batch(spare: Batch | null): Batch | null {
    let entries = 0;
    let points = 0;
    let values = 0;
    for (const stream of this.watched) {
      const ring = stream.ring;
      if (ring === null) continue;
      const fresh = stream.sent < 0 ? ring.length : Math.min(ring.length, ring.total - stream.sent);
      if (fresh === 0 && stream.sent >= 0) continue;
      entries++;
      points += fresh;
      values += fresh * ring.lanes;
    }
    if (entries === 0) return null;
    const batch = fit(spare, entries, points, values);
    let e = 0, p = 0, v = 0;
    for (const stream of this.watched) {
      const ring = stream.ring;
      if (ring === null) continue;
      const fresh = stream.sent < 0 ? ring.length : Math.min(ring.length, ring.total - stream.sent);
      if (fresh === 0 && stream.sent >= 0) continue;
      batch.index[e++] = stream.handle;
      batch.index[e++] = stream.sent < 0 ? 1 : 0;
      batch.index[e++] = fresh;
      for (let i = ring.total - fresh; i < ring.total; i++) {
        batch.times[p++] = ring.time(i);
        for (let lane = 0; lane < ring.lanes; lane++, v++) {
          batch.low[v] = ring.low_at(i, lane);
          batch.high[v] = ring.high_at(i, lane);
        }
      }
      stream.sent = ring.total;
    }
    return batch;
  }

  stats(now_ms: number): Stats {
    const rows = new Float64Array(this.by_key.size * ROW_COLUMNS);
    let at = 0;
    let gaps = 0, duplicates = 0, missed = 0;
    for (const { handle, received, latest_ms, latest, cursor } of this.by_key.values()) {
      rows[at++] = handle;
      rows[at++] = received.per_s(now_ms);
      rows[at++] = latest_ms;
      rows[at++] = latest.length > 0 ? latest[0]! : NaN;
      rows[at++] = cursor.gaps;
      rows[at++] = cursor.duplicates;
      rows[at++] = cursor.missed;
      rows[at++] = cursor.seeds;
      gaps += cursor.gaps;
      duplicates += cursor.duplicates;
      missed += cursor.missed;
    }
    const recent: number[] = [];
    for (let k = 0; k < AGES; k++) {
      if (now_ms - this.ages_at[k]! <= AGE_WINDOW_MS && !Number.isNaN(this.ages[k]!)) recent.push(this.ages[k]!);
    }
    recent.sort((a, b) => a - b);
    return {
      rows,
      samples_per_s: this.samples.per_s(now_ms),
      bytes_per_s: this.bytes_rate.per_s(now_ms),
      messages_per_s: this.message_rate.per_s(now_ms),
      age_ms_p50: recent.length > 0 ? recent[recent.length >> 1]! : NaN,
      last_frame_ms: this.last_frame_ms,
      clock_offset_ms: this.clock.ms,
      frames: this.frames,
      bytes: this.bytes,
      refused: this.refused,
      gaps,
      duplicates,
      missed,
    };
  }

  /** The newest texts of watched streams that have no numbers, if the page does not have them yet. */
  texts(): [handle: number, text: string][] {
    const texts: [number, string][] = [];
    for (const stream of this.watched) {
      const { handle, lanes, latest_text, told_text } = stream;
      if (lanes > 0 || latest_text === null || latest_text === told_text) continue;
      stream.told_text = latest_text;
      texts.push([handle, latest_text]);
    }
    return texts;
  }

  /** The latest payload of every attribute of a sensor, as JSON. */
  detail(sensor_id: string): DetailRow[] {
    const rows: DetailRow[] = [];
    for (const { card, gone, latest_ms, latest_text, latest } of this.by_key.values()) {
      if (card.sensor_id !== sensor_id || gone || Number.isNaN(latest_ms)) continue;
      const payload = latest_text ?? `{"payload":${payload_text(card.shape, latest, 0)}}`;
      rows.push({ attribute_id: card.attribute_id, at_ms: latest_ms, payload });
    }
    return rows;
  }
}

function fit(spare: Batch | null, entries: number, points: number, values: number): Batch {
  if (spare && spare.index.length >= entries * 3 && spare.times.length >= points && spare.low.length >= values) {
    spare.entries = entries;
    return spare;
  }
  // Half as much again, so that the next one fits too.
  return {
    entries,
    index: new Uint32Array(Math.ceil(entries * 4.5)),
    times: new Float64Array(Math.ceil(points * 1.5)),
    low: new Float32Array(Math.ceil(values * 1.5)),
    high: new Float32Array(Math.ceil(values * 1.5)),
  };
}
