/**
 * A server that speaks docs/wire.md 2.1 to 2.6, the simulator's interface and `/api/system`, with made-up hearts: for tests of
 * the page alone (losing the line, refusing a token, a hundred strips), and for working on it without
 * building the rest. Samples are functions of their number, so nothing is kept and nothing can be lost.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { WebSocketServer } from "ws";
import { MockGroup } from "./mock-group.mjs";
import { MockSessions } from "./mock-sessions.mjs";
import { MockSimulator } from "./mock-simulator.mjs";
import { MockSystem } from "./mock-system.mjs";

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";
const MIME = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const FLUSH_MS = { high: 32, medium: 64, low: 100, minimal: 200 };
const SEED_MS = 10_000;
const CELL = "\u0001";

const beat = (phase) => {
  const bump = (at, width, height) => height * Math.exp(-(((phase - at) / width) ** 2));
  return bump(0.18, 0.025, 0.14) + bump(0.29, 0.008, -0.12) + bump(0.31, 0.009, 1.15) + bump(0.335, 0.01, -0.22) + bump(0.55, 0.05, 0.27);
};
const noise = (i) => ((Math.imul(i ^ 0x9e3779b9, 0x85ebca6b) >>> 8) / 2 ** 24 - 0.5) * 0.03;

const NAMES = ["Anna", "Beat", "Chiara", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Luca"];

/** Arms out to both sides, standing: x, y and visibility of 33 landmarks. The left foot is a guess. */
const CROSS = [];
for (let k = 0; k < 33; k++) {
  const left = k % 2 === 1;
  const side = (x) => (left ? 0.5 + x : 0.5 - x);
  const [x, y] = k < 11 ? [k === 0 ? 0.5 : side(0.02), 0.12] : k < 13 ? [side(0.1), 0.25] : k < 15 ? [side(0.25), 0.25] : k < 23 ? [side(0.4), 0.25] : k < 25 ? [side(0.08), 0.55] : k < 27 ? [side(0.08), 0.75] : [side(0.08), 0.95];
  CROSS.push(x, y, k >= 27 && left ? 0.3 : 0.9);
}

function room({ ecgs, others, places, gazes, poses }) {
  const sensors = [];
  let id = 1;
  const attribute = (attribute_id, attribute_type, rate, shape, width, cells, text) => ({
    stream: id++, attribute_id, attribute_type, rate, shape, width, cells, text,
  });
  const sensor = (k, name, type, person, attributes) =>
    sensors.push({
      sensor_id: `${type}-${k}`, sensor_name: name, sensor_type: type, connector_id: `person-${person}`,
      connector_name: NAMES[person % NAMES.length], level: "low", attributes,
    });
  for (let k = 0; k < ecgs; k++) {
    const bpm = 58 + ((k * 7) % 40);
    sensor(k, `${NAMES[k % NAMES.length]} ECG${k >= NAMES.length ? ` ${Math.floor(k / NAMES.length) + 1}` : ""}`, "ecg", k, [
      attribute("ecg", "ecg", 250, CELL, 1, (i) => [beat(((i / 250) * (bpm / 60) + k * 0.13) % 1) + noise(i + k * 977)]),
      attribute("heartrate", "heartrate", 1, CELL, 1, (i) => [bpm + Math.round(2 * Math.sin(i / 7 + k))]),
    ]);
  }
  for (let k = 0; k < others; k++) {
    const person = NAMES[k % NAMES.length];
    if (k % 4 === 0)
      sensor(k, `${person} breath belt`, "respiration", k, [attribute("respiration", "respiration", 50, CELL, 1, (i) => [75 + 20 * Math.sin(i / 35 + k)])]);
    else if (k % 4 === 1)
      sensor(k, `${person} wrist motion`, "imu", k, [
        attribute("imu", "imu", 50, `{"x":${CELL},"y":${CELL},"z":${CELL}}`, 3, (i) => [Math.sin(i / 20 + k), Math.cos(i / 31), 9.81 + 0.3 * Math.sin(i / 9)]),
        attribute("battery", "battery", 0.1, `{"level":${CELL},"charging":${CELL}}`, 2, () => [87 - k, 0]),
      ]);
    else if (k % 4 === 2) sensor(k, `${person} skin`, "temperature", k, [attribute("temperature", "temperature", 1, CELL, 1, (i) => [33.4 + Math.sin(i / 60 + k) * 0.4])]);
    else
      sensor(k, `${person} phone`, "rich_presence", k, [
        attribute("rich_presence", "rich_presence", 0.2, "", 0, null, (i) => JSON.stringify({ payload: { artist: "Aphex Twin", title: `Xtal ${i % 9}` } })),
      ]);
  }
  for (let k = 0; k < places; k++)
    sensor(k, `${NAMES[k % NAMES.length]} phone`, "gps", k, [
      attribute("geolocation", "geolocation", 1, `{"latitude":${CELL},"longitude":${CELL},"speed":${CELL}}`, 3, (i) => [47.37 + 0.002 * k + 0.0004 * Math.sin(i / 20 + k), 8.54 + 0.003 * k + 0.0004 * Math.cos(i / 20 + k), 1.4]),
    ]);
  for (let k = 0; k < gazes; k++)
    sensor(k, `${NAMES[k % NAMES.length]} glasses`, "gaze", k, [
      // Eyes rest half a second here and half a second there.
      attribute("eye_gaze", "eye_gaze", 100, `{"x":${CELL},"y":${CELL},"confidence":${CELL}}`, 3, (i) => [0.2 + 0.15 * (Math.floor(i / 50) % 5), 0.3 + 0.1 * (Math.floor(i / 50) % 4), 0.95]),
    ]);
  for (let k = 0; k < poses; k++)
    sensor(k, `${NAMES[k % NAMES.length]} camera`, "camera", k, [
      attribute("pose", "skeleton", 15, `{"landmarks":[${Array(33).fill(`{"x":${CELL},"y":${CELL},"v":${CELL}}`).join(",")}]}`, 99, () => CROSS),
    ]);
  return sensors;
}

