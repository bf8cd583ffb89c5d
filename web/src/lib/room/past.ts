/**
 * What the page holds of the past that was fetched for it, while time stands: of each stream one span, as a ring that panels draw as
 * any other. Asked for when what is shown begins before what the page held when time was stopped.
 */

import { key_of, type PastPiece, type PastWish } from "../stream/messages";
import { Ring } from "../stream/ring";

/** Whoever drags the time is waited for. */
const SETTLE_MS = 120;
/** What could not be fetched is asked for again after this, and what is refused not before. */
export const REFUSED_MS = 5_000;

/** `here`: in what the page holds. `empty`: it is kept, and nothing is in this span. */
export type Standing = "here" | "asking" | "kept" | "empty" | "not_kept" | "not_shared" | "failed";

/** A stream whose past may be wanted, and how it is drawn. */
export interface Drawn {
  sensor_id: string;
  attribute_id: string;
  rate_hz: number;
  lanes: number;
  names: string[];
  /** Pixels across. */
  columns: number;
}

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

export class PastRings {
  private held = new Map<string, Held>();
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

  constructor(send: (wishes: PastWish[]) => void, shown: () => Shown | null, here: (key: string) => Ring | null, now_ms: () => number) {
    this.send = send;
    this.shown = shown;
    this.here = here;
    this.now_ms = now_ms;
  }

  /** From now on this panel draws these; none: it is closed, or time runs. */
  draw(by: string, drawn: Drawn[]): void {
    if (drawn.length === 0) this.drawn.delete(by);
    else this.drawn.set(by, drawn);
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
    const { key, standing, from_ms, to_ms, window_ms } = piece;
    this.held.set(key, { standing, from_ms, to_ms, window_ms, ring: ring_from(piece), came_ms: this.now_ms() });
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

  private ask(): void {
    for (const timer of [this.timer, this.again]) if (timer !== null) clearTimeout(timer);
    this.timer = this.again = null;
    const shown = this.shown();
    const wishes = new Map<string, PastWish>();
    // What no panel draws is not held: so there is at most a span of each stream that is seen.
    const drawn = new Set([...this.drawn.values()].flat().map(({ sensor_id, attribute_id }) => key_of(sensor_id, attribute_id)));
    for (const key of this.held.keys()) if (!drawn.has(key)) this.held.delete(key);
    if (shown !== null) {
      const { at_ms, window_ms, newest_ms } = shown;
      for (const { columns, ...of } of [...this.drawn.values()].flat()) {
        const key = key_of(of.sensor_id, of.attribute_id);
        const held = this.held.get(key);
        if (wishes.has(key) || reaches(this.here(key), shown, of.rate_hz)) continue;
        if (held !== undefined && (held.standing === "kept" ? covers(held, shown) : this.now_ms() - held.came_ms < REFUSED_MS)) continue;
        // Half a window around it, so that a step is no question.
        wishes.set(key, { ...of, from_ms: at_ms - 1.5 * window_ms, to_ms: Math.min(newest_ms, at_ms + 0.5 * window_ms), window_ms, columns });
      }
    }
    this.send([...wishes.values()]);
  }
}

function covers(held: Held, { at_ms, window_ms, newest_ms }: Shown): boolean {
  return held.window_ms === window_ms && held.from_ms <= at_ms - window_ms && held.to_ms >= Math.min(at_ms, newest_ms);
}
