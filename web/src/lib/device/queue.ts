/**
 * What was measured and is not sent yet. While the line is down it is kept, but not for ever: ten thousand
 * samples, of the last half minute. What makes room is counted.
 */

export const KEPT_COUNT_MAX = 10_000;
export const KEPT_MS_MAX = 30_000;
/** So many at most in one message, whatever the server would take. */
export const BATCH_COUNT_MAX = 500;

export interface Sample {
  attribute_id: string;
  payload: unknown;
  /** Unix ms, by this device's clock. */
  timestamp: number;
}

export class Queue {
  private waiting: Sample[] = [];
  /** Given up, because there were too many or they were too old. */
  dropped = 0;

  get length(): number {
    return this.waiting.length;
  }
  /** When the oldest that waits was measured; NaN when none does. */
  get since_ms(): number {
    return this.waiting[0]?.timestamp ?? NaN;
  }

  put(sample: Sample): void {
    this.waiting.push(sample);
    if (this.waiting.length > KEPT_COUNT_MAX) this.drop(1);
  }

  /** What is older than `KEPT_MS_MAX` is given up. */
  age(now_ms: number): void {
    let old = 0;
    while (old < this.waiting.length && this.waiting[old]!.timestamp < now_ms - KEPT_MS_MAX) old++;
    if (old > 0) this.drop(old);
  }

  take(most: number): Sample[] {
    return this.waiting.splice(0, Math.min(most, BATCH_COUNT_MAX));
  }
  /** What could not be sent after all, before the others. */
  give_back(samples: readonly Sample[]): void {
    this.waiting.unshift(...samples);
    if (this.waiting.length > KEPT_COUNT_MAX) this.drop(this.waiting.length - KEPT_COUNT_MAX);
  }
  clear(): void {
    this.waiting = [];
  }

  private drop(count: number): void {
    this.waiting.splice(0, count);
    this.dropped += count;
  }
}

/** What the server asks of a device; before its first word, what it would ask of one on a screen. */
export interface Pace {
  window_ms: number;
  size: number;
  paused: boolean;
  /** How closely anybody looks. */
  attention: "none" | "low" | "medium" | "high";
}
export const PACE_AT_FIRST: Pace = { window_ms: 500, size: 5, paused: false, attention: "low" };

const LEVELS = ["none", "low", "medium", "high"] as const;
const WINDOW_MS_MAX = 60_000;

/** `backpressure_config`; what cannot be so leaves what was asked before. */
export function read_pace(value: unknown, before: Pace): Pace {
  const { recommended_batch_window, recommended_batch_size, paused, attention_level } = (value ?? {}) as Record<string, unknown>;
  const number_of = (given: unknown, most: number): number | null => (typeof given === "number" && given >= 1 && given <= most ? given : null);
  return {
    window_ms: number_of(recommended_batch_window, WINDOW_MS_MAX) ?? before.window_ms,
    size: Math.round(number_of(recommended_batch_size, BATCH_COUNT_MAX) ?? before.size),
    paused: typeof paused === "boolean" ? paused : before.paused,
    attention: LEVELS.find((level) => level === attention_level) ?? before.attention,
  };
}

/** A batch is due when it is full, or when its first sample has waited for a window. */
export function is_due(queue: Queue, pace: Pace, now_ms: number): boolean {
  if (pace.paused || queue.length === 0) return false;
  return queue.length >= pace.size || now_ms - queue.since_ms >= pace.window_ms;
}
