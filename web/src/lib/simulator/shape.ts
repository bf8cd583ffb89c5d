/** What the server says of its simulator and its recordings. Times are unix ms unless said otherwise. */

import { fields, list, moment, NAME_MAX, name, number, text, words } from "../read";

export interface Scenario {
  name: string;
  description: string;
  people: number;
  sensors: number;
  attributes: number;
  samples_per_second: number;
  viewers: number;
  origin: "shipped" | "yours";
  /** What is wrong with the file, with its name and line; then nothing else here counts. */
  error: string | null;
}

export type RunState = "running" | "paused" | "stopping" | "ended" | "unknown";

/** The room that an act is for, and whether it is there. */
export interface Home {
  id: string;
  state: "there" | "waiting" | "lost";
  /** Why it is not there, by the server's word; empty when it is. */
  why: string;
}

/** A scenario or a replay on the stage. */
export interface Running {
  id: string;
  kind: "scenario" | "replay";
  name: string;
  state: RunState;
  /** null when there is none, or one too large for a number here to hold exactly. */
  seed: number | null;
  speed: number;
  sensors: number;
  sensors_live: number;
  samples_per_second: number;
  started_at: number | null;
  position_ms: number;
  duration_ms: number | null;
  /** The moment of the recording that is shown. */
  recorded_at: number | null;
  skipped_ms: number;
  /** Why it does not go on, as a file that is damaged further along. */
  error: string | null;
  /** null: it is for none. */
  room: Home | null;
}

export interface Health {
  checked_at: number | null;
  every_ms: number;
  ok: boolean;
  orphan_count: number;
  orphans: string[];
  missing_count: number;
  missing: string[];
  repaired: number;
}

export interface Overview {
  scenarios: Scenario[];
  running: Running[];
  health: Health | null;
}

export interface Recording {
  name: string;
  bytes: number;
  created_at: number | null;
  duration_ms: number | null;
  samples: number | null;
  sensors: number | null;
  hash: string;
  complete: boolean;
  error: string | null;
}

/** What is being recorded now. */
export interface Capture {
  name: string;
  started_at: number | null;
  elapsed_ms: number;
  samples: number;
  bytes: number;
  warning: string | null;
  error: string | null;
}

export interface Recordings {
  recordings: Recording[];
  recording: Capture | null;
  bytes_max: number | null;
}

function speed(value: unknown): number {
  const is = number(value);
  return is === null || is === 0 ? 1 : is;
}

/** A sensor by its id, or by an entry that says more of it; what is known of the reason goes along. */
function sensor(value: unknown): string | null {
  const given = fields(value);
  if (given === null) return name(value);
  const id = name(given["sensor_id"]);
  const why = words(given["why"]);
  return id === null || why === null ? id : `${id} (${why.replaceAll("_", " ").slice(0, NAME_MAX)})`;
}

const sensors = (value: unknown): string[] => list(value, sensor, (one) => one) ?? [];

function read_scenario(value: unknown): Scenario | null {
  const given = fields(value);
  const called = name(given?.["name"]);
  if (given === null || called === null) return null;
  return {
    name: called,
    description: text(given["description"]),
    people: number(given["people"]) ?? 0,
    sensors: number(given["sensors"]) ?? 0,
    attributes: number(given["attributes"]) ?? 0,
    samples_per_second: number(given["samples_per_second"]) ?? 0,
    viewers: number(given["viewers"]) ?? 0,
    origin: given["origin"] === "yours" ? "yours" : "shipped",
    error: words(given["error"]),
  };
}

const STATES: readonly unknown[] = ["running", "paused", "stopping", "ended"];

function read_home(value: unknown): Home | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  if (given === null || id === null) return null;
  const state = given["state"];
  return { id, state: state === "there" || state === "lost" ? state : "waiting", why: name(given["why"]) ?? "" };
}

export function read_running(value: unknown): Running | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  if (given === null || id === null) return null;
  const seed = given["seed"];
  const duration_ms = number(given["duration_ms"]);
  return {
    id,
    kind: given["kind"] === "replay" ? "replay" : "scenario",
    name: name(given["name"]) ?? id,
    state: STATES.includes(given["state"]) ? (given["state"] as RunState) : "unknown",
    seed: Number.isSafeInteger(seed) ? (seed as number) : null,
    speed: speed(given["speed"]),
    sensors: number(given["sensors"]) ?? 0,
    sensors_live: number(given["sensors_live"]) ?? 0,
    samples_per_second: number(given["samples_per_second"]) ?? 0,
    started_at: moment(given["started_at"]),
    position_ms: Math.min(number(given["position_ms"]) ?? 0, duration_ms ?? Infinity),
    duration_ms,
    recorded_at: moment(given["recorded_at"]),
    skipped_ms: number(given["skipped_ms"]) ?? 0,
    error: words(given["error"]),
    room: read_home(given["room"]),
  };
}

function read_health(value: unknown): Health | null {
  const given = fields(value);
  if (given === null) return null;
  const orphans = sensors(given["orphans"]);
  const missing = sensors(given["missing"]);
  const orphan_count = number(given["orphan_count"]) ?? orphans.length;
  const missing_count = number(given["missing_count"]) ?? missing.length;
  return {
    checked_at: moment(given["checked_at"]),
    every_ms: number(given["every_ms"]) ?? 0,
    // Never well by default, and never well with something wrong.
    ok: given["ok"] === true && orphan_count === 0 && missing_count === 0,
    orphan_count,
    orphans,
    missing_count,
    missing,
    repaired: number(given["repaired"]) ?? 0,
  };
}

export function read_overview(value: unknown): Overview | null {
  const given = fields(value);
  const scenarios = list(given?.["scenarios"], read_scenario, (scenario) => scenario.name);
  const running = list(given?.["running"], read_running, (entry) => entry.id);
  if (given === null || scenarios === null || running === null) return null;
  return { scenarios, running, health: read_health(given["health"]) };
}

export function read_recording(value: unknown): Recording | null {
  const given = fields(value);
  const called = name(given?.["name"]);
  if (given === null || called === null) return null;
  return {
    name: called,
    bytes: number(given["bytes"]) ?? 0,
    created_at: moment(given["created_at"]),
    duration_ms: number(given["duration_ms"]),
    samples: number(given["samples"]),
    sensors: number(given["sensors"]),
    hash: text(given["hash"]),
    complete: given["complete"] === true,
    error: words(given["error"]),
  };
}

export function read_capture(value: unknown): Capture | null {
  const given = fields(value);
  const called = name(given?.["name"]);
  if (given === null || called === null) return null;
  return {
    name: called,
    started_at: moment(given["started_at"]),
    elapsed_ms: number(given["elapsed_ms"]) ?? 0,
    samples: number(given["samples"]) ?? 0,
    bytes: number(given["bytes"]) ?? 0,
    warning: words(given["warning"]),
    error: words(given["error"]),
  };
}

export function read_recordings(value: unknown): Recordings | null {
  const given = fields(value);
  const recordings = list(given?.["recordings"], read_recording, (entry) => entry.name);
  if (given === null || recordings === null) return null;
  const bytes_max = number(given["bytes_max"]);
  return { recordings, recording: read_capture(given["recording"]), bytes_max: bytes_max === 0 ? null : bytes_max };
}
