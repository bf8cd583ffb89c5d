/**
 * What the page holds of the past that was fetched for it, while time stands: of each stream that is drawn as a line one span, as a ring
 * that panels draw as any other, and of each of which panels say what it said at the moment another, beside it. Asked for when what is
 * shown begins before what the page held when time was stopped.
 */

import { key_of, type PastPiece, type PastWish } from "../stream/messages";
import { LANES_MAX, Ring } from "../stream/ring";

/** Whoever drags the time is waited for. */
const SETTLE_MS = 120;
/** What could not be fetched is asked for again after this, and what is refused not before. */
export const REFUSED_MS = 5_000;
/** Of so many streams the moment is fetched; of others it could not be. */
export const MOMENTS_MAX = 1_000;
/** What leads to a moment and is fetched with it, so that a step is no question: about so many samples of a narrow stream. */
const MOMENT_POINTS = 300;
const MOMENT_MS_MIN = 1_000;
const MOMENT_MS_MAX = 60_000;

/** `here`: in what the page holds. `empty`: it is kept, and nothing is in this span. */
export type Standing = "here" | "asking" | "kept" | "empty" | "not_kept" | "not_shared" | "failed";

/** A stream whose past may be wanted, and how it is drawn. */
export interface Drawn {
  sensor_id: string;
  attribute_id: string;
  rate_hz: number;
  lanes: number;
  names: string[];
  /** Pixels across; 0: not as a line, but what it said at the moment. */
  columns: number;
  /** What has to be known before the moment. */
  span_ms?: number;
}

/** What a stream said at the moment, and for `span_ms` before it. */
export function moment(sensor_id: string, attribute_id: string, rate_hz: number, lanes = 1, span_ms = 0): Drawn {
  return { sensor_id, attribute_id, rate_hz, lanes, names: [], columns: 0, span_ms };
}

/** How far before a moment is fetched with it: of a figure a minute, of a body or a wave a second or two. */
export function lead_ms(rate_hz: number, lanes: number): number {
  const points = (MOMENT_POINTS * LANES_MAX) / Math.max(LANES_MAX, lanes);
  return rate_hz > 0 ? Math.min(MOMENT_MS_MAX, Math.max(MOMENT_MS_MIN, (1_000 * points) / rate_hz)) : MOMENT_MS_MAX;
}

const id_of = (key: string, is_moment: boolean): string => (is_moment ? `${key}\u0000moment` : key);

interface Held {
  standing: PastPiece["standing"];
  from_ms: number;
  to_ms: number;
  window_ms: number;
  ring: Ring;
  /** By the page's clock. */
  came_ms: number;
}

/** The window that is shown, and the newest moment that can be. */
export interface Shown {
  at_ms: number;
  window_ms: number;
  newest_ms: number;
}

/** A span as a ring: its points stand for `step_ms` each where they were summed up. */
export function ring_from({ times, low, high, mean, lanes, step_ms }: PastPiece): Ring {
  const ring = new Ring(0, lanes);
  ring.capacity = Math.max(1, times.length);
  Object.assign(ring, { total: times.length, length: times.length, times, low, high, step_ms, mean: step_ms > 0 ? mean : null });
  return ring;
}

/** Whether a ring has the whole window: from its left edge on, within two samples. */
export function reaches(ring: Ring | null, { at_ms, window_ms }: Shown, rate_hz: number): boolean {
  const slack_ms = rate_hz > 0 ? 2_000 / rate_hz : 0;
  return ring !== null && ring.length > 0 && ring.time(ring.first) <= at_ms - window_ms + slack_ms;
}

/** Whether a ring has what was said at the moment, and what led to it. */
function has_moment(ring: Ring | null, at_ms: number, span_ms: number, rate_hz: number): boolean {
  return ring !== null && (span_ms === 0 ? ring.last_at(at_ms) >= 0 : reaches(ring, { at_ms, window_ms: span_ms, newest_ms: at_ms }, rate_hz));
}

