/**
 * What the server says of a group (docs/wire.md 2.6): the binary frame and the JSON events are read here with
 * care, and kept in a ring of the last minutes, from which canvases draw. Whatever is not what it should be is
 * refused whole and changes nothing.
 */

import { FrameError } from "./decode";

export const GROUP_VERSION = 1;
/** Six minutes at ten a second: the five that are drawn, and what runs over the edge. */
export const READINGS_MAX = 3_600;
/** The server's own bound of a group. */
export const MEMBERS_MAX = 1_024;
/** Of twenty people: pairs of larger groups are not told. */
export const PAIRS_MAX = 190;
const NAME_MAX = 256;
/** Of each member: five minutes at a pulse of 100. */
export const BEATS_MAX = 500;
/** A second's beats of as many members as a group can have. */
const BEATS_AT_ONCE_MAX = 8 * MEMBERS_MAX;
/** The furthest moment that a date can hold. */
const MOMENT_MAX = 8.64e15;
/** A reading that is older than the newest by more than this is of a clock that was set back. */
const SET_BACK_MS = 10_000;

export const SIGNALS = ["breath", "heart_high", "heart_low"] as const;
export type Signal = (typeof SIGNALS)[number];
export const TIERS = ["confirmed", "prompt", "live"] as const;
export type Tier = (typeof TIERS)[number];

export interface GroupWish {
  group: string;
  signal: Signal;
  tier: Tier;
  sensors: "all" | string[];
}

/** Why somebody cannot be measured, by its number on the wire. */
export const WHYS = ["silent", "no_numbers", "wrong_clock", "clock_uncertain", "too_short", "gap", "flat", "clipped", "no_rhythm", "weak"] as const;
export const MEASURABLE = 255;

/** The columns of a reading. */
export const Reading = { t: 0, R: 1, kappa: 2, null95: 3, phase: 4, R_smoothed: 5, kappa_smoothed: 6, measurable: 7, members: 8 } as const;
export const READING_COLUMNS = 9;
const READING_BYTES = 36;

export interface GroupFrame {
  group: string;
  /** `READING_COLUMNS` each; NaN where there is none. */
  readings: Float64Array<ArrayBuffer>;
  /** Of each member at the newest reading; NaN where there is none. */
  phases: Float32Array<ArrayBuffer>;
  why: Uint8Array<ArrayBuffer>;
}

export interface Pair {
  a: number;
  b: number;
  plv: number;
  /** Positive: b is behind. */
  lag_s: number;
  common_s: number;
}

export interface Heart {
  member: number;
  rate_bpm: number;
  rmssd_ms: number;
  sdnn_ms: number;
  window_s: number;
  corrected_share: number;
}

/** What breathing does to a heart, over the last two minutes. */
export interface BreathingHeart {
  member: number;
  breath_per_min: number;
  /** How steadily the heart's pace goes with the breath, 0 to 1. */
  plv: number;
  /** How much of the pace goes with the breath at its rate, 0 to 1. */
  coherence: number;
  /** Of that many stretches that the coherence is of. */
  segments: number;
  peak_to_trough_ms: number;
}

export interface Beat {
  member: number;
  /** Unix ms, by the server's clock. */
  t: number;
}

