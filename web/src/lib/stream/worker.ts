/** The worker: socket, decoder and store in one place, so that the page only ever draws. */

import { Decoder, FrameError, VERSION } from "./decode";
import { decode_group, read_group_event } from "./group";
import { Groups } from "./groups";
import { wall_ms, type Batch, type Lens, type Quality, type Roster, type ToPage, type ToWorker } from "./messages";
import type { AttentionMessage } from "./attention";
import type { Pasts } from "./past";
import { reason_of, ViewerChannel, type Mint, type SocketLike } from "./phoenix";
import { Store } from "./store";

const STATS_MS = 250;
/** A server too busy to take a wish is asked again after this. */
const ASK_AGAIN_MS = 500;

const scope = self as unknown as {
  postMessage(message: ToPage, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};

const store = new Store();
const decoder = new Decoder();
let channel: ViewerChannel | null = null;
let lens: Lens = { viewers_url: "", all: true, turn: 0 };
let bearer: string | null = null;
let quality: Quality = "auto-low";
let attention: AttentionMessage | null = null;
let detail: string | null = null;
let joins = 0;
/** The page has drawn what it was last sent. */
let ready = true;
let spare: Batch | null = null;

const groups = new Groups(
  (event, payload) => channel?.push(event, payload) ?? Promise.resolve({ ok: false, response: { reason: "not_joined" } }),
  (act) => setTimeout(act, ASK_AGAIN_MS),
  (answer) => say({ kind: "group_answer", answer }),
);

function say(message: ToPage, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

async function mint(): Promise<Mint> {
  try {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (bearer !== null) headers["authorization"] = `Bearer ${bearer}`;
    const wishes = { quality, visible: attention?.visible ?? [] };
    const body = JSON.stringify(lens.all ? { sensors: "all", ...wishes } : wishes);
    const answer = await fetch(lens.viewers_url, { method: "POST", headers, body, cache: "no-store" });
    if (answer.status === 401) return { ok: false, why: "denied" };
    // Of a room that is not there, or not for this one to see.
    if (!lens.all && (answer.status === 403 || answer.status === 404)) return { ok: false, why: "absent" };
    if (!answer.ok) return { ok: false, why: "failed" };
    const { topic } = (await answer.json()) as { topic: string };
    return { ok: true, topic };
  } catch {
    return { ok: false, why: "failed" };
  }
}

/** Says what is wanted now, and goes on saying the newest while the server is busy. */
function wish(event: "attention" | "set_quality"): void {
  const payload = event === "attention" ? attention : { quality };
  if (payload === null || channel === null || !channel.is_live) return;
  void channel.push(event, payload).then((reply) => {
    const newest = event === "attention" ? payload === attention : true;
    if (!reply.ok && reason_of(reply) === "busy" && newest) setTimeout(() => wish(event), ASK_AGAIN_MS);
  });
}

function hear_event(event: string, payload: unknown): void {
  if (event === "roster") {
    const roster = payload as Roster;
    if (roster.full) store.keep_only(new Set(roster.sensors.map((sensor) => sensor.sensor_id)));
    else if (roster.gone?.length > 0) store.leave(new Set(roster.gone));
    say({ kind: "roster", roster, turn: lens.turn });
  } else if (event === "quality_changed") {
    const { level, reason, focused = "" } = payload as { level: string; reason: string; focused?: string };
    say({ kind: "quality", granted: { level, reason, focused } });
  } else if (event.startsWith("group_")) {
    const read = read_group_event(event, payload);
    if (read === null) store.refused++;
    else if (groups.wants(read.group)) say({ kind: "group_event", event: read });
  }
}

/** Each stands for itself: after one that cannot be read comes another. */
function hear_group(bytes: Uint8Array): void {
  try {
    const frame = decode_group(bytes);
    if (groups.wants(frame.group)) say({ kind: "group_frame", frame }, [frame.readings.buffer, frame.phases.buffer, frame.why.buffer]);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    store.refused++;
  }
}

function hear_frame(bytes: Uint8Array): void {
  try {
    store.take(decoder.decode(bytes), wall_ms());
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    // What follows cannot be trusted to join on: begin again from seeds.
    store.refused++;
    channel?.begin_again();
    return;
  }
  offer();
}

function offer(): void {
  const cards = store.cards();
  if (cards.length > 0) say({ kind: "cards", cards });
  if (!ready) return;
  const batch = store.batch(spare);
  if (batch === null) return;
  spare = null;
  ready = false;
  say({ kind: "batch", batch }, [batch.index.buffer, batch.times.buffer, batch.low.buffer, batch.high.buffer]);
}

/** What is kept, of whoever goes back there. */
let pasts: Promise<Pasts> | null = null;
function get_pasts(): Promise<Pasts> {
  pasts ??= import("./past").then(({ Pasts }) => new Pasts({
    push: (event, payload) => channel?.push(event, payload) ?? Promise.resolve({ ok: false, response: { reason: "not_joined" } }),
    wait: (ms) => new Promise((done) => setTimeout(done, ms)),
    say: (piece) => say({ kind: "past", piece }, [piece.times.buffer, piece.low.buffer, piece.high.buffer, piece.mean.buffer]),
  }));
  // What could not be loaded is loaded anew the next time.
  pasts.catch(() => (pasts = null));
  return pasts;
}

function start(socket_url: string): void {
  channel = new ViewerChannel(
    socket_url,
    {
      open: (url) => {
        const socket = new WebSocket(url);
        socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
          store.heard(typeof data === "string" ? data.length : data.byteLength, wall_ms());
        });
        return socket as unknown as SocketLike;
      },
      random: Math.random,
      set_timer: (act, ms) => setTimeout(act, ms),
      clear_timer: (timer) => clearTimeout(timer as number),
    },
    {
      mint,
      params: { form: "binary", version: VERSION },
      link: (link) => say({ kind: "link", link, joins }),
      joined: () => {
        joins++;
        decoder.forget();
        store.restart();
        wish("set_quality");
        wish("attention");
        groups.begin_again();
      },
      event: hear_event,
      binary: (event, data) => {
        if (event === "frame") hear_frame(data);
        else if (event === "group") hear_group(data);
      },
    },
  );
  channel.start();
  setInterval(() => {
    const stats = store.stats(wall_ms());
    say({ kind: "stats", stats }, [stats.rows.buffer]);
    const texts = store.texts();
    if (texts.length > 0) say({ kind: "texts", texts });
    if (detail !== null) say({ kind: "detail", sensor_id: detail, rows: store.detail(detail) });
  }, STATS_MS);
}

