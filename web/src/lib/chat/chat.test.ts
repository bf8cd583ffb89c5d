import { describe, expect, it } from "vitest";
import type { Said } from "../rooms/line";
import { wall_ms } from "../stream/messages";
import { bytes_over, MESSAGES_MAX, read_message, read_page, with_earlier, with_message } from "./shape";
import { Chat } from "./state.svelte";

const told = (id: string, user_id = "anna", content = id, said_ms = wall_ms()) => ({ id, room_id: "global", role: "user", user_id, user_name: user_id, content, timestamp: said_ms, edited_at: null });
const ids = (chat: Chat): string[] => (chat.messages ?? []).map(({ id }) => id);

/** A channel that answers with what it is given, and remembers what it was asked. */
function channel(answers: Record<string, Said>) {
  const asked: [string, object][] = [];
  return { asked, push: (event: string, payload: object) => (asked.push([event, payload]), Promise.resolve(answers[event] ?? { ok: false as const, reason: "unknown_event", retry_ms: 0 })) };
}
const page = (...messages: object[]): Said => ({ ok: true, response: { messages, more: false } });

describe("a message", () => {
  it("is read with what it is, and what is none is left out", () => {
    const html = "<img src=x onerror=alert(1)>";
    expect(read_message({ ...told("m1", "anna", html, 5), edited_at: 6 })).toEqual({ id: "m1", user_id: "anna", user_name: "anna", content: html, said_ms: 5, edited: true });
    expect([read_message(null), read_message({ content: "x" }), read_message({ id: "m", timestamp: "now" })]).toEqual([null, null, null]);
    expect(read_page({ messages: [told("m1"), 3, told("m1"), told("m2")], more: true })).toMatchObject({ messages: [{ id: "m1" }, { id: "m2" }], more: true });
    expect(read_page({})).toBeNull();
  });

  it("stands once, a changed one where it was, and no more than the server keeps", () => {
    const all = Array.from({ length: MESSAGES_MAX }, (_, k) => read_message(told(`m${k}`))!);
    expect(with_message(all, read_message(told("new"))!).map(({ id }) => id).slice(-2)).toEqual(["m99", "new"]);
    expect(with_message(all, read_message(told("new"))!)).toHaveLength(MESSAGES_MAX);
    expect(with_message(all, { ...all[3]!, content: "other" })[3]!.content).toBe("other");
    expect(with_earlier(all.slice(50), all.slice(40, 60)).map(({ id }) => id).slice(0, 12)).toEqual(all.slice(40, 52).map(({ id }) => id));
  });

  it("is as long as its bytes", () => {
    expect([bytes_over("a".repeat(1_000)), bytes_over("ä".repeat(501)), bytes_over(` ${"a".repeat(990)}\n`)]).toEqual([0, 2, -10]);
  });
});

describe("a place", () => {
  it("is asked for what was said when somebody looks, and counts what they do not see", async () => {
    const chat = new Chat(() => "me");
    const line = channel({ chat_history: page(told("m1"), told("old", "anna", "old", wall_ms() - 25 * 3_600_000)) });
    chat.attach(line);
    expect(line.asked).toEqual([]);
    chat.hear("chat_message", told("m2"));
    chat.hear("chat_message", told("m3", "me"));
    expect(chat.unread).toBe(1);
    chat.look();
    await Promise.resolve().then(() => {});
    await Promise.resolve();
    expect(line.asked).toEqual([["chat_history", { limit: 50 }]]);
    expect(ids(chat)).toEqual(["m1"]);
    expect(chat.unread).toBe(0);
    chat.hear("chat_message", told("m4"));
    expect(chat.heard?.id).toBe("m4");
    chat.hear("chat_message", told("m5", "me"));
    chat.hear("chat_edited", { ...told("m4", "anna", "better"), edited_at: 1 });
    expect(chat.messages?.map(({ content }) => content)).toEqual(["m1", "better", "m5"]);
    chat.hear("chat_deleted", { room_id: "global", ids: ["m1", "m5"] });
    expect(ids(chat)).toEqual(["m4"]);
    chat.detach();
    expect(chat.messages).toBeNull();
  });

  it("says why something was not said", async () => {
    const chat = new Chat(() => "me");
    chat.attach(channel({ chat_message: { ok: false, reason: "too_fast", retry_ms: 800 } }));
    expect(await chat.say("hello")).toBe(false);
    expect(chat.refusal).toEqual({ reason: "too_fast", retry_ms: 800 });
    chat.attach(channel({ chat_message: { ok: true, response: {} } }));
    expect(await chat.say("hello")).toBe(true);
    expect(chat.refusal).toBeNull();
    chat.detach();
    expect(await chat.say("hello")).toBe(false);
  });

  it("knows who types until they have said it, and never oneself", () => {
    const chat = new Chat(() => "me");
    chat.hear("typing", { room_id: "global", user: "anna", name: "Anna" });
    chat.hear("typing", { room_id: "global", user: "anna", name: "Anna" });
    chat.hear("typing", { room_id: "global", user: "me", name: "Me" });
    chat.hear("typing", { user: 3 });
    expect(chat.typists.map(({ name }) => name)).toEqual(["Anna"]);
    chat.hear("chat_message", told("m1"));
    expect(chat.typists).toEqual([]);
  });
});