const one_of = (...words) => (value) => words.includes(value);
const is = (type) => (value) => typeof value === type;
const HEALTH = {
  fps: (value) => value >= 0 && value <= 1_000, droppedFrames: (value) => Number.isInteger(value) && value >= 0,
  cpuPressure: one_of("nominal", "fair", "serious", "critical"), memoryPressure: (value) => value >= 0 && value <= 1, batteryLevel: (value) => value >= 0 && value <= 100,
  batteryCharging: is("boolean"), networkEffectiveType: one_of("slow-2g", "2g", "3g", "4g"), saveData: is("boolean"),
};
/** What of a browser's report cannot be so; null when all of it can. */
function health_wrong(report) {
  for (const key of ["fps", "droppedFrames"]) if (!(key in report)) return `${key}: absent`;
  return Object.keys(report).find((key) => !HEALTH[key]?.(report[key])) ?? null;
}

class Writer {
  constructor() {
    this.buffer = Buffer.alloc(1 << 20);
    this.at = 0;
  }
  room(n) {
    if (this.at + n > this.buffer.length) this.buffer = Buffer.concat([this.buffer, Buffer.alloc(Math.max(n, this.buffer.length))]);
  }
  u8(v) { this.room(1); this.at = this.buffer.writeUInt8(v, this.at); }
  u16(v) { this.room(2); this.at = this.buffer.writeUInt16LE(v, this.at); }
  u32(v) { this.room(4); this.at = this.buffer.writeUInt32LE(v, this.at); }
  i32(v) { this.room(4); this.at = this.buffer.writeInt32LE(v, this.at); }
  f32(v) { this.room(4); this.at = this.buffer.writeFloatLE(v, this.at); }
  f64(v) { this.room(8); this.at = this.buffer.writeDoubleLE(v, this.at); }
  u64(v) { this.room(8); this.at = this.buffer.writeBigUInt64LE(BigInt(v), this.at); }
  i64(v) { this.room(8); this.at = this.buffer.writeBigInt64LE(BigInt(v), this.at); }
  bytes(b) { this.room(b.length); this.at += b.copy(this.buffer, this.at); }
  done() { return Buffer.from(this.buffer.subarray(0, this.at)); }
}

