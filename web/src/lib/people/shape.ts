/** What the server says of somebody (docs/people.md), read with care. */

import { fields, name, number, words } from "../read";

export type Role = "guest" | "person" | "administrator";
const ROLES: readonly Role[] = ["guest", "person", "administrator"];

export interface User {
  id: string;
  /** null: a guest, who has none. */
  email: string | null;
  display_name: string;
  role: Role;
}

/** What somebody has in hand: tokens, each for its own door. */
export interface Welcome {
  user: User;
  access: string;
  socket: string;
  expires_in_s: number;
}

export function read_user(value: unknown): User | null {
  const given = fields(value);
  const id = name(given?.["id"]);
  const display_name = name(given?.["display_name"]);
  const role = ROLES.find((one) => one === given?.["role"]);
  if (id === null || display_name === null || role === undefined) return null;
  return { id, email: words(given?.["email"]), display_name, role };
}

export function read_me(value: unknown): User | null {
  return read_user(fields(value)?.["user"]);
}

export function read_welcome(value: unknown): Welcome | null {
  const given = fields(value);
  const user = read_user(given?.["user"]);
  const access = name(given?.["token"]);
  const socket = name(given?.["socket_token"]);
  const expires_in_s = number(given?.["expires_in"]);
  if (user === null || access === null || socket === null || expires_in_s === null) return null;
  return { user, access, socket, expires_in_s };
}
