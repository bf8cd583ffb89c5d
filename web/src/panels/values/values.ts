/** Which signals are figures that people read, and how far each of them may be from what is usual. */

import type { RosterSensor } from "../../lib/stream/messages";

/** Figures of one panel; the filter of the room chooses which. */
export const VALUES_MAX = 300;

const KNOWN = ["heartrate", "hr", "spo2", "temperature", "battery", "hrv", "speed", "altitude", "steps", "humidity", "pressure", "light"];
const WAVES_HZ = 5;
const NEVER = new Set(["button", "tap", "led", "status", "rich_presence", "skeleton", "geolocation", "imu", "eye_gaze", "quaternion", "ecg"]);

export function value_kinds(sensors: readonly RosterSensor[]): string[] {
  const known = new Set<string>();
  const others = new Set<string>();
  for (const { attributes } of sensors) {
    for (const { attribute_type, sampling_rate } of attributes) {
      if (NEVER.has(attribute_type)) continue;
      if (KNOWN.includes(attribute_type)) known.add(attribute_type);
      else if ((sampling_rate ?? 0) < WAVES_HZ) others.add(attribute_type);
    }
  }
  return [...KNOWN.filter((kind) => known.has(kind)), ...[...others].sort()];
}

export interface Valued {
  key: string;
  id: string;
  attribute_id: string;
  name: string;
  /** As it says; 0 where it does not. */
  rate_hz: number;
}

/** Of one person with several of a kind, each. */
export function valued(sensors: readonly RosterSensor[], kind: string): Valued[] {
  return sensors.flatMap(({ sensor_id, sensor_name, attributes }) =>
    attributes.filter(({ attribute_type }) => attribute_type === kind)
      .map(({ attribute_id, sampling_rate }) => ({ key: `${sensor_id} ${attribute_id}`, id: sensor_id, attribute_id, name: sensor_name, rate_hz: sampling_rate ?? 0 })));
}

/** A scale that every value fits on and that does not change with each of them. */
export function scale_of(kind: string, values: readonly number[]): { low: number; high: number } {
  const usual: Record<string, [number, number]> = { heartrate: [40, 180], hr: [40, 180], spo2: [80, 100], battery: [0, 100], humidity: [0, 100] };
  const finite = values.filter((value) => Number.isFinite(value));
  const [low, high] = usual[kind] ?? [Math.min(...finite), Math.max(...finite)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return { low: 0, high: 1 };
  const room = usual[kind] === undefined ? Math.max((high - low) * 0.15, Math.abs(high) * 0.01, 1e-6) : 0;
  return { low: Math.min(low, ...finite) - room, high: Math.max(high, ...finite) + room };
}

/** In words, so that it is not told by a colour alone; empty where nothing is to be said. */
export function remark_of(kind: string, value: number): "low" | "very_low" | "" {
  if (kind === "battery") return value < 10 ? "very_low" : value < 20 ? "low" : "";
  return "";
}
