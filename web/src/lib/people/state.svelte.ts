/**
 * Who is signed in here. Access tokens are kept in this tab only and renewed before they run out; what renews
 * them is a cookie that no script can read, so several tabs renew one after the other.
 */

import { app } from "../app.svelte";
import type { Answer, Fault } from "../ask";
import { fields, number } from "../read";
import { keep, kept } from "../kept";
import type { Bearer } from "../rooms/line";
import { read_me, read_welcome, type User, type Welcome } from "./shape";

const TAB_KEY = "sensocto.session";
/** That somebody is signed in in this browser; who, only the cookie knows. */
const HINT_KEY = "sensocto.signed_in";
const LOCK = "sensocto.session";
/** Renewed when so much of a token's time is over. */
const RENEW_AT = 0.8;
/** A server that does not answer is asked again after this. */
const AGAIN_MS = 10_000;

export type Doing = "sign_in" | "register" | "guest" | "link" | "by_link" | "sign_out" | "everywhere" | "rename" | "password" | "remove";

/** By https, or on this very machine. Else no browser keeps the cookie that renews a session. */
export const IS_PROTECTED = window.isSecureContext;

interface Held extends Welcome {
  /** The page's clock, Unix milliseconds. */
  expires_ms: number;
}

function read_link(value: unknown): { minutes: number; by: "mail" | "log" } | null {
  const given = fields(value);
  const seconds = number(given?.["expires_in"]);
  return seconds === null ? null : { minutes: seconds / 60, by: given?.["by"] === "log" ? "log" : "mail" };
}
const yes = (): true => true;

class PeopleState {
  user = $state.raw<User | null>(null);
  doing = $state<Doing | null>(null);
  /** What was asked last and went wrong. */
  fault = $state.raw<{ doing: Doing; fault: Fault } | null>(null);
  /** Somebody was signed in here, and is not any more, without having asked for it. */
  lost = $state(false);
  /** What socket doors are opened with; changes when somebody comes or goes, not when it is renewed. */
  private held: Held | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private renewing: Promise<boolean> | null = null;

