/**
 * Spans of the past of streams, as far as it is kept (docs/history.md), over the viewer's own channel: where a span is short, its
 * samples, page by page; where it is long, what was summed up of them. Of a moment, samples whatever is shown around it.
 *
 * One question at a time. The page says all that it wants, and what it does not want any more is not asked for.
 */

import type { PastPiece, PastWish } from "./messages";
import type { Reply } from "./phoenix";
import { LANES_MAX, WIDE_MAX } from "./ring";

/** Of a longer window samples are not fetched one by one. */
export const SAMPLES_WINDOW_MS_MAX = 60_000;
/** More samples in a pixel's column than that are folded into their lowest, highest and mean. */
const FOLD_FROM = 4;
const PAGE_MAX = 5_000;
const PAGE_MIN = 200;
/** So many pages of one span: a minute at 1,000 Hz, and as much again around it. */
const PAGES_MAX = 32;
/** Of a stream that does not say how fast it is. */
const UNKNOWN_COUNT = 1_000;
const MOMENT_UNKNOWN_COUNT = 50;
/** Numbers of a moment and what led to it, 4 MB as a ring: of more, what is newest. */
export const MOMENT_CELLS_MAX = 500_000;
const AGAIN_MS = 250;
const TRIES_MAX = 40;
/** These pass. */
const PASSING = new Set(["busy", "rate_limited", "not_joined", "disconnected", "timeout", "store_unavailable"]);
/** A server that knows no such thing keeps nothing. */
const NOT_KEPT = new Set(["not_kept", "nothing_kept", "unknown_event"]);

export interface Doors {
  push(event: string, payload: object): Promise<Reply>;
  wait(ms: number): Promise<void>;
  say(piece: PastPiece): void;
}

/** How long a period of what is summed up is, for so many columns; 0: samples, one by one. Of whole seconds, or minutes: those were summed up as samples came. */
export function step_for(window_ms: number, columns: number): number {
  if (columns === 0 || window_ms <= SAMPLES_WINDOW_MS_MAX) return 0;
  const least = window_ms / Math.max(1, columns);
  const unit = least > 30_000 ? 60_000 : 1_000;
  return Math.max(1, Math.ceil(least / unit)) * unit;
}

/** The numbers of a payload in the order in which they are written, into `cells` from `at` on; NaN where there are fewer than `lanes`. */
export function take_cells(payload: unknown, cells: Float32Array, at: number, lanes: number): void {
  let k = 0;
  const walk = (node: unknown): void => {
    if (k >= lanes || typeof node === "string" || node === undefined) return;
    if (typeof node === "number") cells[at + k++] = node;
    else if (typeof node === "boolean") cells[at + k++] = Number(node);
    else if (node === null) cells[at + k++] = NaN;
    else for (const child of Object.values(node)) walk(child);
  };
  walk(payload);
  while (k < lanes) cells[at + k++] = NaN;
}

interface Points {
  step_ms: number;
  times: Float64Array<ArrayBuffer>;
  low: Float32Array<ArrayBuffer>;
  high: Float32Array<ArrayBuffer>;
  mean: Float32Array<ArrayBuffer>;
}

const none = (): Points => ({ step_ms: 0, times: new Float64Array(), low: new Float32Array(), high: new Float32Array(), mean: new Float32Array() });

/** Samples as they are, or folded by columns of `column_ms` where a column has many. Samples of the same column in one period, in the order of time. */
export function points_of(samples: readonly (readonly [number, unknown])[], lanes: number, column_ms: number): Points {
  const n = samples.length;
  if (n === 0) return none();
  const times = new Float64Array(n);
  const cells = new Float32Array(n * lanes);
  for (let i = 0; i < n; i++) {
    times[i] = samples[i]![0];
    take_cells(samples[i]![1], cells, i * lanes, lanes);
  }
  const span_ms = times[n - 1]! - times[0]!;
  if (!(column_ms > 0) || n <= FOLD_FROM * (span_ms / column_ms)) return { step_ms: 0, times, low: cells, high: cells.slice(), mean: new Float32Array() };
  const sums = new Sums(lanes);
  for (let i = 0; i < n; i++) {
    const start = Math.floor(times[i]! / column_ms) * column_ms;
    for (let lane = 0; lane < lanes; lane++) sums.add(start, lane, cells[i * lanes + lane]!, cells[i * lanes + lane]!, cells[i * lanes + lane]!, 1);
  }
  return sums.points(column_ms);
}

