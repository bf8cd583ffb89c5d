/**
 * Rooms: which there are, told by the lobby's channel while they are looked at, and the one that is open, with
 * who is there. Nothing is called done before the server has said so.
 */

import { untrack } from "svelte";
import { app } from "../app.svelte";
import type { Answer, Fault } from "../ask";
import { Chat, CHAT_EVENTS } from "../chat/state.svelte";
import { people } from "../people/state.svelte";
import { fields } from "../read";
import type { Place } from "../route";
import type { Line, Opened } from "./line";
import { read_code, read_listed, read_members, read_mine, read_room, read_rooms, read_ticket, type Listed, type Member, type Present, type RoomInfo, type Wishes } from "./shape";

const LOBBY_EVENTS = ["lobby_state", "room_added", "room_updated", "room_removed", "membership_changed", ...CHAT_EVENTS] as const;
const ROOM_EVENTS = ["room_state", "sensor_added", "sensor_removed", "member_joined", "member_left", "history_changed", "room_closed", ...CHAT_EVENTS] as const;
const IS_CHAT: ReadonlySet<string> = new Set(CHAT_EVENTS);

/** A channel that the server has closed is opened again after this. */
const REOPEN_MS = 1_000;

/** How it stands with the room that is open. */
export type Standing = "none" | "asking" | "here" | "absent" | "closed" | "sent_away";
export type Doing = "create" | "join" | "leave" | "edit" | "remove" | "code" | "renew" | "member" | "sensor" | "keep_past" | "erase_past";

const yes = (): true => true;

class RoomsState {
  /** null before the lobby has told them. */
  mine = $state.raw<Listed[] | null>(null);
  open = $state.raw<Listed[] | null>(null);
  room = $state.raw<RoomInfo | null>(null);
  standing = $state<Standing>("none");
  present = $state.raw<Present[]>([]);
  members = $state.raw<Member[]>([]);
  /** The room's code, for who may invite; asked for when it is shown. */
  code = $state<string | null>(null);
  doing = $state<Doing | null>(null);
  fault = $state.raw<{ doing: Doing; fault: Fault } | null>(null);
  /** What is said in the room that is open, and to everybody in the lobby. */
  readonly chat = new Chat(() => this.whose ?? null);
  readonly house_chat = new Chat(() => this.whose ?? null);

  private line: Promise<Line> | null = null;
  private leave_lobby: (() => void) | null = null;
  private leave_room: (() => void) | null = null;
  private follows_lists = false;
  private id = "";
  /** Whose channels these are. */
  private whose: string | null | undefined = undefined;
  /** Grows with each change of what is followed; answers to before come too late. */
  private turn = 0;

  /** What is looked at, and by whom. `talks`: also what is said there. */
  follow(place: Place, whose: string | null, talks: boolean): void {
    untrack(() => {
      if (whose !== this.whose) this.begin_again(whose);
      const lists = place.view === "rooms" || place.view === "room" || place.view === "join" || (talks && (place.view === "lobby" || place.view === "ecg"));
      this.follows_lists = lists;
      if (lists && this.leave_lobby === null) void this.open_lobby();
      else if (!lists) this.close_lobby();
      const id = place.view === "room" ? place.name : "";
      if (id !== this.id) this.enter(id);
    });
  }

  /** Somebody else: other channels, and other rooms. */
  private begin_again(whose: string | null): void {
    const first = this.whose === undefined;
    this.whose = whose;
    if (first) return;
    const { id } = this;
    this.enter("");
    this.close_lobby();
    this.mine = this.open = null;
    void this.line?.then((line) => line.end());
    this.line = null;
    this.enter(id);
  }

  private get_line(): Promise<Line> {
    this.line ??= import("./line").then(({ Line }) => new Line(() => people.socket_bearer, () => app.renew()));
    return this.line;
  }

  private async open_lobby(): Promise<void> {
    let left = false;
    let opened: Opened | null = null;
    this.leave_lobby = () => {
      left = true;
      opened?.leave();
      this.house_chat.detach();
    };
    const line = await this.get_line();
    if (left) return;
    opened = line.open(`lobby:${this.whose ?? "anonymous"}`, LOBBY_EVENTS, {
      joined: () => !left && this.house_chat.attach(opened!),
      event: (event, payload) => (IS_CHAT.has(event) ? this.house_chat.hear(event, payload) : this.hear_lobby(event, payload)),
      refused: () => (this.mine = this.open = []),
      // The server has let go of it: of a page that slept, say. Nothing is known until it is open again.
      closed: () => {
        if (left) return;
        this.close_lobby();
        setTimeout(() => this.leave_lobby ?? (this.follows_lists && void this.open_lobby()), REOPEN_MS);
      },
    });
  }
  private close_lobby(): void {
    this.leave_lobby?.();
    this.leave_lobby = null;
  }

