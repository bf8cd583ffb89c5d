/**
 * Reads what a server says with care: a wrong shape is an answer of `null`, a wrong entry is left out,
 * a wrong number is none, and nothing grows without bound.
 */

/** No list from the server is shown longer than this. */
export const LIST_MAX = 1_000;
/** Longer than any name the server gives; such an entry could not be named back. */
export const NAME_MAX = 256;
const TEXT_MAX = 4_000;
/** The furthest moment that a date can hold. */
const MOMENT_MAX = 8.64e15;

export type Fields = Record<string, unknown>;

export function fields(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** A finite number that is not below zero. */
export function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

/** A finite number of either sign. */
export function signed(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function moment(value: unknown): number | null {
  return typeof value === "number" && Math.abs(value) <= MOMENT_MAX ? value : null;
}

export function text(value: unknown): string {
  if (typeof value !== "string") return "";
  return value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value;
}

export function words(value: unknown): string | null {
  const said = text(value).trim();
  return said === "" ? null : said;
}

export function name(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value.length <= NAME_MAX ? value : null;
}

/** The entries that can be read, each once: what is listed twice would be drawn over itself. */
export function list<T>(value: unknown, read: (value: unknown) => T | null, key: (entry: T) => string): T[] | null {
  if (!Array.isArray(value)) return null;
  const entries = new Map<string, T>();
  for (const one of value.slice(0, LIST_MAX)) {
    const entry = read(one);
    if (entry !== null && !entries.has(key(entry))) entries.set(key(entry), entry);
  }
  return [...entries.values()];
}
