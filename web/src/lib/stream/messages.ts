/** What the page and its worker say to each other. */

import type { AttentionMessage } from "./attention";
import type { GroupEvent, GroupFrame, GroupWish } from "./group";
import type { Answer } from "./groups";
import type { HealthMessage } from "./health";
import type { Link } from "./phoenix";

export type Level = "none" | "low" | "medium" | "high";
export type Quality = "auto" | "auto-low" | "high" | "medium" | "low" | "minimal" | "paused";

/** What this viewer is given, by the server's last word. */
export interface Granted {
  /** Of what is merely seen; empty before the first word. */
  level: string;
  /** What decided it: `auto`, or the layer that gave least. */
  reason: string;
  /** Of what is hovered, focused or pinned; empty when the server does not say. */
  focused: string;
}

export interface RosterAttribute {
  attribute_id: string;
  attribute_type: string;
  sampling_rate: number | null;
}

export interface RosterSensor {
  sensor_id: string;
  sensor_name: string;
  sensor_type: string;
  connector_id: string | null;
  connector_name: string | null;
  level: Level;
  attributes: RosterAttribute[];
}

export interface Roster {
  full: boolean;
  total: number;
  sensors: RosterSensor[];
  gone: string[];
  levels: Record<string, Level>;
}

/** A stream as the page knows it; `handle` is the worker's small number for it. */
export interface StreamCard {
  handle: number;
  sensor_id: string;
  attribute_id: string;
  attribute_type: string;
  rate_hz: number;
  width: number;
  lanes: number;
  names: string[];
}

/**
 * New points of watched streams. `index` holds threes: handle, 1 when what was held is void (else 0),
 * count. Points follow each other in the same order, `lanes` values each.
 */
export interface Batch {
  entries: number;
  index: Uint32Array<ArrayBuffer>;
  times: Float64Array<ArrayBuffer>;
  low: Float32Array<ArrayBuffer>;
  high: Float32Array<ArrayBuffer>;
}

/** Columns of `Stats.rows`. */
export const Row = { handle: 0, per_s: 1, last_ms: 2, value: 3, gaps: 4, duplicates: 5, missed: 6, seeds: 7 } as const;
export const ROW_COLUMNS = 8;

export interface Stats {
  rows: Float64Array<ArrayBuffer>;
  samples_per_s: number;
  bytes_per_s: number;
  messages_per_s: number;
  age_ms_p50: number;
  /** The page's clock (`wall_ms`) when the last frame came; NaN before the first. */
  last_frame_ms: number;
  /** The page's clock minus the server's. */
  clock_offset_ms: number;
  frames: number;
  bytes: number;
  gaps: number;
  duplicates: number;
  missed: number;
  /** Frames that were refused. */
  refused: number;
}

export interface DetailRow {
  attribute_id: string;
  at_ms: number;
  payload: string;
}

/** A span of a stream's past, as far as it is kept: for a window that is drawn on so many columns, or for a moment and what led to it. */
export interface PastWish {
  /** Its own among all that are wished for. */
  id: string;
  sensor_id: string;
  attribute_id: string;
  rate_hz: number;
  lanes: number;
  names: string[];
  from_ms: number;
  to_ms: number;
  window_ms: number;
  /** 0: for a moment. Samples one by one, with all their cells, and of those before the span the last. */
  columns: number;
}

/** The same as it was found. Each point stands for `step_ms` from its time on; 0: they are samples, and there are no means. */
export interface PastPiece {
  /** That of the wish. */
  id: string;
  standing: "kept" | "not_kept" | "not_shared" | "failed";
  from_ms: number;
  to_ms: number;
  window_ms: number;
  step_ms: number;
  lanes: number;
  times: Float64Array<ArrayBuffer>;
  low: Float32Array<ArrayBuffer>;
  high: Float32Array<ArrayBuffer>;
  mean: Float32Array<ArrayBuffer>;
  /** Parts that the server could not read. */
  damaged: number;
}

/** What is watched, and where a token for it is asked for. */
export interface Lens {
  viewers_url: string;
  /** The house as a whole; otherwise the address says what. */
  all: boolean;
  /** Grows with each change: what is said of an earlier one comes too late. */
  turn: number;
}

export type ToWorker =
  | { kind: "start"; socket_url: string; bearer: string | null; quality: Quality; lens: Lens }
  | { kind: "bearer"; bearer: string | null }
  | { kind: "lens"; lens: Lens }
  | { kind: "watch"; keys: string[] }
  | { kind: "detail"; sensor_id: string | null }
  | { kind: "attention"; message: AttentionMessage }
  | { kind: "quality"; quality: Quality }
  | { kind: "health"; report: HealthMessage }
  | { kind: "groups"; wishes: GroupWish[] }
  | { kind: "past"; wishes: PastWish[] }
  | { kind: "taken"; spare: Batch | null }
  | { kind: "nudge" };

export type ToPage =
  | { kind: "link"; link: Link; joins: number }
  | { kind: "roster"; roster: Roster; turn: number }
  | { kind: "quality"; granted: Granted }
  | { kind: "cards"; cards: StreamCard[] }
  | { kind: "batch"; batch: Batch }
  | { kind: "texts"; texts: [handle: number, text: string][] }
  | { kind: "stats"; stats: Stats }
  | { kind: "detail"; sensor_id: string; rows: DetailRow[] }
  | { kind: "past"; piece: PastPiece }
  | { kind: "group_answer"; answer: Answer }
  | { kind: "group_event"; event: GroupEvent }
  | { kind: "group_frame"; frame: GroupFrame };

export function key_of(sensor_id: string, attribute_id: string): string {
  return `${sensor_id}\u0000${attribute_id}`;
}

/** Unix milliseconds that never step, the same in the page and in the worker. */
export function wall_ms(): number {
  return performance.timeOrigin + performance.now();
}
