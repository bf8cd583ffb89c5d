/** What a view compares now. The group itself is no reactive state: it is read on the frame. */

import { getContext, setContext } from "svelte";
import { Group } from "../stream/group";
import { settings } from "../settings.svelte";
import { view_of } from "../route";
import { choice_of, DEFAULT, hash_of, type Choice } from "./choice";

/** A look at another tab does not cost what was learned: the server keeps a group for five seconds, too. */
const HIDDEN_MS = 5_000;

/** Whether nobody sees the page, and has not for a while: then the server need not go on. */
class Unseen {
  is = $state(document.visibilityState === "hidden");
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.timer);
      if (document.visibilityState === "hidden") this.timer = setTimeout(() => (this.is = true), HIDDEN_MS);
      else this.is = false;
    });
  }
}
export const unseen = new Unseen();

/** A group that is looked at. */
export class Compared {
  /** Before the names of its parts: a page may have several. */
  readonly prefix: string = "";
  choice = $state.raw<Choice>(DEFAULT);
  group = $state.raw(new Group());
  /** Where the traces are read, in seconds before the newest; null: the newest. */
  cursor_s = $state<number | null>(null);
  /** The circle stays with the group instead of turning with the rhythm. */
  held = $state(settings.calm);

  /** Whether it is another than before. */
  take(choice: Choice): boolean {
    if (hash_of(choice) === hash_of(this.choice)) return false;
    this.choice = choice;
    this.group = new Group();
    this.cursor_s = null;
    return true;
  }
}

/** What the Together view compares: its address says it. */
class TogetherState extends Compared {
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
}

export const together = new TogetherState();

const KEY = Symbol("compared");
/** What is inside this component looks at this group. */
export function look_at(compared: Compared): void {
  setContext(KEY, compared);
}
/** The group that a component is about: that of what it stands in, or the Together view's. */
export function looked_at(): Compared {
  return getContext<Compared | undefined>(KEY) ?? together;
}
