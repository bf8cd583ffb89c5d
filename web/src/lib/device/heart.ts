/** What a heart rate strap says over Bluetooth (GATT 0x2A37, Heart Rate Measurement). */

export interface Beat {
  /** In a minute. */
  bpm: number;
  /** Milliseconds between beats, where the strap tells them. */
  rr_ms: number[];
  /** Whether it says that it touches the skin; null: it does not say. */
  contact: boolean | null;
}

/** null for what is too short to be one. */
export function read_heart_rate(view: DataView): Beat | null {
  if (view.byteLength < 2) return null;
  const flags = view.getUint8(0);
  const wide = (flags & 1) !== 0;
  let at = wide ? 3 : 2;
  if (view.byteLength < at) return null;
  const bpm = wide ? view.getUint16(1, true) : view.getUint8(1);
  // Energy spent stands before the intervals.
  if ((flags & 8) !== 0) at += 2;
  const rr_ms: number[] = [];
  if ((flags & 16) !== 0) for (; at + 2 <= view.byteLength; at += 2) rr_ms.push(Math.round((view.getUint16(at, true) * 1_000) / 1_024));
  return { bpm, rr_ms, contact: (flags & 4) === 0 ? null : (flags & 2) !== 0 };
}
