/**
 * How smoothly a graph of two thousand nodes is drawn and moved, against the mock server, in headless Chromium
 * without a GPU. Asked: 30 frames a second while it is moved.
 */

import { dist, finish, open } from "../tests/browser.mjs";
import { start_mock } from "../tests/mock-server.mjs";

const RUN_MS = 8_000;
/** Each of these is two signals and a sensor, of people of whom some have two: 2,000 nodes or so. */
const ECGS = 500;

const offered = (page, ms) => page.evaluate((ms) => new Promise((done) => {
  const begun = performance.now();
  let frames = 0;
  const next = (now) => (now - begun < ms ? (frames++, requestAnimationFrame(next)) : done((frames * 1_000) / (now - begun)));
  requestAnimationFrame(next);
}), ms);

const mock = await start_mock({ dist, ecgs: ECGS, others: 0 });
const { page, close } = await open(mock.url, { size: [1920, 1080] });
page.setDefaultTimeout(60_000);
await page.waitForFunction((n) => __sensocto.sensors.length === n, ECGS);
await page.click('button[popovertarget="panels-menu"]');
await page.click("[data-preset=sensors]");
await page.click('button[popovertarget="panels-menu"]');
await page.click("[data-add=graph]");
await page.focus("[data-panel=graph] [data-act=alone]");
await page.keyboard.press("Enter");
await page.waitForSelector("[data-panel=graph] canvas");
const nodes = await page.evaluate(() => document.querySelector("[data-panel=graph] canvas").getAttribute("aria-label"));
for (const layout of ["Rings", "By forces"]) {
  await page.click(`[data-panel=graph] .segments button:has-text("${layout}")`);
  await page.waitForSelector("[data-panel=graph] [data-settled=true]", { timeout: 120_000 });
  const still = await offered(page, RUN_MS);
  const box = await page.locator("[data-panel=graph] canvas").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  let on = true;
  const drag = (async () => {
    for (let k = 0; on; k++) await page.mouse.move(box.x + box.width / 2 + 200 * Math.sin(k / 9), box.y + box.height / 2 + 120 * Math.cos(k / 7));
  })();
  const moved = await offered(page, RUN_MS);
  on = false;
  await drag;
  await page.mouse.up();
  const { script_ms_p95 } = await page.evaluate(() => __sensocto.frames);
  process.stdout.write(`${layout}: ${nodes}: ${still.toFixed(1)} frames/s at rest, ${moved.toFixed(1)} while it is moved, script p95 ${script_ms_p95.toFixed(1)} ms\n`);
}
await close();
await mock.stop();
await finish();
