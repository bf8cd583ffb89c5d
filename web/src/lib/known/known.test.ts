import { describe, expect, it } from "vitest";
import { among, read_everybody, read_known } from "./shape";

const anna = {
  user_id: "u1", display_name: "Anna", room_count: 3, rooms: [{ id: "r1", name: "Lab", role: "owner" }, { id: "r2", name: "", role: "king" }, {}], sensor_count: 1,
  sensors: [{ sensor_id: "belt", sensor_name: "", activity_status: "online", attributes: [{ attribute_type: "ecg" }, { attribute_type: "ecg" }, {}] }],
};

describe("whom one may know of", () => {
  it("is read with their rooms and sensors, and what is none is left out", () => {
    const read = {
      user_id: "u1", display_name: "Anna", room_count: 3, rooms: [{ id: "r1", name: "Lab", role: "owner" }, { id: "r2", name: "r2", role: "member" }],
      sensor_count: 1, sensors: [{ sensor_id: "belt", sensor_name: "belt", types: ["ecg"] }],
    };
    expect(read_everybody({ people: [anna, anna, { display_name: "nobody" }, 7], more: true })).toEqual({ people: [read], more: true });
    expect(read_known({ person: anna })).toEqual({ people: [read], more: false });
    expect([read_everybody({}), read_known({ person: null })]).toEqual([null, null]);
  });

  it("is found by their name, their rooms and what they measure", () => {
    const { people } = read_everybody({ people: [anna, { user_id: "u2", display_name: "Bert" }], more: false })!;
    const found = (filter: string): string[] => among(people, filter, (type) => (type === "ecg" ? "ECG" : type)).map(({ display_name }) => display_name);
    expect([found(""), found("lab ANN"), found("ecg"), found("bert lab"), found("be")]).toEqual([["Anna", "Bert"], ["Anna"], ["Anna"], [], ["Anna", "Bert"]]);
  });
});
