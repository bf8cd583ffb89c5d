/**
 * A plot of a few figures over the last minutes: lines that break where nothing is known, levels that begin
 * at one line and end at another, and a cursor. Drawn whole, once a second.
 */

import type { History } from "../system/history";

/** A step in time longer than this is a gap, not a line. */
export const GAP_MS = 3_500;
const FONT = "12px system-ui, sans-serif";
const LEFT = 54;
const RIGHT = 58;
const RIGHT_BARE = 12;
const TOP = 8;
const BOTTOM = 20;
/** Two labels nearer than this would be drawn over each other. */
const LABEL_PX = 13;

export interface Series {
  column: string;
  colour: string;
  /** Beside the colour, so that it is not the colour alone that tells lines apart. */
  dash: number[];
  fill?: boolean;
}

/** Begins at `enter`, and ends below `exit`. */
export interface Mark {
  name: string;
  enter: number;
  exit: number;
}

export interface Colours {
  text: string;
  quiet: string;
  line: string;
  mark: string;
}

export interface Plot {
  history: History;
  /** The right edge, by the history's clock. */
  now_ms: number;
  window_ms: number;
  series: Series[];
  marks: Mark[];
  /** The top of the scale is this, or what there is to see if that is higher. */
  top: number;
  text: (value: number) => string;
  words: { oldest: string; now: string };
  /** Where it is read; null: nowhere. */
  cursor_ms: number | null;
  colours: Colours;
}

export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Where lines are drawn in a canvas of so many CSS pixels. */
export function frame_of(width: number, height: number, marked: boolean): Frame {
  return { left: LEFT, top: TOP, width: Math.max(1, width - LEFT - (marked ? RIGHT : RIGHT_BARE)), height: Math.max(1, height - TOP - BOTTOM) };
}

/** A round number not below `value`. */
export function round_up(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 5, 10].find((step) => step * power >= value * 0.999_999)!;
}

/** Round values up to `high`, three or so. */
export function ticks(high: number): number[] {
  const power = 10 ** Math.floor(Math.log10(high / 2));
  const step = power * [5, 2, 1].find((one) => one * power <= high / 2)!;
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, k) => k * step);
}

/** The top of the scale: `least`, or enough for the highest point in sight. */
export function top_of({ history, series, now_ms, window_ms, top }: Pick<Plot, "history" | "series" | "now_ms" | "window_ms" | "top">): number {
  let high = top;
  for (const { column } of series) {
    for (let k = 0; k < history.length; k++) {
      const value = history.value(column, k);
      if (history.time(k) >= now_ms - window_ms && value > high) high = value;
    }
  }
  return high > top ? round_up(high) : top;
}

/** Pushed apart until each has its room, in order from above; the last one ends at `bottom`. */
export function apart(ys: number[], room: number, bottom: number): number[] {
  const placed = [...ys];
  for (let k = 1; k < placed.length; k++) placed[k] = Math.max(placed[k]!, placed[k - 1]! + room);
  for (let k = placed.length - 1; k >= 0; k--) placed[k] = Math.min(placed[k]!, bottom - (placed.length - 1 - k) * room);
  return placed;
}

export function draw_plot(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number, plot: Plot): void {
  const { history, now_ms, window_ms, colours } = plot;
  const { left, top, width: w, height: h } = frame_of(width, height, plot.marks.length > 0);
  const high = top_of(plot);
  const x_of = (at_ms: number): number => left + w * (1 - (now_ms - at_ms) / window_ms);
  const y_of = (value: number): number => top + h * (1 - Math.min(1, Math.max(0, value / high)));

  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = FONT;
  ctx.lineWidth = 1;
  ctx.textBaseline = "middle";

  const level = (y: number, colour: string, dash: number[]): void => {
    ctx.strokeStyle = colour;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(left, Math.round(y) + 0.5);
    ctx.lineTo(left + w, Math.round(y) + 0.5);
    ctx.stroke();
  };
  ctx.textAlign = "right";
  for (const value of ticks(high)) {
    level(y_of(value), colours.line, []);
    ctx.fillStyle = colours.quiet;
    ctx.fillText(plot.text(value), left - 6, y_of(value));
  }
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "left";
  ctx.fillText(plot.words.oldest, left, height - 4);
  ctx.textAlign = "right";
  ctx.fillText(plot.words.now, left + w, height - 4);

  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  const marks = plot.marks.filter(({ enter }) => enter <= high).sort((a, b) => b.enter - a.enter);
  const labels = apart(marks.map(({ enter }) => y_of(enter)), LABEL_PX, top + h);
  marks.forEach(({ name, enter, exit }, k) => {
    ctx.fillStyle = colours.mark;
    ctx.globalAlpha = 0.1;
    ctx.fillRect(left, y_of(enter), w, Math.max(0, y_of(exit) - y_of(enter)));
    ctx.globalAlpha = 0.75;
    level(y_of(enter), colours.mark, []);
    level(y_of(exit), colours.mark, [2, 4]);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colours.quiet;
    ctx.fillText(name, left + w + 6, labels[k]!);
  });

  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top - 2, w + 2, h + 3);
  ctx.clip();
  ctx.lineJoin = "round";
  for (const { column, colour, dash, fill } of plot.series) {
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 1.75;
    ctx.setLineDash(dash);
    for (const [from, to] of runs(history, column, now_ms - window_ms - GAP_MS)) {
      ctx.beginPath();
      for (let k = from; k <= to; k++) ctx.lineTo(x_of(history.time(k)), y_of(history.value(column, k)));
      // A single point is a dot.
      if (from === to) ctx.lineTo(x_of(history.time(from)) + 1.5, y_of(history.value(column, from)));
      ctx.stroke();
      if (fill !== true) continue;
      ctx.lineTo(x_of(history.time(to)), top + h);
      ctx.lineTo(x_of(history.time(from)), top + h);
      ctx.globalAlpha = 0.14;
      ctx.fill();
      ctx.globalAlpha = 1;
    }
  }
  ctx.restore();
  ctx.setLineDash([]);

  if (plot.cursor_ms === null) return;
  const k = history.nearest(plot.cursor_ms, GAP_MS);
  ctx.strokeStyle = colours.text;
  ctx.lineWidth = 1;
  const x = Math.round(x_of(plot.cursor_ms)) + 0.5;
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + h);
  ctx.stroke();
  if (k < 0) return;
  for (const { column, colour } of plot.series) {
    const value = history.value(column, k);
    if (Number.isNaN(value)) continue;
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.arc(x, y_of(value), 3.5, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  }
}

/** From and to which point a line is unbroken, of what is not older than `since_ms`. */
export function runs(history: History, column: string, since_ms: number): [from: number, to: number][] {
  const found: [number, number][] = [];
  let from = -1;
  for (let k = 0; k < history.length; k++) {
    const known = history.time(k) >= since_ms && !Number.isNaN(history.value(column, k));
    const near = k > 0 && history.time(k) - history.time(k - 1) <= GAP_MS;
    if (from >= 0 && !(known && near)) {
      found.push([from, k - 1]);
      from = -1;
    }
    if (known && from < 0) from = k;
  }
  if (from >= 0) found.push([from, history.length - 1]);
  return found;
}
