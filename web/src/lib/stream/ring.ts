/**
 * The last seconds of one stream, for drawing, and the check that nothing was lost or doubled.
 *
 * A point is a time and, per lane, the lowest and highest value it stands for: equal for a sample,
 * apart for a digest. Points are numbered from 0 for ever (`total`), so a reader keeps a number
 * rather than a place.
 */

/** A ring holds at least this much time, if its rate is honest. */
export const RING_SPAN_S = 24;
export const RING_POINTS_MIN = 256;
export const RING_POINTS_MAX = 65_536;
/** No one looks at more than this many lines in one strip. */
export const LANES_MAX = 6;
/** The server's own bound: a stream's width is a byte. */
export const WIDE_MAX = 255;

/** How many cells of a sample are kept: of a body all, for it is drawn whole. */
export function lanes_of(attribute_type: string, width: number): number {
  return Math.min(attribute_type === "skeleton" ? WIDE_MAX : LANES_MAX, width);
}

/** Points for the span, in a ring of so many lanes; a wide one is bounded by its cells. */
export function capacity_for(rate_hz: number, lanes = 1): number {
  const want = Number.isFinite(rate_hz) && rate_hz > 0 ? Math.ceil(rate_hz * RING_SPAN_S) : 0;
  return Math.min(points_max(lanes), Math.max(RING_POINTS_MIN, want));
}
const points_max = (lanes: number): number => (lanes <= LANES_MAX ? RING_POINTS_MAX : Math.floor(RING_POINTS_MAX / lanes));

export class Ring {
  readonly lanes: number;
  capacity: number;
  /** Points ever pushed. The ring holds `total - length .. total`. */
  total = 0;
  length = 0;
  times: Float64Array;
  low: Float32Array;
  high: Float32Array;
  /** Of the past: each point stands for so long from its time on, and has a mean, too. 0: it is a sample, or a digest's window. */
  step_ms = 0;
  mean: Float32Array | null = null;

  constructor(capacity: number, lanes = 1) {
    this.capacity = capacity;
    this.lanes = lanes;
    this.times = new Float64Array(capacity);
    this.low = new Float32Array(capacity * lanes);
    this.high = new Float32Array(capacity * lanes);
  }

  /** Those that a strip draws. */
  get drawn_lanes(): number {
    return Math.min(this.lanes, LANES_MAX);
  }

  get bytes(): number {
    return this.times.byteLength + this.low.byteLength + this.high.byteLength;
  }

  /** The number of the oldest point held. */
  get first(): number {
    return this.total - this.length;
  }

  get last_ms(): number {
    return this.length === 0 ? NaN : this.time(this.total - 1);
  }

  time(i: number): number {
    return this.times[i % this.capacity]!;
  }
  low_at(i: number, lane = 0): number {
    return this.low[(i % this.capacity) * this.lanes + lane]!;
  }
  high_at(i: number, lane = 0): number {
    return this.high[(i % this.capacity) * this.lanes + lane]!;
  }

  /** One number for a point: its sample, its mean, or the middle of what is known of it. */
  value_at(i: number, lane = 0): number {
    const cell = (i % this.capacity) * this.lanes + lane;
    return this.mean === null ? (this.low[cell]! + this.high[cell]!) / 2 : this.mean[cell]!;
  }
  /** The last point at or before `t`; -1 when there is none. */
  last_at(t: number): number {
    let i = this.lower_bound(t);
    while (i < this.total && this.time(i) <= t) i++;
    return i > this.first ? i - 1 : -1;
  }

  /** One sample, its cells at `at` of `cells`. */
  push(t: number, cells: ArrayLike<number>, at: number): void {
    const slot = this.open(t) * this.lanes;
    for (let lane = 0; lane < this.lanes; lane++) {
      this.low[slot + lane] = this.high[slot + lane] = cells[at + lane]!;
    }
  }

  /** A window of samples told only by its extremes. */
  push_range(t: number, low: number, high: number): void {
    const slot = this.open(t) * this.lanes;
    for (let lane = 0; lane < this.lanes; lane++) {
      this.low[slot + lane] = lane === 0 ? low : NaN;
      this.high[slot + lane] = lane === 0 ? high : NaN;
    }
  }

  /** A point as another ring holds it. */
  push_both(t: number, low: Float32Array, high: Float32Array, at: number): void {
    const slot = this.open(t) * this.lanes;
    for (let lane = 0; lane < this.lanes; lane++) {
      this.low[slot + lane] = low[at + lane]!;
      this.high[slot + lane] = high[at + lane]!;
    }
  }

  /** Takes away the newest points at `t` or later: a seed tells that time better. */
  truncate_from(t: number): void {
    while (this.length > 0 && this.time(this.total - 1) >= t) {
      this.total--;
      this.length--;
    }
  }

  /** As it is now; what comes afterwards is not in it. */
  copy(): Ring {
    const copy = new Ring(this.capacity, this.lanes);
    copy.total = this.total;
    copy.length = this.length;
    copy.times.set(this.times);
    copy.low.set(this.low);
    copy.high.set(this.high);
    return copy;
  }

  clear(): void {
    this.length = 0;
  }

