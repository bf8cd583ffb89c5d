/** A device that has measured for a while: what it sends says when it was measured, so that whoever draws it can be held to it. */

import WebSocket from "ws";

/** Samples a second. */
export const RAMP_HZ = 25;
const STEP_MS = 1000 / RAMP_HZ;
const BATCH = 2_000;

/** Its value is the time, in seconds before `end_ms`: -300 five minutes before. */
export const value_at = (t, end_ms) => (t - end_ms) / 1000;

/** Joins as a device and answers with a way to send all of `span_s` before now at once; that answers the last stamp. */
export async function ramp(url, sensor_id, name) {
  const socket = new WebSocket(`${url.replace("http", "ws")}socket/websocket?vsn=2.0.0`);
  await new Promise((done, fail) => socket.once("open", done).once("error", fail));
  const topic = `sensocto:sensor:${sensor_id}`;
  let ref = 0;
  const waiting = new Map();
  socket.on("message", (text) => {
    const [, of, , event, payload] = JSON.parse(text);
    if (event !== "phx_reply") return;
    waiting.get(of)?.(payload);
    waiting.delete(of);
  });
  const ask = (event, payload) =>
    new Promise((done, fail) => {
      const of = String(++ref);
      waiting.set(of, ({ status, response }) => (status === "ok" ? done(response) : fail(new Error(`${event}: ${JSON.stringify(response)}`))));
      socket.send(JSON.stringify(["1", of, topic, event, payload]));
    });
  await ask("phx_join", {
    connector_id: "ramps", connector_name: "Ramps", sensor_id, sensor_name: name, sensor_type: "ecg",
    attributes: { ecg: { attribute_id: "ecg", attribute_type: "ecg", sampling_rate: RAMP_HZ } }, sampling_rate: RAMP_HZ, batch_size: 1, bearer_token: "missing",
  });
  return {
    async send(span_s) {
      const end_ms = Math.floor(Date.now() / STEP_MS) * STEP_MS;
      const all = [];
      for (let t = end_ms - span_s * 1000; t <= end_ms; t += STEP_MS) all.push({ attribute_id: "ecg", payload: value_at(t, end_ms), timestamp: t });
      for (let k = 0; k < all.length; k += BATCH) socket.send(JSON.stringify(["1", String(++ref), topic, "measurements_batch", all.slice(k, k + BATCH)]));
      // Batches are not answered; what is asked behind them is, when they are taken.
      await ask("ping", {});
      return end_ms;
    },
    close: () => socket.close(),
  };
}
