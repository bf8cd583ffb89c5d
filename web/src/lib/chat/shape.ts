/** What is said in one place (docs/rooms.md), read with care. */

import { fields, list, moment, name, text } from "../read";

/** The server keeps no more of a place. */
export const MESSAGES_MAX = 100;
/** Nor for longer, in milliseconds. */
export const MESSAGE_MS = 24 * 3_600_000;
/** In UTF-8. */
export const MESSAGE_BYTES_MAX = 1_000;
/** As many at once are asked for. */
export const PAGE = 50;

export interface Message {
  id: string;
  user_id: string;
  user_name: string;
  content: string;
  /** By the server's clock, Unix milliseconds. */
  said_ms: number;
  edited: boolean;
}

export interface Page {
  /** The oldest first. */
  messages: Message[];
  /** There are more before them. */
  more: boolean;
}

export function read_message(value: unknown): Message | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  const said_ms = moment(given?.["timestamp"]);
  if (given === null || id === null || said_ms === null) return null;
  return { id, user_id: text(given["user_id"]), user_name: text(given["user_name"]), content: text(given["content"]), said_ms, edited: moment(given["edited_at"]) !== null };
}

export function read_page(value: unknown): Page | null {
  const given = fields(value);
  const messages = list(given?.["messages"], read_message, ({ id }) => id);
  return messages === null ? null : { messages, more: given?.["more"] === true };
}

export function read_gone(value: unknown): string[] {
  const ids = fields(value)?.["ids"];
  return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
}

/** What is said for the first time stands last; what was said already, where it was. */
export function with_message(messages: Message[], one: Message): Message[] {
  const at = messages.findIndex(({ id }) => id === one.id);
  if (at < 0) return [...messages, one].slice(-MESSAGES_MAX);
  return messages.map((message, k) => (k === at ? one : message));
}

/** An earlier page before what is known, each message once. */
export function with_earlier(messages: Message[], page: Message[]): Message[] {
  const known = new Set(messages.map(({ id }) => id));
  return [...page.filter(({ id }) => !known.has(id)), ...messages].slice(-MESSAGES_MAX);
}

const encoder = new TextEncoder();
/** How many bytes too long a message is; none or less: as many are left. */
export function bytes_over(content: string): number {
  return encoder.encode(content.trim()).length - MESSAGE_BYTES_MAX;
}
