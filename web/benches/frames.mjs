/**
 * How smoothly many ECGs at 250 Hz run, against the mock server, in headless Chromium without a GPU.
 *
 * Prints for each count of strips: frames a second, their share of what a page with nothing on it gets in the same
 * run, the 95th percentile of the time between frames and of the time a frame's script takes. Asked:
 * 60 frames a second, script p95 at most 4 ms. The mock server and the browser share the machine with the page.
 */

import { dist, finish, open } from "../tests/browser.mjs";
import { start_mock } from "../tests/mock-server.mjs";

const RUN_MS = 10_000;
const COUNTS = [100, 200];

/** Frames a second that the browser offers to a page over `ms`. */
const offered = (page, ms) => page.evaluate((ms) => new Promise((done) => {
  const begun = performance.now();
  let frames = 0;
  const next = (now) => (now - begun < ms ? (frames++, requestAnimationFrame(next)) : done((frames * 1_000) / (now - begun)));
  requestAnimationFrame(next);
}), ms);

const mock = await start_mock({ dist, ecgs: 1, others: 0 });
const empty = await open(mock.url, { size: [1920, 1080], hash: "#about" });
const base = await offered(empty.page, RUN_MS / 2);
await empty.close();
await mock.stop();
process.stdout.write(`an idle page: ${base.toFixed(1)} frames/s\n`);

for (const ecgs of COUNTS) {
  const mock = await start_mock({ dist, ecgs, others: 0 });
  const { page, close } = await open(mock.url, { size: [1920, 1080], hash: "#ecg" });
  await page.waitForFunction((n) => document.querySelectorAll(".field button").length > 0 && __sensocto.sensors.length === n, ecgs);
  await offered(page, RUN_MS / 2);
  const fps = await offered(page, RUN_MS);
  const { frame_ms_p95, script_ms_p95 } = await page.evaluate(() => __sensocto.frames);
  const shown = await page.evaluate(() => document.querySelectorAll(".field button").length);
  process.stdout.write(
    `${shown} of ${ecgs} ECGs on screen: ${fps.toFixed(1)} frames/s (${((100 * fps) / base).toFixed(0)} % of idle), frame p95 ${frame_ms_p95.toFixed(1)} ms, script p95 ${script_ms_p95.toFixed(1)} ms\n`);
  await close();
  await mock.stop();
}
await finish();