scope.onmessage = ({ data }) => {
  switch (data.kind) {
    case "start":
      ({ lens, bearer, quality } = data);
      start(data.socket_url);
      break;
    case "bearer":
      bearer = data.bearer;
      channel?.start();
      break;
    case "lens":
      lens = data.lens;
      channel?.anew();
      break;
    case "watch":
      store.watch(data.keys);
      offer();
      break;
    case "detail":
      detail = data.sensor_id;
      if (detail !== null) say({ kind: "detail", sensor_id: detail, rows: store.detail(detail) });
      break;
    case "attention":
      attention = data.message;
      wish("attention");
      break;
    case "quality":
      quality = data.quality;
      wish("set_quality");
      break;
    case "health":
      // Only what is true now is worth saying: what cannot be said is forgotten.
      if (channel?.is_live) {
        void channel.push("client_health", data.report).then((reply) => {
          if (!reply.ok && reason_of(reply) === "invalid_payload") console.warn("client_health was refused", reply.response);
        });
      }
      break;
    case "groups":
      groups.want(data.wishes);
      break;
    case "past":
      // Whoever has never gone back has nothing to take back.
      if (pasts !== null || data.wishes.length > 0) void get_pasts().then((them) => them.want(data.wishes));
      break;
    case "taken":
      ready = true;
      spare = data.spare;
      offer();
      break;
    case "nudge":
      channel?.nudge();
      break;
  }
};
