/**
 * Every word the page says, in the language that was chosen, and how it writes numbers.
 *
 * Another language gives these names new values; whoever shows words is mounted again then.
 */

import { en } from "./words/en";
import { LANGUAGES, type Language } from "./words/languages";
import { speech, type Begun, type Speech } from "./words/speak";

type Words = Speech<typeof en>;

let words: Words;
export let language: Language = LANGUAGES[0]!;
export let strings: Words["page"];
export let room_strings: Words["room"];
export let people_strings: Words["people"];
export let rooms_strings: Words["rooms"];
export let chat_strings: Words["chat"];
export let consent_strings: Words["consent"];
export let device_strings: Words["device"];
export let devices_strings: Words["devices"];
export let known_strings: Words["known"];
export let palette_strings: Words["palette"];
export let settings_strings: Words["settings"];
export let about_strings: Words["about"];
export let together_strings: Words["together"];
export let session_strings: Words["session"];
export let simulator_strings: Words["simulator"];
export let system_strings: Words["system"];
/** Made anew with the language; a collator of the page sorts as its readers do. */
export let collator: Intl.Collator;

let digits: Intl.NumberFormat[] = [];
let whole: Intl.NumberFormat;
let some: Intl.NumberFormat;
let significant: Intl.NumberFormat;
/** Of each unit, without decimals and with one. */
let bytes: [Intl.NumberFormat, Intl.NumberFormat][] = [];

export function speak(chosen: Language, own: Begun<typeof en> | null): void {
  language = chosen;
  words = speech(en, "en", own, chosen.locale);
  ({ page: strings, room: room_strings, people: people_strings, rooms: rooms_strings, chat: chat_strings, consent: consent_strings, device: device_strings, devices: devices_strings, known: known_strings, palette: palette_strings, settings: settings_strings, about: about_strings, together: together_strings, session: session_strings, simulator: simulator_strings, system: system_strings } = words);
  const { locale } = chosen;
  collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });
  digits = [0, 1, 2, 3].map((n) => new Intl.NumberFormat(locale, { minimumFractionDigits: n, maximumFractionDigits: n, useGrouping: false }));
  whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  some = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
  significant = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
  const of_unit = (unit: string, n: number): Intl.NumberFormat => new Intl.NumberFormat(locale, { style: "unit", unit, minimumFractionDigits: n, maximumFractionDigits: n });
  bytes = ["kilobyte", "megabyte", "gigabyte", "terabyte"].map((unit) => [of_unit(unit, 0), of_unit(unit, 1)]);
}
speak(language, null);

/** With so many decimals, and without a sign for what is rounded to nothing. */
export function fixed(value: number, n: number): string {
  const rounded = Number(value.toFixed(n));
  return digits[n]!.format(rounded === 0 ? 0 : rounded);
}

const TIME_ZONE_PARTS = { day: { day: "numeric", month: "short", year: "numeric" }, time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }, short: { hour: "2-digit", minute: "2-digit", hour12: false } } as const;
const dates = new Map<string, Intl.DateTimeFormat>();
/** A moment in this place's time. English is written as in Britain: the day first, and 24 hours. */
export function date_text(unix_ms: number, kind: keyof typeof TIME_ZONE_PARTS): string {
  const locale = language.locale === "en" ? "en-GB" : language.locale;
  const key = `${locale} ${kind}`;
  let format = dates.get(key);
  if (format === undefined) dates.set(key, (format = new Intl.DateTimeFormat(locale, TIME_ZONE_PARTS[kind])));
  return format.format(unix_ms);
}

/** What the catalogue says of a word of the server's; undefined when it does not know it. */
function known<T extends object>(table: T, word: string): T[keyof T] | undefined {
  return Object.hasOwn(table, word) ? table[word as keyof T] : undefined;
}

/** A word of the server's that the page may not know: as it is, but readable. */
export function word_of(table: object, word: string): string {
  const said = known(table as Record<string, unknown>, word);
  return typeof said === "string" ? said : word.replaceAll("_", " ");
}

type Limit = "auto" | "device" | "intake" | "storage" | "budget" | "socket" | "health";
/** Which layer gave this viewer least, short; empty when there is nothing to say. */
export function limit_short(reason: string): string {
  return Object.hasOwn(words.limits.layers, reason) ? words.limits.layers[reason as Limit].short : "";
}
/** The same in a sentence. `chosen`: a person asked for it, not the view. */
export function limit_sentence(reason: string, chosen: boolean): string {
  if (reason === "asked" || reason === "requested") return chosen ? words.limits.asked : words.limits.needed;
  if (Object.hasOwn(words.limits.layers, reason)) return words.limits.layers[reason as Limit].sentence;
  return reason === "" ? "" : words.limits.other(reason.replaceAll("_", " "));
}

