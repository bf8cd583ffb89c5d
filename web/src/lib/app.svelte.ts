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
import { HASH, view_of, type View } from "./route";
import { settings } from "./settings.svelte";

const BEARER_KEY = "sensocto.bearer";
const CHOICE_KEY = "sensocto.quality";
/** What each view asks for by itself. A room of tiles sees digests; what is looked at in it comes in full anyway. */
const QUALITY: Record<View, Quality> = {
  lobby: "auto-low", ecg: "auto-low", together: "auto-low", simulator: "auto-low", system: "auto-low", settings: "auto-low", about: "auto-low",
};

/** What a person may ask for instead; `auto` is what the view needs. */
export const CHOICES = ["auto", "high", "medium", "low", "minimal"] as const;
export type Choice = (typeof CHOICES)[number];

const timers = {
  set_timer: (act: () => void, ms: number): unknown => setTimeout(act, ms),
  clear_timer: (timer: unknown): void => clearTimeout(timer as number),
};

class App {
  view = $state<View>(view_of(location.hash));
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
  detail = $state.raw<DetailRow[]>([]);
  denied = $state(false);
  /** The access token of this tab, if one was given. */
  bearer = $state(sessionStorage.getItem(BEARER_KEY));

  readonly hub: Hub;
  readonly server = new Asker(location.href, () => this.bearer, (input, init) => fetch(input, init));
  readonly frame = new FrameLoop(requestAnimationFrame.bind(window), () => performance.now());
  readonly attention: Attention;
  readonly hues = new Hues();
  private readonly health: Health;
  private all = false;

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
        if (sensor_id === this.focused) this.detail = rows;
      },
    });
    this.frame.add("read", () => this.hub.read());
    this.follow_page();
    const told = new Told(REPORT_MS, (level, charging) => this.attention.set_battery(battery_of(level, charging)));
    this.health = new Health(() => this.frame.counts(), () => told.now());
    setInterval(() => this.say_health(), REPORT_MS);
  }

  start(): void {
    this.hub.start(location.href, this.bearer, this.wanted);
  }

  enter(bearer: string): void {
    sessionStorage.setItem(BEARER_KEY, bearer);
    this.bearer = bearer;
    this.denied = false;
    this.hub.bearer(bearer);
  }

  /** Another view, which the back button leaves again. */
  show(view: View): void {
    if (view === this.view) return;
    history.pushState(null, "", HASH[view]);
    this.change(view);
  }

  private change(view: View): void {
    if (view === this.view) return;
    this.focus(null);
    this.attention.leave_all();
    // Nothing until the new view has said what it shows.
    this.attention.show_nothing();
    this.view = view;
    this.hub.set_quality(this.wanted);
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
    return this.all && (this.view === "lobby" || this.view === "ecg") ? "auto" : QUALITY[this.view];
  }

  focus(sensor_id: string | null): void {
    if (sensor_id === this.focused) return;
    this.focused = sensor_id;
    this.detail = [];
    this.attention.focus(sensor_id);
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
    window.addEventListener("popstate", () => this.change(view_of(location.hash)));
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
