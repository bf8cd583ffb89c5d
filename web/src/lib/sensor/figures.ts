/** What can be said of how a stream comes in, from what was received of it. */

import type { Ring } from "../stream/ring";

/** So many of the newest points are looked at. */
const POINTS_MAX = 500;
const POINTS_MIN = 8;

export interface Pace {
  /** Between two samples, as the device's clock says; NaN where there are too few. */
  mean_ms: number;
  /** How far intervals are from their mean, as a standard deviation. */
  jitter_ms: number;
}

/** Of a ring that holds every sample: a digest has no intervals of its own. */
export function pace_of(ring: Pick<Ring, "first" | "total" | "time"> | null): Pace {
  const none = { mean_ms: NaN, jitter_ms: NaN };
  if (ring === null) return none;
  const from = Math.max(ring.first, ring.total - POINTS_MAX);
  const n = ring.total - from - 1;
  if (n < POINTS_MIN) return none;
  const mean_ms = (ring.time(ring.total - 1) - ring.time(from)) / n;
  let sum = 0;
  for (let i = from + 1; i < ring.total; i++) sum += (ring.time(i) - ring.time(i - 1) - mean_ms) ** 2;
  return { mean_ms, jitter_ms: Math.sqrt(sum / n) };
}
