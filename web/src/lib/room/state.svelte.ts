/** The room page's state: what stands where, which time is shown, what is marked. Samples are not in it. */

import { app } from "../app.svelte";
import { keep, keep_among, kept } from "../kept";
import { in_order, matches } from "../roster";
import { hash_of, query_of, type Place } from "../route";
import type { Stream } from "../stream/hub";
import { key_of, type RosterSensor } from "../stream/messages";
import { LANES_MAX, RING_SPAN_S, type Ring } from "../stream/ring";
import { all_of, moved, preset, read_layout, resized, with_options, with_panel, without, type Layout, type Options, type PanelKind, type Preset, type Way } from "./layout";
import { decode_view, encode_view, RUNNING_S_MAX, WINDOWS_S, type WindowS } from "./link";
import { read_markers, with_marker, type Marker } from "./markers";
import { PastRings, type Drawn, type Standing } from "./past";
import { reach_for, type ReachS } from "./reach";
import { said_now, said_then, type Newest, type Said } from "./said";

const LAYOUT_KEY = "sensocto.layout";
const MARKERS_KEY = "sensocto.markers";
/** As many rooms' layouts are kept; then others make room. */
const LAYOUTS_MAX = 100;
const RAIL_KEY = "sensocto.rail";
const SIDE_KEY = "sensocto.side";
/** Whoever drags an edge is waited for before the address is written. */
const SETTLE_MS = 250;
/** The axis reaches back no further than this, however slow a stream is. */
const HELD_MAX_MS = 120_000;

class RoomState {
  layout = $state.raw<Layout>(preset("sensors"));
  filter = $state("");
  sort = $state<"name" | "type">("name");
  rail = $state(kept(RAIL_KEY) === "open");
  /** Who is here and what they say, at the other side. */
  side = $state(kept(SIDE_KEY) === "open");
  window_s = $state<WindowS>(10);
  /** The right edge of what is shown, by the server's clock; null: it is now. */
  at_ms = $state<number | null>(null);
  markers = $state.raw<Marker[]>([]);
  /** The one panel that has all the room; null: none. */
  alone = $state<string | null>(null);
  /** What rings held when time was stopped: they run on, this stays. */
  private frozen: Map<string, Ring> | null = null;
  /** What was newest then, of streams that nobody drew, too. */
  private newest: ReadonlyMap<string, Newest> = new Map();
  /** When time was stopped, by the server's clock. */
  private stopped_ms = 0;
  /** How far back the axis goes, in seconds; 0: as far as the page holds. */
  reach_s = $state<ReachS>(0);
  /** Grows when something of the past has come. */
  past_round = $state(0);
  private pasts = new PastRings(
    (wishes) => app.hub.past(wishes),
    () => (this.at_ms === null ? null : { at_ms: this.at_ms, window_ms: this.window_s * 1_000, newest_ms: Math.max(this.stopped_ms, this.at_ms) }),
    (key) => this.here(key),
    () => app.now_ms(),
    (key, at_ms) => at_ms >= Math.min(this.newest.get(key)?.last_ms ?? NaN, this.stopped_ms),
  );
  /** Streams of which a panel says what they said, looked at while time stands: so what was held of them by the worker comes here. */
  private looked_at = new Map<string, (() => void)[]>();
  private place: Place = { view: "lobby", name: "" };
  private writing: ReturnType<typeof setTimeout> | null = null;

  readonly shown = $derived(in_order(app.sensors, this.sort).filter((sensor) => matches(sensor, this.filter)));
  /** Of a panel that draws samples one by one the server is asked for all it can carry. */
  readonly wants_all = $derived(all_of(this.layout).some(({ panel }) => panel !== "grid" && panel !== "values" && panel !== "raw"));

  constructor() {
    app.hub.listen({
      past: (piece) => {
        if (this.at_ms === null) return;
        this.pasts.take(piece);
        this.past_round++;
      },
    });
  }

  /** The page has come to a room, or its address has changed: an address that says nothing is told what is shown. */
  arrive(place: Place): void {
    if (!app.in_room) return;
    const other = place.name !== this.place.name;
    this.place = place;
    this.markers = read_markers(sessionStorage.getItem(this.key(MARKERS_KEY)));
    const link = decode_view(new URLSearchParams(query_of(location.hash)).get("v") ?? "");
    this.layout = link?.layout ?? (place.view === "ecg" ? preset("ecg") : (this.kept_layout() ?? preset("sensors")));
    this.alone = null;
    if (link !== null) this.set_window(link.window_s, link.at_ms === null);
    this.filter = link?.filter ?? (other ? "" : this.filter);
    if (other) this.leave_past();
    const at_ms = link !== null ? link.at_ms : other ? null : this.at_ms;
    if (at_ms !== this.at_ms || (other && at_ms !== null)) this.go_to(at_ms);
    if (link !== null && link.focused !== app.focused) app.focus(link.focused);
    app.asks_all(this.wants_all);
  }