/** Short enough for the headline. */
export function resource_short(resource: string): string {
  return word_of(words.resource_short, resource);
}

/** How far ahead or behind, in parts of a cycle. */
export function cycles_text(n: number): string {
  return together_strings.cycles(Math.abs(n) < 0.005 ? "same" : n > 0 ? "ahead" : "behind", fixed(Math.abs(n), 2));
}
/** Who of two is behind whom. */
export function lag_text(a: string, b: string, seconds: number): string {
  const [last, first] = seconds > 0 ? [a, b] : [b, a];
  return Math.abs(seconds) < 0.05 ? together_strings.lag_is("same", a, b, "") : together_strings.lag_is("behind", last, first, fixed(Math.abs(seconds), 1));
}
export function p_text(p: number): string {
  return session_strings.p(p < 0.001 ? `< ${fixed(0.001, 3)}` : `= ${fixed(p, 3)}`);
}
/** What the time of day leads the server to expect. */
export function circadian_text(hour: string, factor: number, confidence: string): string {
  const kind = Math.abs(factor - 1) < 0.005 ? "usual" : factor > 1 ? "more" : "less";
  return system_strings.circadian_is(hour, kind, percent_text(Math.round(Math.abs(factor - 1) * 100) / 100), confidence);
}
export function sigmas_text(z: number): string {
  return system_strings.sigmas(`${z < 0 ? "−" : ""}${fixed(Math.abs(z), 1)}`);
}

/** 0.82, and 0.997: what is not quite 1 is not called so. With a sign that is not a hyphen. */
export function figure_text(value: number, digits = 2): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return fixed(value, digits === 2 && size >= 0.995 && size < 0.9995 ? 3 : digits).replace("-", "−");
}

export function percent_text(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const percent = share * 100;
  return words.time.percent(fixed(percent, percent > 0 && percent < 9.95 ? 1 : 0));
}

/** `0.42 ms`, `3.2 ms`, `120 ms`, `12 s`. */
export function ms_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  if (size >= 10_000) return age_text(ms);
  return words.time.ms(size === 0 || size >= 10 ? whole.format(ms) : fixed(ms, size < 1 ? 2 : 1));
}

/** A count that the server may not tell. */
export function known_text(count: number | null): string {
  return count === null ? "–" : count_text(count);
}

/** A viewer's number is its place, and how many were there before it; the second only where there were some. */
export function viewer_text(viewer: number): string {
  const place = viewer % 2 ** 32;
  const before = Math.floor(viewer / 2 ** 32);
  return before === 0 ? `${place}` : `${place}.${before}`;
}

/** With its sign, so that a direction is seen. */
export function moved_text(offset: number): string {
  return `${offset > 0 ? "+" : "−"}${percent_text(Math.abs(offset))}`;
}

export type SessionAct = "start" | "stop" | "discard" | "remove" | "fetch";
export type SimulatorAct = keyof Words["simulator"]["could_not"];

/** Why an act is not in its room. */
export function room_why_text(why: string): string {
  return word_of(simulator_strings.room_why, why);
}
/** How an act stands with the room it is for; `room`: its name, as far as it is known here. */
export function home_text({ state, why }: { state: "there" | "waiting" | "lost"; why: string }, room: string | undefined): string {
  const { home } = simulator_strings;
  const name = room ?? simulator_strings.a_room;
  return state === "lost" ? home.lost : state === "there" ? home.there(name) : home.waiting(name, room_why_text(why));
}

