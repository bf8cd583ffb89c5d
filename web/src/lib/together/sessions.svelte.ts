/**
 * What the Together view knows of sessions, and what it has asked of them. All are listed when the view opens and
 * when something has changed; those that go on are asked for by themselves, as long as somebody sees the view: a list
 * costs the server a look into every report that it keeps.
 */

import type { Answer, Fault } from "../ask";
import { fault_text, session_strings as strings, type SessionAct } from "../strings";
import type { Choice } from "./choice";
import { is_going, type Client, type File, type Given, type Session } from "./sessions";

export const PERIOD_MS = 2_000;
/** Where the words of the start button stand; no session has this name. */
export const START = "";

/** What of the browser it needs; a test has its own. */
export interface Surroundings {
  set_timer(act: () => void, ms: number): unknown;
  clear_timer(timer: unknown): void;
  save(file: Blob, as: string): void;
}

export class SessionsState {
  /** Null before the first answer. */
  sessions = $state.raw<Session[] | null>(null);
  people_max = $state<number | null>(null);
  /** Why the last question failed; null when it did not. */
  fault = $state.raw<Fault | null>(null);
  /** What is under way, and what went wrong, by the session's name. */
  pending = $state.raw<ReadonlyMap<string, SessionAct>>(new Map());
  faults = $state.raw<ReadonlyMap<string, string>>(new Map());
  /** For those who hear the page: the last thing that happened. */
  spoken = $state("");

  private client: Client;
  private around: Surroundings;
  private seen = false;
  private timer: unknown;
  private line: Promise<void> = Promise.resolve();

  constructor(client: Client, around: Surroundings) {
    this.client = client;
    this.around = around;
  }

  /** Whether somebody sees the view. Whoever comes is told anew. */
  look(seen: boolean): void {
    this.seen = seen;
    this.around.clear_timer(this.timer);
    if (seen) void this.refresh();
  }

  start(choice: Choice, given: Given): Promise<boolean> {
    return this.act("start", START, () => this.client.start(choice, given), (session) => strings.started(session.name));
  }
  stop(name: string): Promise<boolean> {
    return this.act("stop", name, () => this.client.stop(name), () => strings.reporting(name));
  }
  /** Discards what goes on, and deletes what is kept. */
  remove(session: Session): Promise<boolean> {
    const { name } = session;
    return this.act(is_going(session) ? "discard" : "remove", name, () => this.client.remove(name), () => strings.gone(name));
  }
  /** A link cannot carry a token, so the page fetches the file and hands it on. */
  fetch_file(name: string, file: File): Promise<boolean> {
    return this.act("fetch", name, async () => {
      const answer = await this.client.file(name, file);
      if (answer.ok) this.around.save(answer.value, `${name}-${file}`);
      return answer;
    }, () => strings.saved(`${name}-${file}`));
  }
  address_of(name: string, file: File): string {
    return this.client.address_of(name, file);
  }

  doing(where: string): SessionAct | null {
    return this.pending.get(where) ?? null;
  }
  forgive(where: string): void {
    const faults = new Map(this.faults);
    if (faults.delete(where)) this.faults = faults;
  }

  /** All of them, after all that was asked before. */
  refresh(): Promise<void> {
    return this.next(() => this.read_all());
  }

  private async act<T>(act: SessionAct, where: string, ask: () => Promise<Answer<T>>, done: (value: T) => string): Promise<boolean> {
    if (this.pending.has(where)) return false;
    this.forgive(where);
    this.pending = new Map(this.pending).set(where, act);
    const answer = await ask();
    if (answer.ok) this.say(done(answer.value));
    else {
      const sentence = `${strings.could_not[act]}. ${fault_text(answer.fault)}`;
      this.faults = new Map(this.faults).set(where, sentence);
      this.say(sentence);
    }
    if (act !== "fetch") await this.refresh();
    const pending = new Map(this.pending);
    pending.delete(where);
    this.pending = pending;
    return answer.ok;
  }

  private next(read: () => Promise<void>): Promise<void> {
    return (this.line = this.line.then(async () => {
      this.around.clear_timer(this.timer);
      await read();
      this.around.clear_timer(this.timer);
      if (this.seen && this.sessions?.some(is_going) === true) this.timer = this.around.set_timer(() => void this.next(() => this.read_going()), PERIOD_MS);
    }));
  }

  private async read_all(): Promise<void> {
    const answer = await this.client.list();
    this.blame(answer);
    if (!answer.ok) return;
    const { sessions, people_max } = answer.value;
    for (const before of this.sessions ?? []) this.tell(before, sessions.find(({ name }) => name === before.name));
    this.sessions = sessions;
    this.people_max = people_max;
  }

  private async read_going(): Promise<void> {
    const answers = await Promise.all((this.sessions ?? []).filter(is_going).map(({ name }) => this.client.one(name)));
    const news = new Map(answers.flatMap((answer) => (answer.ok ? [[answer.value.name, answer.value] as const] : [])));
    // Whatever is not as it was goes the long way: it may be done, or gone.
    const gone = answers.some((answer) => !answer.ok && answer.fault.kind === "refused");
    if (gone || [...news.values()].some((now) => !is_going(now))) return this.read_all();
    const worst = answers.find(({ ok }) => !ok) ?? answers[0];
    if (worst !== undefined) this.blame(worst);
    for (const before of this.sessions ?? []) if (news.has(before.name)) this.tell(before, news.get(before.name));
    this.sessions = (this.sessions ?? []).map((before) => news.get(before.name) ?? before);
  }

  private blame(answer: Answer<unknown>): void {
    if (!answer.ok && this.fault === null) this.say(fault_text(answer.fault));
    this.fault = answer.ok ? null : answer.fault;
  }

  private tell(before: Session, now: Session | undefined): void {
    if (now === undefined || now.state === before.state) {
      if (now !== undefined && now.full && !before.full) this.say(strings.full_of(now.name));
      return;
    }
    if (now.state === "done") this.say(strings.done(now.name));
    else if (now.state === "failed") this.say(strings.failed_of(now.name));
    else if (now.state === "reporting" && !this.pending.has(now.name)) this.say(strings.reporting(now.name));
  }

  private say(sentence: string): void {
    // The same words twice are not said twice, unless something differs.
    this.spoken = this.spoken === sentence ? `${sentence}\u00a0` : sentence;
  }
}
