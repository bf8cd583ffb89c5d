/**
 * What the readings of a group come to in a word, and when they come to nothing yet.
 *
 * Strangers' R is above `null95` one instant in twenty, and stays there for seconds when it is: so it is the mean
 * of half a minute that is held against it. Of two people R can hardly be told from chance at all: they are
 * judged by how steady their distance was for a minute or two. So are more, where R tells nothing: who breathes
 * a quarter of a cycle behind the others, and goes on to, lowers R.
 */

import { Reading, WHYS, type Group, type Pair } from "../stream/group";

export const STEADY_MS = 30_000;
/** Less than this of it measured is not enough to say anything. */
export const STEADY_LEAST_MS = 15_000;
const STEP_MS = 100;
/** A verdict holds until the figures are clear of it by this, so that the words do not flicker. */
const HOLD = 0.02;
/** Of so many pairs of strangers one is above `strangers_plv`. */
export const CHANCE = 0.05;
/** So many pairs with a steady distance are no chance, though one in twenty would be. */
const STEADY_SHARE = 0.5;
/** Ten readings a second are promised; without one for so long, what is known is old. */
export const STALE_MS = 4_000;
/** Reasons that pass by themselves. */
const PASSING = new Set(["clock_uncertain", "too_short", "gap"]);

export type Verdict = "waiting" | "refused" | "nobody" | "alone" | "stale" | "soon" | "unmeasurable" | "together" | "distances" | "apart";

/** Of these the figures are of now, and may be shown as such. */
const FRESH = new Set<Verdict>(["soon", "unmeasurable", "together", "distances", "apart"]);
export const is_fresh = (verdict: Verdict): boolean => FRESH.has(verdict);

export interface Figures {
  verdict: Verdict;
  measurable: number;
  members: number;
  /** Smoothed over two seconds; NaN when fewer than two can be measured. */
  R: number;
  kappa: number;
  null95: number;
  /** Means of what was measured of the last `STEADY_MS` with three people at least, and how much that was. */
  R_mean: number;
  null95_mean: number;
  measured_ms: number;
  /** Where there are two to judge: how they stand to each other. */
  pair: Pair | null;
  /** Pairs that are told, and how many of them kept their distance more steadily than strangers do. */
  pairs: number;
  locked: number;
  /** How many cannot be measured for which reason, the most frequent first. */
  whys: [why: string, count: number][];
  /** How many are not measurable only because they have just begun. */
  young: number;
  /** Since something last came. */
  age_ms: number;
  /** How long ago the instant was that is shown; NaN until the server has said. */
  latency_ms: number;
}

/** What strangers' phase-locking stays below 95 % of the time over so many seconds (reference/synchrony.md 5): straight between the two that were measured. */
export function strangers_plv(common_s: number): number {
  const [from, to] = [0.74, 0.5];
  return from + (to - from) * Math.min(1, Math.max(0, (common_s - 60) / 60));
}

export function is_locked({ plv, common_s }: Pair): boolean {
  return plv > strangers_plv(common_s);
}

export function why_of(group: Group, k: number): string | null {
  return group.is_measurable(k) ? null : (WHYS[group.why[k] ?? -1] ?? "unknown");
}

/** `before`: what it was a moment ago. */
export function figures(group: Group, now_ms: number, before: Verdict): Figures {
  const { readings } = group;
  const last = readings.length - 1;
  const at = (column: number): number => readings.value(last, column);
  const found: Figures = {
    verdict: "waiting", measurable: last < 0 ? 0 : at(Reading.measurable), members: group.members.length,
    R: at(Reading.R_smoothed), kappa: at(Reading.kappa_smoothed), null95: at(Reading.null95),
    R_mean: NaN, null95_mean: NaN, measured_ms: 0, pair: null, pairs: 0, locked: 0, whys: [], young: 0, age_ms: now_ms - group.heard_ms, latency_ms: group.latency_ms,
  };
  const counts = new Map<string, number>();
  const able: number[] = [];
  for (let k = 0; k < group.states; k++) {
    const why = why_of(group, k);
    if (why === null) able.push(k);
    else counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  found.young = counts.get("too_short") ?? 0;
  found.whys = [...counts].sort(([, a], [, b]) => b - a);
  let n = 0, R = 0, null95 = 0;
  for (let k = readings.since(at(Reading.t) - STEADY_MS); k <= last; k++) {
    const one = readings.value(k, Reading.R);
    // Two are another question, and another answer.
    if (Number.isNaN(one) || readings.value(k, Reading.measurable) < 3) continue;
    n++;
    R += one;
    null95 += readings.value(k, Reading.null95);
  }
  if (n > 0) Object.assign(found, { R_mean: R / n, null95_mean: null95 / n, measured_ms: n * STEP_MS });
  if (able.length === 2) found.pair = group.pairs.find(({ a, b, plv }) => able.includes(a) && able.includes(b) && !Number.isNaN(plv)) ?? null;
  for (const pair of group.pairs) {
    if (Number.isNaN(pair.plv)) continue;
    found.pairs++;
    if (is_locked(pair)) found.locked++;
  }
  found.verdict = verdict_of(group, found, before);
  return found;
}

function verdict_of(group: Group, found: Figures, before: Verdict): Verdict {
  const { measurable, members, measured_ms, R, R_mean, null95_mean, pair, pairs, locked, whys, young, age_ms } = found;
  if (group.refused !== "") return "refused";
  if (!group.met) return "waiting";
  if (members < 2) return members === 0 ? "nobody" : "alone";
  if (group.readings.length === 0) return "waiting";
  if (age_ms > STALE_MS) return "stale";
  if (measurable < 2 || Number.isNaN(R)) {
    const passing = whys.reduce((sum, [why, count]) => sum + (PASSING.has(why) ? count : 0), 0);
    return measurable + passing >= 2 ? "soon" : "unmeasurable";
  }
  const clear = before === "together" ? -HOLD : before === "apart" ? HOLD : 0;
  if (measurable === 2) return pair === null ? "soon" : pair.plv > strangers_plv(pair.common_s) + clear ? "together" : "apart";
  if (measured_ms < STEADY_LEAST_MS || young > measurable) return "soon";
  if (R_mean > null95_mean + (before === "distances" ? HOLD : clear)) return "together";
  return pairs > 1 && locked > (STEADY_SHARE - (before === "distances" ? 2 * HOLD : 0)) * pairs ? "distances" : "apart";
}

/** Strangers' kappa stays below this when their R stays below `null95`. */
export function kappa_of(R: number, n: number): number {
  return (n * R * R - 1) / (n - 1);
}

/** Of a cycle, -0.5 to 0.5: how far ahead of the group somebody is. */
export function ahead_of(phase: number, group_phase: number): number {
  const turns = (phase - group_phase) / (2 * Math.PI);
  return turns - Math.round(turns);
}