/** What was summed up, a row for each period and field, in which the server has them. */
export function periods_of(rows: readonly unknown[], names: readonly string[], lanes: number, step_ms: number): Points {
  const sums = new Sums(lanes);
  const lane_of = new Map(names.slice(0, lanes).map((name, lane) => [name, lane]));
  for (const row of rows) {
    if (!Array.isArray(row)) continue;
    const [start, field, low, high, mean, count] = row as unknown[];
    const lane = lanes === 1 ? 0 : lane_of.get(String(field));
    if (lane === undefined || typeof start !== "number" || typeof low !== "number" || typeof high !== "number" || typeof mean !== "number" || typeof count !== "number") continue;
    sums.add(start, lane, low, high, mean, count);
  }
  return sums.points(step_ms);
}

/** Periods, lane by lane. */
class Sums {
  private lanes: number;
  private by_start = new Map<number, Float64Array>();
  constructor(lanes: number) {
    this.lanes = lanes;
  }
  add(start: number, lane: number, low: number, high: number, mean: number, count: number): void {
    if (Number.isNaN(mean)) return;
    let sums = this.by_start.get(start);
    if (sums === undefined) {
      sums = new Float64Array(4 * this.lanes);
      for (let k = 0; k < this.lanes; k++) sums.set([Infinity, -Infinity, 0, 0], 4 * k);
      this.by_start.set(start, sums);
    }
    const at = 4 * lane;
    sums[at] = Math.min(sums[at]!, low);
    sums[at + 1] = Math.max(sums[at + 1]!, high);
    sums[at + 2]! += mean * count;
    sums[at + 3]! += count;
  }
  points(step_ms: number): Points {
    const { lanes } = this;
    const starts = [...this.by_start.keys()].sort((a, b) => a - b);
    const points: Points = {
      step_ms, times: Float64Array.from(starts),
      low: new Float32Array(starts.length * lanes).fill(NaN), high: new Float32Array(starts.length * lanes).fill(NaN), mean: new Float32Array(starts.length * lanes).fill(NaN),
    };
    starts.forEach((start, i) => {
      const sums = this.by_start.get(start)!;
      for (let lane = 0; lane < lanes; lane++) {
        const count = sums[4 * lane + 3]!;
        if (count === 0) continue;
        points.low[i * lanes + lane] = sums[4 * lane]!;
        points.high[i * lanes + lane] = sums[4 * lane + 1]!;
        points.mean[i * lanes + lane] = sums[4 * lane + 2]! / count;
      }
    });
    return points;
  }
}

interface Kept {
  standing: "kept";
  damaged: number;
}
/** What was answered to one question, or why nothing was; `dropped`: it is not wanted any more. */
type Answered = (Kept & { response: { [name: string]: unknown } }) | Without;
interface Without {
  standing: "not_kept" | "not_shared" | "failed" | "dropped";
}

const is_same = (a: PastWish, b: PastWish): boolean =>
  a.id === b.id && a.lanes === b.lanes && a.from_ms === b.from_ms && a.to_ms === b.to_ms && a.window_ms === b.window_ms && a.columns === b.columns;

export class Pasts {
  private doors: Doors;
  private wishes: PastWish[] = [];
  /** What is fetched now, while it is wanted. */
  private now: PastWish | null = null;
  private busy = false;

  constructor(doors: Doors) {
    this.doors = doors;
  }

  /** From now on these, and no others. */
  want(wishes: PastWish[]): void {
    const { now } = this;
    this.now = now !== null && wishes.some((wish) => is_same(wish, now)) ? now : null;
    this.wishes = wishes.filter((wish) => this.now === null || !is_same(wish, this.now));
    if (!this.busy) void this.go();
  }

  private async go(): Promise<void> {
    this.busy = true;
    try {
      for (let wish = this.wishes.shift(); wish !== undefined; wish = this.wishes.shift()) {
        this.now = wish;
        const piece = await this.fetch(wish);
        if (piece !== null && this.now === wish) this.doors.say(piece);
        this.now = null;
      }
    } finally {
      this.busy = false;
    }
  }

  /** null: it is not wanted any more. Whatever a server says that cannot be read has failed, and the next is asked for. */
  private async fetch(wish: PastWish): Promise<PastPiece | null> {
    try {
      return await this.fetched(wish);
    } catch {
      const { id, from_ms, to_ms, window_ms } = wish;
      return { id, standing: "failed", from_ms, to_ms, lanes: 1, damaged: 0, window_ms, ...none() };
    }
  }

