import { value_caption } from "./strings";
import { describe, expect, it } from "vitest";
import { BACKGROUND, contrast, SERIES, type Theme } from "./draw/palette";
import { Hues, in_order, matches, trace_attribute, value_attribute } from "./roster";
import { cell_names, payload_text } from "./stream/shape";
import { FrameLoop } from "./stream/frame";
import type { RosterSensor } from "./stream/messages";
import { age_text, count_text, number_text, payload_words, rate_text } from "./strings";
import { HASH, hash_of, place_of, view_of } from "./route";
import { walk } from "./walk";

function sensor(sensor_name: string, sensor_type: string, types: string[]): RosterSensor {
  return {
    sensor_id: sensor_name, sensor_name, sensor_type, connector_id: null, connector_name: null, level: "low",
    attributes: types.map((type) => ({ attribute_id: type, attribute_type: type, sampling_rate: 1 })),
  };
}

describe("the page", () => {
  it.each(["dark", "light", "contrast"] as Theme[])("draws every trace at 3:1 or more in the %s theme", (theme) => {
    for (const colour of SERIES[theme]) expect(contrast(colour, BACKGROUND[theme])).toBeGreaterThanOrEqual(3);
  });

  it("reads the heart rate and draws the ECG", () => {
    const anna = sensor("Anna", "ecg", ["battery", "heartrate", "ecg"]);
    expect(trace_attribute(anna)?.attribute_id).toBe("ecg");
    expect(value_attribute(anna)?.attribute_id).toBe("heartrate");
    expect(trace_attribute(sensor("None", "x", []))).toBeUndefined();
  });

  it("sorts as people count and finds every word", () => {
    const sensors = [sensor("Bed 10", "ecg", []), sensor("Bed 9", "ecg", []), sensor("Air", "temperature", [])];
    expect(in_order(sensors, "name").map((s) => s.sensor_name)).toEqual(["Air", "Bed 9", "Bed 10"]);
    expect(in_order(sensors, "type").map((s) => s.sensor_name)).toEqual(["Bed 9", "Bed 10", "Air"]);
    expect(sensors.filter((s) => matches(s, " ECG  9 ")).length).toBe(1);
  });

  it("gives the first seven people a colour each, and lets them keep it", () => {
    const hues = new Hues();
    const people = ["p10", "p2", "p1"].map((id) => ({ ...sensor(id, "ecg", []), connector_id: id }));
    hues.meet(people);
    expect(["p1", "p2", "p10"].map((id) => hues.of(id))).toEqual([0, 1, 2]);
    hues.meet([{ ...people[0]!, connector_id: "p0" }]);
    expect([hues.of("p1"), hues.of("p0")]).toEqual([0, 3]);
  });

  it("has an address for each view, and finds it again", () => {
    for (const view of ["lobby", "ecg", "rooms", "account", "device", "people", "together", "simulator", "system", "settings", "about"] as const) expect(view_of(HASH[view])).toBe(view);
    for (const place of [{ view: "room", name: "c0ffee" }, { view: "join", name: "K7 / WM?" }, { view: "sensor", name: "person-01:ecg/left#2" }, { view: "people", name: "guest_1" }] as const) expect(place_of(hash_of(place))).toEqual(place);
    expect([place_of("#/room"), place_of("#/join/"), place_of("#/room/a%"), place_of(`#/room/${"a".repeat(300)}`), place_of("#/system/x"), place_of("#/room/ab?v=1")]).toEqual([
      { view: "rooms", name: "" }, { view: "rooms", name: "" }, { view: "rooms", name: "" }, { view: "rooms", name: "" }, { view: "lobby", name: "" }, { view: "room", name: "ab" },
    ]);
    expect([view_of(""), view_of("#"), view_of("#ecg"), view_of("#/nothing"), view_of("#/simulator/"), view_of("#/constructor")]).toEqual(["lobby", "lobby", "ecg", "lobby", "simulator", "lobby"]);
  });

  it("walks a grid without falling off it", () => {
    expect(walk("ArrowDown", 1, 7, 3)).toBe(4);
    expect(walk("ArrowDown", 5, 7, 3)).toBe(5);
    expect(walk("ArrowUp", 1, 7, 3)).toBe(1);
    expect(walk("ArrowRight", 6, 7, 3)).toBe(6);
    expect(walk("End", 0, 7, 3)).toBe(6);
    expect(walk("x", 0, 7, 3)).toBe(null);
  });

  it("names cells as the payload does and gives the payload back", () => {
    const shape = '{"a":{"x":\u0001,"y":[\u0001,\u0001]},"s":"text"}';
    expect(cell_names(shape, 3)).toEqual(["a.x", "a.y.0", "a.y.1"]);
    expect(cell_names("\u0001", 1)).toEqual([""]);
    expect(cell_names("not json", 2)).toEqual(["", ""]);
    expect(payload_text(shape, [0, 1, NaN, 3], 1)).toBe('{"a":{"x":1,"y":[null,3]},"s":"text"}');
  });

  it("writes numbers that keep their width", () => {
    expect([number_text(71.6, "heartrate"), number_text(1.234), number_text(33.44), number_text(NaN), number_text(-0.001)]).toEqual(["72", "1.23", "33.4", "–", "0.00"]);
    expect([count_text(24_500), count_text(0.2), count_text(0)]).toEqual(["24,500", "0.2", "0"]);
    expect([rate_text(13_055.2), rate_text(6.8), rate_text(0.05), rate_text(0)]).toEqual(["13,055", "6.8", "0.05", "0"]);
    expect([age_text(240), age_text(12_300), age_text(180_000), age_text(-5)]).toEqual(["0.2 s", "12 s", "3 min", "0.0 s"]);
    expect(payload_words('{"payload":{"title":"Xtal","n":2}}')).toBe("title: Xtal\nn: 2");
  });

  it("reads before it draws, and stops asking for frames when no one needs them", () => {
    const asked: ((now: number) => void)[] = [];
    const loop = new FrameLoop((act) => asked.push(act), () => 0);
    const did: string[] = [];
    const stop_draw = loop.add("draw", () => did.push("draw"));
    const stop_read = loop.add("read", () => did.push("read"));
    expect(asked.length).toBe(1);
    asked.shift()!(16);
    expect(did).toEqual(["read", "draw"]);
    stop_draw();
    stop_read();
    asked.shift()!(32);
    expect(asked.length).toBe(0);
    loop.add("draw", () => {});
    expect(asked.length).toBe(1);
  });
});

it("a number is told by its unit, its own name, or what its device measures", () => {
  expect(value_caption("ecg", "ecg", "")).toBe("mV");
  expect(value_caption("imu", "imu", "accelerometer.x")).toBe("x, m/s²");
  expect(value_caption("eye_gaze", "eye_gaze", "x")).toBe("x");
  expect(value_caption("battery", "battery", "level")).toBe("%");
  expect(value_caption("numeric", "ph", "")).toBe("pH");
  expect(value_caption("numeric", "fish_count", "")).toBe("Fish count");
});
