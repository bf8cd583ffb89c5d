/**
 * What the server says of itself: `GET /api/system`, and the decision and the traces beside it. Rates are
 * samples a second (`sps`) or updates a second (`hz`), times milliseconds, moments unix milliseconds.
 *
 * Only how loaded it is must be there. Of the rest a part that cannot be read is null or an empty list,
 * which the page tells apart from a zero.
 */

import { fields, list, moment, name, number, signed, words, type Fields } from "../read";

export const LEVELS = ["normal", "elevated", "high", "critical"] as const;
export type LoadLevel = (typeof LEVELS)[number];
export const RESOURCES = ["cpu", "cpu_system", "queue", "tick", "broadcast", "memory"] as const;
export type Resource = (typeof RESOURCES)[number];
export const ATTENTIONS = ["high", "medium", "low"] as const;
export type Attention = (typeof ATTENTIONS)[number];
/** On the way out, in this order. */
export const LAYERS = ["asked", "device", "intake", "storage", "budget", "socket", "health"] as const;
export type Layer = (typeof LAYERS)[number];
export const CLASSES = ["bio", "motion", "location", "environment", "device"] as const;
export const QUALITIES = ["high", "medium", "low", "minimal", "paused"] as const;

export interface Pressure {
  name: Resource;
  /** Of its own limit: 1 is exhausted, and above it something waits. */
  used: number;
  measured: number | null;
  limit: number | null;
  unit: string;
}

export interface Threshold {
  level: LoadLevel;
  enter: number;
  exit: number;
}

export interface Load {
  level: LoadLevel;
  since_ms: number | null;
  pressure: number;
  weighted: number | null;
  limited_by: Resource | null;
  memory_protection: boolean;
  /** How far the thresholds are moved from where they are configured. */
  offset: number;
  pressures: Pressure[];
  weights: { name: string; weight: number }[];
  thresholds: Threshold[];
}

export interface FlowLevel {
  level: Attention;
  asked_sps: number;
  allowed_sps: number;
  delivered_sps: number;
}

export interface Flow {
  levels: FlowLevel[];
  took: { layer: Layer; sps: number }[];
  contended: boolean;
  /** null: no limit. */
  allowed_sps: number | null;
}

export interface ClassRow {
  class: string;
  in_sps: number;
  accepted_sps: number;
  dropped_sps: number | null;
  /** null: no limit. */
  quota_sps: number | null;
  queued: number | null;
}

export interface Storage {
  bytes: number;
  limit_bytes: number;
  hot_multiplier: number | null;
  warm_multiplier: number | null;
  squeeze: number;
}

export interface Pacing {
  level: string;
  window_ms: number;
  batch_size: number;
  paused: boolean;
}

export interface Counted {
  name: string;
  count: number;
}

export interface Viewers {
  open: number;
  qualities: Counted[];
  limited_by: Counted[];
}

export interface Novelty {
  at_ms_ago: number;
  sensor_id: string;
  attribute_id: string;
  z: number;
  boost_ms: number;
}

export interface Bio {
  novelty: { events_total: number; lifted: number; recent: Novelty[] } | null;
  forecast: { enabled: boolean; score: number | null; baseline: number | null; known: number; warmed: number } | null;
  correlation: { enabled: boolean; pairs: number } | null;
  homeostasis: { offset: number; p99_ms: number | null; target_ms: number; drop_rate: number; saturated: boolean } | null;
  arbiter: {
    contended: boolean;
    budget_fps: number | null;
    groups: { level: string; count: number; asked_fps: number; allowed_fps: number }[];
  } | null;
  circadian: { factor: number; confidence: number; hour_local: number } | null;
}

export interface Age {
  stage: string;
  class: string;
  p50: number;
  p95: number;
  p99: number;
  count: number;
}

export interface TopSensor {
  sensor_id: string;
  class: string;
  level: string;
  in_sps: number;
  viewers: number;
}

export interface TopViewer {
  viewer: number;
  choice: string;
  strong: string;
  rest: string;
  limited_by: string | null;
  asked_sps: number;
  allowed_sps: number;
  delivered_sps: number;
  waiting_bytes: number;
  waiting_ms: number;
  /** Of a hundred points; null when its browser does not say. */
  health: number | null;
}

