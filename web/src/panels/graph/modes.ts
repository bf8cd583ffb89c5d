/** What the graph shows of its nodes, and how old is old. */

import type { Theme } from "../../lib/draw/palette";

export const MODES = ["pulse", "freshness", "attention"] as const;
export type Mode = (typeof MODES)[number];

/** In milliseconds; what is older than the last is silent. */
export const FRESH_STEPS = [500, 2_000, 10_000, 60_000] as const;

/** From new to old, after cividis, at 3:1 or more on the ground; the last one is silent. */
export function ages(theme: Theme): string[] {
  return theme === "light" ? ["#6b5a00", "#7a6f3e", "#6a6f78", "#4a6a9e", "#7c8b97"] : ["#ffe945", "#d9c56a", "#a9a27c", "#8397b8", "#7f92a2"];
}
