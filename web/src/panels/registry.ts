/** Which panels a room may have: a folder each, fetched when it is first opened. */

import type { Component } from "svelte";
import type { Options, PanelKind } from "../lib/room/layout";

export interface PanelProps {
  /** Its own within the room; what it shows counts as seen under this name. */
  id: string;
  options: Options;
  set_options: (change: Options) => void;
  /** In figures and words instead of drawn. */
  as_table: boolean;
}

export const LOADS: Record<PanelKind, () => Promise<{ default: Component<PanelProps> }>> = {
  grid: () => import("./grid/Grid.svelte"),
  waves: () => import("./waves/Waves.svelte"),
  values: () => import("./values/Values.svelte"),
  graph: () => import("./graph/Graph.svelte"),
  map: () => import("./map/Map.svelte"),
  motion: () => import("./waves/Motion.svelte"),
  pose: () => import("./pose/Pose.svelte"),
  gaze: () => import("./gaze/Gaze.svelte"),
  group: () => import("./group/Group.svelte"),
  hrv: () => import("./hrv/Hrv.svelte"),
  raw: () => import("./raw/Raw.svelte"),
  system: () => import("./system/Panel.svelte"),
};

/** What they show is of now, and says so while the room's time stands; all others show that moment. */
export const OF_NOW: ReadonlySet<PanelKind> = new Set<PanelKind>(["graph", "group", "hrv", "system"]);

/** These are a table by themselves, or of tiles that are read. */
export const HAS_TABLE: ReadonlySet<PanelKind> = new Set<PanelKind>(["waves", "values", "graph", "map", "motion", "pose", "gaze", "group", "hrv"]);
