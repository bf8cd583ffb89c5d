/** Sessions, for as long as a component is there and somebody sees the page. */

import { untrack } from "svelte";
import { app } from "../app.svelte";
import { Client } from "./sessions";
import { SessionsState } from "./sessions.svelte";

/** Within a component. */
export function sessions_seen(): SessionsState {
  const sessions = new SessionsState(new Client(app.server), {
    set_timer: (act, ms) => setTimeout(act, ms),
    clear_timer: (timer) => clearTimeout(timer as number),
    save(file, as) {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = as;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    },
  });
  let hidden = $state(document.visibilityState === "hidden");
  $effect(() => {
    const changed = (): void => void (hidden = document.visibilityState === "hidden");
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  });
  $effect(() => {
    const seen = !hidden;
    untrack(() => sessions.look(seen));
    return () => sessions.look(false);
  });
  // A server that is back is asked again.
  $effect(() => {
    if (app.link === "live" && !hidden) untrack(() => sessions.fault !== null && sessions.refresh());
  });
  return sessions;
}
