/** Frames made by hand, for tests. */

import { FrameError } from "./decode";

/** Field for field, as docs/wire.md lists them. */
export function bytes(...fields: (["u8" | "u16" | "u32" | "i32" | "u64" | "i64" | "f32" | "f64", number] | ["text", string])[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  const scratch = new DataView(new ArrayBuffer(8));
  for (const [type, value] of fields) {
    if (type === "text") {
      out.push(...new TextEncoder().encode(value));
      continue;
    }
    const size = Number(type.slice(1)) / 8;
    if (type === "u8") scratch.setUint8(0, value);
    else if (type === "u16") scratch.setUint16(0, value, true);
    else if (type === "u32") scratch.setUint32(0, value, true);
    else if (type === "i32") scratch.setInt32(0, value, true);
    else if (type === "u64") scratch.setBigUint64(0, BigInt(value), true);
    else if (type === "i64") scratch.setBigInt64(0, BigInt(value), true);
    else if (type === "f32") scratch.setFloat32(0, value, true);
    else scratch.setFloat64(0, value, true);
    for (let k = 0; k < size; k++) out.push(scratch.getUint8(k));
  }
  return new Uint8Array(out);
}

export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** How it was refused; `none` when it was not. */
export function kind_of(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof FrameError) return error.kind;
    throw error;
  }
  return "none";
}
