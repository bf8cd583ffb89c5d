/** The line to the channels of rooms and lobbies, by Phoenix's own client; fetched with the first room. */

import { Presence, Socket, type Channel } from "phoenix";
import { read_present, type Present } from "./shape";

/** A crowd that comes back spreads. */
const again_ms = (tries: number): number => Math.min(10_000, 250 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2);

export interface Heard {
  /** The channel is open, or was opened again. */
  joined(): void;
  event(event: string, payload: unknown): void;
  /** Refused, and why. It is not asked for again. */
  refused(reason: string): void;
  /** The server has let go of this channel. */
  closed(): void;
  /** Who is there, where presence is told. */
  present?(people: Present[]): void;
}

/** What was said to a channel's push; `retry_ms` is 0 where the server names no time. */
export type Said = { ok: true; response: unknown } | { ok: false; reason: string; retry_ms: number };

export interface Opened {
  leave(): void;
  push(event: string, payload: object): Promise<Said>;
}

/** Whose a line is: a token, good until then by the page's clock (Unix ms). */
export interface Bearer {
  token: string;
  until_ms: number;
}

/** These pass, or are the line's matter. */
const PASSING = new Set(["hydrating", "timeout", "busy"]);

export class Line {
  private socket: Socket;
  private bearer: () => Bearer | null;
  private renew: () => Promise<boolean>;
  private renewing: Promise<boolean> | null = null;

  /**
   * `bearer`: whose channels these are, asked at each connection; null: a visitor's. `renew` gets another token, where one is
   * over: a line that comes back after a laptop's sleep would be a visitor's otherwise.
   */
  constructor(bearer: () => Bearer | null, renew: () => Promise<boolean>, transport?: new (url: string) => object) {
    this.bearer = bearer;
    this.renew = renew;
    let is_over = false;
    this.socket = new Socket("/socket", {
      params: () => {
        const mine = bearer();
        is_over = mine !== null && mine.until_ms <= Date.now();
        return mine === null ? {} : { token: mine.token };
      },
      reconnectAfterMs: again_ms,
      rejoinAfterMs: again_ms,
      ...(transport === undefined ? {} : { transport }),
    });
    this.socket.onOpen(() => {
      if (is_over) void this.begin_again();
    });
    this.socket.connect();
  }

  /** As whoever this is by now, with a token that is good; false where there is none. One renewal for however many ask. */
  private begin_again(): Promise<boolean> {
    this.renewing ??= this.renew()
      .then((renewed) => {
        if (renewed) this.socket.disconnect(() => this.socket.connect());
        return renewed;
      })
      .finally(() => (this.renewing = null));
    return this.renewing;
  }

  /** Open until it is left. */
  open(topic: string, events: readonly string[], heard: Heard): Opened {
    const channel = this.socket.channel(topic, {});
    let left = false;
    for (const event of events) channel.on(event, (payload: unknown) => heard.event(event, payload));
    if (heard.present !== undefined) follow(channel, heard.present);
    channel.onClose(() => {
      if (!left) heard.closed();
    });
    let renewed = false;
    const refuse = (reason: string): void => {
      if (left) return;
      left = true;
      channel.leave();
      heard.refused(reason);
    };
    channel
      .join()
      .receive("ok", () => {
        renewed = false;
        heard.joined();
      })
      .receive("error", (response?: { reason?: unknown }) => {
        const reason = String(response?.reason ?? "");
        if (PASSING.has(reason)) return;
        // Perhaps only the token is over; the channel is joined again with the next one.
        if (reason !== "unauthorized" || renewed || this.bearer() === null) return refuse(reason);
        renewed = true;
        void this.begin_again().then((good) => good || refuse(reason));
      });
    return {
      leave: () => {
        left = true;
        channel.leave();
      },
      push: (event, payload) => said_to(channel, event, payload),
    };
  }

  end(): void {
    this.socket.disconnect();
  }
}

function said_to(channel: Channel, event: string, payload: object): Promise<Said> {
  return new Promise((done) => {
    channel
      .push(event, payload)
      .receive("ok", (response: unknown) => done({ ok: true, response }))
      .receive("error", (response?: { reason?: unknown; retry_after_ms?: unknown }) => {
        const { reason, retry_after_ms } = response ?? {};
        done({ ok: false, reason: String(reason ?? ""), retry_ms: typeof retry_after_ms === "number" ? retry_after_ms : 0 });
      })
      .receive("timeout", () => done({ ok: false, reason: "timeout", retry_ms: 0 }));
  });
}

function follow(channel: Channel, present: (people: Present[]) => void): void {
  const presence = new Presence(channel);
  presence.onSync(() => {
    const people = presence.list((user_id, value) => read_present(user_id, value));
    present(people.filter((one) => one !== null).sort((a, b) => (a.display_name < b.display_name ? -1 : 1)));
  });
}
