/** What a server says of a room's past that is kept (docs/history.md), read with care. */

import { fields, number, words } from "../read";

/** As the server bounds them: ten years, and a tebibyte of each sensor. */
export const KEEP_HOURS_MAX = 24 * 366 * 10;
export const MIB_MAX = 1 << 20;
/** What is offered first; a sensor's own past would be kept for a week. */
export const KEEP_HOURS = 24;
export const MIB = 16;

export interface Past {
  keep_hours: number;
  /** Of each sensor. */
  mib_max: number;
  /** So many are kept now. */
  sensor_count: number;
  /** Why not all are. */
  problem: string | null;
}

export function read_past(value: unknown): Past | null {
  const given = fields(value);
  const keep_hours = number(given?.["keep_hours"]);
  const mib_max = number(given?.["mib_max"]);
  if (given === null || keep_hours === null || mib_max === null) return null;
  return { keep_hours, mib_max, sensor_count: number(given["sensor_count"]) ?? 0, problem: words(given["problem"]) };
}

/** How long in what people count in: whole days from two on, else hours. */
export function span_of(hours: number): { unit: "hours" | "days"; count: number } {
  return hours >= 48 && hours % 24 === 0 ? { unit: "days", count: hours / 24 } : { unit: "hours", count: hours };
}
