/** Every word the page says, in one place, so that another language is another file. */

export const strings = {
  name: "Sensocto",
  skip: "Skip to the sensors",
  views: "Views",
  lobby: "Lobby",
  all_ecg: "All ECG",
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
};

const UNITS: Record<string, string> = {
  ecg: "mV", heartrate: "bpm", hr: "bpm", hrv: "ms", spo2: "%", respiration: "%", temperature: "°C", humidity: "%",
  pressure: "hPa", light: "lx", battery: "%", altitude: "m", speed: "m/s", heading: "°", steps: "steps",
  distance: "m", calories: "kcal", accelerometer: "m/s²", gyroscope: "°/s", magnetometer: "µT",
};
export function unit_of(attribute_type: string): string {
  return UNITS[attribute_type] ?? "";
}

const TYPES: Record<string, string> = {
  ecg: "ECG", hrv: "HRV", hr: "Heart rate", heartrate: "Heart rate", spo2: "SpO₂", imu: "Motion", eye_gaze: "Gaze",
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
