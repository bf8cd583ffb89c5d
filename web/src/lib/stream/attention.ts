/**
 * What this viewer is looking at, gathered into one `attention` message at most every 100 ms.
 *
 * On screen counts after 300 ms, so that scrolling past claims nothing; off screen too. A hover counts at
 * once and is held 2 s after it ends. Keyboard focus is a hover. One sensor is focused at a time.
 */

export const COALESCE_MS = 100;
export const VISIBLE_DEBOUNCE_MS = 300;
export const HOVER_HELD_MS = 2_000;

export type Battery = "normal" | "low" | "critical";

export interface AttentionMessage {
  visible: string[];
  hovered: string[];
  focused: string[];
  pinned: string[];
  hidden: boolean;
  battery: Battery;
}

export interface Timers {
  set_timer(act: () => void, ms: number): unknown;
  clear_timer(timer: unknown): void;
}

/** Under 15 % critical, under 30 % low, unless it is being charged. */
export function battery_of(level: number, charging: boolean): Battery {
  if (charging) return "normal";
  return level < 0.15 ? "critical" : level < 0.3 ? "low" : "normal";
}

export class Attention {
  /** By what shows it: a panel knows only its own. */
  private shown = new Map<string, Set<string>>();
  private seen = new Set<string>();
  private hovers = new Map<string, { by: Set<string>; held: unknown }>();
  private focused: string | null = null;
  private pinned = new Set<string>();
  private hidden = false;
  private battery: Battery = "normal";
  private sending: unknown = null;
  private settling: unknown = null;
  private said = "";
  private send: (message: AttentionMessage) => void;
  private timers: Timers;

  constructor(send: (message: AttentionMessage) => void, timers: Timers) {
    this.send = send;
    this.timers = timers;
  }

  /** `by` tells panels apart: what one of them shows is visible. */
  set_visible(id: string, visible: boolean, by = ""): void {
    const shown = this.shown.get(by) ?? new Set<string>();
    if (visible) this.shown.set(by, shown.add(id));
    else shown.delete(id);
    if (this.settling !== null) return;
    this.settling = this.timers.set_timer(() => {
      this.settling = null;
      this.see();
    }, VISIBLE_DEBOUNCE_MS);
  }

  /** The view knows at once what it shows (a composite, or a change of view): no debounce. */
  show_exactly(ids: Iterable<string>, by = ""): void {
    this.shown.set(by, new Set(ids));
    this.see();
  }

  /** This panel shows nothing any more. */
  show_none(by: string): void {
    if (this.shown.delete(by)) this.see();
  }

  /** No panel shows anything, until it says so. */
  show_nothing(): void {
    this.shown.clear();
    this.see();
  }

  private see(): void {
    this.seen = new Set();
    for (const ids of this.shown.values()) for (const id of ids) this.seen.add(id);
    this.soon();
  }

  /** `by` tells the mouse from the keyboard: either is enough. */
  hover(id: string, by: string): void {
    const hover = this.hovers.get(id) ?? { by: new Set<string>(), held: null };
    if (hover.held !== null) this.timers.clear_timer(hover.held);
    hover.held = null;
    hover.by.add(by);
    this.hovers.set(id, hover);
    this.soon();
  }

  leave(id: string, by: string): void {
    const hover = this.hovers.get(id);
    if (hover === undefined || !hover.by.delete(by) || hover.by.size > 0) return;
    hover.held = this.timers.set_timer(() => {
      this.hovers.delete(id);
      this.soon();
    }, HOVER_HELD_MS);
  }

  /** What was under the pointer or the keys is no longer on the page; elements that go do not say so. */
  leave_all(): void {
    for (const [id, hover] of this.hovers) for (const by of [...hover.by]) this.leave(id, by);
  }

  focus(id: string | null): void {
    this.focused = id;
    this.soon();
  }

  pin(id: string, pinned: boolean): void {
    if (pinned) this.pinned.add(id);
    else this.pinned.delete(id);
    this.soon();
  }

  set_hidden(hidden: boolean): void {
    this.hidden = hidden;
    this.soon();
  }

  set_battery(battery: Battery): void {
    this.battery = battery;
    this.soon();
  }

  /** A new channel knows nothing of what was claimed. */
  say_again(): void {
    this.said = "";
    this.soon();
  }

  current(): AttentionMessage {
    return {
      visible: [...this.seen].sort(),
      hovered: [...this.hovers.keys()].sort(),
      focused: this.focused === null ? [] : [this.focused],
      pinned: [...this.pinned].sort(),
      hidden: this.hidden,
      battery: this.battery,
    };
  }

  /** Whether any data can be expected. */
  get asks(): boolean {
    return !this.hidden && this.seen.size + this.hovers.size + this.pinned.size > 0;
  }

  private soon(): void {
    if (this.sending !== null) return;
    this.sending = this.timers.set_timer(() => {
      this.sending = null;
      const message = this.current();
      const text = JSON.stringify(message);
      if (text === this.said) return;
      this.said = text;
      this.send(message);
    }, COALESCE_MS);
  }
}
