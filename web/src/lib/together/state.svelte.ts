/** What the Together view compares now. The group itself is no reactive state: it is read on the frame. */

import { Group } from "../stream/group";
import { settings } from "../settings.svelte";
import { view_of } from "../route";
import { choice_of, DEFAULT, hash_of, type Choice } from "./choice";

/** A look at another tab does not cost what was learned: the server keeps a group for five seconds, too. */
const HIDDEN_MS = 5_000;

class TogetherState {
  choice = $state.raw<Choice>(DEFAULT);
  group = $state.raw(new Group());
  /** Nobody sees it, and has not for a while: the server need not go on. */
  unseen = $state(document.visibilityState === "hidden");
  /** Where the traces are read, in seconds before the newest; null: the newest. */
  cursor_s = $state<number | null>(null);
  /** The circle stays with the group instead of turning with the rhythm. */
  held = $state(settings.calm);

  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.timer);
      if (document.visibilityState === "hidden") this.timer = setTimeout(() => (this.unseen = true), HIDDEN_MS);
      else this.unseen = false;
    });
  }

  /** The view is shown, or its address has changed: an address that says nothing is told what is shown. */
  arrive(): void {
    if (view_of(location.hash) !== "together") return;
    const choice = choice_of(location.hash);
    if (choice !== null) this.take(choice);
    history.replaceState(null, "", hash_of(this.choice));
  }

  choose(change: Partial<Choice>): void {
    this.take({ ...this.choice, ...change });
    history.replaceState(null, "", hash_of(this.choice));
  }

  private take(choice: Choice): void {
    if (hash_of(choice) === hash_of(this.choice)) return;
    this.choice = choice;
    this.group = new Group();
    this.cursor_s = null;
  }
}

export const together = new TogetherState();
