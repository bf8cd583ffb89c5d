/**
 * A span of one stream drawn whole: while time stands, for several traces over each other, and for slow figures.
 * Samples are lines, windows told by their extremes are bars, as in a strip. What was summed up of the past is an envelope: in
 * each column from the lowest to the highest, and through it the mean.
 */

import { trace_columns, type Ring } from "../stream/ring";
import type { Rect } from "./strip";

export interface Span {
  from_ms: number;
  to_ms: number;
  /** The moment at the left edge; `from_ms` unless only a part of the window is drawn. */
  origin_ms: number;
  window_ms: number;
}

/** Lowest and highest of all lanes between two moments, into `out`; false when there is no number. */
export function extent_of(ring: Ring, from_ms: number, to_ms: number, out: { low: number; high: number }): boolean {
  let low = Infinity;
  let high = -Infinity;
  const end = ring.lower_bound(to_ms + 1e-6);
  for (let i = ring.lower_bound(from_ms); i < end; i++) {
    for (let lane = 0; lane < ring.drawn_lanes; lane++) {
      const a = ring.low_at(i, lane);
      const b = ring.high_at(i, lane);
      if (a < low) low = a;
      if (b > high) high = b;
    }
  }
  out.low = low;
  out.high = high;
  return low <= high;
}

/** With a margin, and never flat. */
export function padded(low: number, high: number): { low: number; high: number } {
  const least = Math.max(Math.abs(low), Math.abs(high)) * 0.02 || 1;
  const span = Math.max(high - low, least);
  const middle = (low + high) / 2;
  return { low: middle - span * 0.575, high: middle + span * 0.575 };
}

/** A line over this many periods without any is not drawn. */
const GAP_PERIODS = 1.5;

export function draw_span(
  ctx: CanvasRenderingContext2D, rect: Rect, ring: Ring, span: Span, scale: { low: number; high: number }, colours: string[], ratio: number, rate_hz: number, width = 1.5,
): void {
  const begin = Math.max(ring.first, ring.lower_bound(span.from_ms) - 1);
  const end = ring.lower_bound(span.to_ms + 1e-6);
  if (begin >= end) return;
  const px_per_ms = rect.w / span.window_ms;
  const margin = Math.round(4 * ratio);
  const y_scale = (rect.h - 2 * margin) / (scale.high - scale.low);
  const y_of = (value: number): number => rect.y + rect.h - margin - (value - scale.low) * y_scale;
  const x_of = (t: number): number => (t - span.origin_ms) * px_per_ms;
  const gap_ms = rate_hz > 0 ? Math.max(250, 3_500 / rate_hz) : 5_000;
  ctx.save();
  ctx.beginPath();
  ctx.rect(rect.x + Math.max(0, x_of(span.from_ms)), rect.y, Math.min(rect.w, x_of(span.to_ms)) - Math.max(0, x_of(span.from_ms)), rect.h);
  ctx.clip();
  ctx.lineJoin = "round";
  ctx.lineWidth = width * ratio;
  if (ring.step_ms > 0) {
    for (let lane = ring.drawn_lanes - 1; lane >= 0; lane--) draw_envelope(ctx, rect.x, ring, lane, begin, end, x_of, y_of, colours[lane % colours.length]!, ratio);
    ctx.restore();
    return;
  }
  for (let lane = ring.drawn_lanes - 1; lane >= 0; lane--) {
    const colour = colours[lane % colours.length]!;
    ctx.strokeStyle = colour;
    ctx.beginPath();
    trace_columns(ring, lane, begin, end, x_of, gap_ms, (x, v, move) => {
      if (move) ctx.moveTo(x + rect.x, y_of(v));
      else ctx.lineTo(x + rect.x, y_of(v));
    });
    ctx.stroke();
    if (lane > 0) continue;
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.75;
    for (let i = Math.max(begin, ring.first + 1); i < end; i++) {
      const low = ring.low_at(i);
      const high = ring.high_at(i);
      if (!(high > low)) continue;
      const t = ring.time(i);
      const before = ring.time(i - 1);
      const since = t - before > 2_500 || before > t ? t - 100 : before;
      const x0 = Math.floor(x_of(since) + rect.x);
      const x1 = Math.max(x0 + 1, Math.floor(x_of(t) + rect.x));
      ctx.fillRect(x0, y_of(high), Math.max(1, x1 - x0 - (x1 - x0 > 2 * ratio ? ratio : 0)), Math.max(1.5 * ratio, (high - low) * y_scale));
    }
    ctx.globalAlpha = 1;
  }
  ctx.restore();
}

function draw_envelope(
  ctx: CanvasRenderingContext2D, left: number, ring: Ring, lane: number, begin: number, end: number, x_of: (t: number) => number, y_of: (value: number) => number, colour: string, ratio: number,
): void {
  const { step_ms, mean } = ring;
  ctx.fillStyle = colour;
  ctx.globalAlpha = 0.45;
  for (let i = begin; i < end; i++) {
    const low = ring.low_at(i, lane);
    const high = ring.high_at(i, lane);
    if (!(low <= high)) continue;
    const x0 = Math.floor(x_of(ring.time(i)) + left);
    const x1 = Math.max(x0 + 1, Math.floor(x_of(ring.time(i) + step_ms) + left));
    const y = y_of(high);
    ctx.fillRect(x0, y, x1 - x0, Math.max(1.5 * ratio, y_of(low) - y));
  }
  ctx.globalAlpha = 1;
  if (mean === null) return;
  ctx.strokeStyle = colour;
  ctx.beginPath();
  let t_before = NaN;
  for (let i = begin; i < end; i++) {
    const value = mean[(i % ring.capacity) * ring.lanes + lane]!;
    if (Number.isNaN(value)) continue;
    const t = ring.time(i);
    const [x, y] = [x_of(t + step_ms / 2) + left, y_of(value)];
    if (t - t_before <= GAP_PERIODS * step_ms) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    t_before = t;
  }
  ctx.stroke();
}

/** What a span holds of a lane, in figures; NaN where there is nothing, and of what was summed up where it cannot be told of sums. */
export function figures_of(ring: Ring, from_ms: number, to_ms: number, lane = 0): { low: number; high: number; mean: number; last: number; count: number } {
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  let count = 0;
  let last = NaN;
  const end = ring.lower_bound(to_ms + 1e-6);
  for (let i = ring.lower_bound(from_ms); i < end; i++) {
    const a = ring.low_at(i, lane);
    const b = ring.high_at(i, lane);
    if (!(a <= b)) continue;
    if (a < low) low = a;
    if (b > high) high = b;
    last = (a + b) / 2;
    sum += last;
    count++;
  }
  if (count > 0 && ring.step_ms > 0) return { low, high, mean: NaN, last: NaN, count: NaN };
  return count === 0 ? { low: NaN, high: NaN, mean: NaN, last: NaN, count } : { low, high, mean: sum / count, last, count };
}
