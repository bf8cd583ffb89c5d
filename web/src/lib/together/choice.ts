/** What the Together view compares, and the address that says so: a link opens exactly this. */

import { MEMBERS_MAX, SIGNALS, TIERS, type GroupWish, type Signal, type Tier } from "../stream/group";
import { NAME_MAX } from "../read";
import { HASH, query_of } from "../route";
import type { RosterSensor } from "../stream/messages";

export interface Choice {
  signal: Signal;
  tier: Tier;
  /** Whose: everybody's who has the signal, or these sensors'. */
  who: "all" | readonly string[];
}

export const DEFAULT: Choice = { signal: "breath", tier: "prompt", who: "all" };

export const is_of_heart = (signal: Signal): boolean => signal !== "breath";

/** The attribute that the signal is read from. */
export const attribute_of = (signal: Signal): string => (is_of_heart(signal) ? "ecg" : "respiration");

export function has_signal(sensor: RosterSensor, signal: Signal): boolean {
  const attribute = attribute_of(signal);
  return sensor.attributes.some(({ attribute_id }) => attribute_id === attribute);
}

export function hash_of({ signal, tier, who }: Choice): string {
  const whose = who === "all" ? "all" : `only:${who.map(encodeURIComponent).join(",")}`;
  return `${HASH.together}?signal=${signal}&tier=${tier}&who=${whose}`;
}

/** Null when the address says nothing of it. What it says wrongly is as if it were not said. */
export function choice_of(hash: string): Choice | null {
  const query = query_of(hash);
  if (query === "") return null;
  const said = new Map(query.split("&").map((part) => [part.split("=", 1)[0]!, part.slice(part.indexOf("=") + 1)] as const));
  const whose = said.get("who") ?? "all";
  return {
    signal: SIGNALS.find((one) => one === said.get("signal")) ?? DEFAULT.signal,
    tier: TIERS.find((one) => one === said.get("tier")) ?? DEFAULT.tier,
    who: whose.startsWith("only:") ? ids_of(whose.slice("only:".length)) : "all",
  };
}

function ids_of(list: string): string[] {
  const ids = new Set<string>();
  for (const part of list.split(",")) {
    try {
      const id = decodeURIComponent(part);
      if (id !== "" && id.length <= NAME_MAX && ids.size < MEMBERS_MAX) ids.add(id);
    } catch {
      // Not what `hash_of` writes.
    }
  }
  return [...ids];
}

/**
 * What the server is asked for; null while there is nobody to compare. The same choice has the same name, so
 * that two who look at it look at one group.
 */
export function wish_of({ signal, tier, who }: Choice): GroupWish | null {
  if (who === "all") return { group: `together ${signal} ${tier} all`, signal, tier, sensors: "all" };
  if (who.length < 2) return null;
  const sensors = [...who].sort();
  return { group: `together ${signal} ${tier} ${sensors.length} ${mixed(sensors.join("\u0000"))}`, signal, tier, sensors };
}

/** FNV-1a. Two that meet by chance would only be asked for one after the other. */
function mixed(text: string): string {
  let hash = 0x811c9dc5;
  for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
