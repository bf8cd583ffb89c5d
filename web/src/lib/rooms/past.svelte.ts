/** Whether what is measured in the room that is open is kept: asked for while one is there, changed by who runs it. */

import { app } from "../app.svelte";
import type { Answer } from "../ask";
import { Looked, type Gathered } from "../looked.svelte";
import { read_past, type Past } from "./past";

export type Doing = "keep" | "erase";

const yes = (): true => true;

class RoomPastState extends Looked<Doing> {
  /** null: it is not kept, unless `known` is false: then nobody has said yet. */
  past = $state.raw<Past | null>(null);
  known = $state(false);
  private path = "";

  /** Until the answer is called. */
  look(room_id: string): () => void {
    this.path = `api/rooms/${encodeURIComponent(room_id)}/history`;
    return this.begin();
  }
  protected forget(): void {
    this.past = null;
    this.known = false;
  }
  protected async gather(): Promise<Gathered> {
    const answer = await app.server.ask("GET", this.path, read_past);
    // That it is not kept is an answer, too. Of what else goes wrong while looking, the room says so itself.
    const told = answer.ok || answer.fault.code === "not_kept";
    return { answers: [], take: () => told && this.take(answer) };
  }
  private take(answer: Answer<Past>): void {
    this.past = answer.ok ? answer.value : null;
    this.known = true;
  }

  async keep(keep_hours: number, mib_max: number): Promise<boolean> {
    const { path } = this;
    const answer = await this.act("keep", () => app.server.ask("PUT", path, read_past, { keep_hours, mib_max }));
    // Of a room that was left meanwhile it says nothing here.
    if (answer.ok && path === this.path) this.take(answer);
    return answer.ok;
  }
  /** What was kept is gone when this says so. */
  async erase(): Promise<boolean> {
    const { path } = this;
    const answer = await this.act("erase", () => app.server.ask("DELETE", path, yes));
    if (answer.ok && path === this.path) this.past = null;
    return answer.ok;
  }
}

export const room_past = new RoomPastState();
