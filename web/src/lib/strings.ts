/** Every word the page says, in one place, so that another language is another file. */

export const strings = {
  name: "Sensocto",
  title: (view: string) => `${view} · Sensocto`,
  skip: "Skip to the sensors",
  views: "Views",
  lobby: "Lobby",
  all_ecg: "All ECG",
  simulator_view: "Simulator",
  link: {
    connecting: "Connecting",
    live: "Live",
    reconnecting: "Reconnecting",
    denied: "Access needed",
    closed: "Closed",
    stalled: "No data",
  },
  last_data: (age: string) => `last data ${age} ago`,
  no_data_yet: "no data yet",
  receiving: "What this page receives",
  samples_per_s: (n: string) => `${n} samples/s`,
  kb_per_s: (n: string) => `${n} kB/s`,
  age_p50: (n: string) => `${n} ms old`,
  quality: (level: string) => `${level} quality`,
  quality_why: (reason: string) => `Quality in force. Reason: ${reason}`,
  age_why: "Median age of samples on arrival",
  theme: { dark: "Dark", light: "Light", to: (theme: string) => `Switch to ${theme} theme` },
  filter: "Filter sensors",
  filter_hint: "Filter by name or type",
  sort: "Sort by",
  sort_name: "Name",
  sort_type: "Type",
  sensors: (shown: number, total: number) =>
    shown === total ? `${total} ${total === 1 ? "sensor" : "sensors"}` : `${shown} of ${total} sensors`,
  no_sensors: "No sensors are connected yet. They appear here as soon as they speak.",
  no_match: "No sensor matches the filter.",
  tile: (name: string, type: string) => `${name}, ${type}`,
  attention: { none: "not watched", low: "low", medium: "medium", high: "high" } as Record<string, string>,
  attention_label: (level: string) => `Attention: ${level}`,
  rate: (got: string, of: string | null) => (of === null ? `${got}/s` : `${got}/s of ${of}/s`),
  age: (age: string) => `${age} ago`,
  pin: "Pin",
  pinned: "Pinned",
  pin_label: (name: string) => `Keep ${name} at full rate`,
  strip: (name: string, attribute: string) => `${name}, ${attribute}, live trace`,
  strip_summary: (value: string, rate: string, age: string) => `${value}, receiving ${rate}, ${age}`,
  keys_tile: "Arrow keys walk, Enter opens, P pins, Escape closes.",
  detail: (name: string) => `${name}, all signals`,
  close: "Close",
  raw_json: "Latest as JSON",
  waiting: "Waiting for the first sample",
  ecg_title: "All ECG",
  ecg_count: (n: number) => `${n} ${n === 1 ? "trace" : "traces"}`,
  ecg_none: "No sensor in the room has an ECG.",
  window: "Window",
  seconds: (n: number) => `${n} s`,
  ecg_label: (n: number) => `${n} electrocardiograms drawn as a sweep`,
  ecg_summary: (live: number, n: number) => `${live} of ${n} traces live`,
  silent: (age: string) => `silent ${age}`,
  token_title: "This room asks for an access token",
  token_hint: "Kept in this tab only, until it is closed.",
  token: "Access token",
  token_refused: "The token was refused.",
  enter: "Enter",
  frames: (fps: string) => `${fps} frames/s`,
  skip_simulator: "Skip to the simulator",
};

const many = (n: number, one: string, more = `${one}s`): string => `${count_text(n)} ${n === 1 ? one : more}`;

