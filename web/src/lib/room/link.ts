/** A view of a room as an address: what stands where, which time, who is looked at. */

import { read_layout, type Layout } from "./layout";

/** Those from a minute on are of the past: time stands while they are shown. */
export const WINDOWS_S = [5, 10, 20, 60, 600, 3_600] as const;
export const RUNNING_S_MAX = 20;
export type WindowS = (typeof WINDOWS_S)[number];
/** Longer addresses are not read. */
export const LINK_CHARS_MAX = 16_000;
const NAME_MAX = 256;
const MOMENT_MAX = 8.64e15;

export interface RoomView {
  layout: Layout;
  window_s: WindowS;
  /** The right edge, by the server's clock; null while it is live. */
  at_ms: number | null;
  /** The sensor that is looked at closely. */
  focused: string | null;
  filter: string;
}

/** JSON, in the letters that an address takes as they are. */
export function encode_view(view: RoomView): string {
  const rows = view.layout.rows.map(({ h, panels }) => ({ h: short(h), panels: panels.map(({ panel, w, options }) => ({ panel, w: short(w), options })) }));
  const json: Record<string, unknown> = { v: 1, rows, window: view.window_s };
  if (view.at_ms !== null) json["at"] = Math.round(view.at_ms);
  if (view.focused !== null) json["focus"] = view.focused;
  if (view.filter !== "") json["filter"] = view.filter;
  const bytes = new TextEncoder().encode(JSON.stringify(json));
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** null when it cannot be read; what cannot be so is left out of it. */
export function decode_view(text: string): RoomView | null {
  if (text === "" || text.length > LINK_CHARS_MAX) return null;
  let value: unknown;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { v, window, at, focus, filter } = value as Record<string, unknown>;
  const layout = read_layout(value);
  if (v !== 1 || layout === null) return null;
  const name = (one: unknown): one is string => typeof one === "string" && one !== "" && one.length <= NAME_MAX;
  return {
    layout,
    window_s: WINDOWS_S.find((one) => one === window) ?? 10,
    at_ms: typeof at === "number" && Math.abs(at) <= MOMENT_MAX ? at : null,
    focused: name(focus) ? focus : null,
    filter: name(filter) ? filter : "",
  };
}

const short = (share: number): number => Math.round(share * 1000) / 1000;
