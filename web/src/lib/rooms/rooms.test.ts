import { describe, expect, it } from "vitest";
import { Asker } from "../ask";
import { read_user, read_welcome } from "../people/shape";
import { read_past, span_of } from "./past";
import { code_in, read_members, read_mine, read_present, read_room, runs } from "./shape";

const listed = { id: "r1", name: "Choir", description: null, is_public: false, owner_id: "u1", sensor_count: 3, member_count: 2, online_count: 1, sensors: [] };

describe("what the server says of people and rooms", () => {
  it("is read as it is said", () => {
    const user = { id: "u1", email: "anna@example.org", display_name: "Anna", role: "person" };
    expect(read_welcome({ ok: true, token: "sa_1", socket_token: "ss_1", expires_in: 900, user })).toEqual({ user, access: "sa_1", socket: "ss_1", expires_in_s: 900 });
    const sensor = { sensor_id: "anna:ecg", sensor_name: "ECG", activity_status: "online" };
    expect(read_room({ room: { ...listed, role: "admin", sensors: [sensor] } })).toMatchObject({ id: "r1", name: "Choir", role: "admin", sensors: [{ sensor_id: "anna:ecg", sensor_name: "ECG", online: true }] });
    expect(read_mine({ rooms: [listed, { name: "no id" }, listed] })!.map(({ id }) => id)).toEqual(["r1"]);
    expect(read_members({ members: [{ user_id: "u1", display_name: "Anna", role: "owner" }, { user_id: "u2", display_name: null, role: "king" }] })).toEqual([{ user_id: "u1", display_name: "Anna", role: "owner" }]);
    expect(read_present("u1", { metas: [{ display_name: "Anna" }, { display_name: "Anna" }] })).toEqual({ user_id: "u1", display_name: "Anna", tabs: 2 });
  });

  it("is believed only as far as it makes sense", () => {
    for (const wrong of [null, 1, "x", [], {}, { id: "", display_name: "A", role: "person" }, { id: "a", display_name: "A", role: "king" }]) expect(read_user(wrong)).toBeNull();
    for (const wrong of [null, {}, { room: null }, { room: { id: "x".repeat(300) } }]) expect(read_room(wrong)).toBeNull();
    expect(read_room({ room: { ...listed, role: "king" } })!.role).toBeNull();
    expect([read_present("u", {}), read_present("u", { metas: [] }), read_members({ members: "no" })]).toEqual([null, null, null]);
    expect([runs("owner"), runs("admin"), runs("member"), runs("banned"), runs(null)]).toEqual([true, true, false, false, false]);
  });

  it("has a past that is kept for days or hours, or none that could be read", () => {
    const told = { keep_hours: 24, mib_max: 2, sensor_count: 2, problem: "the disk is full" };
    expect(read_room({ room: { ...listed, history: told } })!.past).toEqual(told);
    expect(read_room({ room: { ...listed, history: null } })!.past).toBeNull();
    for (const wrong of [null, [], {}, { keep_hours: "24", mib_max: 2 }, { keep_hours: -1, mib_max: 2 }]) expect(read_past(wrong)).toBeNull();
    expect([1, 24, 36, 48, 50, 168].map((hours) => span_of(hours)).map(({ unit, count }) => `${count} ${unit}`)).toEqual(["1 hours", "24 hours", "36 hours", "2 days", "50 hours", "7 days"]);
  });

  it("has codes that are found in what people paste", () => {
    expect(["k7wm4xpa", " K7WM 4XPA ", "K7WM-4XPA", "http://h:4000/#/join/K7WM4XPA", "https://h/rooms/join/k7wm4xpa/"].map(code_in)).toEqual(["K7WM4XPA", "K7WM4XPA", "K7WM4XPA", "K7WM4XPA", "K7WM4XPA"]);
    for (const none of ["", "abc", "../../x", "<script>", "x".repeat(40)]) expect(code_in(none)).toBe("");
  });
});

describe("a token that has run out", () => {
  const answers = (...statuses: number[]) => {
    const asked: (string | null)[] = [];
    const fetcher = ((_: URL, init: RequestInit) => {
      asked.push((init.headers as Record<string, string>)["authorization"] ?? null);
      return Promise.resolve(new Response('{"ok": true}', { status: statuses.shift()! }));
    }) as unknown as typeof fetch;
    return { asked, fetcher };
  };

  it("is renewed once, and what was asked is asked again with the new one", async () => {
    let token = "old";
    const { asked, fetcher } = answers(401, 200);
    const server = new Asker("http://h/", () => token, fetcher, () => ((token = "new"), Promise.resolve(true)));
    expect((await server.ask("GET", "api/me", () => true)).ok).toBe(true);
    expect(asked).toEqual(["Bearer old", "Bearer new"]);
  });

  it("is refused where there is no other, where the other is refused too, and where a refusal is final", async () => {
    for (const [statuses, renews, once, count] of [[[401], false, false, 1], [[401, 401], true, false, 2], [[401], true, true, 1]] as const) {
      const { asked, fetcher } = answers(...statuses);
      const server = new Asker("http://h/", () => "token", fetcher, () => Promise.resolve(renews));
      const answer = await (once ? server.once("GET", "api/me", () => true) : server.ask("GET", "api/me", () => true));
      expect([answer.ok, asked.length]).toEqual([false, count]);
    }
  });
});
