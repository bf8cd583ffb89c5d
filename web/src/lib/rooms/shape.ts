/** What the server says of rooms (docs/rooms.md), read with care. */

import { fields, list, name, number, text, words } from "../read";
import { read_past, type Past } from "./past";

export type Rank = "owner" | "admin" | "member" | "banned";
const RANKS: readonly Rank[] = ["owner", "admin", "member", "banned"];

/** A room as a listing has it. */
export interface Listed {
  id: string;
  name: string;
  description: string | null;
  is_public: boolean;
  owner_id: string | null;
  sensor_count: number;
  member_count: number;
  /** Channels that are open: tabs, not people. */
  online_count: number;
}

/** A room for who may see it. */
export interface RoomInfo extends Listed {
  /** Of who asks; null: a stranger. */
  role: Rank | null;
  sensors: RoomSensor[];
  /** How what is measured there is kept; null: it is not. */
  past: Past | null;
}

export interface RoomSensor {
  sensor_id: string;
  sensor_name: string;
  online: boolean;
}

export interface Member {
  user_id: string;
  display_name: string | null;
  role: Rank;
}

/** Somebody who has the room open. */
export interface Present {
  user_id: string;
  display_name: string;
  /** In so many tabs. */
  tabs: number;
}

/** A wish for a room's making or change. */
export interface Wishes {
  name?: string;
  description?: string | null;
  is_public?: boolean;
}

export function read_listed(value: unknown): Listed | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  if (given === null || id === null) return null;
  return {
    id, name: text(given["name"]), description: words(given["description"]), is_public: given["is_public"] === true, owner_id: name(given["owner_id"]),
    sensor_count: number(given["sensor_count"]) ?? 0, member_count: number(given["member_count"]) ?? 0, online_count: number(given["online_count"]) ?? 0,
  };
}

export function read_rooms(value: unknown): Listed[] | null {
  return list(value, read_listed, ({ id }) => id);
}

export function read_mine(value: unknown): Listed[] | null {
  return read_rooms(fields(value)?.["rooms"]);
}

export function read_sensor(value: unknown): RoomSensor | null {
  const given = fields(value);
  const sensor_id = name(given?.["sensor_id"]);
  return sensor_id === null ? null : { sensor_id, sensor_name: text(given?.["sensor_name"]), online: given?.["activity_status"] !== "offline" };
}

/** An answer with a room in it. */
export function read_room(value: unknown): RoomInfo | null {
  const given = fields(fields(value)?.["room"]);
  const listed = read_listed(given);
  if (listed === null) return null;
  return {
    ...listed,
    role: RANKS.find((rank) => rank === given?.["role"]) ?? null,
    sensors: list(given?.["sensors"], read_sensor, ({ sensor_id }) => sensor_id) ?? [],
    past: read_past(given?.["history"]),
  };
}

export function read_members(value: unknown): Member[] | null {
  return list(fields(value)?.["members"], (one) => {
    const given = fields(one);
    const user_id = name(given?.["user_id"]);
    const role = RANKS.find((rank) => rank === given?.["role"]);
    return user_id === null || role === undefined ? null : { user_id, display_name: words(given?.["display_name"]), role };
  }, ({ user_id }) => user_id);
}

export function read_code(value: unknown): string | null {
  return name(fields(value)?.["join_code"]);
}

/** Which room a ticket is for. */
export function read_ticket(value: unknown): string | null {
  return name(fields(fields(value)?.["ticket"])?.["room_id"]);
}

/** One who is there by what Phoenix's presence says of them. */
export function read_present(user_id: string, value: unknown): Present | null {
  const metas = fields(value)?.["metas"];
  if (!Array.isArray(metas) || metas.length === 0) return null;
  return { user_id, display_name: text(fields(metas[0])?.["display_name"]), tabs: metas.length };
}

const RUNS: ReadonlySet<Rank | null> = new Set<Rank | null>(["owner", "admin"]);
/** Whether whoever has this role may invite, edit, and send members away. */
export function runs(role: Rank | null): boolean {
  return RUNS.has(role);
}

/** A code as it was typed or pasted, also as part of a link to this page; empty when there is none in it. */
export function code_in(typed: string): string {
  const last = typed.trim().replace(/[/?#]+$/, "").split("/").at(-1) ?? "";
  const code = last.replace(/[\s-]/g, "").toUpperCase();
  return /^[A-Z0-9]{4,32}$/.test(code) ? code : "";
}