export interface EngineSystem {
  name: string;
  on: boolean;
  panics: number | null;
  message: string | null;
  micros: number;
}

export interface Drop {
  ledger: string;
  reason: string;
  count: number;
  per_s: number;
}

export interface System {
  at: number | null;
  uptime_ms: number | null;
  version: string | null;
  load: Load;
  flow: Flow | null;
  classes: ClassRow[];
  storage: Storage | null;
  pacing: Pacing[];
  viewers: Viewers | null;
  bio: Bio;
  ages: Age[];
  sensors: TopSensor[];
  top_viewers: TopViewer[];
  systems: EngineSystem[];
  drops: Drop[];
  /** Whether what came in is what went out and what was dropped; null when it is not said. */
  balanced: boolean | null;
}

export interface Decision {
  asked_hz: number;
  allowed_hz: number;
  /** null: not looked at long enough to say. */
  delivered_hz: number | null;
  limited_by: string | null;
  form: string;
  chain: { layer: string; allows_hz: number | null; why: string }[];
}

export interface Stage {
  stage: string;
  /** Since the sample came through the door; what was before is negative. */
  at_ms: number;
}

export interface Trace {
  id: string;
  sensor_id: string;
  attribute_id: string;
  class: string;
  stages: Stage[];
  viewers: number;
}

function one_of<T extends string>(value: unknown, known: readonly T[]): T | null {
  return known.find((word) => word === value) ?? null;
}
const yes = (value: unknown): boolean => value === true;

/** An object's own numbers, as a list: `{"high": 3}`. */
function counted(value: unknown): Counted[] {
  return list(Object.entries(fields(value) ?? {}), (pair) => {
    const [key, n] = pair as [string, unknown];
    const count = number(n);
    const called = name(key);
    return count === null || called === null ? null : { name: called, count };
  }, (entry) => entry.name) ?? [];
}

/** Reads the entries of a list that are objects. */
function rows<T>(value: unknown, read: (given: Fields) => T | null, key: (row: T) => string): T[] {
  return list(value, (one) => {
    const given = fields(one);
    return given === null ? null : read(given);
  }, key) ?? [];
}

function read_load(value: unknown): Load | null {
  const given = fields(value);
  const level = one_of(given?.["level"], LEVELS);
  if (given === null || level === null) return null;
  return {
    level,
    since_ms: number(given["since_ms"]),
    pressure: number(given["pressure"]) ?? 0,
    weighted: number(given["weighted"]),
    limited_by: one_of(given["limited_by"], RESOURCES),
    memory_protection: yes(given["memory_protection"]),
    offset: signed(given["offset"]) ?? 0,
    pressures: rows(given["pressures"], (one) => {
      const called = one_of(one["name"], RESOURCES);
      const used = number(one["used"]);
      if (called === null || used === null) return null;
      return { name: called, used, measured: number(one["measured"]), limit: number(one["limit"]), unit: name(one["unit"]) ?? "" };
    }, (pressure) => pressure.name),
    weights: counted(given["weights"]).map(({ name: called, count }) => ({ name: called, weight: count })),
    thresholds: rows(given["thresholds"], (one) => {
      const of = one_of(one["level"], LEVELS);
      const enter = number(one["enter"]);
      return of === null || enter === null ? null : { level: of, enter, exit: number(one["exit"]) ?? enter };
    }, (threshold) => threshold.level),
  };
}

function read_flow(value: unknown): Flow | null {
  const given = fields(value);
  if (given === null) return null;
  const levels = rows(given["levels"], (one) => {
    const level = one_of(one["level"], ATTENTIONS);
    const asked_sps = number(one["asked_sps"]);
    const delivered_sps = number(one["delivered_sps"]);
    if (level === null || asked_sps === null || delivered_sps === null) return null;
    return { level, asked_sps, allowed_sps: number(one["allowed_sps"]) ?? asked_sps, delivered_sps };
  }, (one) => one.level);
  if (levels.length === 0) return null;
  const took = rows(given["took"], (one) => {
    const layer = one_of(one["layer"], LAYERS);
    const sps = number(one["sps"]);
    return layer === null || sps === null ? null : { layer, sps };
  }, (one) => one.layer);
  return { levels, took, contended: yes(given["contended"]), allowed_sps: number(given["allowed_sps"]) };
}