  /** The first point at or after `t`, `total` if there is none. */
  lower_bound(t: number): number {
    let lo = this.first;
    let hi = this.total;
    while (lo < hi) {
      const mid = Math.floor((lo + hi) / 2);
      if (this.time(mid) < t) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  /**
   * Lowest and highest over all lanes since `t`, into `out`; false when there is no number. The point
   * before counts, because a line leads from it.
   */
  extent(t: number, out: { low: number; high: number }): boolean {
    return this.extent_between(Math.max(this.first, this.lower_bound(t) - 1), this.total, out);
  }
  /** The same of the points `from..to`, which are held. */
  extent_between(from: number, to: number, out: { low: number; high: number }): boolean {
    const { capacity, lanes, drawn_lanes, low: lows, high: highs } = this;
    let low = Infinity;
    let high = -Infinity;
    let slot = from % capacity;
    for (let i = from; i < to; i++) {
      for (let cell = slot * lanes; cell < slot * lanes + drawn_lanes; cell++) {
        const a = lows[cell]!;
        const b = highs[cell]!;
        if (a < low) low = a;
        if (b > high) high = b;
      }
      if (++slot === capacity) slot = 0;
    }
    out.low = low;
    out.high = high;
    return low <= high;
  }

  private open(t: number): number {
    if (this.length === this.capacity) this.grow_if_short(t);
    const slot = this.total % this.capacity;
    this.times[slot] = t;
    this.total++;
    if (this.length < this.capacity) this.length++;
    return slot;
  }

  /** A stream faster than it declared gets room; its bound is RING_POINTS_MAX. */
  private grow_if_short(t: number): void {
    const most = points_max(this.lanes);
    if (this.capacity >= most || t - this.time(this.first) >= (RING_SPAN_S / 2) * 1000) return;
    const capacity = Math.min(most, this.capacity * 2);
    const times = new Float64Array(capacity);
    const low = new Float32Array(capacity * this.lanes);
    const high = new Float32Array(capacity * this.lanes);
    for (let i = this.first; i < this.total; i++) {
      const from = (i % this.capacity) * this.lanes;
      const to = (i % capacity) * this.lanes;
      times[i % capacity] = this.times[i % this.capacity]!;
      for (let lane = 0; lane < this.lanes; lane++) {
        low[to + lane] = this.low[from + lane]!;
        high[to + lane] = this.high[from + lane]!;
      }
    }
    this.capacity = capacity;
    this.times = times;
    this.low = low;
    this.high = high;
  }
}

/**
 * Walks points `from..to` of a lane and calls `line(x, y, move)` with at most four points a pixel
 * column (first, lowest, highest, last: what a person could see of them), `move` lifting the pen over a
 * gap longer than `gap_ms`. Columns are whole pixels, so two walks over neighbouring columns meet.
 */
export function trace_columns(
  ring: Ring,
  lane: number,
  from: number,
  to: number,
  x_of: (t: number) => number,
  gap_ms: number,
  line: (x: number, v: number, move: boolean) => void,
): void {
  let column = NaN;
  let count = 0;
  let x_min = 0, x_max = 0, x_last = 0;
  let v_min = 0, v_max = 0, v_last = 0;
  let t_before = NaN;
  let lifted = true;
  const flush = (): void => {
    if (count > 1) {
      if (x_min <= x_max) {
        if (v_min !== v_last) line(x_min, v_min, false);
        if (v_max !== v_last && v_max !== v_min) line(x_max, v_max, false);
      } else {
        if (v_max !== v_last) line(x_max, v_max, false);
        if (v_min !== v_last) line(x_min, v_min, false);
      }
      line(x_last, v_last, false);
    }
    count = 0;
  };
  for (let i = from; i < to; i++) {
    const t = ring.time(i);
    const low = ring.low_at(i, lane);
    const high = ring.high_at(i, lane);
    // A missing value, a digest (drawn as a bar) and a gap all lift the pen.
    if (!(low === high)) {
      flush();
      column = NaN;
      lifted = true;
      t_before = t;
      continue;
    }
    if (t - t_before > gap_ms || t < t_before) {
      flush();
      column = NaN;
      lifted = true;
    }
    t_before = t;
    const x = x_of(t);
    const c = Math.floor(x);
    if (c !== column) {
      flush();
      column = c;
      count = 1;
      x_min = x_max = x_last = x;
      v_min = v_max = v_last = low;
      line(x, low, lifted);
      lifted = false;
    } else {
      count++;
      x_last = x;
      v_last = low;
      if (low < v_min) { v_min = low; x_min = x; }
      if (low > v_max) { v_max = low; x_max = x; }
    }
  }
  flush();
}

/** Follows `from`/`to`/`missed` of one stream and counts what does not meet. */
export class Cursor {
  /** The push count the next slice must begin at, less its `missed`; NaN before the seed. */
  next = NaN;
  seeds = 0;
  gaps = 0;
  duplicates = 0;
  missed = 0;

  /** A new card, or a new channel: a seed comes first. */
  restart(): void {
    this.next = NaN;
  }

  seed(from: number, covered: number): void {
    this.seeds++;
    this.next = from + covered;
  }

  live(from: number, covered: number, missed: number): void {
    if (!Number.isNaN(this.next)) {
      const step = from - (this.next + missed);
      if (step > 0) this.gaps += step;
      else if (step < 0) this.duplicates -= step;
    }
    this.missed += missed;
    this.next = from + covered;
  }
}
