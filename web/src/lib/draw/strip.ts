/**
 * One live strip on a 2D canvas, drawn as a sweep: the trace stands still and a gap moves over it.
 *
 * Each frame only the columns that changed are cleared and drawn again, clipped to whole pixels, so the
 * joints do not show. All strips share one phase (server time modulo the window), so simultaneous
 * events stand in one vertical line wherever they are drawn. The gap moves on when data do not.
 */

import { trace_columns, type Ring } from "../stream/ring";

/** Drawn this far behind the server's clock: late enough for a batch to have come, so it runs smoothly. */
export const DRAW_DELAY_MS = 80;
/** The gap ahead of the newest column, in CSS pixels. */
const GAP_PX = 10;
const RESCALE_MS = 500;
/** All that is in the window is measured this often, what is new with every rescaling. */
const MEASURE_MS = 1_500;
/** A scale gives way inwards only after the trace has been small this long. */
const SHRINK_AFTER_MS = 3_000;
/** A device whose clock is off by more than this is drawn by arrival instead. */
const SKEW_MS = 3_000;

export interface Source {
  ring: Ring | null;
  epoch: number;
  rate_hz: number;
  /** Samples are coming in: what is old is then the device's clock, not the silence. */
  live: boolean;
}

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Strips made so far: each moves on at a moment of its own within a column. */
let made = 0;
/** Multiples of it, less their whole part, lie evenly whatever their number (the golden ratio's). */
const EVENLY = 0.618034;

export class Strip {
  private rect: Rect;
  private ctx: CanvasRenderingContext2D;
  private window_ms: number;
  private colours: string[];
  private ratio: number;
  private stale = true;
  private epoch = -1;
  /** The ring it was drawn from, and up to which point. */
  private ring: Ring | null = null;
  private drawn = 0;
  private head_ms = NaN;
  private low = 0;
  private high = 1;
  private scaled_ms = -Infinity;
  private measured_ms = -Infinity;
  /** Up to which point it was measured. */
  private measured = 0;
  /** In parts of a pixel. */
  private readonly phase = (made++ * EVENLY) % 1;
  /** The column where the head was, in CSS pixels. */
  private column = NaN;
  private small_since = NaN;
  private shift_ms = 0;
  private extent = { low: 0, high: 0 };

  constructor(ctx: CanvasRenderingContext2D, rect: Rect, ratio: number, window_ms: number, colours: string[]) {
    this.ctx = ctx;
    this.rect = rect;
    this.ratio = ratio;
    this.window_ms = window_ms;
    this.colours = colours;
  }

  set(rect: Rect, ratio: number, window_ms: number, colours: string[]): void {
    this.rect = rect;
    this.ratio = ratio;
    this.window_ms = window_ms;
    this.colours = colours;
    this.stale = true;
  }

  /** The values at the top and the bottom of the strip. */
  get scale(): { low: number; high: number } {
    return { low: this.low, high: this.high };
  }

  draw(source: Source, server_ms: number): void {
    const { ring } = source;
    let head_ms = server_ms - DRAW_DELAY_MS;
    // The estimate of the server's clock may step back a little; the head does not.
    if (this.head_ms - head_ms < 1_000) head_ms = Math.max(head_ms, this.head_ms);
    if (ring !== this.ring || source.epoch !== this.epoch) {
      this.ring = ring;
      this.epoch = source.epoch;
      this.stale = true;
      this.scaled_ms = -Infinity;
      this.small_since = NaN;
      this.shift_ms = 0;
    }
    if (ring !== null && ring.length > 0) {
      const skew_ms = server_ms - (ring.last_ms + this.shift_ms);
      if (skew_ms < -SKEW_MS || (source.live && skew_ms > Math.max(SKEW_MS, this.slow_ms(source.rate_hz)))) {
        this.shift_ms = head_ms - ring.last_ms;
        this.stale = true;
      }
      if (server_ms - this.scaled_ms >= RESCALE_MS) this.rescale(ring, server_ms);
    }
    if (!(head_ms - this.head_ms < this.window_ms) || head_ms < this.head_ms) this.stale = true;

    const px_per_ms = this.rect.w / this.window_ms;
    // Half of a narrow strip's frames would change nothing that can be seen. Strips of one width do not all move on in one frame.
    const column = Math.floor((head_ms * px_per_ms) / this.ratio + this.phase);
    if (!this.stale && column === this.column) return;
    this.column = column;
    const gap = Math.round(GAP_PX * this.ratio);
    const oldest_ms = head_ms - this.window_ms + gap / px_per_ms;
    let end = this.drawn;
    let from_ms: number;
    if (this.stale) {
      from_ms = oldest_ms;
      if (ring !== null) {
        end = ring.lower_bound(head_ms - this.shift_ms + 1e-6);
      }
    } else {
      from_ms = this.head_ms;
      if (ring !== null) {
        if (end < ring.first) end = ring.first;
        const begun = end;
        while (end < ring.total && ring.time(end) + this.shift_ms <= head_ms) end++;
        if (end > begun && begun > ring.first) from_ms = Math.min(from_ms, ring.time(begun - 1) + this.shift_ms);
        else if (end > begun) from_ms = Math.min(from_ms, ring.time(begun) + this.shift_ms);
        from_ms = Math.max(from_ms, oldest_ms);
      }
    }

    // Columns counted from the epoch of the clock; a lap is one width of them.
    const column_from = Math.floor(from_ms * px_per_ms) - (this.stale ? 0 : Math.ceil(2 * this.ratio));
    const column_to = Math.floor(head_ms * px_per_ms) + gap;
    const { ctx, rect } = this;
    const whole = this.stale;
    this.stale = false;
    this.drawn = end;
    this.head_ms = head_ms;
    if (whole) ctx.clearRect(rect.x, rect.y, rect.w, rect.h);
    const lap_from = Math.floor(column_from / rect.w);
    const lap_to = Math.floor(column_to / rect.w);
    for (let lap = lap_from; lap <= lap_to; lap++) {
      const left = Math.max(column_from, lap * rect.w) - lap * rect.w;
      const right = Math.min(column_to, (lap + 1) * rect.w) - lap * rect.w;
      if (right <= left) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(rect.x + left, rect.y, right - left, rect.h);
      ctx.clip();
      if (!whole) ctx.clearRect(rect.x + left, rect.y, right - left, rect.h);
      if (ring !== null) {
        const begin_ms = (lap * rect.w + left) / px_per_ms - 3 / px_per_ms - this.shift_ms;
        const begin = Math.max(ring.first, ring.lower_bound(begin_ms) - 1);
        if (begin < end) this.trace(ring, begin, end, px_per_ms, lap, source.rate_hz);
      }
      ctx.restore();
    }
  }

