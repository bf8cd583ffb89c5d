import { describe, expect, it } from "vitest";
import { bytes, join, kind_of } from "./by_hand";
import { Decoder, Form } from "./decode";

const T = 1_700_000_000_000;
const header = (cards: number, slices: number) =>
  bytes(["u8", 1], ["u8", 0], ["u16", cards], ["u32", slices], ["f64", T + 0.5]);
const ecg_card = bytes(
  ["u32", 7], ["u8", 1], ["f32", 250], ["u8", 3], ["text", "s-1"], ["u8", 3], ["text", "ecg"], ["u8", 3], ["text", "ecg"],
  ["u16", 1], ["text", "\u0001"],
);
const imu_card = bytes(
  ["u32", 8], ["u8", 2], ["f32", 0], ["u8", 4], ["text", "s-ü"], ["u8", 3], ["text", "imu"], ["u8", 3], ["text", "imu"],
  ["u16", 13], ["text", '{"x":\u0001,"y":\u0001}'],
);
const seed = bytes(
  ["u32", 7], ["u8", 3], ["u8", 1], ["u16", 3], ["u64", 100], ["u32", 3], ["u32", 0],
  ["i64", T], ["i32", 4], ["i32", -1], ["f32", 0.5], ["f32", -1.25], ["f32", NaN],
);
const raw = bytes(
  ["u32", 7], ["u8", 0], ["u8", 0], ["u16", 1], ["u64", 105], ["u32", 1], ["u32", 2], ["i64", T + 20], ["f64", 0.1],
);
const digest = bytes(
  ["u32", 7], ["u8", 2], ["u8", 0], ["u16", 1], ["u64", 106], ["u32", 25], ["u32", 0],
  ["u32", 25], ["u8", 1], ["f64", 0.2], ["f64", -1], ["f64", 2], ["i64", T + 120], ["f64", 0.75],
);
const empty_seed = bytes(["u32", 7], ["u8", 3], ["u8", 0], ["u16", 0], ["u64", 42], ["u32", 0], ["u32", 0]);
const text_slice = bytes(
  ["u32", 7], ["u8", 129], ["u8", 0], ["u16", 1], ["u64", 5], ["u32", 9], ["u32", 0], ["i64", T],
  ["u32", 16], ["text", '{"payload":"ü"}'],
);

