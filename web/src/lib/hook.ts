/** What tests may read of the page, as `window.__sensocto`. Nothing here can change anything. */

import { app } from "./app.svelte";
import { Reading } from "./stream/group";
import { room } from "./room/state.svelte";
import { people } from "./people/state.svelte";
import { rooms } from "./rooms/state.svelte";
import { sound } from "./sound/state.svelte";
import { system } from "./system/state.svelte";
import { together } from "./together/state.svelte";

export const hook = Object.freeze({
  get link() {
    return app.hub.link;
  },
  get joins() {
    return app.hub.joins;
  },
  get sensors() {
    return [...app.hub.sensors.values()].map((sensor) => structuredClone(sensor));
  },
  get totals() {
    const stats = app.hub.stats;
    if (stats === null) return null;
    const { rows: _, ...totals } = stats;
    return totals;
  },
  get quality() {
    return { ...app.hub.quality };
  },
  /** What the room shows: its panels row by row, its time and its window, what is marked, and all of it as an address. */
  get room() {
    const { layout, at_ms, window_s, markers } = room;
    return { layout: structuredClone(layout), at_ms, window_s, markers: structuredClone(markers), held_from_ms: room.held_from_ms(), link: room.link() };
  },
  /** Who is signed in, and how it stands with the room that is open. */
  get me() {
    return people.user === null ? null : { ...people.user };
  },
  get rooms() {
    const { standing, room, present, members, mine, open } = rooms;
    return structuredClone({ standing, room, present, members, mine, open });
  },
  /** What was said in the room that is open, or in the lobby, and who types. */
  get chat() {
    const { messages, more, typists, unread, refusal } = app.view === "room" ? rooms.chat : rooms.house_chat;
    return structuredClone({ messages, more, typists, unread, refusal });
  },
  get server_ms() {
    return app.hub.server_ms();
  },
  /** How many points the System page's plots have. */
  get points() {
    return system.history.length;
  },
  /** What the Together view knows of its group. */
  get group() {
    const { readings, members, latency_ms, refused, pairs, hearts } = together.group;
    const last = readings.length - 1;
    return {
      readings: readings.total, members: [...members], latency_ms, refused, pairs: structuredClone(pairs), hearts: [...hearts.values()],
      R: readings.value(last, Reading.R), measurable: readings.value(last, Reading.measurable),
    };
  },
  /** The signal that is heard, and the tone it has now. */
  get sound() {
    return sound.heard === null ? null : { ...sound.heard, hz: sound.hz };
  },
  /** What the page's copies of what is drawn take, in bytes, and of how many streams. */
  get held() {
    let [rings, streams] = [0, 0];
    app.hub.each_ring((ring) => {
      rings += ring.bytes;
      streams++;
    });
    return { rings, streams };
  },
  get frames() {
    return app.frame.stats();
  },
  get attention() {
    return app.attention.current();
  },
  /** Samples of a sensor received over the last second. */
  rate(sensor_id: string): number {
    return app.hub.rate_of(sensor_id);
  },
  streams(sensor_id: string) {
    return app.hub.streams_of(sensor_id).map(({ card, key: _, ring: __, epoch: ___, ...counters }) => ({
      ...structuredClone(card),
      ...counters,
    }));
  },
  /** What the room shows of a stream while time stands: whether it is here, and the points that are drawn. */
  past(sensor_id: string, attribute_id: string) {
    const ring = room.line_of(app.hub.stream(sensor_id, attribute_id));
    const times: number[] = [], low: number[] = [], high: number[] = [], mean: number[] = [];
    for (let i = ring?.first ?? 0; i < (ring?.total ?? 0); i++) {
      times.push(ring!.time(i));
      low.push(ring!.low_at(i));
      high.push(ring!.high_at(i));
      mean.push(ring!.mean?.[(i % ring!.capacity) * ring!.lanes] ?? NaN);
    }
    return { standing: room.standing_of(sensor_id, attribute_id), step_ms: ring?.step_ms ?? 0, times, low, high, mean };
  },
  /** A copy of what is held of a stream being drawn. */
  ring(sensor_id: string, attribute_id: string) {
    const ring = app.hub.stream(sensor_id, attribute_id)?.ring;
    if (ring === null || ring === undefined) return null;
    const times: number[] = [], low: number[] = [], high: number[] = [];
    for (let i = ring.first; i < ring.total; i++) {
      times.push(ring.time(i));
      low.push(ring.low_at(i));
      high.push(ring.high_at(i));
    }
    return { times, low, high };
  },
});
