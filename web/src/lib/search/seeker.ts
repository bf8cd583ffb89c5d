/**
 * Asks the server while somebody types: a letter or two go by before it asks, what is not wanted any more is called off,
 * and an answer to something else than what stands there now counts for nothing.
 */

import type { Answer, Fault } from "../ask";
import { query_of, read_found, type Found } from "./shape";

/** Nothing is asked before this much time without a letter. */
export const PAUSE_MS = 150;
/** Of each kind. */
export const LIMIT = 5;

/** `found`: for what stands there now, or while that is asked, for what stood there before. */
export interface Sought {
  standing: "idle" | "asking" | "found" | "failed";
  found: Found | null;
  fault: Fault | null;
}
export const NOTHING: Sought = { standing: "idle", found: null, fault: null };

export interface Timers {
  set: (act: () => void, ms: number) => unknown;
  clear: (timer: unknown) => void;
}
export type Ask = (path: string, read: (value: unknown) => Found | null, signal: AbortSignal) => Promise<Answer<Found>>;

export class Seeker {
  private query = "";
  private timer: unknown;
  private asking: AbortController | null = null;
  private sought: Sought = NOTHING;
  private readonly ask: Ask;
  private readonly tell: (sought: Sought) => void;
  private readonly timers: Timers;

  constructor(ask: Ask, tell: (sought: Sought) => void, timers: Timers = { set: (act, ms) => setTimeout(act, ms), clear: (timer) => clearTimeout(timer as number) }) {
    this.ask = ask;
    this.tell = tell;
    this.timers = timers;
  }

  seek(typed: string): void {
    const query = query_of(typed);
    if (query === this.query) return;
    this.call_off();
    this.query = query;
    if (query === "") return this.say(NOTHING);
    this.say({ standing: "asking", found: this.sought.found, fault: null });
    this.timer = this.timers.set(() => void this.go(query), PAUSE_MS);
  }

  /** Nothing more is told. */
  end(): void {
    this.call_off();
    this.query = "";
  }

  private async go(query: string): Promise<void> {
    const asking = (this.asking = new AbortController());
    const answer = await this.ask(`api/search?q=${encodeURIComponent(query)}&limit=${LIMIT}`, read_found, asking.signal);
    if (asking !== this.asking) return;
    this.asking = null;
    if (!answer.ok) this.say({ standing: "failed", found: null, fault: answer.fault });
    else if (answer.value.query === query) this.say({ standing: "found", found: answer.value, fault: null });
    else this.say({ standing: "failed", found: null, fault: { kind: "malformed", status: 200, code: "", sentence: "" } });
  }
  private call_off(): void {
    this.timers.clear(this.timer);
    this.asking?.abort();
    this.asking = null;
  }
  private say(sought: Sought): void {
    this.sought = sought;
    this.tell(sought);
  }
}
