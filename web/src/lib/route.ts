/** Which view an address means, and which address a view has. */

export type View = "lobby" | "ecg" | "together" | "simulator" | "system" | "settings" | "about";

export const HASH: Record<View, string> = {
  lobby: "#/", ecg: "#/ecg", together: "#/together", simulator: "#/simulator", system: "#/system", settings: "#/settings", about: "#/about",
};

/** `#ecg` is how addresses were written once; what is unknown is the lobby. */
export function view_of(hash: string): View {
  const name = hash.replace(/\?.*$/, "").replace(/^#\/?/, "").replace(/\/$/, "");
  return Object.hasOwn(HASH, name) ? (name as View) : "lobby";
}

/** What stands behind the view: `a=1&b=2`. */
export function query_of(hash: string): string {
  const at = hash.indexOf("?");
  return at < 0 ? "" : hash.slice(at + 1);
}
