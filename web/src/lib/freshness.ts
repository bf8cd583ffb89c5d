/** How old a sensor's newest sample is, and when that is too old to look alive. */

/** What is looked at of a stream: when its newest sample was measured, and how fast it says it is. */
export interface Dated {
  last_ms: number;
  card: { rate_hz: number };
}

export interface Freshness {
  /** NaN before the first sample. */
  age_ms: number;
  stale: boolean;
}

/** By `at_ms`: silent for four of its own intervals, and for three seconds at least; a minute when it has no rate. */
export function freshness(streams: readonly Dated[], at_ms: number): Freshness {
  let age_ms = NaN;
  let fresh = false;
  for (const { last_ms, card } of streams) {
    const age = at_ms - last_ms;
    if (Number.isNaN(age)) continue;
    if (!(age >= age_ms)) age_ms = age;
    if (age < (card.rate_hz > 0 ? Math.max(3_000, 4_000 / card.rate_hz) : 60_000)) fresh = true;
  }
  return { age_ms: Math.max(0, age_ms), stale: !fresh };
}
