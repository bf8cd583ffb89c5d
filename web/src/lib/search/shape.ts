/** What the server finds (docs/search.md), read with care. */

import { fields, list, name, text, words } from "../read";
import { read_listed, read_sensor } from "../rooms/shape";

/** What is called not quite so, but nearly. */
interface Hit {
  nearly: boolean;
}
export interface Person {
  user_id: string;
  display_name: string;
}
export interface FoundSensor {
  sensor_id: string;
  sensor_name: string;
  /** Whose device it is on; null: it does not say. */
  connector_name: string | null;
}
export interface FoundRoom {
  id: string;
  name: string;
}
export const FOUND_KINDS = ["people", "rooms", "sensors"] as const;
export type FoundKind = (typeof FOUND_KINDS)[number];

export interface Found {
  /** What was asked, as the server has it. */
  query: string;
  people: (Person & Hit)[];
  rooms: (FoundRoom & Hit)[];
  sensors: (FoundSensor & Hit)[];
  /** Of which kinds there are more. */
  more: FoundKind[];
}

/** Letters that a question may have. */
export const QUERY_LETTERS_MAX = 100;

export function read_person(value: unknown): Person | null {
  const given = fields(value);
  const user_id = name(given?.["user_id"]);
  return user_id === null ? null : { user_id, display_name: text(given?.["display_name"]) };
}

function read_found_sensor(value: unknown): FoundSensor | null {
  const sensor = read_sensor(value);
  if (sensor === null) return null;
  return { sensor_id: sensor.sensor_id, sensor_name: sensor.sensor_name || sensor.sensor_id, connector_name: words(fields(value)?.["connector_name"]) };
}
function read_found_room(value: unknown): FoundRoom | null {
  const room = read_listed(value);
  return room === null ? null : { id: room.id, name: room.name };
}

/** Words that are wrong by a letter, or not all there. */
const NEARLY: ReadonlySet<unknown> = new Set(["typo", "some"]);
function hit<T>(read: (value: unknown) => T | null): (value: unknown) => (T & Hit) | null {
  return (value) => {
    const one = read(value);
    return one === null ? null : { ...one, nearly: NEARLY.has(fields(value)?.["match"]) };
  };
}

export function read_found(value: unknown): Found | null {
  const given = fields(value);
  if (typeof given?.["query"] !== "string") return null;
  const more = fields(given["more"]);
  return {
    query: given["query"],
    people: list(given["people"], hit(read_person), ({ user_id }) => user_id) ?? [],
    rooms: list(given["rooms"], hit(read_found_room), ({ id }) => id) ?? [],
    sensors: list(given["sensors"], hit(read_found_sensor), ({ sensor_id }) => sensor_id) ?? [],
    more: FOUND_KINDS.filter((kind) => more?.[kind] === true),
  };
}

/** What is asked of what was typed: trimmed, and as long as the server takes it. */
export function query_of(typed: string): string {
  return [...typed.trim()].slice(0, QUERY_LETTERS_MAX).join("");
}