export class PastRings {
  /** By the wish it was fetched for. */
  private held = new Map<string, Held>();
  /** Moments for which there was no room. */
  private left_out = new Set<string>();
  /** What each panel draws. */
  private drawn = new Map<string, Drawn[]>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private again: ReturnType<typeof setTimeout> | null = null;
  private send: (wishes: PastWish[]) => void;
  /** null: time runs, and nothing of the past is wanted. */
  private shown: () => Shown | null;
  /** What the page held of a stream when time was stopped. */
  private here: (key: string) => Ring | null;
  private now_ms: () => number;
  /** Whether it is known without a ring what a stream said at that moment. */
  private knows: (key: string, at_ms: number) => boolean;

  constructor(send: (wishes: PastWish[]) => void, shown: () => Shown | null, here: (key: string) => Ring | null, now_ms: () => number, knows: (key: string, at_ms: number) => boolean = () => false) {
    this.send = send;
    this.shown = shown;
    this.here = here;
    this.now_ms = now_ms;
    this.knows = knows;
  }

  /** From now on this panel draws these; none: it is closed, or time runs. */
  draw(by: string, drawn: Drawn[]): void {
    if (drawn.length > 0) this.drawn.set(by, drawn);
    else if (!this.drawn.delete(by)) return;
    this.ask_soon();
  }

