/** How old a sensor's newest sample is, and when that is too old to look alive. */

import type { Stream } from "./stream/hub";

export interface Freshness {
  /** NaN before the first sample. */
  age_ms: number;
  stale: boolean;
}

/** Silent for four of its own intervals, and for three seconds at least; a minute when it has no rate. */
export function freshness(streams: readonly Stream[], server_ms: number): Freshness {
  let age_ms = NaN;
  let fresh = false;
  for (const { last_ms, card } of streams) {
    const age = server_ms - last_ms;
    if (Number.isNaN(age)) continue;
    if (!(age >= age_ms)) age_ms = age;
    if (age < (card.rate_hz > 0 ? Math.max(3_000, 4_000 / card.rate_hz) : 60_000)) fresh = true;
  }
  return { age_ms: Math.max(0, age_ms), stale: !fresh };
}
