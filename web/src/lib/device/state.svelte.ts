/**
 * This browser as a device: what of it is shared, where, and who looks. A signal is a sensor of its own, so that
 * stopping it takes it from everybody at once. Speaks the device door of docs/wire.md; the machinery is fetched
 * with the first signal.
 */

import { app } from "../app.svelte";
import { keep, kept } from "../kept";
import { people } from "../people/state.svelte";
import type { Connector } from "./connector";
import type { Pace } from "./queue";
import type { SourceId, Why } from "./sources";

const ID_KEY = "sensocto.device";
const NAME_KEY = "sensocto.device_name";

/** What has become of a signal. */
export type Standing = "beginning" | "joining" | "shared" | "offline" | Why | "unauthorized" | "turned_away";

export interface Shared {
  source: SourceId;
  sensor_id: string;
  standing: Standing;
  /** What the server asks of it; with it, how closely anybody looks. */
  attention: Pace["attention"];
  paused: boolean;
  sent: number;
  waiting: number;
  dropped: number;
  /** The newest, as it is sent. */
  last: string;
}

const ENDED: ReadonlySet<Standing> = new Set<Standing>(["refused", "absent", "failed", "unauthorized", "turned_away"]);

class DeviceState {
  /** In the order in which they were begun. */
  shared = $state.raw<readonly Shared[]>([]);
  /** Where they are measured; null: in the house, in no room. */
  room_id = $state<string | null>(null);
  name = $state(kept(NAME_KEY) ?? "");
  private connector: Promise<Connector> | null = null;

  /** Its own for as long as this browser keeps it. */
  readonly id: string = own_id();

  get live(): readonly Shared[] {
    return this.shared.filter(({ standing }) => !ENDED.has(standing));
  }

  set_name(name: string): void {
    this.name = name.slice(0, 50);
    keep(NAME_KEY, this.name === "" ? null : this.name);
  }

  /** Who sends, as others see it. */
  shown_name(fallback: string): string {
    return this.name || people.user?.display_name || fallback;
  }

  async share(source: SourceId, names: { device: string; sensor: string }): Promise<void> {
    if (this.live.some((one) => one.source === source)) return;
    const sensor_id = `${this.id}:${source}`;
    this.tell({ source, sensor_id, standing: "beginning", attention: "none", paused: false, sent: 0, waiting: 0, dropped: 0, last: "" });
    this.connector ??= import("./connector").then(({ Connector }) => new Connector(this.id, (one) => this.hear(one), () => this.token()));
    await (await this.connector).share(source, sensor_id, names, this.room_id);
  }

  /** At once, for everybody. */
  stop(source: SourceId): void {
    this.shared = this.shared.filter((one) => one.source !== source);
    void this.connector?.then((connector) => connector.stop(source));
  }
  stop_all(): void {
    this.shared = [];
    void this.connector?.then((connector) => connector.stop_all());
  }
  press(pressed: boolean): void {
    void this.connector?.then((connector) => connector.press(pressed));
  }

  /** By docs/people.md: whoever is signed in, a guest with their id; nobody, where the server takes that. */
  private token(): string {
    const { user } = people;
    if (app.bearer === null) return "missing";
    return user?.role === "guest" ? `guest:${user.id}:${app.bearer}` : app.bearer;
  }

  private tell(one: Shared): void {
    this.shared = [...this.shared.filter(({ source }) => source !== one.source), one];
  }
  private hear(change: Partial<Shared> & { source: SourceId }): void {
    this.shared = this.shared.map((one) => (one.source === change.source ? { ...one, ...change } : one));
  }
}

function own_id(): string {
  const known = kept(ID_KEY);
  if (known !== null && /^browser-[0-9a-z]{12}$/.test(known)) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const id = `browser-${Array.from(bytes, (byte) => (byte % 36).toString(36)).join("")}`;
  keep(ID_KEY, id);
  return id;
}

export const device = new DeviceState();
