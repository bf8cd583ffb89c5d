/**
 * What the page knows of the simulator, and what it has asked of it. The server is the truth: an act is
 * shown as under way until an answer that was asked for afterwards says it is so.
 */

import { app } from "../app.svelte";
import type { Answer, Fault } from "../ask";
import type { View } from "../route";
import { fault_text, room_why_text, simulator_strings as strings, type SimulatorAct } from "../strings";
import { Client, type Given } from "./client";
import { Seeker } from "./seek";
import type { Overview, Recordings, Running } from "./shape";

const PERIOD_MS = 2_000;
/** While something changes. */
const EAGER_MS = 1_000;
/** Where only the time bar asks, and nothing plays. */
const BACKGROUND_MS = 5_000;
/** How old what is known of the recordings may be: on their page, and where only the header tells of one. */
const RECORDINGS_MS = { here: 6_000, elsewhere: 15_000 };
/** How long the server may take to do what it said yes to. */
const PATIENCE_MS = 12_000;

/** Where on the page an act belongs: its words stand there. One act at a time in each. */
export const place = {
  scenario: (name: string) => `scenario ${name}`,
  running: (id: string) => `running ${id}`,
  recording: (name: string) => `recording ${name}`,
  record: "record",
  all: "all",
};

interface Pending {
  act: SimulatorAct;
  name: string;
  /** When the server said yes; NaN before. */
  accepted_ms: number;
  holds: () => boolean;
}

/** What is refused because of the room is said of the room. */
function of_room<T>(answer: Answer<T>, given: Given): Answer<T> {
  if (answer.ok || given.room === undefined || answer.fault.kind !== "refused" || !Object.hasOwn(strings.room_why, answer.fault.code)) return answer;
  return { ok: false, fault: { ...answer.fault, sentence: strings.not_into(room_why_text(answer.fault.code)) } };
}

/** Where what is told here is looked at. */
const HERE: ReadonlySet<View> = new Set<View>(["simulator", "recordings"]);

class Simulator {
  overview = $state.raw<Overview | null>(null);
  recordings = $state.raw<Recordings | null>(null);
  /** Why the last question failed; null when it did not. */
  overview_fault = $state.raw<Fault | null>(null);
  recordings_fault = $state.raw<Fault | null>(null);
  /** The page's clock at the last good answers; NaN before. */
  overview_ms = $state(NaN);
  recordings_ms = $state(NaN);
  pending = $state.raw<ReadonlyMap<string, Pending>>(new Map());
  faults = $state.raw<ReadonlyMap<string, string>>(new Map());
  /** For those who hear the page: the last thing that happened. */
  spoken = $state("");
  denied = $state(false);
  /** The room that what is started goes into; empty: none. */
  into = $state("");
  /** The rooms of whoever is signed in, by their ids. */
  my_rooms = $state.raw<ReadonlyMap<string, string>>(new Map());
  private whose: string | null = null;
  /** Quarter seconds, for times that run between two answers. */
  now_ms = $state(performance.now());

  readonly running = $derived(this.overview?.running ?? []);
  readonly recording = $derived(this.recordings?.recording ?? null);
  readonly replays = $derived(this.running.filter(({ kind }) => kind === "replay"));

  private client = new Client(app.server);
  private view: View = "lobby";
  private barred = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private line: Promise<void> = Promise.resolve();
  private seekers = new Map<string, Seeker>();
  /** The replay that came of playing a recording, by the recording's name. */
  private recordings_asked_ms = -Infinity;
  private played = new Map<string, string>();

  constructor() {
    document.addEventListener("visibilitychange", () => this.wake());
    window.addEventListener("online", () => this.wake());
    setInterval(() => {
      if (document.visibilityState !== "hidden") this.now_ms = performance.now();
    }, 250);
  }

  /** What is looked at, and whether the server lets this page in at all. A change asks at once. */
  follow(view: View, barred: boolean): void {
    // What is fresh enough for the header is not for the page.
    if (view !== this.view) this.recordings_asked_ms = -Infinity;
    this.view = view;
    this.barred = barred;
    this.wake();
  }

  /** The rooms there are for whoever is signed in; those of somebody else are not theirs. */
  may_go_into(whose: string | null, mine: readonly { id: string; name: string }[] | null): void {
    if (mine === null && whose === this.whose) return;
    this.whose = whose;
    mine ??= [];
    this.my_rooms = new Map(mine.map(({ id, name }) => [id, name]));
    if (!this.my_rooms.has(this.into)) this.into = "";
  }

  /** With a new token there is new hope. */
  allowed(): void {
    this.denied = false;
    this.wake();
  }

