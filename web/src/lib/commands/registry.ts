/** What can be done from the keyboard, in one list: the palette finds it, and the help tells its keys. */

import { app } from "../app.svelte";
import { device } from "../device/state.svelte";
import { people } from "../people/state.svelte";
import { matches } from "../roster";
import { all_of, PANELS, PANELS_MAX, PRESETS } from "../room/layout";
import { room } from "../room/state.svelte";
import { rooms } from "../rooms/state.svelte";
import type { View } from "../route";
import type { Found } from "../search/shape";
import { settings, THEMES } from "../settings.svelte";
import { about_strings, chat_strings, collator, consent_strings, device_strings, devices_strings, known_strings, palette_strings as strings, people_strings, room_strings, rooms_strings, settings_strings, simulator_strings, strings as page_strings } from "../strings";

export type Kind = "go" | "room" | "person" | "sensor" | "arrange" | "add" | "do";

export interface Command {
  id: string;
  kind: Kind;
  name: string;
  /** As they stand on the keyboard; empty: none. */
  keys: string;
  /** Called not quite as was typed. */
  nearly?: boolean;
  run: () => void;
}

/** So many are offered at once. */
export const OFFERED_MAX = 50;
/** Of a room with thousands, so many are looked through for each letter that is typed. */
const SENSORS_MAX = 5_000;

function views(): Command[] {
  const go = (view: View, name: string): Command => ({ id: `go-${view}`, kind: "go", name, keys: "", run: () => app.show(view) });
  return [
    go("lobby", page_strings.lobby), go("rooms", rooms_strings.view), go("people", known_strings.view), go("ecg", page_strings.all_ecg), go("together", page_strings.together_view), go("simulator", page_strings.simulator_view), go("recordings", simulator_strings.recordings),
    go("system", page_strings.system_view), go("device", device_strings.title), go("devices", devices_strings.view), go("consent", consent_strings.view), go("account", people.user === null ? people_strings.sign_in : people_strings.view), go("settings", settings_strings.view), go("about", about_strings.view),
  ];
}

/** What can be done where one is now. */
export function commands(): Command[] {
  const found = views();
  for (const { id, name } of [...(rooms.mine ?? []), ...(rooms.open ?? [])]) {
    if (!found.some((one) => one.id === `room-${id}`)) found.push({ id: `room-${id}`, kind: "room", name, keys: "", run: () => app.show("room", id) });
  }
  if (app.in_room) {
    found.push(
      { id: "stop-time", kind: "do", name: room.live ? strings.stop_time : strings.go_live, keys: strings.space, run: () => room.toggle_live() },
      { id: "wider", kind: "do", name: strings.wider, keys: "]", run: () => room.step_window(1) },
      { id: "narrower", kind: "do", name: strings.narrower, keys: "[", run: () => room.step_window(-1) },
      { id: "rail", kind: "do", name: room_strings.rail_switch, keys: "", run: () => room.toggle_rail() },
      { id: "side", kind: "do", name: chat_strings.side, keys: "c", run: () => room.toggle_side() },
    );
    for (const preset of PRESETS) found.push({ id: `arrange-${preset}`, kind: "arrange", name: room_strings.presets[preset], keys: "", run: () => room.use(preset) });
    if (all_of(room.layout).length < PANELS_MAX) for (const panel of PANELS) found.push({ id: `add-${panel}`, kind: "add", name: room_strings.panels[panel], keys: "", run: () => room.add(panel) });
  }
  for (const theme of THEMES) found.push({ id: `theme-${theme}`, kind: "do", name: `${settings_strings.theme}: ${settings_strings.themes[theme]}`, keys: "", run: () => settings.set_theme(theme) });
  if (device.live.length > 0) found.push({ id: "stop-sharing", kind: "do", name: device_strings.stop_all, keys: "", run: () => device.stop_all() });
  if (people.user !== null) found.push({ id: "sign-out", kind: "do", name: people_strings.sign_out, keys: "", run: () => void people.sign_out() });
  return found;
}

/** What the server has found, as commands. */
function found_there({ people: persons, rooms: found_rooms, sensors }: Found): Command[] {
  return [
    ...persons.map(({ user_id, display_name, nearly }): Command => ({ id: `person-${user_id}`, kind: "person", name: display_name, keys: "", nearly, run: () => app.show("people", user_id) })),
    ...found_rooms.map(({ id, name, nearly }): Command => ({ id: `room-${id}`, kind: "room", name, keys: "", nearly, run: () => app.show("room", id) })),
    ...sensors.map(({ sensor_id, sensor_name, connector_name, nearly }): Command => ({
      id: `sensor-${sensor_id}`, kind: "sensor", name: connector_name === null || sensor_name.includes(connector_name) ? sensor_name : `${sensor_name}, ${connector_name}`, keys: "", nearly, run: () => app.show("sensor", sensor_id),
    })),
  ];
}

/**
 * What has every word that was typed in its name or kind, then what the server found beyond that, and behind it the sensors
 * that are here.
 */
export function found_by(typed: string, found_elsewhere: Found | null): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const kinds = strings.kinds;
  const fits = ({ kind, name }: Command): boolean => words.every((word) => `${kinds[kind]} ${name}`.toLowerCase().includes(word));
  const found = commands().filter(fits);
  const known = new Set(found.map(({ id }) => id));
  const put = (command: Command): void => {
    if (known.has(command.id)) return;
    known.add(command.id);
    found.push(command);
  };
  if (found_elsewhere !== null) found_there(found_elsewhere).forEach(put);
  if (words.length > 0) {
    const sensors = app.sensors.slice(0, SENSORS_MAX).filter((sensor) => matches(sensor, typed));
    sensors.sort((a, b) => collator.compare(a.sensor_name, b.sensor_name));
    for (const { sensor_id, sensor_name } of sensors) put({ id: `sensor-${sensor_id}`, kind: "sensor", name: sensor_name, keys: "", run: () => app.show("sensor", sensor_id) });
  }
  return found.slice(0, OFFERED_MAX);
}

/** Keys, and what they do: where, and whether one key does it. */
export function key_help(): { where: string; keys: { keys: string; does: string; single: boolean }[] }[] {
  const one = (keys: string, does: string, single = true): { keys: string; does: string; single: boolean } => ({ keys, does, single });
  return [
    { where: strings.everywhere, keys: [one(strings.ctrl_k, strings.open_palette, false), one("?", strings.open_help), one("Esc", strings.closes, false), one("Tab", strings.goes_on, false)] },
    {
      where: strings.in_room,
      keys: [
        one("/", page_strings.filter), one(strings.space, `${strings.stop_time} / ${strings.go_live}`), one("[ ]", strings.window), one("1 … 9", strings.marks), one("f", strings.alone), one("c", chat_strings.side),
        one("p", strings.pins), one(strings.arrows, strings.walks, false), one("Enter", strings.opens, false),
      ],
    },
    { where: strings.on_axis, keys: [one("← →", strings.step, false), one("Shift ← →", strings.step_far, false), one("PgUp PgDn", strings.step_window, false), one("Home End", strings.ends, false)] },
  ];
}
