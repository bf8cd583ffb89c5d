/** What is asked of the server again and again while somebody looks, and changed by acts, one at a time. */

import type { Answer, Fault } from "./ask";

/** How often it is asked while somebody looks. */
export const LOOK_MS = 5_000;

/** What was answered, and how the state takes it. */
export interface Gathered {
  answers: readonly Answer<unknown>[];
  take: () => void;
}

export abstract class Looked<Doing extends string> {
  doing = $state<Doing | null>(null);
  fault = $state.raw<{ doing: Doing | "look"; fault: Fault } | null>(null);
  private lookers = 0;
  private end: (() => void) | null = null;
  /** Grows with every question and every act: answers to before come too late. */
  private round = 0;

  /** Asks for all that is shown. */
  protected abstract gather(): Promise<Gathered>;
  /** Nobody looks any more. */
  protected abstract forget(): void;

  /** Until the answer is called; however many look, it is asked once. */
  protected begin(): () => void {
    if (this.lookers++ === 0) this.end = this.begin_asking();
    return () => {
      if (--this.lookers > 0) return;
      this.end?.();
      this.round++;
      this.fault = null;
      this.forget();
    };
  }
  private begin_asking(): () => void {
    const see = (): void => {
      if (document.visibilityState === "visible" && this.doing === null) void this.see();
    };
    see();
    const timer = setInterval(see, LOOK_MS);
    document.addEventListener("visibilitychange", see);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", see);
    };
  }

  protected async see(): Promise<void> {
    const round = ++this.round;
    const { answers, take } = await this.gather();
    // What was done meanwhile is not undone by an older answer.
    if (round !== this.round || this.doing !== null) return;
    const wrong = answers.find((answer) => !answer.ok);
    if (wrong?.ok === false) this.fault = { doing: "look", fault: wrong.fault };
    else if (this.fault?.doing === "look") this.fault = null;
    take();
  }

  protected async act<T>(doing: Doing, ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    this.round++;
    this.doing = doing;
    this.fault = null;
    const answer = await ask();
    this.doing = null;
    if (!answer.ok) this.fault = { doing, fault: answer.fault };
    return answer;
  }

  forgive(): void {
    this.fault = null;
  }
}
