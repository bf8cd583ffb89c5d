/**
 * One figure of a group over the last minutes, before the band in which strangers stay: a line that breaks where
 * nothing could be measured. Drawn whole when a reading has come.
 */

import { frame_of } from "./plot";
import { Reading, type Readings } from "../stream/group";

/** A step in time longer than this is a gap, not a line. */
export const TRACE_GAP_MS = 1_000;
const FONT = "12px system-ui, sans-serif";

export interface TracePlot {
  readings: Readings;
  value: (k: number) => number;
  /** Strangers stay below this 95 % of the time; NaN: not known. */
  band: (k: number) => number;
  low: number;
  ticks: readonly number[];
  /** A line of its own, at what strangers come to on average; null: none. */
  middle: number | null;
  /** The right edge, in the readings' time. */
  edge_ms: number;
  window_ms: number;
  dash: number[];
  words: { oldest: string; newest: string };
  cursor_ms: number | null;
  colours: { text: string; quiet: string; line: string; trace: string };
}

/** From and to which reading a figure is unbroken, of those that are not before `from`. */
export function unbroken(readings: Readings, value: (k: number) => number, from: number): [from: number, to: number][] {
  const found: [number, number][] = [];
  let begun = -1;
  for (let k = from; k < readings.length; k++) {
    const known = !Number.isNaN(value(k));
    const near = k > from && readings.value(k, Reading.t) - readings.value(k - 1, Reading.t) <= TRACE_GAP_MS;
    if (begun >= 0 && !(known && near)) {
      found.push([begun, k - 1]);
      begun = -1;
    }
    if (known && begun < 0) begun = k;
  }
  if (begun >= 0) found.push([begun, readings.length - 1]);
  return found;
}

/** The reading nearest to a moment; -1 when there is none within a gap's length. */
export function nearest(readings: Readings, at_ms: number): number {
  const k = readings.since(at_ms);
  let best = -1;
  let off = TRACE_GAP_MS;
  for (const one of [k - 1, k]) {
    const away = Math.abs(readings.value(one, Reading.t) - at_ms);
    if (away <= off) [best, off] = [one, away];
  }
  return best;
}

export function draw_trace(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number, plot: TracePlot): void {
  const { readings, edge_ms, window_ms, low, colours, value, band } = plot;
  const { left, top, width: w, height: h } = frame_of(width, height, false);
  const x_of = (k: number): number => left + w * (1 - (edge_ms - readings.value(k, Reading.t)) / window_ms);
  const y_of = (figure: number): number => top + h * (1 - (Math.min(1, Math.max(low, figure)) - low) / (1 - low));

  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  ctx.lineWidth = 1;
  for (const tick of plot.ticks) {
    const y = Math.round(y_of(tick)) + 0.5;
    ctx.strokeStyle = colours.line;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + w, y);
    ctx.stroke();
    ctx.fillStyle = colours.quiet;
    ctx.fillText(String(tick).replace("-", "−"), left - 6, y);
  }
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "left";
  ctx.fillText(plot.words.oldest, left, height - 4);
  ctx.textAlign = "right";
  ctx.fillText(plot.words.newest, left + w, height - 4);

  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top - 2, w + 2, h + 4);
  ctx.clip();
  const first = Math.max(0, readings.since(edge_ms - window_ms) - 1);
  ctx.lineJoin = "round";
  for (const [from, to] of unbroken(readings, band, first)) {
    const right = x_of(to) + 1;
    ctx.beginPath();
    for (let k = from; k <= to; k++) ctx.lineTo(x_of(k), y_of(band(k)));
    ctx.lineTo(right, y_of(band(to)));
    ctx.strokeStyle = colours.quiet;
    ctx.lineWidth = 1.25;
    ctx.setLineDash([4, 4]);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.lineTo(right, y_of(low));
    ctx.lineTo(x_of(from), y_of(low));
    ctx.fillStyle = colours.quiet;
    ctx.globalAlpha = 0.16;
    ctx.fill();
    ctx.globalAlpha = 1;
  }
  if (plot.middle !== null) {
    const y = Math.round(y_of(plot.middle)) + 0.5;
    ctx.strokeStyle = colours.quiet;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + w, y);
    ctx.stroke();
  }
  ctx.strokeStyle = colours.trace;
  ctx.lineWidth = 2;
  for (const [from, to] of unbroken(readings, value, first)) {
    ctx.setLineDash(plot.dash);
    ctx.beginPath();
    for (let k = from; k <= to; k++) ctx.lineTo(x_of(k), y_of(value(k)));
    if (from === to) ctx.lineTo(x_of(from) + 1.5, y_of(value(from)));
    ctx.stroke();
  }
  ctx.restore();
  ctx.setLineDash([]);

  if (plot.cursor_ms === null) return;
  const x = Math.round(left + w * (1 - (edge_ms - plot.cursor_ms) / window_ms)) + 0.5;
  ctx.strokeStyle = colours.text;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + h);
  ctx.stroke();
  const k = nearest(readings, plot.cursor_ms);
  if (k < 0 || Number.isNaN(value(k))) return;
  ctx.fillStyle = colours.trace;
  ctx.beginPath();
  ctx.arc(x, y_of(value(k)), 3.5, 0, 2 * Math.PI);
  ctx.fill();
  ctx.stroke();
}