export async function start_mock({ port = 0, dist, ecgs = 12, others = 12, places = 0, gazes = 0, poses = 0, bearer = null, simulator = new MockSimulator(), system = new MockSystem(), group = new MockGroup(), sessions = new MockSessions() } = {}) {
  const epoch = Date.now() - 60_000;
  const sensors = room({ ecgs, others, places, gazes, poses });
  const viewers = new Map();
  let minted = 0;
  const heard = [];
  /** What viewers are given instead of what they asked for, and why; null: what they asked for. */
  let granted = null;

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    if (request.method === "POST" && url.pathname === "/api/viewers") {
      let body = "";
      for await (const chunk of request) body += chunk;
      if (bearer !== null && request.headers.authorization !== `Bearer ${bearer}`) {
        response.writeHead(401, { "content-type": "application/json" }).end('{"error":"unauthorized"}');
        return;
      }
      const { sensors: lens, quality = "auto", visible = null } = JSON.parse(body);
      const token = `t${++minted}-${epoch}`;
      viewers.set(token, { token, lens, quality, visible, hovered: [], focused: [], pinned: [], hidden: false, channel: null });
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ token, topic: `viewer:data:${token}`, expires_in: 3600 }));
      return;
    }
    if (url.pathname === "/api/search") {
      const query = url.searchParams.get("q");
      const found = sensors.filter((one) => one.sensor_name.toLowerCase().includes(query.toLowerCase()));
      const limit = Number(url.searchParams.get("limit"));
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ query, people: [], rooms: [], sensors: found.slice(0, limit), more: { people: false, rooms: false, sensors: found.length > limit } }));
      return;
    }
    if (simulator !== null && (await simulator.answer(request, response, url, bearer))) return;
    if (sessions !== null && (await sessions.answer(request, response, url, bearer))) return;
    if (system !== null && (await system.answer(request, response, url, bearer))) return;
    const path = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
    try {
      const bytes = await readFile(join(dist, path));
      response.writeHead(200, { "content-type": MIME[extname(path)] ?? "application/octet-stream", "content-security-policy": CSP });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });

  const sockets = new WebSocketServer({ server, path: "/socket/websocket" });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => {
      const [join_ref, ref, topic, event, payload] = JSON.parse(data.toString());
      const reply = (status, response) => socket.send(JSON.stringify([join_ref, ref, topic, "phx_reply", { status, response }]));
      heard.push({ event, payload, at: Date.now() });
      if (topic === "phoenix") return reply("ok", {});
      const viewer = viewers.get(topic.replace("viewer:data:", ""));
      if (viewer === undefined) return reply("error", { reason: "unauthorized" });
      if (event === "phx_join") {
        viewer.channel = { socket, join_ref, topic, next: new Map(), due: 0, said: "", levels: new Map() };
        reply("ok", { form: "binary", version: 1, now: Date.now() });
        const listed = sensors.map(({ attributes, ...s }) => ({
          ...s,
          attributes: attributes.map(({ attribute_id, attribute_type, rate }) => ({ attribute_id, attribute_type, sampling_rate: rate })),
        }));
        say(viewer, "roster", { full: true, total: sensors.length, sensors: listed, gone: [], levels: {} });
      } else if (event === "attention") {
        const ids = (list = []) => list.map((t) => (typeof t === "string" ? t : t.sensor_id));
        Object.assign(viewer, {
          visible: payload.visible ?? null, hovered: ids(payload.hovered), focused: ids(payload.focused), pinned: ids(payload.pinned), hidden: payload.hidden ?? false,
        });
        reply("ok", {});
      } else if (event === "set_quality") {
        viewer.quality = payload.quality;
        reply("ok", {});
      } else if (event === "set_sensors") {
        viewer.lens = payload.sensors;
        reply("ok", {});
      } else if (event === "client_health") {
        const wrong = health_wrong(payload);
        reply(wrong === null ? "ok" : "error", wrong === null ? {} : { reason: "invalid_payload", detail: wrong });
      } else if (event === "ping") reply("ok", payload);
      else group?.hear(viewer, event, payload, sensors, reply);
    });
  });

  const say = ({ channel }, event, payload) => channel.socket.send(JSON.stringify([channel.join_ref, null, channel.topic, event, payload]));

  function flush(viewer, now) {
    const { channel } = viewer;
    if (channel === null || channel.socket.readyState !== 1) return;
    const asked = viewer.quality === "auto" ? "high" : viewer.quality.replace(/^auto-/, "");
    const grant = granted ?? { level: asked, reason: viewer.quality === "auto" ? "auto" : "asked", focused: "high" };
    const { level } = grant;
    if (JSON.stringify(grant) !== channel.said) {
      channel.said = JSON.stringify(grant);
      say(viewer, "quality_changed", grant);
    }
    const full = new Set([...viewer.hovered, ...viewer.focused, ...viewer.pinned]);
    const levels = {};
    for (const { sensor_id } of sensors) {
      const is = full.has(sensor_id) ? "high" : !viewer.hidden && (viewer.visible?.includes(sensor_id) ?? true) ? "medium" : "none";
      if (channel.levels.get(sensor_id) !== is) channel.levels.set(sensor_id, (levels[sensor_id] = is));
    }
    if (Object.keys(levels).length > 0) say(viewer, "roster", { full: false, total: sensors.length, sensors: [], gone: [], levels });
    if (viewer.hidden || level === "paused") return;
    const due = now >= channel.due;
    if (due) channel.due = now + FLUSH_MS[level];
    const visible = viewer.visible === null ? null : new Set(viewer.visible);
    const cards = new Writer();
    const slices = new Writer();
    let n_cards = 0;
    let n_slices = 0;
    for (const sensor of sensors) {
      const raw = full.has(sensor.sensor_id);
      if (!raw && (!due || (visible !== null && !visible.has(sensor.sensor_id)))) continue;
      for (const attribute of sensor.attributes) {
        const period = 1000 / attribute.rate;
        const head = Math.floor((now - epoch) / period) + 1;
        const at = (i) => epoch + Math.round(i * period);
        const write = (form, from, to, missed, carried) => {
          n_slices++;
          slices.u32(attribute.stream);
          slices.u8(form + (attribute.width === 0 ? 128 : 0));
          slices.u8(0);
          slices.u16(to - carried);
          slices.u64(from);
          slices.u32(to - from);
          slices.u32(missed);
          if (form === 2) {
            slices.u32(to - from);
            slices.u8(attribute.width === 1 ? 1 : 0);
            if (attribute.width === 1) {
              let sum = 0, min = Infinity, max = -Infinity;
              for (let i = from; i < to; i++) {
                const [v] = attribute.cells(i);
                sum += v; min = Math.min(min, v); max = Math.max(max, v);
              }
              slices.f64(sum / (to - from)); slices.f64(min); slices.f64(max);
            }
          }
          if (to === carried) return;
          slices.i64(at(carried));
          for (let i = carried + 1; i < to; i++) slices.i32(at(i) - at(i - 1));
          for (let i = carried; i < to; i++) {
            if (attribute.width === 0) {
              const text = Buffer.from(attribute.text(i));
              slices.u32(text.length);
              slices.bytes(text);
            } else for (const v of attribute.cells(i)) slices.f64(v);
          }
        };
        let next = channel.next.get(attribute.stream);
        if (next === undefined) {
          n_cards++;
          cards.u32(attribute.stream);
          cards.u8(attribute.width);
          cards.f32(attribute.rate);
          for (const text of [sensor.sensor_id, attribute.attribute_id, attribute.attribute_type]) {
            cards.u8(Buffer.byteLength(text));
            cards.bytes(Buffer.from(text));
          }
          cards.u16(Buffer.byteLength(attribute.shape));
          cards.bytes(Buffer.from(attribute.shape));
          const from = Math.max(0, head - Math.max(1, Math.floor(SEED_MS / period)));
          write(3, from, head, 0, from);
          next = head;
        }
        if (head > next) {
          // What aged out while this viewer looked away.
          const held = Math.max(next, head - 2000);
          const missed = held - next;
          if (raw || level === "high" || level === "medium") write(attribute.rate >= 10 || raw ? 0 : 1, held, head, missed, attribute.rate >= 10 || raw ? held : head - 1);
          else write(2, held, head, missed, head - 1);
        }
        channel.next.set(attribute.stream, head);
      }
    }
    if (n_slices === 0) return;
    const frame = new Writer();
    const parts = [channel.join_ref, channel.topic, "frame"].map((part) => Buffer.from(part));
    frame.u8(0);
    for (const part of parts) frame.u8(part.length);
    for (const part of parts) frame.bytes(part);
    frame.u8(1); frame.u8(0); frame.u16(n_cards); frame.u32(n_slices); frame.f64(now);
    frame.bytes(cards.done());
    frame.bytes(slices.done());
    channel.socket.send(frame.done());
  }

  const timer = setInterval(() => {
    for (const viewer of viewers.values()) flush(viewer, Date.now());
    group?.flush(Date.now());
  }, 16);
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${address.port}/`,
    port: address.port,
    viewers,
    heard,
    simulator,
    system,
    group,
    sessions,
    /** `{ level, reason, focused }` for everyone; null gives them what they ask for again. */
    grant(what) {
      granted = what;
    },
    /** Everyone's line drops, and all tokens are forgotten when asked. */
    drop({ forget = false } = {}) {
      if (forget) viewers.clear();
      for (const socket of sockets.clients) socket.terminate();
    },
    async stop() {
      clearInterval(timer);
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const { url } = await start_mock({
    port: Number(process.env.PORT ?? 4000), dist: process.env.DIST ?? "dist",
    ecgs: Number(process.env.ECGS ?? 12), others: Number(process.env.OTHERS ?? 12), places: Number(process.env.PLACES ?? 3), gazes: Number(process.env.GAZES ?? 2), poses: Number(process.env.POSES ?? 1), bearer: process.env.BEARER ?? null,
    simulator: MockSimulator.lived_in(), system: new MockSystem(process.env.SCENE ?? "calm"),
  });
  process.stdout.write(`${url}\n`);
}
