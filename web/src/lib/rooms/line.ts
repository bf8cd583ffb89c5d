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

/** These pass, or are the line's matter. */
const PASSING = new Set(["hydrating", "timeout", "busy"]);

export class Line {
  private socket: Socket;

  /** `token`: whose channels these are, asked at each connection; null: a visitor's. */
  constructor(token: () => string | null) {
    this.socket = new Socket("/socket", {
      params: () => {
        const mine = token();
        return mine === null ? {} : { token: mine };
      },
      reconnectAfterMs: again_ms,
      rejoinAfterMs: again_ms,
    });
    this.socket.connect();
  }

  /** Open until the answer is called. */
  open(topic: string, events: readonly string[], heard: Heard): () => void {
    const channel = this.socket.channel(topic, {});
    let left = false;
    for (const event of events) channel.on(event, (payload: unknown) => heard.event(event, payload));
    if (heard.present !== undefined) follow(channel, heard.present);
    channel.onClose(() => {
      if (!left) heard.closed();
    });
    channel
      .join()
      .receive("ok", () => heard.joined())
      .receive("error", (response?: { reason?: unknown }) => {
        const reason = String(response?.reason ?? "");
        if (PASSING.has(reason)) return;
        left = true;
        channel.leave();
        heard.refused(reason);
      });
    return () => {
      left = true;
      channel.leave();
    };
  }

  end(): void {
    this.socket.disconnect();
  }
}

function follow(channel: Channel, present: (people: Present[]) => void): void {
  const presence = new Presence(channel);
  presence.onSync(() => {
    const people = presence.list((user_id, value) => read_present(user_id, value));
    present(people.filter((one) => one !== null).sort((a, b) => (a.display_name < b.display_name ? -1 : 1)));
  });
}
