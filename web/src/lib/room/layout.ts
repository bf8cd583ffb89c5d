/**
 * What stands where on the room page: rows of panels, each with its share of the room and its options. Plain JSON,
 * kept in the browser and written into the address; what comes from there is believed only as far as it makes sense.
 */

export const PANELS = ["grid", "waves", "values", "graph", "map", "motion", "pose", "gaze", "group", "hrv", "raw", "system"] as const;
export type PanelKind = (typeof PANELS)[number];

export const ROWS_MAX = 6;
export const PANELS_MAX = 12;
const OPTIONS_MAX = 12;
const OPTION_CHARS_MAX = 128;
const SHARE_MIN = 0.2;
const SHARE_MAX = 5;

export type Options = Record<string, string | number | boolean>;

export interface Placed {
  /** Its own within the layout. */
  id: string;
  panel: PanelKind;
  /** Its share of the row. */
  w: number;
  options: Options;
}

export interface Row {
  /** Its share of the height. */
  h: number;
  panels: Placed[];
}

export interface Layout {
  rows: Row[];
}

export const PRESETS = ["sensors", "overview", "ecg", "breathing", "hearts", "together", "motion", "pose", "places", "gaze", "raw"] as const;
export type Preset = (typeof PRESETS)[number];

const one = (panel: PanelKind, options: Options = {}, w = 1): Omit<Placed, "id"> => ({ panel, w, options });

function of_rows(...rows: [h: number, ...panels: Omit<Placed, "id">[]][]): Layout {
  let n = 0;
  return { rows: rows.map(([h, ...panels]) => ({ h, panels: panels.map((panel) => ({ id: `p${++n}`, ...panel })) })) };
}

export function preset(name: Preset): Layout {
  switch (name) {
    case "sensors": return of_rows([1, one("grid")]);
    case "overview": return of_rows([1.35, one("graph", {}, 1.25), one("waves", { kind: "ecg" })], [1, one("values", { kind: "heartrate" }, 1.25), one("waves", { kind: "respiration", look: "overlay" })]);
    case "ecg": return of_rows([1, one("waves", { kind: "ecg" })]);
    case "breathing": return of_rows([1, one("waves", { kind: "respiration", look: "overlay" })], [1.4, one("waves", { kind: "respiration" })]);
    case "hearts": return of_rows([1, one("values", { kind: "heartrate", look: "ranking" }), one("values", { kind: "heartrate", look: "timeline" }, 1.6)], [1, one("waves", { kind: "ecg" })]);
    case "together": return of_rows([1.3, one("group")], [1, one("hrv"), one("waves", { kind: "respiration", look: "overlay" })]);
    case "motion": return of_rows([1, one("motion")]);
    case "pose": return of_rows([1, one("pose")]);
    case "places": return of_rows([1, one("map", {}, 1.6), one("values", { kind: "heartrate", look: "ranking" })]);
    case "gaze": return of_rows([1, one("gaze", {}, 1.4), one("waves", { kind: "eye_gaze" })]);
    case "raw": return of_rows([1, one("raw")]);
  }
}

const is_fields = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function share_of(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? Math.min(SHARE_MAX, Math.max(SHARE_MIN, value)) : 1;
}

function options_of(value: unknown): Options {
  const options: Options = {};
  if (!is_fields(value)) return options;
  for (const [key, option] of Object.entries(value).slice(0, OPTIONS_MAX)) {
    if (key.length > OPTION_CHARS_MAX || key === "__proto__") continue;
    if (typeof option === "boolean" || (typeof option === "number" && Number.isFinite(option))) options[key] = option;
    else if (typeof option === "string" && option.length <= OPTION_CHARS_MAX) options[key] = option;
  }
  return options;
}

/** What is no panel is left out; null when none is left. */
export function read_layout(value: unknown): Layout | null {
  if (!is_fields(value) || !Array.isArray(value["rows"])) return null;
  const rows: Row[] = [];
  let count = 0;
  for (const row of value["rows"].slice(0, ROWS_MAX)) {
    if (!is_fields(row) || !Array.isArray(row["panels"])) continue;
    const panels: Placed[] = [];
    for (const placed of row["panels"]) {
      if (count === PANELS_MAX) break;
      const kind = is_fields(placed) ? PANELS.find((panel) => panel === placed["panel"]) : undefined;
      if (kind === undefined) continue;
      panels.push({ id: `p${++count}`, panel: kind, w: share_of(placed.w), options: options_of(placed.options) });
    }
    if (panels.length > 0) rows.push({ h: share_of(row["h"]), panels });
  }
  return rows.length === 0 ? null : { rows };
}

