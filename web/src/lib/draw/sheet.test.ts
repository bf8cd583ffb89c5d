import { describe, expect, it } from "vitest";
import { offset_of } from "./sheet";

describe("what was drawn of a graph", () => {
  it("lies where it belongs under another camera, for as far as it reaches, and at the same scale only", () => {
    const drawn = { x: 0.5, y: -0.25, scale: 400 };
    const at = (x: number, y: number, scale = 400) => offset_of(drawn, { x, y, scale }, 1_000, 600);
    expect(at(0.5, -0.25)).toEqual({ x: 0, y: 0 });
    // Looked at from further right, it lies further left.
    expect(at(0.75, -0.25)).toEqual({ x: -100, y: 0 });
    expect(at(0.5, -0.4)!.y).toBeCloseTo(60, 9);
    expect([at(0.9, -0.25), at(0.5, 0), at(0.5, -0.25, 401)]).toEqual([null, null, null]);
  });
});
