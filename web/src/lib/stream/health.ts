/**
 * How this browser is doing, as the server is told every two seconds while the page is seen
 * (`client_health`, in the names of the original's clients): the raw figures. What they come to is the
 * server's to judge (`reference/core.md` 10), heat too, of which no browser tells.
 */

export const REPORT_MS = 2_000;
/** With longer between two reports the machine slept, and its frames say nothing. */
export const ASLEEP_MS = 10_000;

export type CpuPressure = "nominal" | "fair" | "serious" | "critical";
export type Network = "slow-2g" | "2g" | "3g" | "4g";

/** What the browser tells of its machine; not every browser tells everything. */
export interface Machine {
  cpuPressure?: CpuPressure;
  /** Of what scripts may use, 0 to 1. */
  memoryPressure?: number;
  /** Percent. */
  batteryLevel?: number;
  batteryCharging?: boolean;
  networkEffectiveType?: Network;
  saveData?: boolean;
}

export interface HealthMessage extends Machine {
  /** Frames a second. */
  fps: number;
  /** Frames since the last report that took longer than `DROPPED_MS` of `frame.ts`. */
  droppedFrames: number;
}

/** Counts that only grow. */
export interface FrameCounts {
  frames: number;
  dropped: number;
}

export class Health {
  private frames: () => FrameCounts;
  private machine: () => Machine;
  private since: (FrameCounts & { at_ms: number }) | null = null;

  constructor(frames: () => FrameCounts, machine: () => Machine) {
    this.frames = frames;
    this.machine = machine;
  }

  /** Nobody looks: what happens until the next report says nothing of this browser. */
  rest(): void {
    this.since = null;
  }

  /** Since the last report; null when there is none to make. */
  report(now_ms: number): HealthMessage | null {
    const counts = this.frames();
    const { since } = this;
    this.since = { ...counts, at_ms: now_ms };
    if (since === null) return null;
    const took_ms = now_ms - since.at_ms;
    if (!(took_ms > 0 && took_ms <= ASLEEP_MS)) return null;
    const fps = Math.round((10_000 * (counts.frames - since.frames)) / took_ms) / 10;
    return { ...this.machine(), fps, droppedFrames: counts.dropped - since.dropped };
  }
}
