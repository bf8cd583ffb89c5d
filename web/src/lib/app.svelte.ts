/** The page's one state: who is here, how the link is, what is looked at. Samples are not in it. */

import { Asker } from "./ask";
import { Attention, battery_of } from "./stream/attention";
import { FrameLoop } from "./stream/frame";
import { Health, REPORT_MS } from "./stream/health";
import { Hub, type WorkerLike } from "./stream/hub";
import { wall_ms, type DetailRow, type Granted, type Level, type Quality, type RosterSensor, type Stats } from "./stream/messages";
import type { Link } from "./stream/phoenix";
import type { Theme } from "./draw/palette";
import { Told } from "./machine";
import { Hues } from "./roster";
import { hash_of, place_of, type Place, type View } from "./route";
import { settings } from "./settings.svelte";

const BEARER_KEY = "sensocto.bearer";
const CHOICE_KEY = "sensocto.quality";
/** What a view asks for by itself. A room of tiles sees digests; what is looked at in it comes in full anyway. */
const QUALITY: Quality = "auto-low";
/** Views of panels. */
const ROOMS: ReadonlySet<View> = new Set<View>(["lobby", "ecg", "room"]);
/** Views of whatever the last room had in it. */
const LENSLESS: ReadonlySet<View> = new Set<View>(["rooms", "join", "enter", "account", "sensor", "device", "devices", "consent", "people", "settings", "about"]);

/** What a person may ask for instead; `auto` is what the view needs. */
export const CHOICES = ["auto", "high", "medium", "low", "minimal"] as const;
export type Choice = (typeof CHOICES)[number];

const timers = {
  set_timer: (act: () => void, ms: number): unknown => setTimeout(act, ms),
  clear_timer: (timer: unknown): void => clearTimeout(timer as number),
};

class App {
  /** Which view is shown, and what it is of. */
  place = $state.raw<Place>(place_of(location.hash));
  link = $state<Link>("connecting");
  sensors = $state.raw<RosterSensor[]>([]);
  total = $state(0);
  quality = $state.raw<Granted>({ level: "", reason: "", focused: "" });
  /** Kept in this tab only: the next one may be on another screen, for another purpose. */
  choice = $state<Choice>(choice_of(sessionStorage.getItem(CHOICE_KEY)));
  stats = $state.raw<Stats | null>(null);
  /** Counts changes of attention levels, which are read off the hub: they come too often to sort by. */
  private levels = $state(0);
  /** Counts quarter seconds, for what is read off the hub and shown as text. */
  tick = $state(0);
  focused = $state<string | null>(null);
  pinned = $state.raw<ReadonlySet<string>>(new Set());
  /** The newest payloads of the sensor that is read in detail. */
  detail = $state.raw<DetailRow[]>([]);
  private detailed: string | null = null;
  denied = $state(false);
  /** The access token that was typed into this tab, if one was. */
  private entered = $state(sessionStorage.getItem(BEARER_KEY));
  /** The access token of whoever is signed in here. */
  private session = $state<string | null>(null);

  readonly hub: Hub;
  readonly server = new Asker(location.href, () => this.bearer, (input, init) => fetch(input, init), () => this.renew());
  readonly frame = new FrameLoop(requestAnimationFrame.bind(window), () => performance.now());
  readonly attention: Attention;
  readonly hues = new Hues();
  private readonly health: Health;
  private all = false;
  /** The room that is watched; null: everything. */
  private lens: string | null = null;
  /** Gets another session token when one is refused; whoever keeps the session says how. */
  renew: () => Promise<boolean> = () => Promise.resolve(false);

  constructor() {
    const worker = new Worker(new URL("./stream/worker.ts", import.meta.url), { type: "module" });
    this.hub = new Hub(worker as unknown as WorkerLike);
    this.attention = new Attention((message) => this.hub.attention(message), timers);
    this.hub.listen({
      link: (link) => {
        this.link = link;
        this.denied = link === "denied";
      },
      roster: (levels_only) => {
        this.levels++;
        if (levels_only) return;
        this.sensors = [...this.hub.sensors.values()];
        this.hues.meet(this.sensors);
        this.total = this.hub.total;
        if (this.focused !== null && !this.hub.sensors.has(this.focused)) this.focus(null);
      },
      quality: (granted) => (this.quality = granted),
      stats: (stats) => {
        this.stats = stats;
        this.tick++;
      },
      detail: (sensor_id, rows) => {
        if (sensor_id === this.detailed) this.detail = rows;
      },
    });
    this.frame.add("read", () => this.hub.read());
    this.follow_page();
    const told = new Told(REPORT_MS, (level, charging) => this.attention.set_battery(battery_of(level, charging)));
    this.health = new Health(() => this.frame.counts(), () => told.now());
    setInterval(() => this.say_health(), REPORT_MS);
  }