describe("a frame of version 1", () => {
  it("is read byte for byte as the table has it", () => {
    const frame = new Decoder().decode(join(header(1, 3), ecg_card, seed, raw, digest));
    expect(frame.server_ms).toBe(T + 0.5);
    expect(frame.cards).toEqual([
      { id: 7, width: 1, rate_hz: 250, sensor_id: "s-1", attribute_id: "ecg", attribute_type: "ecg", shape: "\u0001" },
    ]);
    expect(frame.n_slices).toBe(3);
    const [a, b, c] = frame.slices;
    expect(a).toMatchObject({ id: 7, form: Form.Seed, n: 3, from: 100, covered: 3, missed: 0, times_at: 0, cells_at: 0 });
    expect(b).toMatchObject({ form: Form.Raw, n: 1, from: 105, covered: 1, missed: 2, times_at: 3, cells_at: 3 });
    expect(c).toMatchObject({ form: Form.Digest, n: 1, from: 106, covered: 25, count: 25, numeric: true, avg: 0.2, min: -1, max: 2 });
    expect([...frame.times.subarray(0, 5)]).toEqual([T, T + 4, T + 3, T + 20, T + 120]);
    expect([...frame.cells.subarray(0, 5)]).toEqual([0.5, -1.25, NaN, 0.1, 0.75]);
  });

  it("is read from the very bytes the server's encoder is held to", () => {
    const frame = new Decoder().decode(
      join(
        bytes(["u8", 1], ["u8", 0], ["u16", 1], ["u32", 2], ["f64", 1000.5]),
        new Uint8Array([7, 0, 0, 0, 1]), bytes(["f32", 100]), new Uint8Array([1, 115, 2, 104, 114, 3, 101, 99, 103, 1, 0, 1]),
        new Uint8Array([7, 0, 0, 0, 3, 1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        bytes(["i64", 1000], ["i32", 10], ["f32", 60], ["f32", 60.5]),
        new Uint8Array([7, 0, 0, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]),
        bytes(["i64", 1020], ["f64", 0.1]),
      ),
    );
    expect(frame.cards[0]).toMatchObject({ id: 7, width: 1, rate_hz: 100, sensor_id: "s", attribute_id: "hr", attribute_type: "ecg" });
    expect(frame.slices[0]).toMatchObject({ form: Form.Seed, from: 4, covered: 2 });
    expect(frame.slices[1]).toMatchObject({ form: Form.Raw, from: 6, missed: 2 });
    expect([...frame.times.subarray(0, 3)]).toEqual([1000, 1010, 1020]);
    expect([...frame.cells.subarray(0, 3)]).toEqual([60, 60.5, 0.1]);
  });

  it("remembers a stream's width from an earlier frame, until told to forget", () => {
    const decoder = new Decoder();
    decoder.decode(join(header(1, 0), ecg_card));
    expect(decoder.decode(join(header(0, 1), raw)).slices[0]!.from).toBe(105);
    decoder.forget();
    expect(kind_of(() => decoder.decode(join(header(0, 1), raw)))).toBe("unknown_stream");
  });

  it("may seed nothing, and then has no time", () => {
    const frame = new Decoder().decode(join(header(1, 1), ecg_card, empty_seed));
    expect(frame.slices[0]).toMatchObject({ form: Form.Seed, n: 0, from: 42, covered: 0 });
  });

  it("reads several cells a sample, sample by sample", () => {
    const two = bytes(
      ["u32", 8], ["u8", 0], ["u8", 1], ["u16", 2], ["u64", 0], ["u32", 2], ["u32", 0],
      ["i64", -5], ["i32", 20], ["f32", 1], ["f32", 2], ["f32", 3], ["f32", 4],
    );
    const frame = new Decoder().decode(join(header(1, 1), imu_card, two));
    expect(frame.cards[0]!.sensor_id).toBe("s-ü");
    expect(frame.slices[0]).toMatchObject({ width: 2, n: 2 });
    expect([...frame.times.subarray(0, 2)]).toEqual([-5, 15]);
    expect([...frame.cells.subarray(0, 4)]).toEqual([1, 2, 3, 4]);
  });

  it("reads text payloads, counted in bytes", () => {
    const frame = new Decoder().decode(join(header(1, 1), ecg_card, text_slice));
    expect(frame.slices[0]!.texts).toEqual(['{"payload":"ü"}']);
    expect(frame.slices[0]!.form).toBe(Form.Latest);
  });
});

describe("what is not a frame of version 1 is refused:", () => {
  const good = join(header(1, 3), ecg_card, seed, raw, digest);
  const with_byte = (at: number, value: number): Uint8Array => {
    const copy = good.slice();
    copy[at] = value;
    return copy;
  };
  const seed_at = 16 + ecg_card.length;

  it("another version", () => expect(kind_of(() => new Decoder().decode(with_byte(0, 2)))).toBe("version"));
  it("flags", () => expect(kind_of(() => new Decoder().decode(with_byte(1, 1)))).toBe("flags"));
  it("an unknown form", () => expect(kind_of(() => new Decoder().decode(with_byte(seed_at + 4, 4)))).toBe("form"));
  it("an unknown cell type", () => expect(kind_of(() => new Decoder().decode(with_byte(seed_at + 5, 2)))).toBe("cell_type"));
  it("a raw slice that covers more than it carries", () =>
    expect(kind_of(() => new Decoder().decode(with_byte(seed_at + 16, 9)))).toBe("covered"));
  it("a count beyond what a number can tell", () =>
    expect(kind_of(() => new Decoder().decode(with_byte(seed_at + 15, 255)))).toBe("range"));
  it("bytes left over", () => expect(kind_of(() => new Decoder().decode(join(good, new Uint8Array(1))))).toBe("leftover"));
  it("text that is not utf-8", () => expect(kind_of(() => new Decoder().decode(with_byte(16 + 10, 0xff)))).toBe("utf8"));
  it("any frame cut short, wherever it is cut", () => {
    for (let n = 0; n < good.length; n++) expect(kind_of(() => new Decoder().decode(good.subarray(0, n)))).toBe("truncated");
  });
  it("and it teaches nothing: cards of a refused frame are not kept", () => {
    const decoder = new Decoder();
    expect(kind_of(() => decoder.decode(join(good, new Uint8Array(1))))).toBe("leftover");
    expect(kind_of(() => decoder.decode(join(header(0, 1), raw)))).toBe("unknown_stream");
  });

  it("whatever the bytes, the error is ours and the next good frame is read", () => {
    // A small generator of our own: the same bytes every time.
    let state = 0x2545f491;
    const random = (n: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % n;
    };
    const refused = new Map<string, number>();
    for (let round = 0; round < 20_000; round++) {
      const decoder = new Decoder();
      const copy = round % 4 === 0 ? new Uint8Array(random(200)).map(() => random(256)) : good.slice();
      if (round % 4 === 0 && copy.length > 0) copy[0] = 1;
      for (let k = random(6); k > 0; k--) if (copy.length > 0) copy[random(copy.length)] = random(256);
      const cut = copy.subarray(0, random(3) === 0 ? random(copy.length + 1) : copy.length);
      const kind = kind_of(() => decoder.decode(cut));
      refused.set(kind, (refused.get(kind) ?? 0) + 1);
      expect(kind_of(() => decoder.decode(good))).toBe("none");
    }
    expect(refused.get("truncated")).toBeGreaterThan(100);
  });
});