  constructor() {
    app.renew = () => this.renew();
    // A tab that slept past its token's end.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.held !== null && this.held.expires_ms < Date.now()) void this.renew();
    });
  }

  get socket_bearer(): Bearer | null {
    return this.held === null ? null : { token: this.held.socket, until_ms: this.held.expires_ms };
  }

  /** Before anything is asked of the server: whoever was signed in still is. */
  async begin(): Promise<void> {
    const held = read_held(sessionStorage.getItem(TAB_KEY));
    if (held !== null && kept(HINT_KEY) !== null && held.expires_ms > Date.now()) this.take(held, held.expires_ms);
    else if (kept(HINT_KEY) !== null) await this.renew();
  }

  sign_in(email: string, password: string): Promise<boolean> {
    return this.enter("sign_in", "api/auth/sign-in", { email, password });
  }
  /** `display_name` may be empty: then the server finds one. */
  register(email: string, password: string, display_name: string): Promise<boolean> {
    return this.enter("register", "api/auth/register", { email, password, ...named(display_name) });
  }
  guest(display_name: string): Promise<boolean> {
    return this.enter("guest", "api/auth/guest", named(display_name));
  }

  /** By a link that came by mail. */
  by_link(token: string): Promise<boolean> {
    return this.enter("by_link", "api/auth/exchange", { token });
  }
  /** A link is mailed, or said in the server's log, if there is such an account: that is not told. For how many minutes it is good; null: none is. */
  async mail_link(email: string): Promise<{ minutes: number; by: "mail" | "log" } | null> {
    const answer = await this.act("link", () => app.server.ask("POST", "api/auth/magic-link", read_link, { email }));
    return answer.ok ? answer.value : null;
  }

  async sign_out(): Promise<void> {
    const answer = await this.act("sign_out", () => app.server.ask("POST", "api/auth/sign-out", yes, {}));
    // A session that is not known any more is over, too.
    if (answer.ok || answer.fault.kind === "denied") this.forget(false);
  }
  /** How many sessions have ended; null when it could not be done. */
  async sign_out_everywhere(): Promise<number | null> {
    const answer = await this.act("everywhere", () => app.server.ask("POST", "api/auth/sign-out-everywhere", (value) => number(fields(value)?.["sessions_ended"]), {}));
    if (!answer.ok) return null;
    this.forget(false);
    return answer.value;
  }
  async rename(display_name: string): Promise<boolean> {
    const answer = await this.act("rename", () => app.server.ask("PATCH", "api/me", read_me, { display_name }));
    if (answer.ok) this.user = answer.value;
    return answer.ok;
  }
  async change_password(old_password: string, password: string): Promise<boolean> {
    return (await this.act("password", () => app.server.ask("PUT", "api/me/password", yes, { old_password, password }))).ok;
  }
  async remove(): Promise<void> {
    const answer = await this.act("remove", () => app.server.ask("DELETE", "api/me", yes));
    if (answer.ok) this.forget(false);
  }
  forgive(): void {
    this.fault = null;
  }

  private async enter(doing: Doing, path: string, body: object): Promise<boolean> {
    const answer = await this.act(doing, () => app.server.ask("POST", path, read_welcome, body));
    if (answer.ok) this.take(answer.value);
    return answer.ok;
  }

  private async act<T>(doing: Doing, ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    this.doing = doing;
    this.fault = null;
    const answer = await ask();
    this.doing = null;
    if (!answer.ok) this.fault = { doing, fault: answer.fault };
    return answer;
  }

  /** Whether there is a good token now. One question for however many ask. */
  private renew(): Promise<boolean> {
    if (kept(HINT_KEY) === null && this.held === null) return Promise.resolve(false);
    // Where the line is not protected there is neither a lock nor a cookie to share.
    this.renewing ??= (IS_PROTECTED ? navigator.locks.request(LOCK, () => this.ask_renewal()) : this.ask_renewal()).finally(() => (this.renewing = null));
    return this.renewing;
  }

  private async ask_renewal(): Promise<boolean> {
    // Not through the asker: its answer to a refusal is to come here.
    const answer = await app.server.once("POST", "api/auth/refresh", read_welcome, {});
    if (answer.ok) {
      this.take(answer.value);
      return true;
    }
    if (answer.fault.kind === "denied") this.forget(true);
    else this.renew_in(AGAIN_MS);
    return false;
  }

  private take(welcome: Welcome, expires_ms = Date.now() + 1000 * welcome.expires_in_s): void {
    const other = welcome.user.id !== this.user?.id;
    this.held = { ...welcome, expires_ms };
    this.lost = false;
    sessionStorage.setItem(TAB_KEY, JSON.stringify(this.held));
    keep(HINT_KEY, "yes");
    app.be(welcome.access, other);
    this.user = welcome.user;
    this.renew_in((expires_ms - Date.now()) * RENEW_AT);
  }

  private forget(lost: boolean): void {
    clearTimeout(this.timer);
    this.lost = lost && this.user !== null;
    this.held = null;
    sessionStorage.removeItem(TAB_KEY);
    keep(HINT_KEY, null);
    app.be(null, this.user !== null);
    this.user = null;
  }

  private renew_in(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.renew(), Math.max(0, ms));
  }
}

const named = (display_name: string): object => (display_name.trim() === "" ? {} : { display_name: display_name.trim() });

/** What this tab kept; null when it cannot be read. */
function read_held(text: string | null): Held | null {
  try {
    const value = JSON.parse(text ?? "null") as { access?: unknown; socket?: unknown; expires_ms?: unknown } | null;
    const welcome = read_welcome({ ...value, token: value?.access, socket_token: value?.socket, expires_in: 0 });
    const expires_ms = number(value?.expires_ms);
    return welcome === null || expires_ms === null ? null : { ...welcome, expires_ms };
  } catch {
    return null;
  }
}

export const people = new PeopleState();
