/**
 * Clients we did not write, against the real binary: the npm `phoenix` of the original (1.8.5) and a
 * later one, each as device and as viewer, through a polite restart of the server and an impolite one.
 *
 * The server is started from SENSOCTO_BIN. Nothing sleeps: everything waits for what should be heard.
 */

import { Socket as Socket_1_8_16 } from "phoenix-1-8-16";
import { Socket as Socket_1_8_5 } from "phoenix-1-8-5";
import WebSocket from "ws";
import { start_server } from "./server.mjs";

const WAIT_MS = 15_000;
const VERSIONS = { "1.8.5": Socket_1_8_5, "1.8.16": Socket_1_8_16 };
const CONFIG_KEYS = [
  "attention_level", "load_multiplier", "memory_protection_active", "paused", "recommended_batch_size",
  "recommended_batch_window", "system_load", "timestamp",
];

let passed = 0;
let failed = 0;
async function it(name, test) {
  try {
    const note = await test();
    passed++;
    process.stdout.write(`ok ${name}${note ? ` (${note})` : ""}\n`);
  } catch (error) {
    failed++;
    process.stdout.write(`FAIL ${name}\n      ${String(error?.stack ?? error).split("\n").slice(0, 5).join("\n      ")}\n`);
  }
}
function must(truth, what) {
  if (!truth) throw new Error(what);
}
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What was heard, and a way to wait until it is enough. */
class Heard {
  list = [];
  #waiting = new Set();
  say(what) {
    this.list.push(what);
    for (const look of [...this.#waiting]) look();
  }
  /** The first that pleases, from `from` on. */
  until(what, pleases, from = 0) {
    return new Promise((done, fail) => {
      const look = () => {
        const found = this.list.slice(from).find(pleases);
        if (found === undefined) return;
        clearTimeout(late);
        this.#waiting.delete(look);
        done(found);
      };
      const late = setTimeout(() => {
        this.#waiting.delete(look);
        fail(new Error(`never heard: ${what}; last ${JSON.stringify(this.list.slice(-3)).slice(0, 500)}`));
      }, WAIT_MS);
      this.#waiting.add(look);
      look();
    });
  }
}

/** A socket of one version of the client, and its closings. */
function connect(version, url) {
  const socket = new VERSIONS[version](`${url.replace("http", "ws")}socket`, { transport: WebSocket, params: { user_token: "some_token" } });
  const closes = new Heard();
  socket.onClose((event) => closes.say(event.code));
  socket.connect();
  return { socket, closes };
}

/** Joins, and hears everything of the channel: `{event, payload}`; joins come as `joined` and `refused`. */
function join(socket, topic, params) {
  const channel = socket.channel(topic, params);
  const heard = new Heard();
  channel.onMessage = (event, payload) => {
    if (event !== "phx_reply" && !event.startsWith("chan_reply")) heard.say({ event, payload });
    return payload;
  };
  channel.join().receive("ok", (payload) => heard.say({ event: "joined", payload }))
    .receive("error", (payload) => heard.say({ event: "refused", payload }))
    .receive("timeout", () => heard.say({ event: "timed out" }));
  return { channel, heard };
}
const hear = (member, event, from = 0) => member.heard.until(event, (m) => m.event === event, from);
const count = (member, event) => member.heard.list.filter((m) => m.event === event).length;

/** The reply to a push. */
const ask = (member, event, payload) => new Promise((done, fail) => {
  member.channel.push(event, payload, WAIT_MS)
    .receive("ok", (response) => done({ status: "ok", response }))
    .receive("error", (response) => done({ status: "error", response }))
    .receive("timeout", () => fail(new Error(`no reply to ${event}`)));
});

const connector = (id, name) => [`sensocto:connector:${id}`, {
  connector_id: id, connector_name: name, connector_type: "html5", features: [], bearer_token: "missing",
}];
const sensor = (id, more = {}) => [`sensocto:sensor:${id}`, {
  connector_id: `c-${id}`, connector_name: "Linux_Chrome", sensor_id: id, sensor_name: "Linux_Chrome", sensor_type: "html5",
  sampling_rate: 1, attributes: {}, batch_size: 1, bearer_token: "missing", ...more,
}];

/** A JSON viewer of these sensors: every sample of every attribute, as it came. */
async function view(socket, url, sensors) {
  const answer = await fetch(`${url}api/viewers`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ sensors, quality: "high" }),
  });
  must(answer.status === 200, `minting: ${answer.status}`);
  const { topic } = await answer.json();
  const viewer = join(socket, topic, {});
  viewer.samples = (sensor_id, attribute_id) => viewer.heard.list.flatMap(({ event, payload }) => {
    if (event === "composite_seed_data") return payload.sensor_id === sensor_id && payload.attribute_id === attribute_id ? payload.data : [];
    return event === "sensor_batch" ? (payload.batch[sensor_id]?.[attribute_id] ?? []) : [];
  });
  viewer.until_samples = (sensor_id, attribute_id, n) =>
    viewer.heard.until(`${n} samples of ${sensor_id} ${attribute_id}`, () => viewer.samples(sensor_id, attribute_id).length >= n);
  viewer.missed = () => viewer.heard.list.filter((m) => m.payload?.missed !== undefined).length;
  await hear(viewer, "joined");
  return viewer;
}