/** What the simulator, its recordings and the time bar say. */
export const simulator_strings = {
  title: "Simulator",
  intro: "Made-up people and devices that go through the same door as real ones, and recordings of what came through it.",
  loading: "Asking the server…",
  absent: "This server has no simulator, or is too old for this page.",
  unreachable: (age: string | null) =>
    age === null ? "The server does not answer. Trying again…" : `The server does not answer. What you see is from ${age} ago. Trying again…`,
  malformed: "The server answers, but not in a way this page can read. Page and server may be of different versions: reload the page.",

  running: "Running",
  nothing_runs: "Nothing is running. Start a scenario below, or play a recording.",
  columns: {
    name: "Name", state: "State", sensors: "Sensors live", rate: "Samples/s", since: "Since", speed: "Speed", controls: "Controls",
  },
  sensors_live: (live: string, asked: string) => `${live} of ${asked}`,
  seed: (seed: number | null) => (seed === null ? "" : `seed ${seed}`),
  replay_of: "Replay of a recording",
  scenario_kind: "Scenario",
  skipped: (length: string) => `skipped ${length} to keep up`,
  states: { running: "Running", paused: "Paused", stopping: "Stopping…", ended: "Ended", unknown: "Unknown" },
  stop_all: "Stop all",
  stop_all_hint: "Stops everything that runs",

  doing: {
    start: "Starting…", stop: "Stopping…", switch: "Switching…", pause: "Pausing…", resume: "Resuming…", speed: "Changing…",
    seek: "Seeking…", record: "Starting…", end: "Finishing…", remove: "Deleting…", play: "Opening…", fetch: "Fetching…",
  },
  act: {
    start: "Start", stop: "Stop", switch: "Switch to this", pause: "Pause", resume: "Resume", speed: "Speed", seek: "Go there", record: "Record",
    end: "Stop recording", remove: "Delete", play: "Play", fetch: "Download",
  },
  act_on: (act: string, name: string) => `${act}: ${name}`,
  speed_of: (name: string) => `Speed of ${name}`,
  switch_hint: "Stops everything else",
  done: {
    start: (name: string) => `${name} is running.`,
    stop: (name: string) => `${name} has stopped.`,
    switch: (name: string) => `Switched to ${name}.`,
    pause: (name: string) => `${name} is paused.`,
    resume: (name: string) => `${name} goes on.`,
    speed: (name: string) => `The speed of ${name} is changed.`,
    seek: () => "",
    record: () => "Recording.",
    end: (name: string) => `${name} is recorded.`,
    remove: (name: string) => `${name} is deleted.`,
    play: (name: string) => `${name} plays.`,
    fetch: (name: string) => `${name} is fetched.`,
  },
  could_not: {
    start: "Could not start it", stop: "Could not stop it", switch: "Could not switch to it", pause: "Could not pause it",
    resume: "Could not resume it", speed: "Could not change the speed", seek: "Could not go there", record: "Could not start recording",
    end: "Could not finish the recording", remove: "Could not delete it", play: "Could not play it", fetch: "Could not fetch it",
  },
  everything: "Everything",

  health: {
    title: "Health",
    unknown: "The server does not say how its made-up sensors are.",
    not_yet: (every: string) => `Not checked yet. The check runs every ${every}.`,
    well: "All sensors that should be there are there, and no others.",
    checked: (age: string, every: string) => `Checked ${age} ago, every ${every}.`,
    orphans: (n: number) => `${many(n, "sensor is", "sensors are")} still there though nothing runs that owns ${n === 1 ? "it" : "them"}.`,
    missing: (n: number) => `${many(n, "sensor", "sensors")} that should be there ${n === 1 ? "is" : "are"} missing.`,
    unwell: "The last check found something wrong, and does not say what.",
    repaired: (n: number) => `${many(n, "sensor has", "sensors have")} been put right since the server started.`,
    which: "Which ones",
    orphan_list: "Left over",
    missing_list: "Missing",
    more: (n: number) => `and ${count_text(n)} more`,
  },

  scenarios: "Scenarios",
  search: "Search scenarios",
  search_hint: "Search by name or description",
  shown: (shown: number, total: number) => (shown === total ? `${total} scenarios` : `${shown} of ${total} scenarios`),
  no_match: "No scenario matches the search.",
  no_scenarios: "The server offers no scenarios. Put your own into the folder scenarios of its data folder, as TOML or YAML.",
  origin: { shipped: "Shipped", yours: "Yours" },
  people: "people",
  person: "person",
  sensors: "sensors",
  sensor: "sensor",
  attributes: "attributes",
  attribute: "attribute",
  samples_per_s: "samples/s",
  viewers: (n: number) => `Brings ${many(n, "made-up viewer")}.`,
  broken: "This file cannot be used",
  options: "Seed and speed",
  options_of: (name: string) => `Seed and speed of ${name}`,
  seed_field: "Seed",
  seed_hint: "A whole number. The same seed gives the same world; left empty, the server takes its usual one.",
  seed_wrong: "A seed is a whole number from 0 to 9007199254740991.",
  speed_field: "Speed",

  recordings: "Recordings",
  recordings_jump: (n: number) => (n === 0 ? "Recordings" : `Recordings (${n})`),
  no_recordings: "No recordings yet. Record keeps everything that crosses the server's door, with its time, in one file that can be played again.",
  recordings_absent: "This server keeps no recordings.",
  used: (used: string, of: string | null) => (of === null ? used : `${used} of ${of}`),
  name_field: "Name of the recording (optional)",
  name_hint: "Name (optional)",
  name_wrong: "Small letters, digits, dot, dash and underscore; it begins with a letter or digit; 64 characters at most.",
  recording_now: "Recording",
  samples: (n: number) => many(n, "sample"),
  sensors_of: (n: number) => many(n, "sensor"),
  cut: "Cut: plays up to the end of what was written",
  hash: (short: string) => `hash ${short}`,
  hash_why: (hash: string) => `What was delivered, in one number. A replay that gives the same has reproduced every delivery: ${hash}`,
  damaged: "This recording cannot be read",
  delete_title: (name: string) => `Delete ${name}?`,
  delete_text: (size: string) => `The recording and its ${size} are gone for good. Download it first if you may want it again.`,
  delete_yes: "Delete for good",
  keep: "Keep it",

  time_bar: "Replay",
  time_bar_of: (name: string) => `Replay of ${name}`,
  which_replay: "Which replay",
  position: "Position",
  at_of: (at: string, of: string) => `${at} of ${of}`,
  play_again: "Play again",
  recorded: (moment: string) => `Recorded ${moment}`,
  over: "The recording is over.",
  keys_time_bar: "Arrow keys move by 1 second, with Shift by 10, Page Up and Page Down by a minute, Home and End to the ends.",
};