  /** This view, with its time and who is looked at, as an address. */
  link(): string {
    const { layout, window_s, at_ms, filter } = this;
    return `${hash_of(this.place)}?v=${encode_view({ layout, window_s, at_ms, focused: app.focused, filter })}`;
  }

  /** The lobby's are kept as they always were. */
  private key(of: string): string {
    return `${of}.${this.place.name || "lobby"}`;
  }

  use(name: Preset): void {
    this.set(preset(name));
  }
  add(panel: PanelKind): void {
    this.set(with_panel(this.layout, panel));
  }
  remove(id: string): void {
    this.set(without(this.layout, id));
  }
  move(id: string, way: Way): void {
    this.set(moved(this.layout, id, way));
  }
  resize(where: { row: number; at?: number }, part: number): void {
    this.set(resized(this.layout, where, part));
  }
  set_options(id: string, change: Options): void {
    this.set(with_options(this.layout, id, change));
  }
  toggle_alone(id: string): void {
    this.alone = this.alone === id ? null : id;
  }

  toggle_rail(): void {
    this.rail = !this.rail;
    keep(RAIL_KEY, this.rail ? "open" : null);
  }

  toggle_side(): void {
    this.side = !this.side;
    keep(SIDE_KEY, this.side ? "open" : null);
  }

  /** `may_stop`: a window of the past stops time. */
  set_window(seconds: WindowS, may_stop = true): void {
    this.window_s = seconds;
    if (seconds > RUNNING_S_MAX && may_stop && this.at_ms === null) this.go_to(app.hub.server_ms());
    this.reach_back();
    this.pasts.ask_soon();
    this.written_soon();
  }
  set_reach(seconds: ReachS): void {
    this.reach_s = seconds;
    const from_ms = this.axis_from_ms();
    if (this.at_ms !== null && this.at_ms < from_ms) this.go_to(from_ms);
  }
  /** The axis has what is shown on it. */
  private reach_back(): void {
    if (this.at_ms === null) return;
    const window_ms = this.window_s > RUNNING_S_MAX ? this.window_s * 1_000 : 0;
    const least = reach_for((this.stopped_ms - this.at_ms + window_ms) / 1_000, (this.stopped_ms - this.held_from_ms()) / 1_000);
    if (least > this.reach_s) this.reach_s = least;
  }
  /** The left end of the axis. */
  axis_from_ms(): number {
    const held_ms = this.held_from_ms();
    return this.reach_s === 0 ? held_ms : Math.min(held_ms, (this.frozen_ms() ?? app.hub.server_ms()) - this.reach_s * 1_000);
  }
  step_window(by: 1 | -1): void {
    const at = WINDOWS_S.indexOf(this.window_s) + by;
    const next = WINDOWS_S[at];
    if (next !== undefined) this.set_window(next);
  }

  get live(): boolean {
    return this.at_ms === null;
  }

  /** Stops time where it is, or lets it go on from now. */
  toggle_live(): void {
    this.go_to(this.at_ms === null ? app.hub.server_ms() : null);
  }

  /** `null`: now. What is shown is what was held when time was stopped. */
  go_to(at_ms: number | null): void {
    if (at_ms === null) {
      this.leave_past();
      this.window_s = this.window_s > RUNNING_S_MAX ? RUNNING_S_MAX : this.window_s;
    } else if (this.frozen === null) {
      this.frozen = app.hub.copy_rings();
      this.newest = app.hub.copy_newest();
      this.stopped_ms = app.hub.server_ms();
    }
    this.at_ms = at_ms;
    this.reach_back();
    this.pasts.ask_soon();
    this.written_soon();
  }

  /** Another room is another past, and now is none. */
  private leave_past(): void {
    this.frozen = null;
    this.newest = new Map();
    this.pasts.forget();
  }

  /** The moment that is shown. */
  shown_ms(): number {
    return this.at_ms ?? app.hub.server_ms();
  }

  /** What this panel draws of streams, or says of their moment, so that their past is fetched while time stands; none when it is closed, or time runs. */
  draws(by: string, drawn: Drawn[]): void {
    const before = this.looked_at.get(by) ?? [];
    // A wide one is not held unless it is drawn whole, and whoever draws it looks at it.
    const moments = drawn.filter(({ columns, sensor_id, attribute_id }) => columns === 0 && (app.hub.stream(sensor_id, attribute_id)?.card.lanes ?? 1) <= LANES_MAX);
    if (moments.length === 0) this.looked_at.delete(by);
    else this.looked_at.set(by, moments.map(({ sensor_id, attribute_id }) => app.hub.watch(sensor_id, attribute_id)));
    for (const release of before) release();
    this.pasts.draw(by, drawn);
  }

