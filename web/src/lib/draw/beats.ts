/** A heart's intervals: one after the other in time (tachogram), and each against the one before (Poincaré). */

import { frame_of } from "./plot";

const FONT = "12px system-ui, sans-serif";
/** What can be between two beats of a living heart; beyond, a beat was missed or none was one. */
export const RR_MS_MIN = 250;
export const RR_MS_MAX = 2_500;
const STEPS_MS = [20, 50, 100, 200, 500];

/** An interval between two beats, at the second of them. */
export interface Interval {
  t: number;
  rr_ms: number;
}

/** Where a beat was missed there is no interval, and the next one follows upon nothing. */
export function intervals_of(beats: readonly number[]): (Interval | null)[] {
  const found: (Interval | null)[] = [];
  for (let k = 1; k < beats.length; k++) {
    const rr_ms = beats[k]! - beats[k - 1]!;
    found.push(rr_ms < RR_MS_MIN || rr_ms > RR_MS_MAX ? null : { t: beats[k]!, rr_ms });
  }
  return found;
}

/** Each interval with the one before it. */
export function successive(intervals: readonly (Interval | null)[]): [before: number, rr_ms: number][] {
  const found: [number, number][] = [];
  for (let k = 1; k < intervals.length; k++) {
    const [a, b] = [intervals[k - 1]!, intervals[k]!];
    if (a !== null && b !== null) found.push([a.rr_ms, b.rr_ms]);
  }
  return found;
}

/** Round bounds with some room, and where to draw lines within them. */
export function scale_of(values: readonly number[]): { low: number; high: number; step: number } {
  if (values.length === 0) return { low: 600, high: 1_200, step: 200 };
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const step = STEPS_MS.find((one) => (most - least + 40) / one <= 5) ?? 1_000;
  return { low: Math.floor((least - 20) / step) * step, high: Math.ceil((most + 20) / step) * step, step };
}

export interface BeatsPlot {
  intervals: readonly (Interval | null)[];
  /** The right edge, and how much of the past is drawn. */
  edge_ms: number;
  window_ms: number;
  words: { oldest: string; newest: string; ms: (value: number) => string; this_one: string; next_one: string };
  colours: { text: string; quiet: string; line: string; trace: string };
}

function begin(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number): void {
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = FONT;
  ctx.lineWidth = 1;
}

export function draw_tachogram(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number, plot: BeatsPlot): void {
  begin(ctx, width, height, ratio);
  const { left, top, width: w, height: h } = frame_of(width, height, false);
  const { edge_ms, window_ms, colours, words } = plot;
  const shown = plot.intervals.map((one) => (one !== null && one.t >= edge_ms - window_ms ? one : null));
  const { low, high, step } = scale_of(shown.filter((one) => one !== null).map(({ rr_ms }) => rr_ms));
  const y_of = (rr_ms: number): number => top + h * (1 - (rr_ms - low) / (high - low));
  const x_of = (t: number): number => left + w * (1 - (edge_ms - t) / window_ms);
  rule(ctx, colours, low, high, step, (value) => [left, y_of(value), left + w, y_of(value), words.ms(value)]);
  ctx.fillStyle = colours.quiet;
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "left";
  ctx.fillText(words.oldest, left, top + h + 14);
  ctx.textAlign = "right";
  ctx.fillText(words.newest, left + w, top + h + 14);
  ctx.strokeStyle = ctx.fillStyle = colours.trace;
  ctx.lineWidth = 1.6;
  ctx.lineJoin = "round";
  ctx.beginPath();
  let joined = false;
  for (const one of shown) {
    if (one === null) {
      joined = false;
      continue;
    }
    if (joined) ctx.lineTo(x_of(one.t), y_of(one.rr_ms));
    else ctx.moveTo(x_of(one.t), y_of(one.rr_ms));
    joined = true;
  }
  ctx.stroke();
  for (const one of shown) {
    if (one === null) continue;
    ctx.beginPath();
    ctx.arc(x_of(one.t), y_of(one.rr_ms), 2.2, 0, 2 * Math.PI);
    ctx.fill();
  }
}

export function draw_poincare(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number, plot: BeatsPlot): void {
  begin(ctx, width, height, ratio);
  const { left, top, width: w, height: h } = frame_of(width, height, false);
  const side = Math.min(w, h);
  const x0 = left + (w - side) / 2;
  const { colours, words } = plot;
  const pairs = successive(plot.intervals.map((one) => (one !== null && one.t >= plot.edge_ms - plot.window_ms ? one : null)));
  const { low, high, step } = scale_of(pairs.flat());
  const along = (rr_ms: number): number => (side * (rr_ms - low)) / (high - low);
  rule(ctx, colours, low, high, step, (value) => [x0, top + side - along(value), x0 + side, top + side - along(value), words.ms(value)]);
  ctx.strokeStyle = colours.line;
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "center";
  ctx.fillStyle = colours.quiet;
  for (let value = low; value <= high; value += step) {
    ctx.beginPath();
    ctx.moveTo(x0 + along(value), top);
    ctx.lineTo(x0 + along(value), top + side);
    ctx.stroke();
  }
  ctx.fillText(`${words.this_one} →`, x0 + side / 2, top + side + 14);
  ctx.textAlign = "left";
  ctx.fillText(`↑ ${words.next_one}`, x0 + 4, top + 12);
  // On it both are alike.
  ctx.setLineDash([5, 4]);
  ctx.strokeStyle = colours.quiet;
  ctx.beginPath();
  ctx.moveTo(x0, top + side);
  ctx.lineTo(x0 + side, top);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.fillStyle = colours.trace;
  pairs.forEach(([before, rr_ms], k) => {
    // What is newest stands out.
    ctx.globalAlpha = 0.35 + (0.65 * (k + 1)) / pairs.length;
    ctx.beginPath();
    ctx.arc(x0 + along(before), top + side - along(rr_ms), 3, 0, 2 * Math.PI);
    ctx.fill();
  });
  ctx.globalAlpha = 1;
}

function rule(
  ctx: CanvasRenderingContext2D, colours: BeatsPlot["colours"], low: number, high: number, step: number,
  at: (value: number) => [x0: number, y0: number, x1: number, y1: number, words: string],
): void {
  ctx.strokeStyle = colours.line;
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (let value = low; value <= high; value += step) {
    const [x0, y0, x1, y1, words] = at(value);
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
    ctx.fillText(words, x0 - 6, y0);
  }
}
