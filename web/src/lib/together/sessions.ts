/** Sessions: a group recorded from start to stop, and what it came to. What the server says of them, and every request there is. */

import type { Answer, Asker } from "../ask";
import { fields, list, moment, name, number, signed, text, words } from "../read";
import type { Choice } from "./choice";

export const CONDITIONS = ["free", "paced", "common_stimulus"] as const;
export type Condition = (typeof CONDITIONS)[number];

export const FILES = ["report.html", "report.json", "report.csv", "signals.csv"] as const;
export type File = (typeof FILES)[number];

const STATES = ["running", "reporting", "done", "failed", "broken"] as const;
export type SessionState = (typeof STATES)[number];

export interface Session {
  name: string;
  state: SessionState;
  /** Of a report under way, 0 to 1. */
  progress: number;
  /** Why it failed, or cannot be read. */
  why: string | null;
  signal: string;
  condition: string;
  /** The room whose people it is of; null: of nobody's room. */
  room: string | null;
  /** When it began; null where nothing was measured. */
  at_ms: number | null;
  /** Of what there is. */
  seconds: number;
  people: number;
  /** Of them, now. */
  measurable: number;
  left_out: number;
  /** It holds as much as it may. */
  full: boolean;
  mean_kappa: number | null;
  /** Of the greatest pair; null: not tested. */
  p: number | null;
  /** Against what, or with what it was not tested. */
  method: string;
  not_tested: string | null;
  cautions: string[];
}

export interface Sessions {
  sessions: Session[];
  people_max: number | null;
}

export interface Given {
  name: string;
  condition: Condition;
  /** Whose sensors are meant, of those in a room. */
  room: string | null;
}

/** Not on the shelf yet, and changing. */
export const is_going = ({ state }: Session): boolean => state === "running" || state === "reporting";

const CAUTIONS_MAX = 20;

export function read_session(value: unknown): Session | null {
  const said = fields(value);
  const named = name(said?.["name"]);
  const state = STATES.find((one) => one === said?.["state"]);
  if (said === null || named === null || state === undefined) return null;
  const people = Array.isArray(said["people"]) ? said["people"] : null;
  const test = fields(said["significance"]);
  const tested = test?.["outcome"] === "tested";
  // A session of no step has no instant: it says 0.
  const at = moment(said["started_at"]) ?? moment(said["begin_ms"]);
  return {
    name: named,
    state,
    progress: Math.min(1, number(said["progress"]) ?? 0),
    why: words(said["why"]),
    signal: text(said["signal"]),
    condition: text(said["condition"]),
    room: name(said["room"]),
    at_ms: at === 0 ? null : at,
    seconds: number(said["seconds"]) ?? number(said["duration_s"]) ?? 0,
    people: people?.length ?? number(said["people"]) ?? 0,
    measurable: people?.filter((person) => fields(person)?.["measurable"] === true).length ?? 0,
    left_out: number(said["left_out"]) ?? 0,
    full: said["full"] === true,
    mean_kappa: signed(fields(said["group"])?.["mean_kappa"]),
    p: tested ? number(test["p_group"]) : null,
    method: text(test?.["method"]),
    not_tested: tested ? null : words(test?.["reason"]),
    cautions: (Array.isArray(said["cautions"]) ? said["cautions"] : []).slice(0, CAUTIONS_MAX).map(text).filter((one) => one !== ""),
  };
}

export function read_sessions(value: unknown): Sessions | null {
  const said = fields(value);
  const sessions = list(said?.["sessions"], read_session, (one) => one.name);
  return sessions === null ? null : { sessions, people_max: number(said?.["people_max"]) };
}

/** For answers that only say yes. */
const yes = (): true => true;
const ROOT = "api/synchrony/sessions";
const path_of = (session: string): string => `${ROOT}/${encodeURIComponent(session)}`;

export class Client {
  private server: Asker;

  constructor(server: Asker) {
    this.server = server;
  }

  list(): Promise<Answer<Sessions>> {
    return this.server.ask("GET", ROOT, read_sessions);
  }
  one(session: string): Promise<Answer<Session>> {
    return this.server.ask("GET", path_of(session), read_session);
  }
  /** Exactly the group that is chosen. An empty name is the server's to choose. */
  start({ signal, tier, who }: Choice, { name: named, condition, room }: Given): Promise<Answer<Session>> {
    const sensors = who === "all" ? who : [...who].sort();
    return this.server.ask("POST", ROOT, read_session, { signal, tier, sensors, condition, ...(named === "" ? {} : { name: named }), ...(room === null ? {} : { room }) });
  }
  stop(session: string): Promise<Answer<Session>> {
    return this.server.ask("POST", `${path_of(session)}/stop`, read_session, {});
  }
  remove(session: string): Promise<Answer<true>> {
    return this.server.ask("DELETE", path_of(session), yes);
  }
  /** Where a file can be opened by whoever needs no token. */
  address_of(session: string, file: File): string {
    return this.server.address_of(`${path_of(session)}/${file}`);
  }
  /** The file itself, for when a token must go with the question. */
  file(session: string, file: File): Promise<Answer<Blob>> {
    return this.server.file(`${path_of(session)}/${file}`);
  }
}
