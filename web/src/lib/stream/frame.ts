/**
 * The one animation frame of the page: first everyone reads, then everyone draws.
 *
 * Keeps the frame times and the time spent in here, so that the page can say how smooth it is.
 */

export type Stage = "read" | "draw";
export type Act = (now_ms: number) => void;

const KEPT = 240;
/** A frame that came later than this after the one before was seen to be late. */
export const DROPPED_MS = 100;

export class FrameLoop {
  private acts: Record<Stage, Set<Act>> = { read: new Set(), draw: new Set() };
  private running = false;
  private spans = new Float64Array(KEPT);
  private scripts = new Float64Array(KEPT);
  private count = 0;
  private steps = 0;
  private dropped = 0;
  private last = NaN;
  private request: (act: (now: number) => void) => unknown;
  private clock: () => number;

  constructor(request: (act: (now: number) => void) => unknown, clock: () => number) {
    this.request = request;
    this.clock = clock;
  }

  add(stage: Stage, act: Act): () => void {
    this.acts[stage].add(act);
    if (!this.running) {
      this.running = true;
      this.last = NaN;
      this.request(this.step);
    }
    return () => void this.acts[stage].delete(act);
  }

  private step = (now: number): void => {
    if (this.acts.read.size + this.acts.draw.size === 0) {
      this.running = false;
      return;
    }
    this.request(this.step);
    const begun = this.clock();
    for (const act of this.acts.read) act(now);
    for (const act of this.acts.draw) act(now);
    const slot = this.count % KEPT;
    const span = now - this.last;
    this.last = now;
    this.steps++;
    if (span > DROPPED_MS) this.dropped++;
    // A machine that slept is not a slow frame.
    if (!(span < 1000)) return;
    this.spans[slot] = span;
    this.scripts[slot] = this.clock() - begun;
    this.count++;
  };

  /** The page goes out of sight, or comes back: the time between is no frame. */
  rest(): void {
    this.last = NaN;
  }

  /** Since the page began. */
  counts(): { frames: number; dropped: number } {
    return { frames: this.steps, dropped: this.dropped };
  }

  /** Over the last four seconds or so at 60 a second. */
  stats(): { fps: number; frame_ms_p95: number; script_ms_p95: number; frames: number } {
    const n = Math.min(this.count, KEPT);
    if (n === 0) return { fps: 0, frame_ms_p95: 0, script_ms_p95: 0, frames: 0 };
    const spans = this.spans.slice(0, n).sort();
    const scripts = this.scripts.slice(0, n).sort();
    const p95 = Math.min(n - 1, Math.floor(n * 0.95));
    let sum = 0;
    for (const span of spans) sum += span;
    return { fps: (1000 * n) / sum, frame_ms_p95: spans[p95]!, script_ms_p95: scripts[p95]!, frames: this.count };
  }
}