export type GroupEvent =
  | { event: "members"; group: string; members: string[]; left_out: number }
  | { event: "pairs"; group: string; pairs: Pair[] }
  | { event: "hearts"; group: string; hearts: Heart[]; beats: Beat[]; breathing: BreathingHeart[] };

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decode_group(bytes: Uint8Array): GroupFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  let at = 0;
  const need = (n: number, what: string): void => {
    if (n > end - at) throw new FrameError("truncated", at, `${what} needs ${n} bytes, ${end - at} left`);
  };
  need(1, "version");
  const version = view.getUint8(0);
  if (version !== GROUP_VERSION) throw new FrameError("version", 0, `version ${version}, this page reads ${GROUP_VERSION}`);
  need(2, "length of the name");
  const length = view.getUint8(1);
  at = 2;
  need(length, "name");
  let group: string;
  try {
    group = utf8.decode(bytes.subarray(at, at + length));
  } catch {
    throw new FrameError("utf8", at, "name is not utf-8");
  }
  at += length;
  need(4, "counts");
  const n = view.getUint16(at, true);
  const members = view.getUint16(at + 2, true);
  at += 4;
  // Before anything is made of these sizes.
  need(READING_BYTES * n + 5 * members, "readings and members");
  const readings = new Float64Array(n * READING_COLUMNS);
  for (let k = 0, to = 0; k < n; k++, at += READING_BYTES) {
    const t = view.getFloat64(at, true);
    if (!(Math.abs(t) <= MOMENT_MAX)) throw new FrameError("range", at, "a reading without a time");
    readings[to++] = t;
    for (let c = 0; c < 6; c++) readings[to++] = view.getFloat32(at + 8 + 4 * c, true);
    readings[to++] = view.getUint16(at + 32, true);
    readings[to++] = view.getUint16(at + 34, true);
  }
  const phases = new Float32Array(members);
  for (let k = 0; k < members; k++, at += 4) phases[k] = view.getFloat32(at, true);
  const why = bytes.slice(at, at + members) as Uint8Array<ArrayBuffer>;
  at += members;
  if (at !== end) throw new FrameError("leftover", at, `${end - at} bytes after the last member`);
  return { group, readings, phases, why };
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields | null => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null);
const figure = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : NaN);
const member = (value: unknown): number | null => (Number.isInteger(value) && (value as number) >= 0 && (value as number) < MEMBERS_MAX ? (value as number) : null);

/** `group_members`, `group_pairs` and `group_hearts`; null for what is none of them, or cannot be read. */
export function read_group_event(event: string, payload: unknown): GroupEvent | null {
  const said = fields(payload);
  if (said === null || typeof said["group"] !== "string") return null;
  const group = said["group"];
  if (event === "group_members") {
    const { members, left_out } = said;
    // Everything is told by their numbers, so one that cannot be read spoils them all.
    if (!Array.isArray(members) || members.length > MEMBERS_MAX) return null;
    if (!members.every((id): id is string => typeof id === "string" && id !== "" && id.length <= NAME_MAX)) return null;
    return { event: "members", group, members, left_out: Math.max(0, figure(left_out) || 0) };
  }
  if (event === "group_pairs") {
    if (!Array.isArray(said["pairs"]) || said["pairs"].length > PAIRS_MAX) return null;
    const pairs: Pair[] = [];
    for (const one of said["pairs"]) {
      const pair = fields(one);
      const [a, b] = [member(pair?.["a"]), member(pair?.["b"])];
      if (pair === null || a === null || b === null || a === b) return null;
      pairs.push({ a, b, plv: figure(pair["plv"]), lag_s: figure(pair["lag_s"]), common_s: figure(pair["common_s"]) });
    }
    return { event: "pairs", group, pairs };
  }
  if (event === "group_hearts") {
    if (!Array.isArray(said["hearts"]) || said["hearts"].length > MEMBERS_MAX) return null;
    const hearts: Heart[] = [];
    for (const one of said["hearts"]) {
      const heart = fields(one);
      const whose = member(heart?.["member"]);
      if (heart === null || whose === null) return null;
      hearts.push({
        member: whose, rate_bpm: figure(heart["rate_bpm"]), rmssd_ms: figure(heart["rmssd_ms"]), sdnn_ms: figure(heart["sdnn_ms"]),
        window_s: figure(heart["window_s"]), corrected_share: figure(heart["corrected_share"]),
      });
    }
    const beats: Beat[] = [];
    if (Array.isArray(said["beats"]) && said["beats"].length <= BEATS_AT_ONCE_MAX) {
      for (const one of said["beats"]) {
        const beat = fields(one);
        const [whose, t] = [member(beat?.["member"]), figure(beat?.["t"])];
        if (whose === null || !(Math.abs(t) <= MOMENT_MAX)) return null;
        beats.push({ member: whose, t });
      }
    }
    const breathing: BreathingHeart[] = [];
    if (Array.isArray(said["breathing"]) && said["breathing"].length <= MEMBERS_MAX) {
      for (const one of said["breathing"]) {
        const of = fields(one);
        const whose = member(of?.["member"]);
        if (of === null || whose === null) return null;
        breathing.push({
          member: whose, breath_per_min: figure(of["breath_per_min"]), plv: figure(of["plv"]), coherence: figure(of["coherence"]), segments: figure(of["segments"]), peak_to_trough_ms: figure(of["peak_to_trough_ms"]),
        });
      }
    }
    return { event: "hearts", group, hearts, beats, breathing };
  }
  return null;
}

