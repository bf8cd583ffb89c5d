/** Whom a panel of the room compares: those of its sensors that have the signal. */

import { app } from "../../lib/app.svelte";
import { room } from "../../lib/room/state.svelte";
import { MEMBERS_MAX, type Signal, type Tier } from "../../lib/stream/group";
import { has_signal, wish_of } from "../../lib/together/choice";
import { figures, type Verdict } from "../../lib/together/figures";
import { Compared, unseen } from "../../lib/together/state.svelte";

/** Whoever types into the filter is waited for before they are asked for. */
const SETTLE_MS = 600;

/** Within a component: watches the group for as long as it is there, and shows its members to `attention` under `id`. */
export class InRoom extends Compared {
  override readonly prefix: string;
  /** What the words are about, twice a second. */
  readonly now;
  readonly ids = $derived.by(() => {
    const { signal } = this.choice;
    return room.shown.filter((sensor) => has_signal(sensor, signal)).slice(0, MEMBERS_MAX).map(({ sensor_id }) => sensor_id).sort();
  });
  // The roster changes with every level; whom it is about, only when somebody comes or goes.
  private readonly named = $derived(JSON.stringify(this.ids));
  private before: Verdict = "waiting";

  constructor(id: string, chosen: () => { signal: Signal; tier: Tier }) {
    super();
    this.prefix = `${id}-`;
    $effect.pre(() => void this.take({ ...chosen(), who: JSON.parse(this.named) as string[] }));
    $effect(() => {
      const [wish, group] = [wish_of(this.choice), this.group];
      if (wish === null || unseen.is) return;
      let release: (() => void) | undefined;
      const timer = setTimeout(() => (release = app.hub.watch_group(wish, group)), SETTLE_MS);
      return () => {
        clearTimeout(timer);
        release?.();
      };
    });
    $effect(() => app.attention.show_exactly(JSON.parse(this.named) as string[], id));
    $effect(() => () => app.attention.show_none(id));
    this.now = $derived.by(() => {
      void Math.floor(app.tick / 2);
      const found = figures(this.group, app.now_ms(), this.before);
      if (this.ids.length < 2) found.verdict = this.ids.length === 0 ? "nobody" : "alone";
      this.before = found.verdict;
      return found;
    });
  }
}
