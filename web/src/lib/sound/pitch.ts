/** How a signal sounds: the higher its value within what it lately was, the higher the tone. */

import type { Ring } from "../stream/ring";

/** Two octaves around what a voice does easily. */
export const LOW_HZ = 220;
export const HIGH_HZ = 880;
/** So much of the past says how high and how low a signal goes. */
export const SPAN_MS = 10_000;
/** A signal that has said nothing for so long is not heard. */
export const SILENT_MS = 3_000;

/** Equal steps of the value are equal steps for the ear. NaN where there is no value. */
export function pitch_of(value: number, low: number, high: number): number {
  if (!Number.isFinite(value)) return NaN;
  const share = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5;
  return LOW_HZ * (HIGH_HZ / LOW_HZ) ** share;
}

/** The tone of the newest sample; NaN where there is none, or none of now. */
export function tone_of(ring: Pick<Ring, "first" | "total" | "time" | "low_at" | "high_at"> | null, now_ms: number): number {
  if (ring === null || ring.total === ring.first) return NaN;
  const last = ring.total - 1;
  if (now_ms - ring.time(last) > SILENT_MS) return NaN;
  let low = Infinity;
  let high = -Infinity;
  for (let i = last; i >= ring.first && ring.time(i) >= ring.time(last) - SPAN_MS; i--) {
    // A gap in the numbers is no bound of them.
    if (ring.low_at(i) < low) low = ring.low_at(i);
    if (ring.high_at(i) > high) high = ring.high_at(i);
  }
  return pitch_of((ring.low_at(last) + ring.high_at(last)) / 2, low, high);
}