if (!process.env.SENSOCTO_BIN) {
  process.stderr.write("SENSOCTO_BIN names the server, as target/release/sensocto\n");
  process.exit(2);
}
let server = await start_server(process.env.SENSOCTO_BIN, { simulate: "none" });
const { url, port } = server;

for (const version of Object.keys(VERSIONS)) {
  const id = `web-${version}:1`;
  const device = connect(version, url);
  const watching = connect(version, url);
  const other = connect(Object.keys(VERSIONS).find((one) => one !== version), url);
  let viewer, member;

  await it(`${version}: a viewer and a connector join, and the heartbeat is answered`, async () => {
    viewer = await view(watching.socket, url, [id]);
    const { payload } = await hear(join(device.socket, ...connector(`c-${id}`, "C")), "joined");
    must(same(payload, {}), JSON.stringify(payload));
    await new Promise((done, fail) => {
      setTimeout(() => fail(new Error("no heartbeat")), WAIT_MS).unref();
      must(device.socket.ping(done), "connected");
    });
  });

  await it(`${version}: a sensor joins, in a room that does not exist, and hears one backpressure_config of eight keys`, async () => {
    member = join(device.socket, ...sensor(id, { room_id: "00000000-0000-4000-8000-000000000000" }));
    const { payload } = await hear(member, "backpressure_config");
    must(same(Object.keys(payload).sort(), CONFIG_KEYS), JSON.stringify(payload));
    must(member.heard.list[0].event === "joined", "the join's reply comes first");
    for (let n = 0; n < 20; n++) must(same(await ask(member, "ping", { n }), { status: "ok", response: { n } }), "a ping is echoed");
    must(count(member, "backpressure_config") === 1, "only one");
    must(payload.attention_level === "medium" && payload.recommended_batch_window === 500 && payload.recommended_batch_size === 5, JSON.stringify(payload));
  });

  await it(`${version}: measurements arrive at a viewer value for value`, async () => {
    const sent = Array.from({ length: 40 }, (_, n) => ({ attribute_id: "ecg", payload: Math.sin(n / 3) * 1.1, timestamp: 1_700_000_000_000 + 3 * n }));
    for (const measurement of sent.slice(0, 10)) member.channel.push("measurement", measurement);
    member.channel.push("measurements_batch", sent.slice(10));
    await viewer.until_samples(id, "ecg", sent.length);
    const got = viewer.samples(id, "ecg").map(({ payload, timestamp }) => ({ attribute_id: "ecg", payload, timestamp }));
    must(same(got, sent), JSON.stringify(got));
    for (const [attribute_id, payload, more] of [
      ["button", 1, { event: "press" }], ["geolocation", { latitude: 47.1, longitude: 8.5, accuracy: null }, {}],
      ["rich_presence", { title: "Für \"Elise\" 心 \u0001", artist: "v. B." }, {}], ["numeric", -0.5, {}], ["word", "hä", {}],
    ]) {
      member.channel.push("measurement", { attribute_id, payload, timestamp: 1_700_000_000_000, ...more });
      await viewer.until_samples(id, attribute_id, 1);
      const [{ payload: seen, event }] = viewer.samples(id, attribute_id);
      must(same(seen, payload) && event === more.event, `${attribute_id}: ${JSON.stringify(seen)} ${event}`);
    }
    must(viewer.missed() === 0, "nothing was missed");
    return `${sent.length} ECG samples and five other shapes`;
  });

  await it(`${version}: faults are named, and silence kept where the original keeps it`, async () => {
    const expect = async (event, payload, response) => {
      const reply = await ask(member, event, payload);
      must(reply.status === "error" && same(reply.response, response), `${event}: ${JSON.stringify(reply)}`);
    };
    await expect("measurement", { attribute_id: "-a", payload: 1, timestamp: 1 }, { reason: "invalid_attribute_id" });
    await expect("measurements_batch", [{ attribute_id: "a" }, { attribute_id: "ok", payload: 1, timestamp: 1 }, {}], { reason: "invalid_batch", failed_count: 2 });
    await expect("update_attributes", { action: "add", attribute_id: "a", metadata: {} }, { reason: "invalid_action" });
    await expect("update_connector", { connector_name: "x".repeat(101) }, { reason: "invalid_connector_name" });
    const renamed = await ask(member, "update_connector", { connector_name: "Ännas phone" });
    must(same(renamed, { status: "ok", response: { connector_name: "Ännas phone" } }), JSON.stringify(renamed));
    for (const [topic, params, reason] of [
      ["planet:42", {}, "unmatched topic"], ["sensocto:sensor:x", {}, "join crashed"], ["sensocto:connector:x", { connector_id: "y" }, "join crashed"],
      ["viewer:data:nobody", {}, "unauthorized"], [...sensor("stranger", { bearer_token: "fake" }), "unauthorized"],
    ]) {
      const refused = join(device.socket, topic, params);
      const { payload } = await hear(refused, "refused");
      must(payload.reason === reason, `${topic}: ${JSON.stringify(payload)}`);
      refused.channel.leave();
    }
  });

  await it(`${version}: a shout reaches all on the topic, its sender included`, async () => {
    const second = join(other.socket, ...sensor(id));
    await hear(second, "joined");
    member.channel.push("shout", { word: "hello" });
    for (const one of [member, second]) must(same((await hear(one, "shout")).payload, { word: "hello" }), "as it was said");
    second.channel.leave();
    await hear(second, "phx_close");
  });

  await it(`${version}: the attention of a viewer paces the device, there and back`, async () => {
    const config = (level, from) => member.heard.until(level, (m) => m.event === "backpressure_config" && m.payload.attention_level === level, from);
    let from = member.heard.list.length;
    must((await ask(viewer, "attention", { focused: [id] })).status === "ok", "attention is answered");
    const high = (await config("high", from)).payload;
    must(high.recommended_batch_window === 100 && high.recommended_batch_size === 1, JSON.stringify(high));
    from = member.heard.list.length;
    await ask(viewer, "attention", {});
    await config("medium", from);
    from = member.heard.list.length;
    await ask(viewer, "attention", { hidden: true });
    const away = (await member.heard.until("less", (m) => m.event === "backpressure_config" && m.payload.attention_level !== "medium", from)).payload;
    await ask(viewer, "attention", {});
    await config("medium", from);
    return `medium, high, medium, ${away.attention_level}, medium`;
  });

  await it(`${version}: a channel that crashes is joined again by itself, alone, and goes on`, async () => {
    const neighbour = join(device.socket, ...sensor(`${id}-neighbour`));
    await hear(neighbour, "joined");
    const joined = count(member, "joined");
    member.channel.push("measurements_batch", [7]);
    await hear(member, "phx_error");
    await member.heard.until("joined again", () => count(member, "joined") > joined);
    must(count(neighbour, "phx_error") === 0 && (await ask(neighbour, "ping", {})).status === "ok", "the neighbour is unharmed");
    const before = viewer.samples(id, "ecg").length;
    member.channel.push("measurement", { attribute_id: "ecg", payload: 77.25, timestamp: 1_700_000_001_000 });
    await viewer.until_samples(id, "ecg", before + 1);
    must(viewer.samples(id, "ecg").at(-1).payload === 77.25, "the new sample arrives");
  });

  await it(`${version}: leaving is answered, and nothing is left`, async () => {
    const left = new Promise((done) => member.channel.leave().receive("ok", done));
    await left;
    must(device.closes.list.length === 0 && watching.closes.list.length === 0, "no socket was closed by the server");
  });
  for (const { socket } of [device, watching, other]) socket.disconnect();
}

