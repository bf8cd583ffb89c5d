/**
 * Sends where a slider went: at once, then at most every `SEEK_EVERY_MS`, never two questions at a time,
 * and always the last place last.
 */

import type { Timers } from "../stream/attention";

export const SEEK_EVERY_MS = 250;

export class Seeker {
  /** Where it was last asked to go, until `settled`. */
  wanted_ms: number | null = null;
  private send: (position_ms: number) => Promise<void>;
  private timers: Timers;
  private now: () => number;
  /** When the server last answered. */
  answered_ms = -Infinity;
  private held = false;
  private unsent = false;
  private sending = false;
  private sent_at = -Infinity;
  private timer: unknown = null;

  constructor(send: (position_ms: number) => Promise<void>, timers: Timers, now: () => number) {
    this.send = send;
    this.timers = timers;
    this.now = now;
  }

  to(position_ms: number): void {
    this.wanted_ms = position_ms;
    this.unsent = true;
    this.go();
  }

  /** A finger is on the slider, and nothing else may move it. */
  hold(): void {
    this.held = true;
  }

  /** The slider was let go: what is still to be sent waits for nothing but the answer before it. */
  let_go(): void {
    this.held = false;
    this.sent_at = -Infinity;
    this.go();
  }

  /** What it belongs to is being stopped: nothing is sent any more. */
  drop(): void {
    if (this.timer !== null) this.timers.clear_timer(this.timer);
    this.timer = null;
    this.held = this.unsent = false;
  }

  get busy(): boolean {
    return this.unsent || this.sending;
  }

  /** The server has been heard to be there; what it says counts again. */
  settled(): void {
    if (!this.busy && !this.held) this.wanted_ms = null;
  }

  private go(): void {
    if (this.timer !== null) this.timers.clear_timer(this.timer);
    this.timer = null;
    if (!this.unsent || this.sending) return;
    const wait_ms = this.sent_at + SEEK_EVERY_MS - this.now();
    if (wait_ms > 0) {
      this.timer = this.timers.set_timer(() => this.go(), wait_ms);
      return;
    }
    this.unsent = false;
    this.sending = true;
    this.sent_at = this.now();
    void this.send(this.wanted_ms!).finally(() => {
      this.sending = false;
      this.answered_ms = this.now();
      this.go();
    });
  }
}