  /** Another moment, or another window. */
  ask_soon(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), SETTLE_MS);
  }

  /** Time goes on: nothing of it is shown any more. */
  forget(): void {
    this.held.clear();
    this.ask_soon();
  }

  take(piece: PastPiece): void {
    const { id, standing, from_ms, to_ms, window_ms } = piece;
    this.held.set(id, { standing, from_ms, to_ms, window_ms, ring: ring_from(piece), came_ms: this.now_ms() });
    // Somebody may stand and wait for it.
    if (standing === "failed") this.again ??= setTimeout(() => this.ask(), REFUSED_MS);
  }

  /** What was fetched of a stream for this window; null when nothing was, or what is here has all of it. */
  ring_of(key: string, rate_hz: number): Ring | null {
    const shown = this.shown();
    const held = this.held.get(key);
    if (shown === null || held?.standing !== "kept" || reaches(this.here(key), shown, rate_hz)) return null;
    // A part of it is better than none, while the rest is on its way.
    return held.from_ms < shown.at_ms && held.to_ms > shown.at_ms - shown.window_ms ? held.ring : null;
  }

  standing_of(key: string, rate_hz: number): Standing {
    const shown = this.shown();
    if (shown === null || reaches(this.here(key), shown, rate_hz)) return "here";
    const held = this.held.get(key);
    if (held === undefined) return "asking";
    if (held.standing !== "kept") return held.standing;
    if (!covers(held, shown)) return "asking";
    const { ring } = held;
    const from = ring.lower_bound(shown.at_ms - shown.window_ms - ring.step_ms);
    return from < ring.total && ring.time(from) <= shown.at_ms ? "kept" : "empty";
  }

  /** What there is of the moment that is shown and of `span_ms` before it, with so many cells: in what the page holds, or in what was fetched. */
  moment_of(key: string, rate_hz: number, lanes: number, span_ms: number): { ring: Ring | null; standing: Standing } {
    const shown = this.shown();
    const here = this.here(key);
    if (shown === null || has_moment(here, shown.at_ms, span_ms, rate_hz)) return { ring: here, standing: "here" };
    const id = id_of(key, true);
    const held = this.held.get(id);
    const covers = held !== undefined && covers_moment(held, shown, lanes, span_ms);
    if (covers && held.ring.last_at(shown.at_ms) >= 0) return { ring: held.ring, standing: "kept" };
    // A part of what led to it is better than none.
    if (has_moment(here, shown.at_ms, 0, rate_hz)) return { ring: here, standing: "here" };
    if (held === undefined) return { ring: null, standing: this.left_out.has(id) ? "failed" : "asking" };
    return { ring: null, standing: held.standing !== "kept" ? held.standing : covers ? "empty" : "asking" };
  }

  private ask(): void {
    for (const timer of [this.timer, this.again]) if (timer !== null) clearTimeout(timer);
    this.timer = this.again = null;
    const shown = this.shown();
    const wishes = new Map<string, PastWish>();
    const all = merged([...this.drawn.values()].flat());
    // What no panel draws is not held: so there is at most a span and a moment of each stream that is seen.
    for (const id of this.held.keys()) if (!all.has(id)) this.held.delete(id);
    this.left_out.clear();
    let moments = 0;
    if (shown !== null) {
      for (const [id, one] of all) {
        const held = this.held.get(id);
        if (one.columns === 0 && ++moments > MOMENTS_MAX) {
          this.held.delete(id);
          this.left_out.add(id);
          continue;
        }
        const { wish, is_here, covers } = one.columns === 0 ? this.moment_wish(id, one, shown, held) : this.line_wish(id, one, shown, held);
        if (is_here || (held !== undefined && (held.standing === "kept" ? covers : this.now_ms() - held.came_ms < REFUSED_MS))) continue;
        wishes.set(id, wish);
      }
    }
    this.send([...wishes.values()]);
  }

  private line_wish(id: string, { span_ms: _, ...of }: Drawn, shown: Shown, held: Held | undefined): Asked {
    const { at_ms, window_ms, newest_ms } = shown;
    // Half a window around it, so that a step is no question.
    const wish = { id, ...of, from_ms: at_ms - 1.5 * window_ms, to_ms: Math.min(newest_ms, at_ms + 0.5 * window_ms), window_ms };
    return { wish, is_here: reaches(this.here(key_of(of.sensor_id, of.attribute_id)), shown, of.rate_hz), covers: held !== undefined && covers(held, shown) };
  }
  private moment_wish(id: string, { span_ms = 0, ...of }: Drawn, shown: Shown, held: Held | undefined): Asked {
    const { at_ms, newest_ms } = shown;
    const key = key_of(of.sensor_id, of.attribute_id);
    const lead = Math.max(span_ms, lead_ms(of.rate_hz, of.lanes));
    const wish = { id, ...of, from_ms: at_ms - 1.5 * lead, to_ms: Math.min(newest_ms, at_ms + 0.5 * lead), window_ms: lead };
    return { wish, is_here: has_moment(this.here(key), at_ms, span_ms, of.rate_hz) || (span_ms === 0 && of.lanes === 1 && this.knows(key, at_ms)), covers: held !== undefined && covers_moment(held, shown, of.lanes, span_ms) };
  }
}

interface Asked {
  wish: PastWish;
  is_here: boolean;
  /** What is held of it is enough. */
  covers: boolean;
}

/** By the id of the wish: of lines of the same stream the first, of moments all that any of them needs. */
function merged(drawn: Drawn[]): Map<string, Drawn> {
  const all = new Map<string, Drawn>();
  for (const one of drawn) {
    const id = id_of(key_of(one.sensor_id, one.attribute_id), one.columns === 0);
    const known = all.get(id);
    if (known === undefined) all.set(id, one);
    else if (one.columns === 0) all.set(id, { ...known, lanes: Math.max(known.lanes, one.lanes), span_ms: Math.max(known.span_ms ?? 0, one.span_ms ?? 0) });
  }
  return all;
}

function covers(held: Held, { at_ms, window_ms, newest_ms }: Shown): boolean {
  return held.window_ms === window_ms && held.from_ms <= at_ms - window_ms && held.to_ms >= Math.min(at_ms, newest_ms);
}

function covers_moment(held: Held, { at_ms, newest_ms }: Shown, lanes: number, span_ms: number): boolean {
  return held.standing === "kept" && held.ring.lanes >= lanes && held.from_ms <= at_ms - span_ms && held.to_ms >= Math.min(at_ms, newest_ms);
}