  private hear_lobby(event: string, payload: unknown): void {
    const given = fields(payload);
    if (event === "lobby_state") {
      this.mine = read_rooms(given?.["my_rooms"]) ?? [];
      this.open = read_rooms(given?.["public_rooms"]) ?? [];
      return;
    }
    if (event === "membership_changed") {
      void this.ask_mine();
      if (given?.["room_id"] === this.id) void this.ask_room();
      return;
    }
    const id = String(given?.["room_id"] ?? given?.["id"] ?? "");
    const listed = event === "room_removed" ? null : read_listed(payload);
    this.open = replaced(this.open, id, listed?.is_public === true ? listed : null, true);
    this.mine = replaced(this.mine, id, listed, listed !== null && listed.owner_id === this.whose);
    // A private one that one may see is one's own, and in which way, the list says.
    if (event === "room_added" && listed?.is_public === false) void this.ask_mine();
    if (id === this.id && event === "room_updated") void this.ask_room();
  }

  private async ask_mine(): Promise<void> {
    const { whose } = this;
    if (whose === null) return;
    const answer = await app.server.ask("GET", "api/rooms", read_mine);
    if (answer.ok && whose === this.whose) this.mine = answer.value;
  }

  /** Opens a room; an empty id closes it. */
  private enter(id: string): void {
    this.turn++;
    this.leave_room?.();
    this.leave_room = null;
    this.id = id;
    this.room = null;
    this.code = null;
    this.present = [];
    this.members = [];
    this.fault = null;
    this.standing = id === "" ? "none" : "asking";
    if (id !== "") void this.ask_room();
  }

  private async ask_room(): Promise<void> {
    const { turn, id } = this;
    // What one does oneself is answered by itself: there may be no room to ask for by now.
    if (this.doing === "remove" || this.doing === "leave") return;
    const answer = await app.server.ask("GET", `api/rooms/${encodeURIComponent(id)}`, read_room);
    if (turn !== this.turn) return;
    if (answer.ok) {
      this.room = answer.value;
      // Who was sent away may see an open room's name all the same.
      if (this.standing === "asking") this.standing = "here";
      if (this.leave_room === null) void this.open_room(id);
      void this.ask_members();
    } else if (answer.fault.kind === "refused" || answer.fault.kind === "denied" || answer.fault.kind === "absent") {
      if (this.standing === "asking") this.standing = "absent";
    } else this.fault = { doing: "join", fault: answer.fault };
  }
  async ask_members(): Promise<void> {
    const { turn, id } = this;
    const answer = await app.server.ask("GET", `api/rooms/${encodeURIComponent(id)}/members`, read_members);
    if (answer.ok && turn === this.turn) this.members = answer.value;
  }

  private async open_room(id: string): Promise<void> {
    const { turn } = this;
    let opened: Opened | null = null;
    let left = false;
    this.leave_room = () => {
      left = true;
      opened?.leave();
      this.chat.detach();
    };
    const line = await this.get_line();
    if (left || turn !== this.turn) return;
    opened = line.open(`room:${id}`, ROOM_EVENTS, {
      joined: () => !left && this.chat.attach(opened!),
      event: (event, payload) => {
        if (turn !== this.turn) return;
        if (IS_CHAT.has(event)) this.chat.hear(event, payload);
        else if (event === "room_closed") this.standing = "closed";
        else if (event !== "room_state") void this.ask_room();
      },
      refused: () => {
        if (turn === this.turn && this.standing === "here") this.standing = "absent";
      },
      // Sent away, or a stranger in what is private now, unless the room itself is gone.
      closed: () => {
        if (turn === this.turn && this.standing === "here") void this.ask_why_closed();
      },
      present: (there) => {
        if (turn === this.turn) this.present = there;
      },
    });
  }

  /** A member whom the server has let go of, because their page did not read, is one still. */
  private async ask_why_closed(): Promise<void> {
    const { turn, id } = this;
    const was = this.doing === "remove" || this.doing === "leave" ? null : (this.room?.role ?? null);
    const answer = was === null ? null : await app.server.ask("GET", `api/rooms/${encodeURIComponent(id)}`, read_room);
    if (turn !== this.turn || this.standing !== "here") return;
    if (answer?.ok !== true || answer.value.role === null || answer.value.role === "banned") {
      this.standing = "sent_away";
      return;
    }
    this.room = answer.value;
    this.leave_room?.();
    setTimeout(() => turn === this.turn && void this.open_room(id), REOPEN_MS);
  }