export type SimulatorAct = keyof typeof simulator_strings.could_not;

/** What a person can do about it stands in the sentence. The server's own words come first where it has any. */
const REFUSALS: Record<string, string> = {
  already_running: "It is running already.",
  sensor_clash: "Some of its sensors are there already: stop what has them first.",
  scenario_not_found: "The server no longer has it.",
  scenario_invalid: "Its file has a mistake.",
  not_running: "It is not running any more.",
  not_a_replay: "Only a replay has a place to go to.",
  already_recording: "A recording is under way already.",
  not_recording: "No recording is under way.",
  unconfirmed: "The server said yes, but it has not happened yet.",
};

/** A fault in words. `kind`, `code` and `sentence` are those of `ask.ts`. */
export function fault_text(fault: { kind: string; status: number; code: string; sentence: string }): string {
  switch (fault.kind) {
    case "denied": return "The server asks for an access token.";
    case "unreachable": return "The server does not answer.";
    case "late": return "The server did not answer in time; it may still do it.";
    case "malformed": return "The server's answer could not be read.";
    case "absent": return "This server cannot do that.";
  }
  const said = fault.sentence.trim() || REFUSALS[fault.code] || `The server said no (${fault.status}).`;
  // A sentence begins with a word; the name of a file stays as it is.
  const sentence = /^[a-z]+[ ,]/.test(said) ? said.charAt(0).toUpperCase() + said.slice(1) : said;
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

const UNITS: Record<string, string> = {
  ecg: "mV", heartrate: "bpm", hr: "bpm", hrv: "ms", spo2: "%", respiration: "%", temperature: "°C", humidity: "%",
  pressure: "hPa", light: "lx", battery: "%", altitude: "m", speed: "m/s", heading: "°", steps: "steps",
  distance: "m", calories: "kcal", accelerometer: "m/s²", gyroscope: "°/s", magnetometer: "µT",
};
export function unit_of(attribute_type: string): string {
  return UNITS[attribute_type] ?? "";
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

const TYPES: Record<string, string> = {
  ecg: "ECG", ph: "pH", hrv: "HRV", hr: "Heart rate", heartrate: "Heart rate", spo2: "SpO₂", imu: "Motion", eye_gaze: "Gaze",
  air_quality: "Air quality", geolocation: "Location", rich_presence: "Presence", numeric: "Value",
};
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
  const known = TYPES[type];
  if (known !== undefined) return known;
  const plain = type.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

const WHOLE = new Set(["heartrate", "hr", "hrv", "spo2", "battery", "steps", "heading", "light"]);

/** As many decimals as the kind deserves: none for beats, else fewer the larger, so that the width stays. */
export function number_text(value: number, attribute_type = ""): string {
  if (!Number.isFinite(value)) return "–";
  if (WHOLE.has(attribute_type)) return value.toFixed(0);
  const size = Math.abs(value);
  const text = value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count_text(value: number): string {
  if (value > 0 && value < 0.95) return value.toFixed(1);
  return whole.format(Math.max(0, value));
}

export function age_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}
