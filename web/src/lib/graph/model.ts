/** The room as a graph: people around its middle, their sensors around them, their signals at the rim. */

import { owner_of } from "../roster";
import type { RosterSensor } from "../stream/messages";

/** Beyond this signals are left out: a rim of so many dots says nothing. */
export const NODES_MAX = 4_000;
const RING = { person: 0.34, sensor: 0.64, signal: 0.92 };
/** Between two people, in places of one signal. */
const BETWEEN = 0.8;

export type NodeKind = "room" | "person" | "sensor" | "signal";
/** As the server has them (docs/wire.md 1.1). */
export type SignalClass = "bio" | "motion" | "location" | "environment" | "device";
export const CLASSES: readonly SignalClass[] = ["bio", "motion", "location", "environment", "device"];

export interface Node {
  kind: NodeKind;
  /** Its own in the graph. */
  key: string;
  name: string;
  /** Of sensors and signals, and of people with one sensor alone. */
  sensor_id: string | null;
  attribute_id: string | null;
  type: string;
  owner: string;
  /** Its place in the list; -1 for the room. */
  parent: number;
}

export interface Graph {
  nodes: Node[];
  /** Signals that were left out. */
  left_out: number;
}

const OF: Record<string, SignalClass> = {
  ecg: "bio", respiration: "bio", heartrate: "bio", hr: "bio", hrv: "bio", spo2: "bio", eye_gaze: "bio", eye_blink: "bio", eye_aperture: "bio", eye_worn: "bio", skin_temperature: "bio",
  imu: "motion", skeleton: "motion", steps: "motion", accelerometer: "motion", gyroscope: "motion", magnetometer: "motion", quaternion: "motion",
  geolocation: "location", altitude: "location", speed: "location", heading: "location", latitude: "location", longitude: "location", course: "location",
  battery: "device", button: "device", led: "device", tap: "device", rich_presence: "device", status: "device",
};
export const class_of = (type: string): SignalClass => (Object.hasOwn(OF, type) ? OF[type]! : "environment");

export function graph_of(sensors: readonly RosterSensor[], room: string): Graph {
  const people = new Map<string, { name: string; sensors: RosterSensor[] }>();
  let signals = 0;
  for (const sensor of sensors) {
    const owner = owner_of(sensor);
    const person = people.get(owner);
    if (person === undefined) people.set(owner, { name: sensor.connector_name ?? sensor.sensor_name, sensors: [sensor] });
    else person.sensors.push(sensor);
    signals += sensor.attributes.length;
  }
  const with_signals = 1 + people.size + sensors.length + signals <= NODES_MAX;
  const nodes: Node[] = [{ kind: "room", key: "room", name: room, sensor_id: null, attribute_id: null, type: "", owner: "", parent: -1 }];
  for (const [owner, { name, sensors: worn }] of people) {
    const person = nodes.length;
    nodes.push({ kind: "person", key: `person ${owner}`, name, sensor_id: worn.length === 1 ? worn[0]!.sensor_id : null, attribute_id: null, type: "", owner, parent: 0 });
    for (const { sensor_id, sensor_name, sensor_type, attributes } of worn) {
      const sensor = nodes.length;
      nodes.push({ kind: "sensor", key: `sensor ${sensor_id}`, name: sensor_name, sensor_id, attribute_id: null, type: sensor_type, owner, parent: person });
      if (!with_signals) continue;
      for (const { attribute_id, attribute_type } of attributes) {
        nodes.push({ kind: "signal", key: `signal ${sensor_id} ${attribute_id}`, name: attribute_id, sensor_id, attribute_id, type: attribute_type, owner, parent: sensor });
      }
    }
  }
  return { nodes, left_out: with_signals ? 0 : signals };
}

/** Everyone gets a wedge as wide as what they send; x and y of each node, within the unit circle. */
export function radial(nodes: readonly Node[]): Float32Array<ArrayBuffer> {
  const children = new Map<number, number[]>();
  nodes.forEach(({ parent }, k) => {
    if (parent >= 0) children.set(parent, [...(children.get(parent) ?? []), k]);
  });
  const leaves = (k: number): number => {
    const below = children.get(k);
    return below === undefined ? 1 : below.reduce((sum, child) => sum + leaves(child), 0);
  };
  const people = children.get(0) ?? [];
  const places = people.reduce((sum, person) => sum + leaves(person) + BETWEEN, 0);
  const angles = new Float64Array(nodes.length);
  let place = BETWEEN / 2;
  const walk = (k: number): number => {
    const below = children.get(k);
    if (below === undefined) {
      angles[k] = (place + 0.5) / places;
      place++;
      return angles[k]!;
    }
    let first = Infinity;
    let last = -Infinity;
    for (const child of below) {
      const at = walk(child);
      first = Math.min(first, at);
      last = Math.max(last, at);
    }
    return (angles[k] = (first + last) / 2);
  };
  for (const person of people) {
    walk(person);
    place += BETWEEN;
  }
  const at = new Float32Array(nodes.length * 2);
  nodes.forEach(({ kind }, k) => {
    if (kind === "room") return;
    // From the top, clockwise.
    const angle = angles[k]! * 2 * Math.PI - Math.PI / 2;
    at[2 * k] = RING[kind] * Math.cos(angle);
    at[2 * k + 1] = RING[kind] * Math.sin(angle);
  });
  return at;
}

/** The node nearest to a point, within `reach`; -1 when there is none. */
export function nearest(at: Float32Array, x: number, y: number, reach: number): number {
  let best = -1;
  let least = reach * reach;
  for (let k = 0; 2 * k < at.length; k++) {
    const d = (at[2 * k]! - x) ** 2 + (at[2 * k + 1]! - y) ** 2;
    if (d < least) {
      least = d;
      best = k;
    }
  }
  return best;
}

/** Where an arrow key leads from a node: the nearest other one that lies that way; itself when none does. */
export function beside(at: Float32Array, from: number, key: string): number {
  const way: [number, number] | undefined = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as Record<string, [number, number]>)[key];
  if (way === undefined) return from;
  let best = from;
  let least = Infinity;
  for (let k = 0; 2 * k < at.length; k++) {
    if (k === from) continue;
    const dx = at[2 * k]! - at[2 * from]!;
    const dy = at[2 * k + 1]! - at[2 * from + 1]!;
    const along = dx * way[0] + dy * way[1];
    if (along <= 1e-6) continue;
    const aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
    if (aside > along * 1.2) continue;
    const cost = along + 2 * aside;
    if (cost < least) {
      least = cost;
      best = k;
    }
  }
  return best;
}
