/** What is one's own here: devices, the sensors they feed, and what they come in with. Asked for while it is looked at. */

import { app } from "../app.svelte";
import { Looked, type Gathered } from "../looked.svelte";
import { read_credentials, read_devices, read_made, read_own, said_of, type Credential, type Device, type Own, type Scope } from "./shape";

export type Doing = "rename" | "forget" | "make" | "rename_credential" | "revoke" | "give_up";

const yes = (): true => true;

class BelongingsState extends Looked<Doing> {
  /** null before the server has told them. */
  devices = $state.raw<Device[] | null>(null);
  credentials = $state.raw<Credential[]>([]);
  sensors = $state.raw<Own[]>([]);
  /** Of the credential that was just made; nowhere else, and gone with the page. */
  token = $state<{ name: string; token: string } | null>(null);
  private keys = false;

  /** Until the answer is called. `keys`: whoever looks may have credentials. */
  look(keys: boolean): () => void {
    this.keys = keys;
    return this.begin();
  }
  protected forget(): void {
    this.devices = null;
    this.credentials = [];
    this.sensors = [];
    this.token = null;
  }

  protected async gather(): Promise<Gathered> {
    const [devices, sensors, credentials] = await Promise.all([
      app.server.ask("GET", "api/connectors", read_devices),
      app.server.ask("GET", "api/me/sensors", read_own),
      this.keys ? app.server.ask("GET", "api/credentials", read_credentials) : null,
    ]);
    const take = (): void => {
      if (devices.ok) this.devices = devices.value;
      if (sensors.ok) this.sensors = sensors.value;
      if (credentials?.ok === true) this.credentials = credentials.value;
    };
    return { answers: credentials === null ? [devices, sensors] : [devices, sensors, credentials], take };
  }

  rename(id: string, name: string): Promise<boolean> {
    return this.change("rename", "PUT", `api/connectors/${encodeURIComponent(id)}`, { name });
  }
  forget_device(id: string): Promise<boolean> {
    return this.change("forget", "DELETE", `api/connectors/${encodeURIComponent(id)}`);
  }
  give_up(sensor_id: string): Promise<boolean> {
    return this.change("give_up", "DELETE", `api/me/sensors/${encodeURIComponent(sensor_id)}`);
  }
  rename_credential(id: string, name: string): Promise<boolean> {
    return this.change("rename_credential", "PATCH", `api/credentials/${encodeURIComponent(id)}`, { name });
  }
  revoke(id: string): Promise<boolean> {
    return this.change("revoke", "DELETE", `api/credentials/${encodeURIComponent(id)}`);
  }

  /** `expires_s`: null never. */
  async make(name: string, scope: Scope, expires_s: number | null): Promise<boolean> {
    const wish = { name, sensors: said_of(scope), ...(expires_s === null ? {} : { expires_in: expires_s }) };
    const answer = await this.act("make", () => app.server.ask("POST", "api/credentials", read_made, wish));
    if (answer.ok) this.token = { name: answer.value.credential.name, token: answer.value.token };
    await this.see();
    return answer.ok;
  }

  /** What was shown once is shown no more. */
  put_away(): void {
    this.token = null;
  }

  private async change(doing: Doing, method: string, path: string, body?: object): Promise<boolean> {
    const answer = await this.act(doing, () => app.server.ask(method, path, yes, body));
    await this.see();
    return answer.ok;
  }
}

export const belongings = new BelongingsState();
