/** Which view an address means, and which address a view has. */

export type View = "lobby" | "ecg" | "together" | "simulator" | "system";

export const HASH: Record<View, string> = { lobby: "#/", ecg: "#/ecg", together: "#/together", simulator: "#/simulator", system: "#/system" };

/** `#ecg` is how addresses were written once; what is unknown is the lobby. */
export function view_of(hash: string): View {
  const name = hash.replace(/\?.*$/, "").replace(/^#\/?/, "").replace(/\/$/, "");
  return name === "ecg" || name === "together" || name === "simulator" || name === "system" ? name : "lobby";
}

/** What stands behind the view: `a=1&b=2`. */
export function query_of(hash: string): string {
  const at = hash.indexOf("?");
  return at < 0 ? "" : hash.slice(at + 1);
}
