/**
 * Reads the binary frame, version 1 (docs/wire.md 2.5), and refuses whatever is not one.
 *
 * A frame is read whole before anything of it is handed on, so a bad frame changes nothing. Times and
 * cells land in two scratch arrays owned by the decoder and are valid until the next call: nothing
 * is allocated per sample (text payloads excepted, they are strings).
 */

export type FrameErrorKind =
  | "version"
  | "flags"
  | "truncated"
  | "leftover"
  | "utf8"
  | "unknown_stream"
  | "form"
  | "cell_type"
  | "covered"
  | "digest"
  | "text"
  | "range";

export class FrameError extends Error {
  override name = "FrameError";
  readonly kind: FrameErrorKind;
  readonly at: number;
  constructor(kind: FrameErrorKind, at: number, detail: string) {
    super(`${kind} at byte ${at}: ${detail}`);
    this.kind = kind;
    this.at = at;
  }
}

export const VERSION = 1;
export const Form = { Raw: 0, Latest: 1, Digest: 2, Seed: 3 } as const;
export type Form = (typeof Form)[keyof typeof Form];

export interface Card {
  id: number;
  /** Cells per sample; 0 when payloads are text. */
  width: number;
  /** Declared, 0 when unknown. */
  rate_hz: number;
  sensor_id: string;
  attribute_id: string;
  attribute_type: string;
  shape: string;
}

/** One slice. Objects are reused from frame to frame. */
export interface Slice {
  id: number;
  form: Form;
  width: number;
  n: number;
  from: number;
  covered: number;
  missed: number;
  /** Digest only. */
  count: number;
  numeric: boolean;
  avg: number;
  min: number;
  max: number;
  /** Where this slice's n times begin in `Frame.times`. */
  times_at: number;
  /** Where its n x width cells begin in `Frame.cells`. */
  cells_at: number;
  /** The payloads, when they are text. */
  texts: string[] | null;
}

export interface Frame {
  server_ms: number;
  cards: Card[];
  slices: Slice[];
  /** Only the first `n_slices` of `slices` belong to this frame. */
  n_slices: number;
  times: Float64Array;
  cells: Float64Array;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A stream is a u32 that never repeats, so what was learned of it is kept as its width. */
export class Decoder {
  private widths = new Map<number, number>();
  private frame: Frame = {
    server_ms: 0,
    cards: [],
    slices: [],
    n_slices: 0,
    times: new Float64Array(1024),
    cells: new Float64Array(4096),
  };

  /** Streams are introduced anew on every channel. */
  forget(): void {
    this.widths.clear();
  }

