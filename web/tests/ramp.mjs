/** A device that has measured for a while: what it sends says when it was measured, so that whoever draws it can be held to it. */

import WebSocket from "ws";

/** Samples a second. */
export const RAMP_HZ = 25;
const BATCH = 2_000;
const BATCH_WIDE = 100;

/** Its value is the time, in seconds before `end_ms`: -300 five minutes before. */
export const value_at = (t, end_ms) => (t - end_ms) / 1000;
/** What is said once a minute anew: 0 in the last one before `end_ms`, 5 five minutes before. */
export const minute_at = (t, end_ms) => Math.floor((end_ms - t) / 60_000);
/** A heart rate that tells the minute. */
export const figure_at = (t, end_ms) => 60 + minute_at(t, end_ms);

/** What is measured, and how often. All but the ECG tell the minute. */
const KINDS = {
  ecg: { rate: RAMP_HZ, of: value_at },
  heartrate: { rate: 1, of: figure_at },
  geolocation: { rate: 1, of: (t, end_ms) => ({ latitude: 47 + minute_at(t, end_ms) / 100, longitude: 8.5 }) },
  skeleton: { rate: 1, of: (t, end_ms) => ({ landmarks: Array(33).fill({ x: minute_at(t, end_ms) / 100, y: 0.5, v: 0.9 }) }) },
  eye_gaze: { rate: RAMP_HZ, of: (t, end_ms) => ({ x: minute_at(t, end_ms) / 100, y: 0.5, confidence: 1 }) },
};

/** Joins as a device and answers with a way to send all of `span_s` before now at once, which answers the last stamp, and one more of now. */
export async function ramp(url, sensor_id, name, type = "ecg") {
  const { rate, of: value_of } = KINDS[type];
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
    connector_id: "ramps", connector_name: "Ramps", sensor_id, sensor_name: name, sensor_type: type,
    attributes: { [type]: { attribute_id: type, attribute_type: type, sampling_rate: rate } }, sampling_rate: rate, batch_size: 1, bearer_token: "missing",
  });
  return {
    async send(span_s) {
      const step_ms = 1000 / rate;
      const end_ms = Math.floor(Date.now() / step_ms) * step_ms;
      const all = [];
      const batch = type === "skeleton" ? BATCH_WIDE : BATCH;
      for (let t = end_ms - span_s * 1000; t <= end_ms; t += step_ms) all.push({ attribute_id: type, payload: value_of(t, end_ms), timestamp: t });
      for (let k = 0; k < all.length; k += batch) socket.send(JSON.stringify(["1", String(++ref), topic, "measurements_batch", all.slice(k, k + batch)]));
      // Batches are not answered; what is asked behind them is, when they are taken.
      await ask("ping", {});
      return end_ms;
    },
    async say(value) {
      socket.send(JSON.stringify(["1", String(++ref), topic, "measurement", { attribute_id: type, payload: value, timestamp: Date.now() }]));
      await ask("ping", {});
    },
    close: () => socket.close(),
  };
}
