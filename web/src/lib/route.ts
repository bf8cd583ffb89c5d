/** Which view an address means, and which address a view has. */

export type View = "lobby" | "ecg" | "simulator" | "system";

export const HASH: Record<View, string> = { lobby: "#/", ecg: "#/ecg", simulator: "#/simulator", system: "#/system" };

/** `#ecg` is how addresses were written once; what is unknown is the lobby. */
export function view_of(hash: string): View {
  const name = hash.replace(/^#\/?/, "").replace(/\/$/, "");
  return name === "ecg" || name === "simulator" || name === "system" ? name : "lobby";
}