  start(): void {
    this.lens = this.lens_of(this.place);
    this.hub.start(location.href, this.bearer, this.wanted, this.lens);
  }

  /** What this page says it may: whoever is signed in, or the token that was typed. */
  get bearer(): string | null {
    return this.session ?? this.entered;
  }

  enter(bearer: string): void {
    sessionStorage.setItem(BEARER_KEY, bearer);
    this.entered = bearer;
    this.denied = false;
    this.hub.bearer(this.bearer);
  }

  /** Somebody has signed in, goes on with a new token, or is signed out: then it is null. `other`: it is somebody else than before. */
  be(token: string | null, other: boolean): void {
    this.session = token;
    this.denied = false;
    this.hub.bearer(this.bearer);
    if (other) this.hub.begin_again();
  }

  get view(): View {
    return this.place.view;
  }
  /** What is shown is a room: panels, and one time. */
  get in_room(): boolean {
    return ROOMS.has(this.place.view);
  }

  /** Samples are shown, so that it is worth saying what comes. */
  get receives(): boolean {
    return this.in_room || this.place.view === "sensor";
  }

  /** Another view, which the back button leaves again. */
  show(view: View, name = ""): void {
    if (view === this.place.view && name === this.place.name) return;
    history.pushState(null, "", hash_of({ view, name }));
    this.change({ view, name });
  }

  /** The same in this one's stead: the back button leads past it. */
  replace(view: View, name = ""): void {
    history.replaceState(null, "", hash_of({ view, name }));
    this.change({ view, name });
  }

  private change(place: Place): void {
    if (place.view === this.place.view && place.name === this.place.name) return;
    this.focus(null);
    this.attention.leave_all();
    // Nothing until the new view has said what it shows.
    this.attention.show_nothing();
    this.place = place;
    const lens = this.lens_of(place);
    if (lens !== this.lens) this.hub.look_at((this.lens = lens));
    this.hub.set_quality(this.wanted);
  }

  private lens_of({ view, name }: Place): string | null {
    return view === "room" ? name : LENSLESS.has(view) ? this.lens : null;
  }

  choose(choice: Choice): void {
    this.choice = choice;
    sessionStorage.setItem(CHOICE_KEY, choice);
    this.hub.set_quality(this.wanted);
  }

  /** The room says whether a panel of it draws samples one by one. */
  asks_all(all: boolean): void {
    if (all === this.all) return;
    this.all = all;
    this.hub.set_quality(this.wanted);
  }

  private get wanted(): Quality {
    if (this.choice !== "auto") return this.choice;
    return (this.all && this.in_room) || this.view === "sensor" ? "auto" : QUALITY;
  }

  focus(sensor_id: string | null): void {
    if (sensor_id === this.focused) return;
    this.focused = sensor_id;
    this.attention.focus(sensor_id);
    this.read_detail(sensor_id);
  }

  /** Whose newest payloads are told, until it is another's or nobody's. */
  read_detail(sensor_id: string | null): void {
    this.detailed = sensor_id;
    this.detail = [];
    this.hub.detail(sensor_id);
  }

  toggle_pin(sensor_id: string): void {
    const pinned = new Set(this.pinned);
    if (!pinned.delete(sensor_id)) pinned.add(sensor_id);
    this.pinned = pinned;
    this.attention.pin(sensor_id, pinned.has(sensor_id));
  }

  get theme(): Theme {
    return settings.theme;
  }

  level_of(sensor_id: string): Level {
    void this.levels;
    return this.hub.sensors.get(sensor_id)?.level ?? "none";
  }

  now_ms(): number {
    return wall_ms();
  }

  private follow_page(): void {
    const hidden = (): void => this.attention.set_hidden(document.visibilityState === "hidden");
    document.addEventListener("visibilitychange", () => {
      hidden();
      this.frame.rest();
      this.health.rest();
    });
    hidden();
    window.addEventListener("online", () => this.hub.nudge());
    // Back, forward, and an address typed over.
    window.addEventListener("popstate", () => this.change(place_of(location.hash)));
  }

  private say_health(): void {
    if (document.visibilityState === "hidden") return;
    const report = this.health.report(performance.now());
    if (report !== null) this.hub.health(report);
  }
}

function choice_of(kept: string | null): Choice {
  return CHOICES.find((choice) => choice === kept) ?? "auto";
}

export const app = new App();
