/**
 * The last five minutes of figures, one column each on a common time: a ring of fixed size, written once
 * an answer. What an answer does not tell is NaN, and so is the time between two visits: a gap, not a line.
 */

import { ATTENTIONS, CLASSES, LEVELS, type System } from "./shape";

/** One a second. */
export const POINTS_MAX = 300;

/** The columns of the history. */
export const column = {
  pressure: "pressure",
  level: "level",
  resource: (name: string) => `used ${name}`,
  asked: (level: string) => `asked ${level}`,
  delivered: (level: string) => `delivered ${level}`,
  age_p99: (of: string) => `p99 ${of}`,
};

/** One answer as a point of the history. */
export function point_of(system: System): Record<string, number> {
  const point: Record<string, number> = { [column.pressure]: system.load.pressure, [column.level]: LEVELS.indexOf(system.load.level) };
  for (const { name, used } of system.load.pressures) point[column.resource(name)] = used;
  for (const level of ATTENTIONS) {
    const flow = system.flow?.levels.find((one) => one.level === level);
    if (flow === undefined) continue;
    point[column.asked(level)] = flow.asked_sps;
    point[column.delivered(level)] = flow.delivered_sps;
  }
  for (const age of system.ages) {
    if (age.stage === "delivery" && age.count > 0 && (CLASSES as readonly string[]).includes(age.class)) point[column.age_p99(age.class)] = age.p99;
  }
  return point;
}

export class History {
  /** When each point was, by the page's own clock; ascending. */
  private at = new Float64Array(POINTS_MAX);
  private columns = new Map<string, Float64Array>();
  private written = 0;

  get length(): number {
    return Math.min(this.written, POINTS_MAX);
  }

  /** `values` by name; names are few and fixed by the caller. */
  push(at_ms: number, values: Record<string, number>): void {
    // A clock that stepped back would make a line that runs back.
    if (this.written > 0 && at_ms <= this.time(this.length - 1)) return;
    const slot = this.written % POINTS_MAX;
    this.at[slot] = at_ms;
    for (const name of Object.keys(values)) if (!this.columns.has(name)) this.columns.set(name, new Float64Array(POINTS_MAX).fill(NaN));
    for (const [name, figures] of this.columns) figures[slot] = values[name] ?? NaN;
    this.written++;
  }

  /** Of the k-th point that is held, the oldest first. */
  time(k: number): number {
    return this.at[this.slot(k)]!;
  }
  value(name: string, k: number): number {
    return this.columns.get(name)?.[this.slot(k)] ?? NaN;
  }

  /** The point nearest to a moment; -1 when there is none within `within_ms`. */
  nearest(at_ms: number, within_ms: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time(middle) < at_ms) low = middle + 1;
      else high = middle;
    }
    let best = -1;
    let off = within_ms;
    for (const k of [low - 1, low]) {
      if (k < 0 || k >= this.length) continue;
      const away = Math.abs(this.time(k) - at_ms);
      if (away <= off) [best, off] = [k, away];
    }
    return best;
  }

  private slot(k: number): number {
    return (this.written - this.length + k) % POINTS_MAX;
  }
}