for (const [signal, name, code] of [["SIGTERM", "that restarts", 1012], ["SIGKILL", "that is killed", 1006]]) {
  const clients = Object.keys(VERSIONS).map((version) => {
    const device = connect(version, url);
    const ids = [1, 2].map((n) => `again-${version}-${signal}-${n}`);
    const channels = [join(device.socket, ...connector(`c-${version}`, "C")), ...ids.map((id) => join(device.socket, ...sensor(id)))];
    return { version, device, ids, channels };
  });
  await it(`a server ${name} is left with ${code}`, async () => {
    for (const { channels } of clients) {
      await hear(channels[0], "joined");
      for (const channel of channels.slice(1)) await hear(channel, "backpressure_config");
    }
    await server.stop(signal);
    for (const { version, device } of clients) must((await device.closes.until("a close", () => true)) === code, `${version}: ${device.closes.list}`);
    server = await start_server(process.env.SENSOCTO_BIN, { port, simulate: "none" });
  });
  for (const { version, device, ids, channels } of clients) {
    await it(`${version}: a server ${name} is found again: every channel joins by itself and streams`, async () => {
      for (const channel of channels) await channel.heard.until("joined again", () => count(channel, "joined") === 2);
      for (const channel of channels.slice(1)) await channel.heard.until("paced again", () => count(channel, "backpressure_config") === 2);
      const watching = connect(version, url);
      const viewer = await view(watching.socket, url, ids);
      const payloads = [0.125, "two", { x: 3, y: -4 }];
      for (const [n, id] of ids.entries()) {
        for (const [at, payload] of payloads.entries()) channels[n + 1].channel.push("measurement", { attribute_id: "button", payload, timestamp: 1_700_000_000_000 + at });
      }
      for (const id of ids) {
        await viewer.until_samples(id, "button", payloads.length);
        must(same(viewer.samples(id, "button").map(({ payload }) => payload), payloads), id);
      }
      watching.socket.disconnect();
      device.socket.disconnect();
    });
  }
}
await server.stop();

process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