  private async fetched(wish: PastWish): Promise<PastPiece | null> {
    const { id, window_ms, columns } = wish;
    const lanes = Math.min(columns === 0 ? WIDE_MAX : LANES_MAX, wish.lanes);
    const step_ms = step_for(window_ms, columns);
    // What was summed up is of whole periods.
    const from_ms = step_ms === 0 ? Math.floor(wish.from_ms) : Math.floor(wish.from_ms / step_ms) * step_ms;
    const to_ms = step_ms === 0 ? Math.ceil(wish.to_ms) : Math.ceil(wish.to_ms / step_ms) * step_ms;
    const said = (standing: PastPiece["standing"], points: Points, damaged: number): PastPiece => ({ id, standing, from_ms, to_ms, lanes, damaged, window_ms, ...points });
    const found = step_ms === 0 ? await this.samples(wish, from_ms, to_ms) : await this.periods(wish, from_ms, to_ms, step_ms);
    if (found.standing === "dropped") return null;
    if (found.standing !== "kept") return said(found.standing, none(), 0);
    const points = "rows" in found ? periods_of(found.rows, wish.names, lanes, step_ms) : points_of(found.samples, lanes, columns === 0 ? 0 : window_ms / columns);
    return said("kept", points, found.damaged);
  }

  /** Those from `from_ms` on, before the first beyond `to_ms`; for a moment the last one before them, too, which held until they came. */
  private async samples(wish: PastWish, from_ms: number, to_ms: number): Promise<(Kept & { samples: [number, unknown][] }) | Without> {
    const { sensor_id, attribute_id, rate_hz } = wish;
    const of_moment = wish.columns === 0;
    const likely = rate_hz > 0 ? Math.ceil((rate_hz * (to_ms - from_ms)) / 1_000) + 16 : of_moment ? MOMENT_UNKNOWN_COUNT : UNKNOWN_COUNT;
    const count = Math.min(PAGE_MAX, Math.max(of_moment ? 1 : PAGE_MIN, likely));
    const most = of_moment ? MOMENT_CELLS_MAX / Math.max(1, wish.lanes) : Infinity;
    let held = 0;
    const pages: [number, unknown][][] = [];
    let cursor = { before: to_ms + 1, have: 0 };
    let damaged = 0;
    for (let k = 0; k < PAGES_MAX; k++) {
      const answer = await this.ask(wish, { sensor_id, attribute_id, ...cursor, count });
      if (answer.standing !== "kept") return answer;
      const { samples, older } = answer.response;
      if (!Array.isArray(samples)) return { standing: "failed" };
      const page = samples as [number, unknown][];
      damaged += answer.damaged;
      const begin = page.findIndex(([stamp]) => stamp >= from_ms);
      const from = begin < 0 ? page.length : begin;
      pages.unshift(page.slice(of_moment ? Math.max(0, from - 1) : from));
      held += pages[0]!.length;
      const first = page[0]?.[0];
      const { before, have } = (older ?? {}) as { before?: unknown; have?: unknown };
      if (typeof before !== "number" || typeof have !== "number" || first === undefined || first < from_ms || held >= most) break;
      cursor = { before, have };
    }
    return { standing: "kept", samples: pages.flat(), damaged };
  }

  private async periods(wish: PastWish, from: number, to: number, step: number): Promise<(Kept & { rows: unknown[] }) | Without> {
    const { sensor_id, attribute_id } = wish;
    const answer = await this.ask(wish, { sensor_id, attribute_id, from, to, step });
    if (answer.standing !== "kept") return answer;
    const { points } = answer.response;
    return Array.isArray(points) ? { standing: "kept", rows: points, damaged: answer.damaged } : { standing: "failed" };
  }

  /** One question, again while the server has no time for it. */
  private async ask(wish: PastWish, asked: object): Promise<Answered> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (this.now !== wish) return { standing: "dropped" };
      const { ok, response } = await this.doors.push("history", asked);
      const given = (response ?? {}) as { [name: string]: unknown };
      if (ok) return { standing: "kept", response: given, damaged: Number(given["damaged"]) || 0 };
      const reason = String(given["reason"] ?? "");
      if (NOT_KEPT.has(reason)) return { standing: "not_kept" };
      if (reason === "not_shared") return { standing: "not_shared" };
      if (!PASSING.has(reason)) return { standing: "failed" };
      await this.doors.wait(AGAIN_MS);
    }
    return { standing: "failed" };
  }
}
