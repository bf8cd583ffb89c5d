import { describe, expect, it } from "vitest";
import { BONES, boxes, cells_of, JOINTS, pose_of, stance_of, TOLD, type Pose } from "./body";

const names = (...parts: string[]) => Array.from({ length: JOINTS }, (_, k) => parts.map((part) => `landmarks.${k}.${part}`)).flat();
/** Upright in the middle, hands hanging, unless told otherwise. */
function pose(more: Partial<Record<keyof typeof TOLD, [number, number, number?]>> = {}): Pose {
  const places: Record<keyof typeof TOLD, [number, number, number?]> = {
    nose: [0.5, 0.1], left_shoulder: [0.6, 0.25], right_shoulder: [0.4, 0.25], left_wrist: [0.65, 0.5], right_wrist: [0.35, 0.5], left_hip: [0.55, 0.5], right_hip: [0.45, 0.5], left_ankle: [0.55, 0.95], right_ankle: [0.45, 0.95], ...more,
  };
  const made = { x: new Float32Array(JOINTS).fill(0.5), y: new Float32Array(JOINTS).fill(0.5), v: new Float32Array(JOINTS).fill(1) };
  for (const [name, [x, y, v]] of Object.entries(places)) {
    const joint = TOLD[name as keyof typeof TOLD];
    [made.x[joint], made.y[joint], made.v[joint]] = [x, y, v ?? 1];
  }
  return made;
}

describe("a body", () => {
  it("is found in a stream's cells by their names, with or without depth", () => {
    const flat = cells_of(names("x", "y", "v"))!;
    expect([flat.x[0], flat.y[0], flat.v[0], flat.x[32], flat.v[32]]).toEqual([0, 1, 2, 96, 98]);
    const deep = cells_of(names("x", "y", "z", "visibility"))!;
    expect([deep.x[1], deep.y[1], deep.v[1]]).toEqual([4, 5, 7]);
    const unsure = cells_of(names("x", "y"))!;
    expect(pose_of(unsure, (cell) => cell).v[5]).toBe(1);
    expect([cells_of(["x", "y", "z"]), cells_of(names("x", "y").slice(0, 40)), cells_of([])]).toEqual([null, null, null]);
    const read = pose_of(flat, (cell) => cell / 100);
    expect([read.x[1], read.y[1], read.v[1]].map((value) => Math.round(value! * 100))).toEqual([3, 4, 5]);
  });

  it("has bones between joints that there are, each once", () => {
    expect(BONES.every(([a, b]) => a !== b && Math.min(a, b) >= 0 && Math.max(a, b) < JOINTS)).toBe(true);
    expect(new Set(BONES.map(([a, b]) => [Math.min(a, b), Math.max(a, b)].join())).size).toBe(BONES.length);
    expect(new Set(BONES.flat()).size).toBe(31);
  });

  it("stands or lies, with hands up or not, and is not guessed at", () => {
    expect(stance_of(pose())).toEqual({ stance: "upright", hands: "none" });
    expect(stance_of(pose({ right_wrist: [0.3, 0.1] }))).toEqual({ stance: "upright", hands: "right" });
    expect(stance_of(pose({ left_wrist: [0.7, 0.2], right_wrist: [0.3, 0.1] }))).toEqual({ stance: "upright", hands: "both" });
    expect(stance_of(pose({ left_hip: [0.9, 0.3], right_hip: [0.9, 0.35] }))).toMatchObject({ stance: "lying" });
    expect(stance_of(pose({ left_hip: [0.55, 0.5, 0.2] }))).toEqual({ stance: "unknown", hands: "none" });
    expect(stance_of(pose({ right_wrist: [NaN, NaN] }))).toEqual({ stance: "upright", hands: "unknown" });
  });

  it("has a square as large as the place allows", () => {
    expect(boxes(1, 400, 220, 10, 20)).toEqual([{ x: 110, y: 30, side: 180 }]);
    const four = boxes(4, 800, 240, 10, 20);
    expect(four.map(({ x, y, side }) => [x, y, side])).toEqual([[10, 40, 180], [210, 40, 180], [410, 40, 180], [610, 40, 180]]);
    expect(boxes(3, 200, 660, 10, 20)).toHaveLength(3);
    expect([boxes(0, 100, 100, 1, 1), boxes(5, 0, 100, 1, 1), boxes(5, 10, 10, 10, 10)]).toEqual([[], [], []]);
  });
});
