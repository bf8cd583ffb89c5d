import { describe, expect, it } from "vitest";
import type { RosterSensor } from "../stream/messages";
import { beside, class_of, graph_of, nearest, NODES_MAX, radial } from "./model";

const sensor = (sensor_id: string, owner: string | null, ...types: string[]): RosterSensor => ({
  sensor_id, sensor_name: sensor_id, sensor_type: types[0] ?? "x", connector_id: owner, connector_name: owner === null ? null : `${owner}!`, level: "low",
  attributes: types.map((type) => ({ attribute_id: type, attribute_type: type, sampling_rate: 1 })),
});
const room = [sensor("a1", "ada", "ecg", "battery"), sensor("b1", "ben", "imu"), sensor("a2", "ada", "respiration"), sensor("lone", null, "light")];

describe("the graph", () => {
  it("has people around the room, their sensors around them, and their signals at the rim", () => {
    const { nodes, left_out } = graph_of(room, "Lobby");
    expect(left_out).toBe(0);
    const up = (key: string): string[] => {
      const found = nodes.find((node) => node.key === key)!;
      return found.parent < 0 ? [found.name] : [found.name, ...up(nodes[found.parent]!.key)];
    };
    expect(up("signal a2 respiration")).toEqual(["respiration", "a2", "ada!", "Lobby"]);
    expect(up("signal lone light")).toEqual(["light", "lone", "lone", "Lobby"]);
    expect(nodes.filter(({ kind }) => kind === "person").map(({ name }) => name)).toEqual(["ada!", "ben!", "lone"]);
    expect(nodes.every(({ parent }, k) => parent < k)).toBe(true);
  });

  it("lays everyone out in a wedge of their own, in rings, and nobody over anybody", () => {
    const { nodes } = graph_of(room, "Lobby");
    const at = radial(nodes);
    const of = (k: number): { r: number; turn: number } => ({ r: Math.hypot(at[2 * k]!, at[2 * k + 1]!), turn: (Math.atan2(at[2 * k]!, -at[2 * k + 1]!) / (2 * Math.PI) + 1) % 1 });
    for (const [kind, r] of [["room", 0], ["person", 0.34], ["sensor", 0.64], ["signal", 0.92]] as const) {
      nodes.forEach((node, k) => node.kind === kind && expect(of(k).r, node.key).toBeCloseTo(r));
    }
    const turns = nodes.flatMap((node, k) => (node.kind === "signal" ? [{ owner: node.owner, turn: of(k).turn }] : []));
    expect(turns.map(({ turn }) => turn)).toEqual([...turns.map(({ turn }) => turn)].sort((a, b) => a - b));
    expect(new Set(turns.map(({ turn }) => turn.toFixed(4))).size).toBe(turns.length);
    // Ada sends three of five, with room between people.
    expect(turns[3]!.turn - turns[2]!.turn).toBeGreaterThan((turns[1]!.turn - turns[0]!.turn) * 1.5);
  });

  it("leaves signals out where there would be too many dots", () => {
    const many = Array.from({ length: 1_500 }, (_, k) => sensor(`s${k}`, `p${k % 300}`, "ecg", "imu", "battery"));
    const { nodes, left_out } = graph_of(many, "Lobby");
    expect([nodes.length, left_out]).toEqual([1_801, 4_500]);
    expect(nodes.length).toBeLessThanOrEqual(NODES_MAX);
  });

  it("is walked with the arrow keys, and found under the pointer", () => {
    const { nodes } = graph_of(room, "Lobby");
    const at = radial(nodes);
    for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
      const to = beside(at, 0, key);
      expect(to, key).not.toBe(0);
      const [dx, dy] = [at[2 * to]!, at[2 * to + 1]!];
      expect(key === "ArrowLeft" ? dx < 0 : key === "ArrowRight" ? dx > 0 : key === "ArrowUp" ? dy < 0 : dy > 0, key).toBe(true);
    }
    expect(beside(at, 0, "x")).toBe(0);
    expect(nearest(at, at[8]! + 0.01, at[9]!, 0.05)).toBe(4);
    expect(nearest(at, 5, 5, 0.05)).toBe(-1);
  });

  it("knows what kind of signal it is; what nobody knows is surroundings", () => {
    expect(["ecg", "imu", "geolocation", "light", "battery", "constructor"].map(class_of)).toEqual(["bio", "motion", "location", "environment", "device", "environment"]);
  });
});
