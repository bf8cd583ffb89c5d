/** Moments that someone has marked, by the server's clock. */

export const MARKERS_MAX = 200;

export interface Marker {
  id: number;
  /** The key it was set with. */
  label: string;
  at_ms: number;
}

/** In order of time; the oldest make room. */
export function with_marker(markers: readonly Marker[], label: string, at_ms: number): Marker[] {
  const id = markers.reduce((most, one) => Math.max(most, one.id), 0) + 1;
  return [...markers, { id, label, at_ms }].sort((a, b) => a.at_ms - b.at_ms || a.id - b.id).slice(-MARKERS_MAX);
}

/** What was kept in this tab; what cannot be read is left out. */
export function read_markers(text: string | null): Marker[] {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  let markers: Marker[] = [];
  for (const one of value.slice(-MARKERS_MAX) as unknown[]) {
    const { label, at_ms } = (one ?? {}) as { label?: unknown; at_ms?: unknown };
    if (typeof label === "string" && /^[1-9]$/.test(label) && typeof at_ms === "number" && Number.isFinite(at_ms)) markers = with_marker(markers, label, at_ms);
  }
  return markers;
}
