import { describe, expect, it } from "vitest";
import { Form, type Card, type Frame, type Slice } from "./decode";
import { Hub, type WorkerLike } from "./hub";
import { Row, ROW_COLUMNS, type ToPage, type ToWorker } from "./messages";
import { ClockOffset, Sliding, Store } from "./store";

const T = 1_700_000_000_000;
const card: Card = { id: 7, width: 1, rate_hz: 250, sensor_id: "s", attribute_id: "ecg", attribute_type: "ecg", shape: "\u0001" };

type Part = Partial<Slice> & { form: Form; from: number; samples: [t: number, v: number][]; texts?: string[] };

function frame(cards: Card[], parts: Part[], server_ms = T): Frame {
  const times: number[] = [], cells: number[] = [];
  const slices = parts.map(({ samples, ...part }): Slice => {
    const slice = {
      id: 7, width: part.texts ? 0 : 1, n: samples.length, covered: samples.length, missed: 0, count: 0, numeric: false,
      avg: NaN, min: NaN, max: NaN, texts: null, ...part, times_at: times.length, cells_at: cells.length,
    };
    for (const [t, v] of samples) {
      times.push(t);
      if (!part.texts) cells.push(v);
    }
    return slice;
  });
  return { server_ms, cards, slices, n_slices: slices.length, times: new Float64Array(times), cells: new Float64Array(cells) };
}

const run = (from: number, n: number): [number, number][] => Array.from({ length: n }, (_, k) => [T + (from + k) * 4, from + k]);

/** A store and a page joined without a worker between them. */
function pair() {
  const store = new Store();
  const worker: WorkerLike = { postMessage: () => {}, onmessage: null };
  const hub = new Hub(worker);
  const say = (data: ToPage): void => worker.onmessage!({ data } as MessageEvent<ToPage>);
  worker.postMessage = (message: ToWorker) => {
    if (message.kind === "watch") store.watch(message.keys);
  };
  return {
    store,
    hub,
    /** What the worker does after a frame and the page on its next. */
    pass(): void {
      const cards = store.cards();
      if (cards.length > 0) say({ kind: "cards", cards });
      const batch = store.batch(null);
      if (batch !== null) say({ kind: "batch", batch });
      hub.read();
    },
    values(): number[] {
      const ring = hub.stream("s", "ecg")?.ring;
      return ring ? Array.from({ length: ring.length }, (_, k) => ring.low_at(ring.first + k)) : [];
    },
  };
}