/** The newest readings, the oldest first. */
export class Readings {
  private cells = new Float64Array(READINGS_MAX * READING_COLUMNS);
  /** Ever written: grows with each. */
  total = 0;

  get length(): number {
    return Math.min(this.total, READINGS_MAX);
  }

  push(from: ArrayLike<number>, at: number): void {
    const t = from[at]!;
    if (this.total > 0) {
      const newest = this.value(this.length - 1, Reading.t);
      if (t < newest - SET_BACK_MS) this.total = 0;
      // A group that was opened again begins a little in the past: what is known stays.
      else if (t <= newest) return;
    }
    const slot = (this.total % READINGS_MAX) * READING_COLUMNS;
    for (let c = 0; c < READING_COLUMNS; c++) this.cells[slot + c] = from[at + c]!;
    this.total++;
  }

  /** Of the k-th reading that is held; NaN beyond. */
  value(k: number, column: number): number {
    if (k < 0 || k >= this.length) return NaN;
    return this.cells[((this.total - this.length + k) % READINGS_MAX) * READING_COLUMNS + column]!;
  }

  /** The first that is not before `t`; `length` when there is none. */
  since(t: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.value(middle, Reading.t) < t) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A group as the page knows it. Nothing in it is reactive: it is read on the frame, and for text each quarter second. */
export class Group {
  readonly readings = new Readings();
  members: string[] = [];
  left_out = 0;
  /** Whether the server has said who is in it. */
  met = false;
  phases = new Float32Array(0);
  why = new Uint8Array(0);
  pairs: Pair[] = [];
  /** By member. */
  readonly hearts = new Map<number, Heart>();
  /** By member, as the newest word has it: whoever is not in it is not known any more. */
  breathing = new Map<number, BreathingHeart>();
  /** Of each member the moments of their last beats, ascending. */
  readonly beats = new Map<number, number[]>();
  latency_ms = NaN;
  /** Why the server does not tell; empty when it does. */
  refused = "";
  /** The page's clock when something last came; NaN before. */
  heard_ms = NaN;

  /** How many members have the state that the last frame told: none while the two do not fit. */
  get states(): number {
    return this.why.length === this.members.length ? this.why.length : 0;
  }
  is_measurable(k: number): boolean {
    return this.why[k] === MEASURABLE && Number.isFinite(this.phases[k]);
  }

  /** Nobody listens any more: what is known is kept, and is not of now. */
  rest(): void {
    this.met = false;
  }

  take(frame: GroupFrame, now_ms: number): void {
    this.heard_ms = now_ms;
    if (frame.readings.length === 0) return;
    for (let at = 0; at < frame.readings.length; at += READING_COLUMNS) this.readings.push(frame.readings, at);
    this.phases = frame.phases;
    this.why = frame.why;
  }

  hear(event: GroupEvent): void {
    switch (event.event) {
      case "members":
        this.met = true;
        this.left_out = event.left_out;
        // The same people again are the same numbers.
        if (event.members.length === this.members.length && event.members.every((id, k) => id === this.members[k])) return;
        this.members = event.members;
        this.pairs = [];
        this.hearts.clear();
        this.breathing.clear();
        this.beats.clear();
        break;
      case "pairs":
        this.pairs = event.pairs;
        break;
      case "hearts":
        for (const heart of event.hearts) this.hearts.set(heart.member, heart);
        // Beats come more often, by themselves.
        if (event.hearts.length > 0) this.breathing = new Map(event.breathing.map((one) => [one.member, one]));
        for (const { member, t } of event.beats) {
          const known = this.beats.get(member);
          if (known === undefined) this.beats.set(member, [t]);
          // Told twice, or out of turn, it is no beat more.
          else if (t > known.at(-1)!) {
            known.push(t);
            if (known.length > BEATS_MAX) known.shift();
          }
        }
        break;
    }
  }
}
