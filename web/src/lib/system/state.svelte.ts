/**
 * What the page knows of the server itself, asked once a second while the System view or a panel of it is seen
 * and not paused. The last five minutes are kept when one goes elsewhere; the time away is a gap.
 */

import { untrack } from "svelte";
import { app } from "../app.svelte";
import type { Answer, Fault } from "../ask";
import type { View } from "../route";
import { age_text, fault_text, resource_short, system_strings as strings } from "../strings";
import { Client, type Chosen } from "./client";
import { History, point_of } from "./history";
import type { Decision, System, Trace } from "./shape";

const PERIOD_MS = 1_000;
/** Traces are made more slowly than figures. */
const TRACES_EVERY = 2;

class SystemState {
  system = $state.raw<System | null>(null);
  traces = $state.raw<Trace[] | null>(null);
  decision = $state.raw<Answer<Decision> | null>(null);
  /** Why the last question failed; null when it did not. */
  fault = $state.raw<Fault | null>(null);
  traces_fault = $state.raw<Fault | null>(null);
  /** The page's clock at the last good answer; NaN before. */
  answered_ms = $state(NaN);
  /** The page's clock, each second while the view is seen: plots end here, though no answer comes. */
  now_ms = $state(performance.now());
  paused = $state(false);
  chosen = $state.raw<Chosen | null>(null);
  /** Where the plots are read, in seconds before now; null: the newest. */
  cursor_s = $state<number | null>(null);
  /** For those who hear the page. */
  spoken = $state("");
  denied = $state(false);
  /** Panels in which it is looked at, the first of which shows it. */
  panels = $state.raw<readonly string[]>([]);
  readonly history = new History();

  private client = new Client(app.server);
  private view: View = "lobby";
  private barred = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;
  private asked = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => this.wake());
    window.addEventListener("online", () => this.wake());
  }

  /** What is looked at, and whether the server lets this page in at all. */
  follow(view: View, barred: boolean): void {
    this.view = view;
    this.barred = barred;
    // Whoever follows the view does not follow the answers.
    untrack(() => this.wake());
  }

  /** In a panel of a room, until the answer is called. */
  look(panel: string): () => void {
    this.panels = [...this.panels, panel];
    this.wake();
    return () => {
      this.panels = this.panels.filter((one) => one !== panel);
      this.wake();
    };
  }

  /** With a new token there is new hope. */
  allowed(): void {
    this.denied = false;
    this.wake();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.wake();
  }

  choose(chosen: Chosen | null): void {
    this.chosen = chosen;
    this.decision = null;
    if (chosen !== null) void untrack(() => this.ask_decision());
  }

  private get looks(): boolean {
    return (this.view === "system" || this.panels.length > 0) && !this.barred && !this.denied && !this.paused && document.visibilityState !== "hidden";
  }

  private wake(): void {
    clearTimeout(this.timer);
    if (this.looks) void this.read();
  }

  /** One question at a time: a server that is slow to answer is not asked more. */
  private async read(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const begun = performance.now();
    this.now_ms = begun;
    const with_traces = this.asked++ % TRACES_EVERY === 0;
    // A server that does not answer is seen to be late while it is waited for.
    const ticking = setInterval(() => (this.now_ms = performance.now()), PERIOD_MS);
    // Each is shown as it comes: none waits for a slower one.
    await Promise.all([
      this.client.system().then((answer) => this.take(answer)),
      with_traces ? this.client.traces().then((answer) => this.take_traces(answer)) : null,
      this.ask_decision(),
    ]);
    clearInterval(ticking);
    this.asking = false;
    clearTimeout(this.timer);
    if (this.looks) this.timer = setTimeout(() => void this.read(), Math.max(0, PERIOD_MS - (performance.now() - begun)));
  }

  private take(answer: Answer<System>): void {
    this.now_ms = performance.now();
    if (!answer.ok) {
      if (this.fault === null) this.say(fault_text(answer.fault));
      this.fault = answer.fault;
      this.denied = answer.fault.kind === "denied";
      return;
    }
    const before = this.system;
    this.system = answer.value;
    this.fault = null;
    this.answered_ms = this.now_ms;
    this.history.push(this.now_ms, point_of(answer.value));
    const { load } = answer.value;
    if (before !== null && before.load.level !== load.level) this.say(strings.level_is(strings.level_words[load.level], load.limited_by === null ? null : resource_short(load.limited_by)));
    else if (before !== null && before.load.memory_protection !== load.memory_protection) this.say(strings.protection_is(load.memory_protection));
  }

  private take_traces(answer: Answer<Trace[]>): void {
    if (answer.ok) this.traces = answer.value;
    this.traces_fault = answer.ok ? null : answer.fault;
  }

  private async ask_decision(): Promise<void> {
    const { chosen } = this;
    if (chosen === null) return;
    const answer = await this.client.decision(chosen);
    if (this.chosen === chosen) this.decision = answer;
  }

  private say(sentence: string): void {
    // The same words twice are not said twice, unless something differs.
    this.spoken = this.spoken === sentence ? `${sentence}\u00a0` : sentence;
  }
}

export const system = new SystemState();

/** An answer that takes longer is told to be late. */
const LATE_MS = 4_000;
/** What is wrong with what is shown; null: nothing. */
export function trouble_of({ fault, now_ms, answered_ms, paused }: SystemState): string | null {
  const age_ms = now_ms - answered_ms;
  if (fault === null && !(age_ms > LATE_MS && !paused)) return null;
  const age = Number.isNaN(age_ms) ? null : age_text(Math.round(age_ms / 1_000) * 1_000).replace(".0", "");
  switch (fault?.kind) {
    case "absent": return strings.absent;
    case "malformed": return strings.malformed;
    case undefined:
    case "unreachable":
    case "late": return strings.stale(age);
    default: return strings.failed(fault_text(fault!), age);
  }
}
