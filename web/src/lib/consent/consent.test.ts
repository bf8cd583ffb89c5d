import { describe, expect, it } from "vitest";
import { lookers, means, read_grants, read_private, read_viewers, seen_by, words_of } from "./shape";

const viewer = (user_id: string | null, signals: [string, string[]][], channels = 1) => ({ user_id, display_name: user_id, channels, sensor_count: signals.length, signals: signals.map(([sensor_id, attribute_types]) => ({ sensor_id, attribute_types })) });

describe("who looks", () => {
  const { viewers, more } = read_viewers({ viewers: [viewer("bert", [["belt", ["ecg", "heartrate"]], ["ring", ["spo2"]]], 2), viewer(null, [["ring", ["spo2"]]], 3), { user_id: "x" }, 4], more: true })!;

  it("is read by signal, and what is no viewer is left out", () => {
    expect([viewers.map(({ user_id }) => user_id), more]).toEqual([["bert", null], true]);
    const named = (sensor: string, type: string): (string | null)[] => lookers(viewers, sensor, type).map(({ user_id }) => user_id);
    expect([named("belt", "ecg"), named("ring", "spo2"), named("belt", "spo2"), named("hat", "ecg")]).toEqual([["bert"], ["bert", null], [], []]);
    expect([read_viewers({}), read_private({ private: ["ecg", "", 3, "ecg"] }), read_private(null)]).toEqual([null, ["ecg"], null]);
  });

  it("counts people once and visitors by their tabs", () => {
    expect([seen_by(viewers, ["belt"]), seen_by(viewers, ["belt", "ring"]), seen_by(viewers, ["hat"]), seen_by([], ["belt"])]).toEqual([1, 4, 0, 0]);
  });
});

describe("what is kept and shown", () => {
  const grant = (id: string, of: object) => ({ id, owner_id: "anna", owner_name: "Anna", user_id: null, room_id: null, name: "B", attribute_type: "ecg", sensor_id: null, expires_at: null, ...of });

  it("is to a person or to a room, and a grant to nobody is none", () => {
    const { given, received } = read_grants({ given: [grant("1", { user_id: "bert", expires_at: "2026-12-01T00:00:00Z" }), grant("2", {}), grant("3", { room_id: "lab", sensor_id: "belt", name: null })], received: [] })!;
    expect(given).toEqual([
      { id: "1", owner_name: "Anna", word: "ecg", to: "person", to_id: "bert", name: "B", sensor_id: null, until_ms: Date.UTC(2026, 11, 1) },
      { id: "3", owner_name: "Anna", word: "ecg", to: "room", to_id: "lab", name: null, sensor_id: "belt", until_ms: null },
    ]);
    expect([received, read_grants({ given: [] })]).toEqual([[], null]);
  });

  it("is told by the types of one's signals, and the words that are none of these", () => {
    const sensor = (sensor_id: string, ...types: string[]) => ({ sensor_id, sensor_name: sensor_id, online: true, since_ms: null, signals: types.map((type) => ({ id: `${type}1`, type })) });
    const { given } = read_grants({ given: [grant("1", { user_id: "b", attribute_type: "left_ecg" }), grant("2", { user_id: "b", attribute_type: "any" })], received: [] })!;
    expect(words_of([sensor("a", "spo2", "ecg"), sensor("b", "ecg")], ["any", "gone", "ecg"], given)).toEqual(["ecg", "spo2", "gone", "left_ecg"]);
    expect(["any", "ecg", "ecg1", "hr"].map((word) => means(word, { id: "ecg1", type: "ecg" }))).toEqual([true, true, true, false]);
  });
});