describe("from frame to page", () => {
  it("every sample arrives once, seed first, whether watched before or after it came", async () => {
    const p = pair();
    p.store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 5) }]), T);
    p.hub.watch("s", "ecg");
    await Promise.resolve();
    p.pass();
    p.store.take(frame([], [{ form: Form.Raw, from: 5, samples: run(5, 3) }]), T);
    p.pass();
    p.store.take(frame([], [{ form: Form.Raw, from: 8, samples: run(8, 2) }]), T);
    p.store.take(frame([], [{ form: Form.Raw, from: 10, samples: run(10, 1) }]), T);
    p.pass();
    expect(p.values()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(p.store.stats(T)).toMatchObject({ gaps: 0, duplicates: 0, missed: 0 });
  });

  it("only what is watched is sent", () => {
    const p = pair();
    p.store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 5) }]), T);
    expect(p.store.batch(null)).toBe(null);
  });

  it("a digest is two extremes, until a seed tells that time in full", async () => {
    const p = pair();
    p.hub.watch("s", "ecg");
    await Promise.resolve();
    p.store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 2) }]), T);
    p.store.take(
      frame([], [{ form: Form.Digest, from: 2, covered: 8, count: 8, numeric: true, min: -5, max: 9, avg: 1, samples: [[T + 36, 3]] }]), T,
    );
    p.pass();
    const ring = p.hub.stream("s", "ecg")!.ring!;
    expect([ring.length, ring.low_at(2), ring.high_at(2)]).toEqual([3, -5, 9]);
    p.store.restart();
    p.store.take(frame([card], [{ form: Form.Seed, from: 1, samples: run(1, 9) }]), T);
    p.pass();
    expect(p.values()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(p.store.stats(T)).toMatchObject({ gaps: 0, duplicates: 0 });
  });

  it("a seed in pieces is one past, also where the device's clock steps back", async () => {
    const p = pair();
    p.hub.watch("s", "ecg");
    await Promise.resolve();
    p.store.take(
      frame([card], [
        { form: Form.Seed, from: 0, samples: run(10, 3) },
        { form: Form.Seed, from: 3, samples: run(5, 2) },
      ]), T,
    );
    p.pass();
    expect(p.values()).toEqual([10, 11, 12, 5, 6]);
    expect(p.store.stats(T)).toMatchObject({ gaps: 0, duplicates: 0 });
  });

  it("a body is held whole while it is drawn, within a bound, and not otherwise", async () => {
    const { store, hub, pass } = pair();
    const wide: Card = { ...card, width: 132, rate_hz: 30, attribute_id: "pose", attribute_type: "skeleton", shape: `[${Array(132).fill("\u0001").join(",")}]` };
    const pose = (from: number): Frame => ({
      server_ms: T, n_slices: 1, cards: from === 0 ? [wide] : [], times: new Float64Array([T + 33 * from]), cells: Float64Array.from({ length: 132 }, (_, cell) => from + cell / 1_000),
      slices: [{ id: 7, width: 132, form: Form.Raw, from, n: 1, covered: 1, missed: 0, count: 0, numeric: false, avg: NaN, min: NaN, max: NaN, texts: null, times_at: 0, cells_at: 0 }],
    });
    store.take(pose(0), T);
    pass();
    expect(hub.stream("s", "pose")!.card.lanes).toBe(132);
    const release = hub.watch("s", "pose");
    await Promise.resolve();
    for (let k = 1; k <= 600; k++) store.take(pose(k), T + 33 * k);
    pass();
    const ring = hub.stream("s", "pose")!.ring!;
    expect([ring.lanes, ring.capacity, ring.length, ring.drawn_lanes]).toEqual([132, 496, 496, 6]);
    expect(ring.low_at(ring.total - 1, 131)).toBeCloseTo(600.131, 3);
    release();
    await Promise.resolve();
    hub.watch("s", "pose");
    await Promise.resolve();
    store.take(pose(601), T + 33 * 601);
    pass();
    expect(hub.stream("s", "pose")!.ring!.length).toBe(1);
  });

  it("a sensor that restarts goes on in the same strip under its new stream", async () => {
    const p = pair();
    p.hub.watch("s", "ecg");
    await Promise.resolve();
    p.store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 2) }]), T);
    p.pass();
    p.store.take(
      frame([{ ...card, id: 8 }], [
        { id: 8, form: Form.Seed, from: 0, samples: [] },
        { id: 8, form: Form.Raw, from: 0, samples: run(50, 1) },
      ]), T,
    );
    p.pass();
    expect(p.values()).toEqual([0, 1, 50]);
    expect(p.store.stats(T)).toMatchObject({ gaps: 0, duplicates: 0 });
  });

  it("counts a second's samples, and does not count the past as received", () => {
    const store = new Store();
    store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 500) }]), T);
    for (let k = 0; k < 20; k++) store.take(frame([], [{ form: Form.Raw, from: 500 + k * 25, samples: run(500 + k * 25, 25) }]), T + k * 100);
    const rows = store.stats(T + 2_000).rows;
    expect(rows.length).toBe(ROW_COLUMNS);
    expect(rows[Row.per_s]).toBe(250);
    expect(rows[Row.value]).toBe(999);
    expect(store.stats(T + 10_000).rows[Row.per_s]).toBe(0);
  });

  it("keeps the words of a stream without numbers", () => {
    const store = new Store();
    store.take(frame([{ ...card, width: 0, shape: "" }], [{ form: Form.Latest, from: 0, samples: [[T, 0]], texts: ['{"payload":"hi"}'] }]), T);
    expect(store.detail("s")).toEqual([{ attribute_id: "ecg", at_ms: T, payload: '{"payload":"hi"}' }]);
    store.watch(["s\u0000ecg"]);
    expect(store.texts()).toEqual([[0, '{"payload":"hi"}']]);
    expect(store.texts()).toEqual([]);
  });

  it("forgets the samples of who has left, and takes them back when they return", async () => {
    const p = pair();
    p.hub.watch("s", "ecg");
    await Promise.resolve();
    p.store.take(frame([card], [{ form: Form.Seed, from: 0, samples: run(0, 2) }]), T);
    p.store.leave(new Set(["s"]));
    expect(p.store.detail("s")).toEqual([]);
    p.store.take(frame([card], [{ form: Form.Seed, from: 2, samples: run(2, 3) }]), T);
    p.pass();
    expect(p.values()).toEqual([2, 3, 4]);
  });
});

describe("clocks", () => {
  it("a frame can be late but not early: the least difference is the clock's", () => {
    const clock = new ClockOffset();
    clock.observe(1_000, 400);
    clock.observe(2_000, 1_450);
    clock.observe(3_000, 2_300);
    expect(clock.ms).toBe(550);
  });
  it("a sliding second slides", () => {
    const sliding = new Sliding();
    for (let t = 0; t < 2_000; t += 4) sliding.add(1, t);
    expect(sliding.per_s(2_000)).toBe(250);
    expect(sliding.per_s(2_500)).toBe(125);
    expect(sliding.per_s(9_000)).toBe(0);
  });
});