function read_storage(value: unknown): Storage | null {
  const given = fields(value);
  const bytes = number(given?.["bytes"]);
  const limit_bytes = number(given?.["limit_bytes"]);
  if (given === null || bytes === null || limit_bytes === null) return null;
  return { bytes, limit_bytes, hot_multiplier: number(given["hot_multiplier"]), warm_multiplier: number(given["warm_multiplier"]), squeeze: number(given["squeeze"]) ?? 0 };
}

function read_viewers(value: unknown): Viewers | null {
  const given = fields(value);
  const open = number(given?.["open"]);
  if (given === null || open === null) return null;
  return { open, qualities: counted(given["qualities"]), limited_by: counted(given["limited_by"]) };
}

function part<T>(value: unknown, read: (given: Fields) => T): T | null {
  const given = fields(value);
  return given === null ? null : read(given);
}

function read_bio(value: unknown): Bio {
  const given = fields(value) ?? {};
  return {
    novelty: part(given["novelty"], (one) => ({
      events_total: number(one["events_total"]) ?? 0,
      lifted: number(one["lifted"]) ?? 0,
      recent: rows(one["recent"], (event) => {
        const sensor_id = name(event["sensor_id"]);
        const attribute_id = name(event["attribute_id"]);
        const at_ms_ago = number(event["at_ms_ago"]);
        if (sensor_id === null || attribute_id === null || at_ms_ago === null) return null;
        return { at_ms_ago, sensor_id, attribute_id, z: signed(event["z"]) ?? 0, boost_ms: number(event["boost_ms"]) ?? 0 };
      }, (event) => `${event.sensor_id}\u0000${event.attribute_id}\u0000${event.at_ms_ago}`),
    })),
    forecast: part(given["forecast"], (one) => ({
      enabled: yes(one["enabled"]), score: signed(one["score"]), baseline: signed(one["baseline"]),
      known: number(one["known"]) ?? 0, warmed: number(one["warmed"]) ?? 0,
    })),
    correlation: part(given["correlation"], (one) => ({ enabled: yes(one["enabled"]), pairs: number(one["pairs"]) ?? 0 })),
    homeostasis: part(given["homeostasis"], (one) => ({
      offset: signed(one["offset"]) ?? 0, p99_ms: number(one["p99_ms"]), target_ms: number(one["target_ms"]) ?? 0,
      drop_rate: number(one["drop_rate"]) ?? 0, saturated: yes(one["saturated"]),
    })),
    arbiter: part(given["arbiter"], (one) => ({
      contended: yes(one["contended"]), budget_fps: number(one["budget_fps"]),
      groups: rows(one["groups"], (group) => {
        const level = name(group["level"]);
        if (level === null) return null;
        return { level, count: number(group["count"]) ?? 0, asked_fps: number(group["asked_fps"]) ?? 0, allowed_fps: number(group["allowed_fps"]) ?? 0 };
      }, (group) => group.level),
    })),
    circadian: part(given["circadian"], (one) => ({
      factor: number(one["factor"]) ?? 1, confidence: number(one["confidence"]) ?? 0, hour_local: number(one["hour_local"]) ?? 0,
    })),
  };
}

