/** Which signals are waveforms, and whose they are. */

import type { RosterSensor } from "../../lib/stream/messages";

/** Strips of one panel; the filter of the room chooses which. */
export const TRACES_MAX = 200;
/** More lines over each other are no longer told apart. */
export const OVERLAID_MAX = 24;

export interface Trace {
  id: string;
  attribute_id: string;
  name: string;
  rate_hz: number;
}

/** First what people come for; then whatever else has more than a figure a second. */
const KNOWN = ["ecg", "respiration", "imu", "accelerometer", "gyroscope", "magnetometer", "quaternion", "eye_gaze", "eye_aperture"];
const FAST_HZ = 5;
const NEVER = new Set(["button", "tap", "led", "status", "rich_presence", "skeleton", "geolocation"]);

/** The types of which somebody sends a waveform. */
export function kinds_of(sensors: readonly RosterSensor[]): string[] {
  const present = new Set<string>();
  const fast = new Set<string>();
  for (const { attributes } of sensors) {
    for (const { attribute_type, sampling_rate } of attributes) {
      if (NEVER.has(attribute_type)) continue;
      present.add(attribute_type);
      if ((sampling_rate ?? 0) >= FAST_HZ) fast.add(attribute_type);
    }
  }
  return [...KNOWN.filter((kind) => present.has(kind)), ...[...fast].filter((kind) => !KNOWN.includes(kind)).sort()];
}

export function traces_of(sensors: readonly RosterSensor[], kind: string): Trace[] {
  return sensors.flatMap(({ sensor_id, sensor_name, attributes }) =>
    attributes.filter(({ attribute_type }) => attribute_type === kind)
      .map(({ attribute_id, sampling_rate }) => ({ id: sensor_id, attribute_id, name: sensor_name, rate_hz: sampling_rate ?? 0 })));
}
