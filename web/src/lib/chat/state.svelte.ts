/**
 * What is said in a place, and by whom something is being typed there: the room's in a room, everybody's in the
 * lobby. The channels are the rooms' (`lib/rooms/state`); history is asked for once somebody looks.
 */

import type { Opened, Said } from "../rooms/line";
import { fields, name, text } from "../read";
import { wall_ms } from "../stream/messages";
import { MESSAGE_MS, PAGE, read_gone, read_message, read_page, with_earlier, with_message, type Message } from "./shape";

export const CHAT_EVENTS = ["chat_message", "chat_edited", "chat_deleted", "typing"] as const;
/** Who types is shown for so long. */
const TYPING_SHOWN_MS = 3_000;
/** And told so often at most: it costs a fifth of a message. */
const TYPING_EVERY_MS = 2_000;
/** Names that fit one line; more are not kept. */
const TYPISTS_MAX = 20;

export interface Typist {
  user_id: string;
  name: string;
  until_ms: number;
}

/** What the server said no to, and after how long it may say yes; 0: it does not say. */
export interface Refusal {
  reason: string;
  retry_ms: number;
}

export class Chat {
  /** The oldest first; null: not known yet. */
  messages = $state.raw<Message[] | null>(null);
  /** There is more before the first. */
  more = $state(false);
  typists = $state.raw<Typist[]>([]);
  /** Of others, since somebody last looked. */
  unread = $state(0);
  refusal = $state.raw<Refusal | null>(null);
  /** The newest of somebody else while one looks, for who hears it. */
  heard = $state.raw<Message | null>(null);
  private channel: Pick<Opened, "push"> | null = null;
  private looked = false;
  private typed_ms = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private whose: () => string | null;

  /** `whose`: who reads here. */
  constructor(whose: () => string | null) {
    this.whose = whose;
  }

  /** The channel is open, or open again: what was said meanwhile is asked for. */
  attach(channel: Pick<Opened, "push">): void {
    this.channel = channel;
    if (this.looked) void this.ask();
    else this.messages = null;
  }

  /** Another place, or none. */
  detach(): void {
    this.channel = null;
    this.messages = null;
    this.more = false;
    this.typists = [];
    this.unread = 0;
    this.refusal = null;
    this.heard = null;
  }

  look(): void {
    this.looked = true;
    this.unread = 0;
    if (this.messages === null) void this.ask();
  }
  look_away(): void {
    this.looked = false;
    this.heard = null;
  }

  hear(event: string, payload: unknown): void {
    const mine = this.whose();
    if (event === "typing") return this.hear_typing(payload, mine);
    if (event === "chat_deleted") {
      const gone = new Set(read_gone(payload));
      if (this.messages !== null) this.messages = this.messages.filter(({ id }) => !gone.has(id));
      return;
    }
    const message = read_message(payload);
    if (message === null) return;
    const is_new = event === "chat_message" && message.user_id !== mine;
    if (is_new && !this.looked) this.unread++;
    if (is_new && this.looked) this.heard = message;
    if (is_new) this.typists = this.typists.filter(({ user_id }) => user_id !== message.user_id);
    if (this.messages !== null) this.messages = this.of_today(with_message(this.messages, message));
  }

  private hear_typing(payload: unknown, mine: string | null): void {
    const given = fields(payload);
    const user_id = name(given?.["user"]);
    if (user_id === null || user_id === mine) return;
    const others = this.typists.filter((one) => one.user_id !== user_id);
    this.typists = [...others, { user_id, name: text(given?.["name"]), until_ms: wall_ms() + TYPING_SHOWN_MS }].slice(-TYPISTS_MAX);
    this.fade_later();
  }
  private fade_later(): void {
    clearTimeout(this.timer);
    const first = Math.min(...this.typists.map(({ until_ms }) => until_ms));
    if (!Number.isFinite(first)) return;
    this.timer = setTimeout(() => {
      const now = wall_ms();
      this.typists = this.typists.filter(({ until_ms }) => until_ms > now);
      this.fade_later();
    }, Math.max(50, first - wall_ms()));
  }

  /** Whether it was said; if not, `refusal` says why. */
  say(content: string): Promise<boolean> {
    this.typed_ms = -Infinity;
    return this.act("chat_message", { content });
  }
  edit(id: string, content: string): Promise<boolean> {
    return this.act("chat_edit", { id, content });
  }
  take_back(id: string): Promise<boolean> {
    return this.act("chat_delete", { id });
  }
  types(): void {
    const now = wall_ms();
    if (this.channel === null || now - this.typed_ms < TYPING_EVERY_MS) return;
    this.typed_ms = now;
    void this.channel.push("typing", {});
  }
  forgive(): void {
    this.refusal = null;
  }

  async ask_earlier(): Promise<void> {
    const { channel, messages } = this;
    const first = messages?.[0];
    if (channel === null || first === undefined) return;
    const said = await channel.push("chat_history", { limit: PAGE, before: first.id });
    if (channel !== this.channel || this.messages === null) return;
    const page = said.ok ? read_page(said.response) : null;
    if (page === null) return this.refuse(said);
    this.messages = with_earlier(this.messages, page.messages);
    this.more = page.more;
  }

  private async ask(): Promise<void> {
    const { channel } = this;
    if (channel === null) return;
    const said = await channel.push("chat_history", { limit: PAGE });
    if (channel !== this.channel) return;
    const page = said.ok ? read_page(said.response) : null;
    if (page === null) return this.refuse(said);
    this.messages = this.of_today(page.messages);
    this.more = page.more;
  }

  private async act(event: string, payload: object): Promise<boolean> {
    this.refusal = null;
    const { channel } = this;
    const said: Said = channel === null ? { ok: false, reason: "timeout", retry_ms: 0 } : await channel.push(event, payload);
    if (!said.ok && channel === this.channel) this.refuse(said);
    return said.ok;
  }

  private refuse(said: Said): void {
    this.refusal = said.ok ? { reason: "malformed", retry_ms: 0 } : { reason: said.reason, retry_ms: said.retry_ms };
  }

  private of_today(messages: Message[]): Message[] {
    const from = wall_ms() - MESSAGE_MS;
    return messages.filter(({ said_ms }) => said_ms > from);
  }
}
