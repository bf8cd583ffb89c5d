import { describe, expect, it } from "vitest";
import { fixations, heat, type Look } from "../gaze/path";
import { bar_of, fit_of, is_place, lanes_of, metres, plane_of } from "./plane";

describe("the map's plane", () => {
  it("knows metres from degrees", () => {
    const plane = { latitude: 52.5, longitude: 13.4 };
    const [x, y] = metres(plane, 52.501, 13.401);
    expect(y).toBeCloseTo(-111.2, 0);
    expect(x).toBeCloseTo(67.7, 0);
    expect(metres({ latitude: 0, longitude: 179.9 }, 0, -179.9)[0]).toBeCloseTo(22_239, -1);
  });

  it("finds where a device writes its place, by the names that devices use", () => {
    expect(lanes_of(["latitude", "longitude", "altitude"])).toEqual({ latitude: 0, longitude: 1 });
    expect(lanes_of(["coords.lng", "coords.lat"])).toEqual({ latitude: 1, longitude: 0 });
    expect(lanes_of(["x", "y"])).toBeNull();
  });

  it("leaves out what is no place", () => {
    expect(plane_of([{ latitude: NaN, longitude: 1 }, { latitude: 91, longitude: 0 }])).toBeNull();
    expect(plane_of([{ latitude: 10, longitude: 20 }, { latitude: 12, longitude: 22 }, { latitude: 500, longitude: 0 }])).toEqual({ latitude: 11, longitude: 21 });
    expect(is_place({ latitude: -90, longitude: 180 })).toBe(true);
  });

  it("has a scale of a round length, and a view that holds everybody", () => {
    expect([bar_of(1, 120), bar_of(0.3, 120), bar_of(1_000, 120)].map(({ metres: m }) => m)).toEqual([100, 20, 100_000]);
    const { x, y, metres_per_px } = fit_of([[0, 0], [720, 0], [0, 330]], 1_000, 500);
    expect([x, y, metres_per_px]).toEqual([360, 165, 1]);
    expect(fit_of([[5, 5]], 1_000, 500).metres_per_px).toBe(0.1);
  });
});

describe("gaze", () => {
  const rest = (x: number, y: number, from_ms: number, ms: number): Look[] => Array.from({ length: ms / 10 + 1 }, (_, k) => ({ t: from_ms + 10 * k, x: x + 0.004 * (k % 2), y }));

  it("knows where eyes rested and for how long; a leap is not a rest", () => {
    const looks = [...rest(0.2, 0.3, 0, 300), { t: 310, x: 0.5, y: 0.5 }, ...rest(0.8, 0.7, 320, 200)];
    const found = fixations(looks);
    expect(found.map(({ x, y, from_ms, to_ms }) => [Math.round(100 * x), Math.round(100 * y), from_ms, to_ms])).toEqual([[20, 30, 0, 300], [80, 70, 320, 520]]);
  });

  it("does not take a blink for looking on", () => {
    expect(fixations([...rest(0.2, 0.3, 0, 120), ...rest(0.2, 0.3, 600, 120)]).length).toBe(2);
    expect(fixations([])).toEqual([]);
  });

  it("is warmest where eyes were longest", () => {
    const cells = heat([...rest(0.25, 0.25, 0, 900), ...rest(0.75, 0.75, 1_000, 200), { t: 0, x: 7, y: NaN }], 16, 16);
    const at = (x: number, y: number): number => cells[y * 16 + x]!;
    expect(at(4, 4)).toBeCloseTo(1);
    expect(at(12, 12)).toBeGreaterThan(0.1);
    expect(at(12, 12)).toBeLessThan(0.5);
    expect(at(15, 0)).toBe(0);
  });
});