  start(name: string, given: Given): Promise<boolean> {
    return this.act("start", place.scenario(name), name, async () => of_room(await this.client.start(name, given), given), () => this.find(name) !== undefined);
  }
  switch_to(name: string, given: Given): Promise<boolean> {
    const alone = (): boolean => this.running.every((entry) => entry.name === name && entry.kind === "scenario") && this.find(name) !== undefined;
    return this.act("switch", place.scenario(name), name, async () => of_room(await this.client.switch_to(name, given), given), alone);
  }
  stop({ id, name }: Running): Promise<boolean> {
    this.seekers.get(id)?.drop();
    return this.act("stop", place.running(id), name, () => this.client.stop(id), () => this.entry(id) === undefined);
  }
  stop_all(): Promise<boolean> {
    for (const seeker of this.seekers.values()) seeker.drop();
    return this.act("stop", place.all, strings.everything, () => this.client.stop("*"), () => this.running.length === 0);
  }
  pause({ id, name }: Running): Promise<boolean> {
    return this.act("pause", place.running(id), name, () => this.client.pause(id), () => this.entry(id)?.state !== "running");
  }
  resume({ id, name }: Running): Promise<boolean> {
    return this.act("resume", place.running(id), name, () => this.client.resume(id), () => this.entry(id)?.state !== "paused");
  }
  set_speed({ id, name }: Running, speed: number): Promise<boolean> {
    const near = (): boolean => {
      const entry = this.entry(id);
      return entry === undefined || Math.abs(entry.speed / speed - 1) < 0.01;
    };
    return this.act("speed", place.running(id), name, () => this.client.set_speed(id, speed), near);
  }
  /** From the beginning, though it was over. */
  async play_again(running: Running): Promise<boolean> {
    const { id, name } = running;
    const again = async (): Promise<Answer<true>> => {
      const sought = await this.client.seek(id, 0);
      return sought.ok ? this.client.resume(id) : sought;
    };
    return this.act("resume", place.running(id), name, again, () => this.entry(id)?.state !== "ended");
  }

  record(name: string): Promise<boolean> {
    return this.act("record", place.record, name, () => this.client.record(name), () => this.recording !== null);
  }
  end_recording(): Promise<boolean> {
    return this.act("end", place.record, this.recording?.name ?? "", () => this.client.end_recording(), () => this.recording === null);
  }
  remove(name: string): Promise<boolean> {
    const gone = (): boolean => !(this.recordings?.recordings ?? []).some((recording) => recording.name === name);
    return this.act("remove", place.recording(name), name, () => this.client.remove(name), gone);
  }
  play(name: string): Promise<boolean> {
    const begin = async (): Promise<Answer<Running>> => {
      const answer = await this.client.replay(name);
      if (answer.ok) this.played.set(name, answer.value.id);
      return answer;
    };
    return this.act("play", place.recording(name), name, begin, () => this.replay_of(name) !== undefined);
  }
  address_of(name: string): string {
    return this.client.address_of(name);
  }
  /** A link cannot carry a token, so the page fetches the file and hands it on. */
  fetch_file(name: string): Promise<boolean> {
    const hand_on = async (): Promise<Answer<Blob>> => {
      const answer = await this.client.file(name);
      if (answer.ok) {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(answer.value);
        link.download = `${name}.mcap`;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      }
      return answer;
    };
    return this.act("fetch", place.recording(name), name, hand_on, () => true);
  }

  /** The one slider of a replay; it lives as long as the replay does. */
  seeker(id: string): Seeker {
    const known = this.seekers.get(id);
    if (known !== undefined) return known;
    const send = async (position_ms: number): Promise<void> => {
      const answer = await this.client.seek(id, position_ms);
      if (answer.ok) this.forgive(place.running(id));
      else this.blame("seek", place.running(id), answer.fault);
      // Once the seeker has noted the answer: only what is asked after it tells where the replay is now.
      setTimeout(() => void this.refresh());
    };
    const timers = {
      set_timer: (act: () => void, ms: number): unknown => setTimeout(act, ms),
      clear_timer: (timer: unknown): void => clearTimeout(timer as number),
    };
    const seeker = new Seeker(send, timers, () => performance.now());
    this.seekers.set(id, seeker);
    return seeker;
  }

  doing(where: string): SimulatorAct | null {
    return this.pending.get(where)?.act ?? null;
  }
  fault(where: string): string | null {
    return this.faults.get(where) ?? null;
  }
  forgive(where: string): void {
    if (!this.faults.has(where)) return;
    const faults = new Map(this.faults);
    faults.delete(where);
    this.faults = faults;
  }
  find(scenario: string): Running | undefined {
    return this.running.find(({ kind, name }) => kind === "scenario" && name === scenario);
  }
  replay_of(recording: string): Running | undefined {
    return this.replays.find(({ id, name }) => name === recording || id === this.played.get(recording));
  }

