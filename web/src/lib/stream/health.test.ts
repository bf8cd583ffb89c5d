import { describe, expect, it } from "vitest";
import { DROPPED_MS, FrameLoop } from "./frame";
import { ASLEEP_MS, Health, REPORT_MS, type Machine } from "./health";

function set_up(machine: Machine = {}) {
  const counts = { frames: 0, dropped: 0 };
  let now = 1_000;
  const health = new Health(() => counts, () => machine);
  health.report(now);
  return {
    health,
    after(frames: number, dropped = 0, ms = REPORT_MS) {
      counts.frames += frames;
      counts.dropped += dropped;
      return health.report((now += ms));
    },
  };
}

describe("what the server is told of this browser", () => {
  it("is the frames since the last time, and what the browser tells of its machine", () => {
    const machine: Machine = { cpuPressure: "fair", batteryLevel: 40, batteryCharging: false, networkEffectiveType: "3g", saveData: true };
    const { after } = set_up(machine);
    expect(after(120)).toEqual({ fps: 60, droppedFrames: 0, ...machine });
    expect(after(41, 3)).toMatchObject({ fps: 20.5, droppedFrames: 3 });
  });

  it("says nothing of the time nobody looked, nor of a night's sleep", () => {
    const { health, after } = set_up();
    health.rest();
    expect(after(2)).toBe(null);
    expect(after(120)).toEqual({ fps: 60, droppedFrames: 0 });
    expect(after(1, 1, ASLEEP_MS + 1)).toBe(null);
    expect(after(120)).toEqual({ fps: 60, droppedFrames: 0 });
  });
});

describe("the frame loop", () => {
  function loop() {
    const asked: ((now: number) => void)[] = [];
    const frames = new FrameLoop((act) => asked.push(act), () => 0);
    frames.add("draw", () => {});
    return { frames, at: (...times: number[]) => times.forEach((now) => asked.shift()!(now)) };
  }

  it("counts frames, and those that came late", () => {
    const { frames, at } = loop();
    at(0, 16, 32, 32 + DROPPED_MS, 133 + DROPPED_MS, 3_000);
    // A tenth of a second is not longer than a tenth of a second; three seconds are.
    expect(frames.counts()).toEqual({ frames: 6, dropped: 2 });
  });

  it("does not take the time away for one slow frame", () => {
    const { frames, at } = loop();
    at(0, 16);
    frames.rest();
    at(500, 516);
    expect(frames.counts()).toEqual({ frames: 4, dropped: 0 });
    expect(frames.stats().fps).toBeCloseTo(62.5);
  });
});
