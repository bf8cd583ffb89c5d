/** Which view an address means, and which address a view has. */

export type View = "lobby" | "ecg" | "room" | "rooms" | "join" | "enter" | "account" | "sensor" | "device" | "devices" | "consent" | "people" | "together" | "simulator" | "recordings" | "system" | "settings" | "about";

export const HASH: Record<View, string> = {
  lobby: "#/", ecg: "#/ecg", room: "#/room", rooms: "#/rooms", join: "#/join", enter: "#/enter", account: "#/account", sensor: "#/sensor", device: "#/device", devices: "#/devices", consent: "#/consent", people: "#/people",
  together: "#/together", simulator: "#/simulator", recordings: "#/recordings", system: "#/system", settings: "#/settings", about: "#/about",
};

/** These are of something that has a name, such as a room's id; without it they are another, or of everything. */
const NAMED: Partial<Record<View, View>> = { room: "rooms", join: "rooms", enter: "account", sensor: "lobby", people: "people" };
const NAME_CHARS_MAX = 256;

/** A view, and what it is of; empty when it is of nothing in particular. */
export interface Place {
  view: View;
  name: string;
}

/** `#ecg` is how addresses were written once; what is unknown is the lobby. */
export function place_of(hash: string): Place {
  const path = hash.replace(/\?.*$/, "").replace(/^#\/?/, "").replace(/\/$/, "");
  const at = path.indexOf("/");
  const [first, rest] = at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at + 1)];
  if (!Object.hasOwn(HASH, first)) return { view: "lobby", name: "" };
  const view = first as View;
  const instead = NAMED[view];
  if (instead === undefined) return { view: rest === "" ? view : "lobby", name: "" };
  const name = named(rest);
  return name === "" ? { view: instead, name } : { view, name };
}

export function view_of(hash: string): View {
  return place_of(hash).view;
}

export function hash_of({ view, name }: Place): string {
  return name === "" ? HASH[view] : `${HASH[view]}/${encodeURIComponent(name)}`;
}

/** What stands behind the view: `a=1&b=2`. */
export function query_of(hash: string): string {
  const at = hash.indexOf("?");
  return at < 0 ? "" : hash.slice(at + 1);
}

function named(text: string): string {
  try {
    const name = decodeURIComponent(text);
    return name.length <= NAME_CHARS_MAX ? name : "";
  } catch {
    return "";
  }
}