  /**
   * What a stream says at the moment that is shown, and its ring as far as `span_ms` before it. While time stands only of a stream that
   * was said to be drawn, with as many cells.
   */
  said_of(sensor_id: string, attribute_id: string, { rate_hz = 0, lanes = 1, span_ms = 0 } = {}): Said {
    const stream = app.hub.stream(sensor_id, attribute_id);
    if (this.at_ms === null) return said_now(stream);
    const key = key_of(sensor_id, attribute_id);
    const rate = stream?.card.rate_hz ?? rate_hz;
    // What has no numbers is kept by nobody.
    const found = stream?.card.lanes === 0 ? { ring: null, standing: "not_kept" as const } : this.pasts.moment_of(key, rate, lanes, span_ms);
    // Of what was newest then only a figure is known.
    return said_then(this.at_ms, this.stopped_ms, lanes === 1 && span_ms === 0 ? this.newest.get(key) : undefined, found, rate);
  }
  /** The same of all signals of a sensor. */
  said_by({ sensor_id, attributes }: RosterSensor): Said[] {
    return attributes.map(({ attribute_id, sampling_rate }) => this.said_of(sensor_id, attribute_id, { rate_hz: sampling_rate ?? 0 }));
  }
  /** Whether what is shown of a stream is here, was fetched, or why not. */
  standing_of(sensor_id: string, attribute_id: string): Standing {
    void this.past_round;
    const key = key_of(sensor_id, attribute_id);
    return this.pasts.standing_of(key, app.hub.stream_by(key)?.card.rate_hz ?? 0);
  }
  private here(key: string): Ring | null {
    const held = this.frozen?.get(key);
    if (held !== undefined) return held;
    const ring = app.hub.stream_by(key)?.ring ?? null;
    // Looked at since, and all until time was stopped has come: it would run on, and lose it.
    if (this.frozen === null || ring === null || !(ring.last_ms >= this.stopped_ms)) return ring;
    const copy = ring.copy();
    copy.truncate_from(this.stopped_ms + 1);
    this.frozen.set(key, copy);
    return copy;
  }

  /** The ring to draw as a line: what runs, what stood when time was stopped, or what was fetched of before, which may be summed up. */
  line_of(stream: Stream | undefined): Ring | null {
    if (stream === undefined) return null;
    return this.pasts.ring_of(stream.key, stream.card.rate_hz) ?? this.here(stream.key);
  }

  /** How far back what is held reaches, by the server's clock. */
  held_from_ms(): number {
    const now = this.frozen_ms() ?? app.hub.server_ms();
    let from = now;
    const look = (ring: Ring | null): void => {
      if (ring !== null && ring.length > 0) from = Math.min(from, ring.time(ring.first));
    };
    if (this.frozen !== null) for (const ring of this.frozen.values()) look(ring);
    else app.hub.each_ring(look);
    return Math.max(from, now - Math.max(HELD_MAX_MS, RING_SPAN_S * 1000));
  }

  /** The newest moment of what is held while time stands. */
  frozen_ms(): number | null {
    if (this.frozen === null) return null;
    let newest = Math.max(this.stopped_ms, this.at_ms ?? 0);
    for (const ring of this.frozen.values()) if (ring.length > 0 && Math.abs(ring.last_ms - newest) < HELD_MAX_MS) newest = Math.max(newest, ring.last_ms);
    return newest;
  }

  mark(label: string): void {
    this.markers = with_marker(this.markers, label, this.at_ms ?? app.hub.server_ms());
    this.keep_markers();
  }
  unmark(id: number): void {
    this.markers = this.markers.filter((marker) => marker.id !== id);
    this.keep_markers();
  }

  private keep_markers(): void {
    try {
      sessionStorage.setItem(this.key(MARKERS_KEY), JSON.stringify(this.markers));
    } catch {
      // Full, or not allowed: they are gone with the page.
    }
  }

  private set(layout: Layout): void {
    if (layout === this.layout) return;
    this.layout = layout;
    if (!all_of(layout).some(({ id }) => id === this.alone)) this.alone = null;
    app.asks_all(this.wants_all);
    this.written_soon();
  }

  /** What the reader has made of the room is kept, and stands in the address. */
  private written_soon(): void {
    if (this.writing !== null) clearTimeout(this.writing);
    const { place } = this;
    this.writing = setTimeout(() => {
      this.writing = null;
      if (app.place.view === place.view && app.place.name === place.name) this.write();
    }, SETTLE_MS);
  }
  private write(): void {
    if (this.place.view !== "ecg") keep_among(this.key(LAYOUT_KEY), JSON.stringify(this.layout), `${LAYOUT_KEY}.`, LAYOUTS_MAX);
    history.replaceState(null, "", this.link());
  }

  private kept_layout(): Layout | null {
    try {
      return read_layout(JSON.parse(kept(this.key(LAYOUT_KEY)) ?? "null"));
    } catch {
      return null;
    }
  }
}

export const room = new RoomState();