export function all_of(layout: Layout): Placed[] {
  return layout.rows.flatMap(({ panels }) => panels);
}

function fresh_id(layout: Layout): string {
  const taken = new Set(all_of(layout).map(({ id }) => id));
  let n = 1;
  while (taken.has(`p${n}`)) n++;
  return `p${n}`;
}

const copy = (layout: Layout): Layout => ({ rows: layout.rows.map((row) => ({ ...row, panels: [...row.panels] })) });
const tidy = (layout: Layout): Layout => ({ rows: layout.rows.filter(({ panels }) => panels.length > 0) });

function place_of(layout: Layout, id: string): { row: number; at: number } | null {
  for (let row = 0; row < layout.rows.length; row++) {
    const at = layout.rows[row]!.panels.findIndex((placed) => placed.id === id);
    if (at >= 0) return { row, at };
  }
  return null;
}

/** Beside the last one, or below when there are two already. Unchanged when the room is full. */
export function with_panel(layout: Layout, panel: PanelKind): Layout {
  if (all_of(layout).length >= PANELS_MAX) return layout;
  const next = copy(layout);
  const placed: Placed = { id: fresh_id(layout), panel, w: 1, options: {} };
  const last = next.rows.at(-1);
  if (last !== undefined && (last.panels.length < 2 || next.rows.length >= ROWS_MAX)) last.panels.push(placed);
  else next.rows.push({ h: 1, panels: [placed] });
  return next;
}

export function without(layout: Layout, id: string): Layout {
  return tidy({ rows: layout.rows.map((row) => ({ ...row, panels: row.panels.filter((placed) => placed.id !== id) })) });
}

export function with_options(layout: Layout, id: string, change: Options): Layout {
  return { rows: layout.rows.map((row) => ({ ...row, panels: row.panels.map((placed) => (placed.id === id ? { ...placed, options: { ...placed.options, ...change } } : placed)) })) };
}

export type Way = "left" | "right" | "up" | "down";

/** One place further; up and down into the neighbouring row, or into a row of its own. */
export function moved(layout: Layout, id: string, way: Way): Layout {
  const place = place_of(layout, id);
  if (place === null) return layout;
  const next = copy(layout);
  const { panels } = next.rows[place.row]!;
  if (way === "left" || way === "right") {
    const to = place.at + (way === "left" ? -1 : 1);
    if (to < 0 || to >= panels.length) return layout;
    [panels[place.at], panels[to]] = [panels[to]!, panels[place.at]!];
    return next;
  }
  const alone = panels.length === 1;
  const to = place.row + (way === "up" ? -1 : 1);
  const beyond = to < 0 || to >= next.rows.length;
  if (beyond && (alone || next.rows.length >= ROWS_MAX)) return layout;
  const [placed] = panels.splice(place.at, 1);
  if (beyond) next.rows.splice(to < 0 ? 0 : next.rows.length, 0, { h: 1, panels: [placed!] });
  else next.rows[to]!.panels.push(placed!);
  return tidy(next);
}

/** Moves the edge between two neighbours by a part of what both have. */
export function resized(layout: Layout, where: { row: number; at?: number }, part: number): Layout {
  const next = copy(layout);
  const edge = (a: number, b: number): [number, number] => {
    const sum = a + b;
    const first = Math.min(sum * 0.9, Math.max(sum * 0.1, a + part * sum));
    return [first, sum - first];
  };
  if (where.at === undefined) {
    const [a, b] = [next.rows[where.row], next.rows[where.row + 1]];
    if (a === undefined || b === undefined) return layout;
    const [first, second] = edge(a.h, b.h);
    next.rows[where.row] = { ...a, h: first };
    next.rows[where.row + 1] = { ...b, h: second };
    return next;
  }
  const { panels } = next.rows[where.row] ?? { panels: [] };
  const [a, b] = [panels[where.at], panels[where.at + 1]];
  if (a === undefined || b === undefined) return layout;
  const [first, second] = edge(a.w, b.w);
  panels[where.at] = { ...a, w: first };
  panels[where.at + 1] = { ...b, w: second };
  return next;
}
