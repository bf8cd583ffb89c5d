/** Who looks at what is one's own now, what of it is private, and to whom it is shown. Asked for while it is looked at. */

import { app } from "../app.svelte";
import { read_own, type Own } from "../belongings/shape";
import { Looked, type Gathered } from "../looked.svelte";
import { ANY, read_grants, read_private, read_viewers, type Grant, type Viewer } from "./shape";

export type Doing = "private" | "grant" | "revoke";

const yes = (): true => true;

/** What is to be shown, to whom, for how long. */
export interface Wish {
  to: "person" | "room";
  to_id: string;
  word: string;
  /** null: of all sensors. */
  sensor_id: string | null;
  /** null: until it is taken back. */
  expires_s: number | null;
}

/** Who looks: for the page, and for the bar that stands in every view while this browser shares. */
class SeenState extends Looked<never> {
  /** null before the server has told them. */
  viewers = $state.raw<Viewer[] | null>(null);
  more = $state(false);

  look(): () => void {
    return this.begin();
  }
  protected forget(): void {
    this.viewers = null;
    this.more = false;
  }
  protected async gather(): Promise<Gathered> {
    const answer = await app.server.ask("GET", "api/me/viewers", read_viewers);
    return { answers: [answer], take: () => answer.ok && ({ viewers: this.viewers, more: this.more } = answer.value) };
  }
  /** What is private now is seen by others no more. */
  again(): Promise<void> {
    return this.see();
  }
}

class ConsentState extends Looked<Doing> {
  /** Words of what is private; null before the server has told them. */
  kept = $state.raw<string[] | null>(null);
  given = $state.raw<Grant[]>([]);
  received = $state.raw<Grant[]>([]);
  sensors = $state.raw<Own[]>([]);

  look(): () => void {
    return this.begin();
  }
  protected forget(): void {
    this.kept = null;
    this.given = [];
    this.received = [];
    this.sensors = [];
  }
  protected async gather(): Promise<Gathered> {
    const [kept, grants, sensors] = await Promise.all([
      app.server.ask("GET", "api/me/consent", read_private),
      app.server.ask("GET", "api/grants", read_grants),
      app.server.ask("GET", "api/me/sensors", read_own),
    ]);
    const take = (): void => {
      if (kept.ok) this.kept = kept.value;
      if (grants.ok) ({ given: this.given, received: this.received } = grants.value);
      if (sensors.ok) this.sensors = sensors.value;
    };
    return { answers: [kept, grants, sensors], take };
  }

  /** Everything at once, for nobody but who was named. */
  keep_all(): Promise<boolean> {
    return this.keep(ANY, true);
  }
  /** Keeps what a word means to oneself, or shows it to whoever may look. */
  keep(word: string, is_private: boolean): Promise<boolean> {
    const others = (this.kept ?? []).filter((one) => one !== word);
    return this.change("private", "PUT", "api/me/consent", { private: is_private ? [...others, word] : others });
  }
  grant({ to, to_id, word, sensor_id, expires_s }: Wish): Promise<boolean> {
    return this.change("grant", "POST", "api/grants", {
      [to === "person" ? "user_id" : "room_id"]: to_id, attribute_type: word,
      ...(sensor_id === null ? {} : { sensor_id }), ...(expires_s === null ? {} : { expires_in: expires_s }),
    });
  }
  revoke(id: string): Promise<boolean> {
    return this.change("revoke", "DELETE", `api/grants/${encodeURIComponent(id)}`);
  }

  private async change(doing: Doing, method: string, path: string, body?: object): Promise<boolean> {
    const answer = await this.act(doing, () => app.server.ask(method, path, yes, body));
    await Promise.all([this.see(), seen.again()]);
    return answer.ok;
  }
}

export const seen = new SeenState();
export const consent = new ConsentState();
