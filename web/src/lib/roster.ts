/** Which of a sensor's attributes stand for it, and in which order sensors stand. */

import { collator } from "./strings";
import type { RosterAttribute, RosterSensor } from "./stream/messages";

/** A tile's trace: the first of these it has, else its fastest. */
const TRACES = ["ecg", "respiration", "eye_gaze", "imu", "accelerometer", "heartrate", "hr", "hrv", "spo2", "temperature"];
/** A tile's number: what people read off a monitor, before a raw voltage. */
const VALUES = ["heartrate", "hr", "spo2", "hrv", "temperature", "respiration", "ecg"];
const TEXTS = new Set(["rich_presence", "status", "button", "tap", "led", "skeleton", "geolocation", "body_location"]);

function first_of(attributes: RosterAttribute[], types: string[]): RosterAttribute | undefined {
  for (const type of types) {
    const found = attributes.find((attribute) => attribute.attribute_type === type);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function trace_attribute(sensor: RosterSensor): RosterAttribute | undefined {
  const { attributes } = sensor;
  const known = first_of(attributes, TRACES);
  if (known !== undefined) return known;
  let best: RosterAttribute | undefined;
  for (const attribute of attributes) {
    const text = TEXTS.has(attribute.attribute_type);
    if (!text && (best === undefined || (attribute.sampling_rate ?? 0) > (best.sampling_rate ?? 0))) best = attribute;
  }
  return best ?? attributes[0];
}

export function value_attribute(sensor: RosterSensor): RosterAttribute | undefined {
  return first_of(sensor.attributes, VALUES) ?? trace_attribute(sensor);
}

export function ecg_attribute(sensor: RosterSensor): RosterAttribute | undefined {
  return sensor.attributes.find((attribute) => attribute.attribute_type === "ecg");
}

/** What it says it sends, all attributes together; 0 when it does not say. */
export function declared_rate(sensor: RosterSensor): number {
  let sum = 0;
  for (const { sampling_rate } of sensor.attributes) sum += sampling_rate ?? 0;
  return sum;
}

export function matches(sensor: RosterSensor, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return true;
  const kinds = sensor.attributes.map(({ attribute_type }) => attribute_type).join(" ");
  const text = `${sensor.sensor_name} ${sensor.sensor_type} ${sensor.connector_name ?? ""} ${kinds}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

export function in_order(sensors: Iterable<RosterSensor>, by: "name" | "type"): RosterSensor[] {
  return [...sensors].sort((a, b) => {
    const type = by === "type" ? collator.compare(a.sensor_type, b.sensor_type) : 0;
    return type || collator.compare(a.sensor_name, b.sensor_name) || (a.sensor_id < b.sensor_id ? -1 : 1);
  });
}

/** Whose a sensor is: the one who wears its connector, or itself. */
export function owner_of(sensor: RosterSensor): string {
  return sensor.connector_id ?? sensor.sensor_id;
}

/** The same on every page, whatever its language. */
const owner_order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * A number for each person, in the order they were first seen and theirs for as long as the page lives:
 * the first few have colours of their own, which a hash would not give them.
 */
export class Hues {
  private known = new Map<string, number>();
  /** Sorted first, so that two pages that saw the same room begin alike. */
  meet(sensors: Iterable<RosterSensor>): void {
    const owners = new Set<string>();
    for (const sensor of sensors) owners.add(owner_of(sensor));
    for (const owner of [...owners].sort(owner_order.compare)) this.of(owner);
  }
  of(owner: string): number {
    let hue = this.known.get(owner);
    if (hue === undefined) this.known.set(owner, (hue = this.known.size));
    return hue;
  }
}