  decode(bytes: Uint8Array): Frame {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = bytes.byteLength;
    const frame = this.frame;
    let at = 0;
    const need = (n: number, what: string): void => {
      if (n > end - at) throw new FrameError("truncated", at, `${what} needs ${n} bytes, ${end - at} left`);
    };
    const text = (n: number, what: string): string => {
      need(n, what);
      const start = at;
      at += n;
      try {
        return utf8.decode(bytes.subarray(start, at));
      } catch {
        throw new FrameError("utf8", start, `${what} is not utf-8`);
      }
    };
    const u64 = (): number => {
      const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
      if (value > Number.MAX_SAFE_INTEGER) throw new FrameError("range", at, "count beyond 2^53");
      at += 8;
      return value;
    };

    need(1, "version");
    const version = view.getUint8(0);
    if (version !== VERSION) throw new FrameError("version", 0, `version ${version}, this page reads ${VERSION}`);
    need(16, "header");
    if (view.getUint8(1) !== 0) throw new FrameError("flags", 1, `flags ${view.getUint8(1)} are not known`);
    const n_cards = view.getUint16(2, true);
    const n_slices = view.getUint32(4, true);
    frame.server_ms = view.getFloat64(8, true);
    frame.cards.length = 0;
    frame.n_slices = 0;
    at = 16;

    let introduced: Map<number, number> | null = null;
    for (let i = 0; i < n_cards; i++) {
      need(9, "card");
      const id = view.getUint32(at, true);
      const width = view.getUint8(at + 4);
      const rate_hz = view.getFloat32(at + 5, true);
      at += 9;
      const short = (what: string): string => {
        need(1, what);
        const n = view.getUint8(at);
        at += 1;
        return text(n, what);
      };
      const sensor_id = short("sensor id");
      const attribute_id = short("attribute id");
      const attribute_type = short("attribute type");
      need(2, "shape");
      const n = view.getUint16(at, true);
      at += 2;
      const shape = text(n, "shape");
      frame.cards.push({ id, width, rate_hz, sensor_id, attribute_id, attribute_type, shape });
      (introduced ??= new Map()).set(id, width);
    }

    let times_at = 0;
    let cells_at = 0;
    for (let i = 0; i < n_slices; i++) {
      need(24, "slice");
      const id = view.getUint32(at, true);
      const code = view.getUint8(at + 4);
      const cell_type = view.getUint8(at + 5);
      const n = view.getUint16(at + 6, true);
      const width = introduced?.get(id) ?? this.widths.get(id);
      if (width === undefined) throw new FrameError("unknown_stream", at, `stream ${id} has no card`);
      const form = code & 0x7f;
      if (form > 3) throw new FrameError("form", at + 4, `form ${form} is not known`);
      if (cell_type > 1) throw new FrameError("cell_type", at + 5, `cell type ${cell_type} is not known`);
      const is_text = (code & 0x80) !== 0;
      if (width === 0 && !is_text && n > 0) throw new FrameError("text", at + 4, "a stream of text without text");
      at += 8;
      const slice = this.slice(i);
      slice.id = id;
      slice.form = form as Form;
      slice.width = is_text ? 0 : width;
      slice.n = n;
      slice.from = u64();
      slice.covered = view.getUint32(at, true);
      slice.missed = view.getUint32(at + 4, true);
      if ((form === Form.Raw || form === Form.Seed) && slice.covered !== n) {
        throw new FrameError("covered", at, `covers ${slice.covered}, carries ${n}`);
      }
      at += 8;
      slice.count = 0;
      slice.numeric = false;
      slice.avg = slice.min = slice.max = NaN;
      if (form === Form.Digest) {
        need(5, "digest");
        slice.count = view.getUint32(at, true);
        const numeric = view.getUint8(at + 4);
        if (numeric > 1) throw new FrameError("digest", at + 4, `numeric flag ${numeric}`);
        at += 5;
        if (numeric === 1) {
          need(24, "digest numbers");
          slice.numeric = true;
          slice.avg = view.getFloat64(at, true);
          slice.min = view.getFloat64(at + 8, true);
          slice.max = view.getFloat64(at + 16, true);
          at += 24;
        }
      }
      slice.times_at = times_at;
      slice.cells_at = cells_at;
      slice.texts = null;
      if (n > 0) {
        need(8 + 4 * (n - 1), "times");
        if (times_at + n > frame.times.length) frame.times = grown(frame.times, times_at + n);
        const times = frame.times;
        let t = view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
        at += 8;
        times[times_at] = t;
        for (let k = 1; k < n; k++) {
          t += view.getInt32(at, true);
          at += 4;
          times[times_at + k] = t;
        }
        times_at += n;
        if (is_text) {
          // Each takes four bytes at least, so a lie about n cannot make a large array.
          need(4 * n, "texts");
          const texts: string[] = [];
          for (let k = 0; k < n; k++) {
            need(4, "text length");
            const length = view.getUint32(at, true);
            at += 4;
            texts.push(text(length, "text payload"));
          }
          slice.texts = texts;
        } else {
          const count = n * width;
          need(count * (cell_type === 1 ? 4 : 8), "cells");
          if (cells_at + count > frame.cells.length) frame.cells = grown(frame.cells, cells_at + count);
          const cells = frame.cells;
          if (cell_type === 1) {
            for (let k = 0; k < count; k++, at += 4) cells[cells_at + k] = view.getFloat32(at, true);
          } else {
            for (let k = 0; k < count; k++, at += 8) cells[cells_at + k] = view.getFloat64(at, true);
          }
          cells_at += count;
        }
      }
      frame.n_slices = i + 1;
    }
    if (at !== end) throw new FrameError("leftover", at, `${end - at} bytes after the last slice`);
    if (introduced) for (const [id, width] of introduced) this.widths.set(id, width);
    return frame;
  }

  private slice(i: number): Slice {
    const slices = this.frame.slices;
    let slice = slices[i];
    if (slice === undefined) {
      slice = {
        id: 0, form: Form.Raw, width: 0, n: 0, from: 0, covered: 0, missed: 0, count: 0, numeric: false,
        avg: NaN, min: NaN, max: NaN, times_at: 0, cells_at: 0, texts: null,
      };
      slices[i] = slice;
    }
    return slice;
  }
}

function grown(old: Float64Array, least: number): Float64Array {
  const next = new Float64Array(Math.max(least, old.length * 2));
  next.set(old);
  return next;
}