  private trace(ring: Ring, begin: number, end: number, px_per_ms: number, lap: number, rate_hz: number): void {
    const { ctx, rect, ratio } = this;
    const margin = Math.round(4 * ratio);
    const y_scale = (rect.h - 2 * margin) / (this.high - this.low);
    const y_zero = rect.y + rect.h - margin;
    const x_zero = rect.x - lap * rect.w;
    const x_of = (t: number): number => (t + this.shift_ms) * px_per_ms;
    const gap_ms = rate_hz > 0 ? Math.max(250, 3_500 / rate_hz) : 5_000;
    ctx.lineJoin = "round";
    ctx.lineWidth = 1.5 * ratio;
    for (let lane = ring.drawn_lanes - 1; lane >= 0; lane--) {
      const colour = this.colours[lane % this.colours.length]!;
      ctx.strokeStyle = colour;
      ctx.beginPath();
      trace_columns(ring, lane, begin, end, x_of, gap_ms, (x, v, move) => {
        const px = x + x_zero;
        const py = y_zero - (v - this.low) * y_scale;
        if (move) ctx.moveTo(px, py);
        else ctx.lineTo(px, py);
      });
      ctx.stroke();
      if (lane > 0) continue;
      // Windows told by their extremes are bars from the window before to their own end.
      ctx.fillStyle = colour;
      for (let i = Math.max(begin, ring.first + 1); i < end; i++) {
        const low = ring.low_at(i);
        const high = ring.high_at(i);
        if (!(high > low)) continue;
        const t = ring.time(i);
        const before = ring.time(i - 1);
        const since = t - before > 2_500 || before > t ? t - 100 : before;
        const x0 = Math.floor(x_of(since) + x_zero);
        const x1 = Math.max(x0 + 1, Math.floor(x_of(t) + x_zero));
        const y1 = y_zero - (high - this.low) * y_scale;
        const height = Math.max(1.5 * ratio, (high - low) * y_scale);
        ctx.globalAlpha = 0.75;
        ctx.fillRect(x0, y1, Math.max(1, x1 - x0 - (x1 - x0 > 2 * ratio ? ratio : 0)), height);
        ctx.globalAlpha = 1;
      }
    }
  }

  /** How old the newest sample of a healthy stream may be. */
  private slow_ms(rate_hz: number): number {
    return rate_hz > 0 ? 3_000 / rate_hz : 60_000;
  }

  private rescale(ring: Ring, server_ms: number): void {
    const first = this.scaled_ms === -Infinity;
    // Not all strips in the same frame.
    this.scaled_ms = first ? server_ms - Math.random() * RESCALE_MS : server_ms;
    const measured = Math.max(this.measured, ring.first);
    this.measured = ring.total;
    if (!first && server_ms - this.measured_ms < MEASURE_MS) {
      const { extent } = this;
      if (!ring.extent_between(measured, ring.total, extent) || (extent.low >= this.low && extent.high <= this.high)) return;
    }
    this.measured_ms = server_ms;
    const since = server_ms - this.shift_ms - this.window_ms;
    if (!ring.extent(since, this.extent)) {
      if (first) this.scaled_ms = -Infinity;
      return;
    }
    const { low, high } = this.extent;
    const least = Math.max(Math.abs(low), Math.abs(high)) * 0.02 || 1;
    const span = Math.max(high - low, least);
    const small = span < (this.high - this.low) * 0.6;
    if (!small) this.small_since = NaN;
    else if (Number.isNaN(this.small_since)) this.small_since = server_ms;
    const outside = low < this.low || high > this.high;
    const shrink = small && server_ms - this.small_since >= SHRINK_AFTER_MS;
    if (!first && !outside && !shrink) return;
    const middle = (low + high) / 2;
    this.low = middle - span * 0.575;
    this.high = middle + span * 0.575;
    this.small_since = NaN;
    this.stale = true;
  }
}
