/** What the server says of whom one may know of (docs/search.md), read with care. */

import { fields, list, name, number, text } from "../read";
import { read_person, type Person } from "../search/shape";
import { read_sensor } from "../rooms/shape";

export interface KnownRoom {
  id: string;
  name: string;
  role: "owner" | "admin" | "member";
}
export interface KnownSensor {
  sensor_id: string;
  sensor_name: string;
  /** Of its signals, each once. */
  types: string[];
}
/** Somebody, with what of theirs one may know of, too. */
export interface Known extends Person {
  rooms: KnownRoom[];
  /** Of all of these rooms; some of many are not listed. */
  room_count: number;
  sensors: KnownSensor[];
  sensor_count: number;
}

const ROLES = ["owner", "admin", "member"] as const;

function read_known_room(value: unknown): KnownRoom | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  return id === null ? null : { id, name: text(given?.["name"]) || id, role: ROLES.find((role) => role === given?.["role"]) ?? "member" };
}
function read_known_sensor(value: unknown): KnownSensor | null {
  const sensor = read_sensor(value);
  if (sensor === null) return null;
  const types = list(fields(value)?.["attributes"], (one) => name(fields(one)?.["attribute_type"]), (type) => type) ?? [];
  return { sensor_id: sensor.sensor_id, sensor_name: sensor.sensor_name || sensor.sensor_id, types };
}

function read_one(value: unknown): Known | null {
  const given = fields(value);
  const person = read_person(value);
  if (given === null || person === null) return null;
  const rooms = list(given["rooms"], read_known_room, ({ id }) => id) ?? [];
  const sensors = list(given["sensors"], read_known_sensor, ({ sensor_id }) => sensor_id) ?? [];
  return { ...person, rooms, room_count: number(given["room_count"]) ?? rooms.length, sensors, sensor_count: number(given["sensor_count"]) ?? sensors.length };
}

/** `more`: there are more people than one answer has. */
export interface Everybody {
  people: Known[];
  more: boolean;
}
export function read_everybody(value: unknown): Everybody | null {
  const people = list(fields(value)?.["people"], read_one, ({ user_id }) => user_id);
  return people === null ? null : { people, more: fields(value)?.["more"] === true };
}
export function read_known(value: unknown): Everybody | null {
  const person = read_one(fields(value)?.["person"]);
  return person === null ? null : { people: [person], more: false };
}

/** Who is found by words of their own name, and of their rooms' and sensors'. */
export function among(people: readonly Known[], filter: string, type_name: (type: string) => string): Known[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return people.filter(({ display_name, rooms, sensors }) => {
    const said = [display_name, ...rooms.map((room) => room.name), ...sensors.flatMap(({ sensor_name, types }) => [sensor_name, ...types.map(type_name)])].join(" ").toLowerCase();
    return words.every((word) => said.includes(word));
  });
}
