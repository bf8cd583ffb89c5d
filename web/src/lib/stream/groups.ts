/**
 * The worker's part in groups: which ones the page wants to hear of, and which of them the server knows. What is
 * wanted is state; what is said follows from it, again on every channel.
 */

import type { GroupWish } from "./group";
import { reason_of, type Reply } from "./phoenix";

/** The server's bound for one viewer. */
export const GROUPS_MAX = 16;
/** Refusals that say nothing against the wish: the same again, later. */
const WAIT_REASONS = new Set(["busy", "rate_limited"]);
/** The channel went: all is said again on the next one. */
const AWAY_REASONS = new Set(["not_joined", "disconnected"]);

export type Answer = { group: string; latency_ms: number; refused: string };

export class Groups {
  private wanted = new Map<string, GroupWish>();
  private told = new Set<string>();
  private push: (event: string, payload: unknown) => Promise<Reply>;
  private later: (act: () => void) => void;
  private answer: (answer: Answer) => void;

  constructor(push: (event: string, payload: unknown) => Promise<Reply>, later: (act: () => void) => void, answer: (answer: Answer) => void) {
    this.push = push;
    this.later = later;
    this.answer = answer;
  }

  want(wishes: GroupWish[]): void {
    this.wanted = new Map(wishes.slice(0, GROUPS_MAX).map((wish) => [wish.group, wish]));
    this.settle();
  }

  /** A new channel knows nothing. */
  begin_again(): void {
    this.told.clear();
    this.settle();
  }

  wants(group: string): boolean {
    return this.wanted.has(group);
  }

  /** First what is no longer wanted, so that there is room. */
  private settle(): void {
    for (const group of [...this.told]) if (!this.wanted.has(group)) this.leave(group);
    for (const wish of this.wanted.values()) if (!this.told.has(wish.group)) this.watch(wish);
  }

  private watch(wish: GroupWish): void {
    this.told.add(wish.group);
    void this.push("watch_group", wish).then((reply) => {
      if (reply.ok) {
        const { latency_ms } = (reply.response ?? {}) as { latency_ms?: unknown };
        this.answer({ group: wish.group, latency_ms: typeof latency_ms === "number" ? latency_ms : NaN, refused: "" });
        return;
      }
      const reason = reason_of(reply);
      if (AWAY_REASONS.has(reason)) return;
      if (!WAIT_REASONS.has(reason)) {
        this.answer({ group: wish.group, latency_ms: NaN, refused: reason || "refused" });
        return;
      }
      this.told.delete(wish.group);
      this.later(() => this.settle());
    });
  }

  private leave(group: string): void {
    this.told.delete(group);
    void this.push("unwatch_group", { group }).then((reply) => {
      if (reply.ok || !WAIT_REASONS.has(reason_of(reply))) return;
      this.later(() => {
        if (!this.wanted.has(group)) this.leave(group);
      });
    });
  }
}