/** null when it does not even say how loaded it is. */
export function read_system(value: unknown): System | null {
  const given = fields(value);
  const load = read_load(given?.["load"]);
  if (given === null || load === null) return null;
  const top = fields(given["top"]) ?? {};
  return {
    at: moment(given["at"]),
    uptime_ms: number(given["uptime_ms"]),
    version: words(given["version"]),
    load,
    flow: read_flow(given["flow"]),
    classes: rows(given["classes"], (one) => {
      const called = name(one["class"]);
      if (called === null) return null;
      return {
        class: called, in_sps: number(one["in_sps"]) ?? 0, accepted_sps: number(one["accepted_sps"]) ?? 0,
        dropped_sps: number(one["dropped_sps"]), quota_sps: number(one["quota_sps"]), queued: number(one["queued"]),
      };
    }, (row) => row.class),
    storage: read_storage(given["storage"]),
    pacing: rows(given["pacing"], (one) => {
      const level = name(one["level"]);
      if (level === null) return null;
      return { level, window_ms: number(one["window_ms"]) ?? 0, batch_size: number(one["batch_size"]) ?? 0, paused: yes(one["paused"]) };
    }, (row) => row.level),
    viewers: read_viewers(given["viewers"]),
    bio: read_bio(given["bio"]),
    ages: rows(given["ages"], (one) => {
      const stage = name(one["stage"]);
      const of = name(one["class"]);
      const [p50, p95, p99] = [signed(one["p50"]), signed(one["p95"]), signed(one["p99"])];
      if (stage === null || of === null || p50 === null || p95 === null || p99 === null) return null;
      return { stage, class: of, p50, p95, p99, count: number(one["count"]) ?? 0 };
    }, (row) => `${row.stage}\u0000${row.class}`),
    sensors: rows(top["sensors"], (one) => {
      const sensor_id = name(one["sensor_id"]);
      if (sensor_id === null) return null;
      return { sensor_id, class: name(one["class"]) ?? "", level: name(one["level"]) ?? "", in_sps: number(one["in_sps"]) ?? 0, viewers: number(one["viewers"]) ?? 0 };
    }, (row) => row.sensor_id),
    top_viewers: rows(top["viewers"], (one) => {
      const viewer = number(one["viewer"]);
      if (viewer === null) return null;
      return {
        viewer, choice: name(one["choice"]) ?? "", strong: name(one["strong"]) ?? "", rest: name(one["rest"]) ?? "", limited_by: name(one["limited_by"]),
        asked_sps: number(one["asked_sps"]) ?? 0, allowed_sps: number(one["allowed_sps"]) ?? 0, delivered_sps: number(one["delivered_sps"]) ?? 0,
        waiting_bytes: number(one["waiting_bytes"]) ?? 0, waiting_ms: number(one["waiting_ms"]) ?? 0, health: number(one["health"]),
      };
    }, (row) => String(row.viewer)),
    systems: rows(given["systems"], (one) => {
      const called = name(one["name"]);
      if (called === null) return null;
      return { name: called, on: one["state"] !== "off", panics: number(one["panics"]), message: words(one["message"]), micros: number(one["micros"]) ?? 0 };
    }, (row) => row.name),
    drops: rows(given["drops"], (one) => {
      const reason = name(one["reason"]);
      if (reason === null) return null;
      return { ledger: name(one["ledger"]) ?? "", reason, count: number(one["count"]) ?? 0, per_s: number(one["per_s"]) ?? 0 };
    }, (row) => `${row.ledger}\u0000${row.reason}`),
    balanced: typeof given["balanced"] === "boolean" ? given["balanced"] : null,
  };
}

export function read_decision(value: unknown): Decision | null {
  const given = fields(value);
  const asked_hz = number(given?.["asked_hz"]);
  const allowed_hz = number(given?.["allowed_hz"]);
  if (given === null || asked_hz === null || allowed_hz === null) return null;
  return {
    asked_hz, allowed_hz,
    delivered_hz: number(given["delivered_hz"]),
    limited_by: name(given["limited_by"]),
    form: name(given["form"]) ?? "",
    chain: rows(given["chain"], (one) => {
      const layer = name(one["layer"]);
      return layer === null ? null : { layer, allows_hz: number(one["allows_hz"]), why: words(one["why"]) ?? "" };
    }, (step) => step.layer),
  };
}

/** What is longer than this on its way is not listed. */
export const STAGES_MAX = 16;

export function read_traces(value: unknown): Trace[] | null {
  const given = fields(value);
  if (!Array.isArray(given?.["traces"])) return null;
  return rows(given["traces"], (one) => {
    const id = name(one["id"]);
    const sensor_id = name(one["sensor_id"]);
    if (id === null || sensor_id === null) return null;
    const stages = rows(one["stages"], (at) => {
      const stage = name(at["stage"]);
      const at_ms = signed(at["at_ms"]);
      return stage === null || at_ms === null ? null : { stage, at_ms };
    }, ({ stage }) => stage).slice(0, STAGES_MAX).sort((a, b) => a.at_ms - b.at_ms);
    return { id, sensor_id, attribute_id: name(one["attribute_id"]) ?? "", class: name(one["class"]) ?? "", stages, viewers: number(one["viewers"]) ?? 0 };
  }, (trace) => trace.id);
}
