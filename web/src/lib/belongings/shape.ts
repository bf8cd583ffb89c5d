/** What the server says of somebody's devices, sensors and credentials (docs/devices.md), read with care. */

import { fields, list, moment, name, number, text } from "../read";
import { read_sensor, type RoomSensor } from "../rooms/shape";

const STATUSES = ["online", "idle", "offline"] as const;
export type Status = (typeof STATUSES)[number];
const KINDS = ["web", "native", "iot", "simulator"] as const;
export type Kind = (typeof KINDS)[number];

/** What a device calls itself on the channels of its sensors. */
export interface Device {
  id: string;
  name: string;
  kind: Kind;
  status: Status;
  /** Unix milliseconds; null: the server does not say. */
  seen_ms: number | null;
  sensors: RoomSensor[];
}

/** Which sensors a credential feeds: all, those whose ids begin so, or these. */
export type Scope = { kind: "any" } | { kind: "prefix"; prefix: string } | { kind: "ids"; ids: string[] };

export interface Credential {
  id: string;
  name: string;
  scope: Scope;
  made_ms: number | null;
  /** null: never. */
  expires_ms: number | null;
  seen_ms: number | null;
  /** Sensors that are fed by it now. */
  feed_count: number;
}

/** One of a sensor's attributes: what it is called, and of which type it is. */
export interface OwnSignal {
  id: string;
  type: string;
}

export interface Own extends RoomSensor {
  /** None while it is away. */
  signals: OwnSignal[];
  /** Somebody's since then. */
  since_ms: number | null;
}

/** ISO 8601 as Unix milliseconds. */
export function when(value: unknown): number | null {
  return moment(typeof value === "string" ? Date.parse(value) : NaN);
}

export function read_device(value: unknown): Device | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  if (given === null || id === null) return null;
  return {
    id, name: text(given["name"]) || id, kind: KINDS.find((kind) => kind === given["connector_type"]) ?? "native", status: STATUSES.find((status) => status === given["status"]) ?? "offline",
    seen_ms: when(given["last_seen_at"]), sensors: list(given["sensors"], read_sensor, ({ sensor_id }) => sensor_id) ?? [],
  };
}
export function read_devices(value: unknown): Device[] | null {
  return list(fields(value)?.["connectors"], read_device, ({ id }) => id);
}

function read_scope(value: unknown): Scope | null {
  if (value === "any") return { kind: "any" };
  if (Array.isArray(value)) return { kind: "ids", ids: value.map(name).filter((id) => id !== null) };
  const prefix = name(fields(value)?.["prefix"]);
  return prefix === null ? null : { kind: "prefix", prefix };
}
/** As the server takes it. */
export function said_of(scope: Scope): unknown {
  return scope.kind === "any" ? "any" : scope.kind === "prefix" ? { prefix: scope.prefix } : scope.ids;
}
/** Ids as they were typed: one a line, or with commas between them. */
export function ids_in(typed: string): string[] {
  return [...new Set(typed.split(/[\n,]/).map((id) => id.trim()).filter((id) => id !== ""))];
}

export function read_credential(value: unknown): Credential | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  const scope = read_scope(given?.["sensors"]);
  if (given === null || id === null || scope === null) return null;
  return { id, name: text(given["name"]), scope, made_ms: when(given["created_at"]), expires_ms: when(given["expires_at"]), seen_ms: when(given["last_seen_at"]), feed_count: number(given["feed_count"]) ?? 0 };
}
export function read_credentials(value: unknown): Credential[] | null {
  return list(fields(value)?.["credentials"], read_credential, ({ id }) => id);
}
/** A new one, with the token that is told this once. */
export function read_made(value: unknown): { credential: Credential; token: string } | null {
  const given = fields(value);
  const credential = read_credential(given?.["credential"]);
  const token = name(given?.["token"]);
  return credential === null || token === null ? null : { credential, token };
}

function read_signal(value: unknown): OwnSignal | null {
  const id = name(fields(value)?.["id"]);
  return id === null ? null : { id, type: name(fields(value)?.["attribute_type"]) ?? id };
}
export function read_own(value: unknown): Own[] | null {
  return list(fields(value)?.["sensors"], (one) => {
    const sensor = read_sensor(one);
    return sensor === null ? null : { ...sensor, since_ms: when(fields(one)?.["since"]), signals: list(fields(one)?.["attributes"], read_signal, ({ id }) => id) ?? [] };
  }, ({ sensor_id }) => sensor_id);
}