/** A fault in words, with what a person can do about it. `kind`, `code` and `sentence` are those of `ask.ts`; the server's own words come first where it has any. */
export function fault_text(fault: { kind: "denied" | "absent" | "refused" | "unreachable" | "late" | "malformed"; status: number; code: string; sentence: string }): string {
  const { faults } = words;
  // What people do most is refused in their own language.
  const ours = fault.status === 429 ? faults.too_often : known(faults.ours, fault.code);
  if (ours !== undefined && (fault.kind === "refused" || fault.kind === "denied")) return ours;
  if (fault.kind !== "refused") return faults[fault.kind];
  const said = fault.sentence.trim() || known(faults.codes, fault.code) || faults.refused(String(fault.status));
  // A sentence begins with a word; the name of a file stays as it is.
  const sentence = /^[a-z]+[ ,]/.test(said) ? said.charAt(0).toUpperCase() + said.slice(1) : said;
  return /[.!?…。]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** Why something was not said. */
export function chat_refusal_text(reason: string, retry_ms: number): string {
  if (reason === "too_fast") return chat_strings.too_fast(age_text(Math.max(1_000, retry_ms)));
  return known(chat_strings.reasons, reason) ?? chat_strings.other(reason.replaceAll("_", " "));
}

/** Why a moment, or a span, of a stream is not there to be shown; empty where it is. */
export function past_text(standing: "here" | "kept" | keyof Words["room"]["past"]): string {
  return known(room_strings.past, standing) ?? "";
}

export function unit_of(attribute_type: string): string {
  return known(words.units, attribute_type) ?? "";
}

/**
 * What stands behind a number: its unit; of several numbers, which one it is (`x, m/s²`); of a number of
 * no kind, what its device calls it. `cell` is the cell's path in the payload, empty for a bare number.
 */
export function value_caption(attribute_type: string, attribute_id: string, cell: string): string {
  const [kind = "", ...rest] = cell.split(".");
  const unit = unit_of(attribute_type) || (rest.length > 0 ? unit_of(kind) : "");
  const which = /^(value|bpm|level|level_percent|celsius)$/.test(cell) && unit !== "" ? "" : (rest.at(-1) ?? kind);
  if (which !== "" && which !== unit) return unit === "" ? which.replaceAll("_", " ") : /^[xyz]$/.test(which) ? `${which}, ${unit}` : unit;
  return unit || (attribute_type === "numeric" ? type_name(attribute_id) : "");
}

/** The words in a payload, without its braces: what a tile has room for. */
export function payload_words(json: string): string {
  try {
    const value = (JSON.parse(json) as { payload?: unknown }).payload;
    if (typeof value !== "object" || value === null) return String(value ?? "");
    const words = Object.entries(value).filter(([, v]) => typeof v !== "object");
    return words.map(([key, v]) => `${key}: ${String(v)}`).join("\n");
  } catch {
    return json;
  }
}

/** `skin_temperature` -> `Skin temperature`, unless the trade has a better word. */
export function type_name(type: string): string {
  const name = known(words.types, type);
  if (name !== undefined) return name;
  const plain = type.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

const WHOLE = new Set(["heartrate", "hr", "hrv", "spo2", "battery", "steps", "heading", "light"]);

/** As many decimals as the kind deserves: none for beats, else fewer the larger, so that the width stays. */
export function number_text(value: number, attribute_type = ""): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return fixed(value, WHOLE.has(attribute_type) || size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** `–` where it is not known, as of then it is not. */
export function count_text(value: number): string {
  return Number.isNaN(value) ? "–" : value > 0 && value < 0.95 ? fixed(value, 1) : whole.format(Math.max(0, value));
}

/** Samples per second: `13,055`, `6.8`, `0.05`. */
export function rate_text(value: number): string {
  return value < 100 ? some.format(Math.max(0, value)) : count_text(value);
}

/** To three digits that say something: `0.333`, `100`. */
export function significant_text(value: number): string {
  return significant.format(value);
}

export function age_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const { time } = words;
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return time.s(fixed(s, 1));
  if (s < 90) return time.s(fixed(s, 0));
  return s < 5400 ? time.min(fixed(s / 60, 0)) : time.h(fixed(s / 3600, 0));
}

/** A whole number of seconds. */
export function seconds_text(s: number): string {
  return words.time.s(whole.format(s));
}

/** `48 s`, `12 min`, `2 h 5 min`: how long something has been so. */
export function span_text(h: number, m: number, s: number): string {
  const { time } = words;
  if (h > 0) return m > 0 ? time.h_min(h, m) : time.h(h);
  return m > 0 ? time.min(m) : time.s(s);
}

/** `1 minute 12`, as one says it. */
export function spoken_text(h: number, m: number, s: number): string {
  const { time } = words;
  if (h + m === 0) return time.seconds(s);
  const said: string[] = [];
  if (h > 0) said.push(time.hours(h));
  if (m > 0) said.push(time.minutes(m));
  if (s > 0) said.push(m > 0 ? whole.format(s) : time.seconds(s));
  return said.join(" ");
}

/** Decimal, as disks are sold. */
export function bytes_text(size: number): string {
  let left = Math.max(0, size);
  let unit = -1;
  while (left >= 999.5 && unit < bytes.length - 1) {
    left /= 1_000;
    unit++;
  }
  return unit < 0 ? words.time.bytes(whole.format(left)) : bytes[unit]![left < 9.95 ? 1 : 0].format(left);
}
