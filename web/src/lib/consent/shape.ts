/** What the server says of who may see what, and of who looks (docs/consent.md), read with care; and what of it concerns a signal. */

import { when, type Own, type OwnSignal } from "../belongings/shape";
import { fields, list, name, number, words } from "../read";

/** The word for all signals. */
export const ANY = "any";

export interface Grant {
  id: string;
  /** To a person, or to whoever is in a room. */
  to: "person" | "room";
  /** Of the person or the room. */
  to_id: string;
  /** Of whom it is; null: nobody who has a name. */
  owner_name: string | null;
  /** null: a name that is not told, or of somebody who has gone. */
  name: string | null;
  /** A type of signals, the id of one, or `any`. */
  word: string;
  /** null: of all sensors. */
  sensor_id: string | null;
  /** Unix milliseconds; null: until it is taken back. */
  until_ms: number | null;
}

/** Somebody who looks at something of one's own now. */
export interface Viewer {
  /** null: all who are not signed in, together. */
  user_id: string | null;
  display_name: string | null;
  /** Tabs and other viewers of theirs. */
  channels: number;
  sensor_count: number;
  /** Types of signals by sensor: of the first hundred. */
  signals: ReadonlyMap<string, readonly string[]>;
}

export function read_private(value: unknown): string[] | null {
  return list(fields(value)?.["private"], name, (word) => word);
}

function read_grant(value: unknown): Grant | null {
  const given = fields(value);
  const [id, word] = [name(given?.["id"]), name(given?.["attribute_type"])];
  const [person, room] = [name(given?.["user_id"]), name(given?.["room_id"])];
  const to_id = person ?? room;
  if (given === null || id === null || word === null || to_id === null) return null;
  return { id, owner_name: words(given["owner_name"]), word, to: person === null ? "room" : "person", to_id, name: words(given["name"]), sensor_id: name(given["sensor_id"]), until_ms: when(given["expires_at"]) };
}
export function read_grants(value: unknown): { given: Grant[]; received: Grant[] } | null {
  const of = (key: string): Grant[] | null => list(fields(value)?.[key], read_grant, ({ id }) => id);
  const [given, received] = [of("given"), of("received")];
  return given === null || received === null ? null : { given, received };
}

function read_viewer(value: unknown): Viewer | null {
  const given = fields(value);
  if (given === null) return null;
  const seen = list(given["signals"], (one) => {
    const sensor_id = name(fields(one)?.["sensor_id"]);
    const types = list(fields(one)?.["attribute_types"], name, (type) => type);
    return sensor_id === null || types === null ? null : ([sensor_id, types] as const);
  }, ([sensor_id]) => sensor_id);
  if (seen === null) return null;
  return { user_id: name(given["user_id"]), display_name: words(given["display_name"]), channels: number(given["channels"]) ?? 1, sensor_count: number(given["sensor_count"]) ?? seen.length, signals: new Map(seen) };
}
/** `more`: there are more who look than are told. */
export function read_viewers(value: unknown): { viewers: Viewer[]; more: boolean } | null {
  const viewers = list(fields(value)?.["viewers"], read_viewer, ({ user_id }) => user_id ?? "");
  return viewers === null ? null : { viewers, more: fields(value)?.["more"] === true };
}

/** Whether a word means this signal. */
export function means(word: string, signal: OwnSignal): boolean {
  return word === ANY || word === signal.id || word === signal.type;
}

/** Whoever sees this type of this sensor's signals now. */
export function lookers(viewers: readonly Viewer[], sensor_id: string, type: string): Viewer[] {
  return viewers.filter(({ signals }) => signals.get(sensor_id)?.includes(type) === true);
}

/** How many people see any of these sensors now; who is not signed in counts by tabs. */
export function seen_by(viewers: readonly Viewer[], sensor_ids: readonly string[]): number {
  let count = 0;
  for (const { user_id, channels, signals } of viewers) if (sensor_ids.some((id) => signals.has(id))) count += user_id === null ? channels : 1;
  return count;
}

/**
 * What one may keep to oneself: the types of one's sensors' signals, in their order, and the words that are private or granted
 * beyond these. `any` is none of them.
 */
export function words_of(sensors: readonly Own[], kept: readonly string[], given: readonly Grant[]): string[] {
  const types = new Set(sensors.flatMap(({ signals }) => signals.map(({ type }) => type)));
  const rest = [...kept, ...given.map(({ word }) => word)].filter((word) => word !== ANY);
  return [...new Set([...[...types].sort(), ...rest])];
}