  /** The new room's id; null when it could not be made. */
  async create(wishes: Wishes): Promise<string | null> {
    const answer = await this.act("create", () => app.server.ask("POST", "api/rooms", read_room, wishes));
    return answer.ok ? answer.value.id : null;
  }
  async join_by_code(code: string): Promise<string | null> {
    const answer = await this.act("join", () => app.server.ask("POST", "api/rooms/join", read_room, { code }));
    if (answer.ok) return answer.value.id;
    if (answer.fault.code !== "already_member") return null;
    // An invitation that is opened once more leads to the room all the same.
    const ticket = await this.act("join", () => app.server.ask("GET", `api/rooms/by-code/${encodeURIComponent(code)}/ticket`, read_ticket));
    return ticket.ok ? ticket.value : null;
  }
  async join(): Promise<void> {
    const answer = await this.act("join", () => this.post("join", read_room));
    if (answer.ok) this.room = answer.value;
  }
  async leave(): Promise<boolean> {
    return (await this.act("leave", () => this.post("leave", yes))).ok;
  }
  async edit(wishes: Wishes): Promise<boolean> {
    const answer = await this.act("edit", () => app.server.ask("PATCH", this.path(), read_room, wishes));
    if (answer.ok) this.room = answer.value;
    return answer.ok;
  }
  async remove(): Promise<boolean> {
    return (await this.act("remove", () => app.server.ask("DELETE", this.path(), yes))).ok;
  }
  async ask_code(): Promise<void> {
    const answer = await this.act("code", () => app.server.ask("GET", this.path("code"), read_code));
    if (answer.ok) this.code = answer.value;
  }
  async renew_code(): Promise<void> {
    const answer = await this.act("renew", () => this.post("code", read_code));
    if (answer.ok) this.code = answer.value;
  }
  async change_member(user_id: string, how: "promote" | "demote" | "pardon" | "kick"): Promise<boolean> {
    const path = `members/${encodeURIComponent(user_id)}`;
    const answer = await this.act("member", () => (how === "kick" ? app.server.ask("DELETE", this.path(path), yes) : this.post(`${path}/${how}`, yes)));
    if (answer.ok) await this.ask_members();
    // Whoever is sent away knows the code: it is another now.
    if (answer.ok && how === "kick" && this.code !== null) await this.ask_code();
    return answer.ok;
  }
  async take_out(sensor_id: string): Promise<void> {
    await this.act("sensor", () => app.server.ask("DELETE", this.path(`sensors/${encodeURIComponent(sensor_id)}`), yes));
    await this.ask_room();
  }
  /** From now on what is measured in the room is kept, so long, and so much of each sensor. */
  async keep_past(keep_hours: number, mib_max: number): Promise<boolean> {
    const answer = await this.act("keep_past", () => app.server.ask("PUT", this.path("history"), yes, { keep_hours, mib_max }));
    if (answer.ok) await this.ask_room();
    return answer.ok;
  }
  /** What was kept is gone when this says so. */
  async erase_past(): Promise<boolean> {
    const answer = await this.act("erase_past", () => app.server.ask("DELETE", this.path("history"), yes));
    if (answer.ok) await this.ask_room();
    return answer.ok;
  }
  /** Puts sensors into one of the rooms. How many came in; those that are there already count. */
  async put_into(room_id: string, sensor_ids: readonly string[]): Promise<number> {
    let count = 0;
    for (const sensor_id of sensor_ids) {
      const answer = await this.act("sensor", () => app.server.ask("PUT", `api/rooms/${encodeURIComponent(room_id)}/sensors/${encodeURIComponent(sensor_id)}`, yes));
      if (answer.ok || answer.fault.code === "already_added") count++;
      else if (answer.fault.kind !== "refused") break;
    }
    return count;
  }
  /** The rooms of whoever asks, also where no lobby is open. */
  async my_rooms(): Promise<Listed[]> {
    const answer = await app.server.ask("GET", "api/rooms", read_mine);
    return answer.ok ? answer.value : [];
  }
  forgive(): void {
    this.fault = null;
  }
  /** What went wrong with the room's past, which says so itself. */
  readonly past_fault = $derived(this.fault !== null && this.fault.doing.endsWith("_past") ? this.fault.fault : null);

  private path(of = ""): string {
    return `api/rooms/${encodeURIComponent(this.id)}${of === "" ? "" : `/${of}`}`;
  }
  private post<T>(of: string, read: (value: unknown) => T | null): Promise<Answer<T>> {
    return app.server.ask("POST", this.path(of), read, {});
  }
  private async act<T>(doing: Doing, ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    this.doing = doing;
    this.fault = null;
    const answer = await ask();
    this.doing = null;
    if (!answer.ok) this.fault = { doing, fault: answer.fault };
    return answer;
  }
}

/** The same list with this room as it is now: in its place, or first where it is new and belongs here. */
function replaced(rooms: Listed[] | null, id: string, now: Listed | null, takes_new: boolean): Listed[] | null {
  if (rooms === null) return null;
  if (now === null) return rooms.filter((room) => room.id !== id);
  if (rooms.some((room) => room.id === id)) return rooms.map((room) => (room.id === id ? now : room));
  return takes_new ? [now, ...rooms] : rooms;
}

export const rooms = new RoomsState();