  private entry(id: string): Running | undefined {
    return this.running.find((entry) => entry.id === id);
  }

  private async act<T>(
    act: SimulatorAct, where: string, name: string, ask: () => Promise<Answer<T>>, holds: () => boolean,
  ): Promise<boolean> {
    if (this.pending.has(where)) return false;
    this.forgive(where);
    this.pend(where, { act, name, accepted_ms: NaN, holds });
    this.say(strings.doing[act]);
    const answer = await ask();
    if (!answer.ok) {
      this.pend(where, null);
      this.blame(act, where, answer.fault);
      void this.refresh();
      return false;
    }
    this.pend(where, { act, name, accepted_ms: performance.now(), holds });
    await this.refresh();
    return true;
  }

  private pend(where: string, pending: Pending | null): void {
    const all = new Map(this.pending);
    if (pending === null) all.delete(where);
    else all.set(where, pending);
    this.pending = all;
  }

  private blame(act: SimulatorAct, where: string, fault: Fault): void {
    const sentence = `${strings.could_not[act]}. ${fault_text(fault)}`;
    this.faults = new Map(this.faults).set(where, sentence);
    this.say(sentence);
    if (fault.kind === "denied") this.denied = true;
  }

  private say(sentence: string): void {
    if (sentence === "") return;
    // The same words twice are not said twice, unless something differs.
    this.spoken = this.spoken === sentence ? `${sentence}\u00a0` : sentence;
  }

  private wake(): void {
    void this.refresh();
  }

  /** Asks after all that was asked before: what it brings is newer than this call. */
  private refresh(): Promise<void> {
    return (this.line = this.line.then(() => this.read()));
  }

  private period_ms(): number | null {
    if (this.barred || this.denied || document.visibilityState === "hidden") return null;
    const plays = this.replays.length > 0;
    if (!HERE.has(this.view)) return this.overview_fault?.kind === "absent" ? null : plays ? PERIOD_MS : BACKGROUND_MS;
    const changes = this.pending.size > 0 || this.recording !== null || this.running.some(({ state }) => state === "stopping");
    return changes ? EAGER_MS : PERIOD_MS;
  }

  private async read(): Promise<void> {
    clearTimeout(this.timer);
    if (this.period_ms() === null) return;
    const asked_ms = performance.now();
    const waits = [...this.pending.values()].some(({ act }) => act === "record" || act === "end" || act === "remove");
    const here = HERE.has(this.view);
    const stale = !(asked_ms - this.recordings_asked_ms < RECORDINGS_MS[here ? "here" : "elsewhere"]);
    const wanted = waits || (here ? stale || this.recording !== null : stale && this.recordings_fault?.kind !== "absent");
    if (wanted) this.recordings_asked_ms = asked_ms;
    const [overview, recordings] = await Promise.all([this.client.overview(), wanted ? this.client.recordings() : null]);
    const now = performance.now();
    if (overview.ok) {
      this.overview = overview.value;
      this.overview_ms = now;
      this.overview_fault = null;
      this.now_ms = now;
    } else {
      if (this.overview_fault === null && HERE.has(this.view)) this.say(fault_text(overview.fault));
      this.overview_fault = overview.fault;
    }
    if (recordings?.ok) {
      this.recordings = recordings.value;
      this.recordings_ms = now;
      this.recordings_fault = null;
    } else if (recordings !== null) this.recordings_fault = recordings.fault;
    this.denied = [overview, recordings].some((answer) => answer !== null && !answer.ok && answer.fault.kind === "denied");
    this.settle(asked_ms, now, overview.ok);
    const period_ms = this.period_ms();
    clearTimeout(this.timer);
    if (period_ms !== null) this.timer = setTimeout(() => void this.refresh(), period_ms);
  }

  /** What was said yes to before the question, and is so in the answer, is done. */
  private settle(asked_ms: number, now: number, heard: boolean): void {
    for (const [where, { act, name, accepted_ms, holds }] of this.pending) {
      if (!(accepted_ms <= asked_ms)) continue;
      if (heard && holds()) {
        this.pend(where, null);
        const done = strings.done[act];
        this.say(typeof done === "string" ? done : done(name));
      } else if (now - accepted_ms > PATIENCE_MS) {
        this.pend(where, null);
        this.blame(act, where, { kind: "refused", status: 0, code: "unconfirmed", sentence: "" });
      }
    }
    for (const [id, seeker] of this.seekers) {
      if (this.entry(id) === undefined && heard) this.seekers.delete(id);
      else if (heard && seeker.answered_ms <= asked_ms) seeker.settled();
    }
  }
}

export const simulator = new Simulator();
