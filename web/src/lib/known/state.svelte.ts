/** Whom one may know of: everybody, or one. Asked for while it is looked at. */

import { app } from "../app.svelte";
import { Looked, type Gathered } from "../looked.svelte";
import { read_everybody, read_known, type Known } from "./shape";

class KnownState extends Looked<never> {
  /** null before the server has told them. */
  people = $state.raw<Known[] | null>(null);
  more = $state(false);
  private id = "";

  /** Until the answer is called. `id` empty: everybody. */
  look(id: string): () => void {
    this.id = id;
    return this.begin();
  }
  protected forget(): void {
    this.people = null;
    this.more = false;
  }
  protected async gather(): Promise<Gathered> {
    const answer = this.id === "" ? await app.server.ask("GET", "api/people", read_everybody) : await app.server.ask("GET", `api/people/${encodeURIComponent(this.id)}`, read_known);
    // Who is not there any more is nobody, and no fault.
    const gone = !answer.ok && answer.fault.code === "not_found";
    const take = (): void => {
      if (answer.ok) ({ people: this.people, more: this.more } = answer.value);
      else if (gone) this.people = [];
    };
    return { answers: gone ? [] : [answer], take };
  }
}

export const known = new KnownState();
