/**
 * The page in a real browser.
 *
 * Against SENSOCTO_URL, or a server started from SENSOCTO_BIN, or the mock; what needs a server that
 * misbehaves on demand always runs against the mock. Nothing sleeps: everything waits for what should
 * become true, and says so when it did not. CHROMIUM names another browser.
 */

import { join } from "node:path";
import { axe, dist, finish, it, must, open, shots, until, WAIT_MS } from "./browser.mjs";
import { start_mock } from "./mock-server.mjs";
import { start_server } from "./server.mjs";
import { gzipped, LIMIT_BYTES } from "./size.mjs";

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  return process.env.SENSOCTO_BIN ? start_server(process.env.SENSOCTO_BIN) : start_mock({ dist });
}

/** Whether trace pixels of this sensor's tile change. */
async function moving(page, id) {
  const canvas = `article[data-sensor="${id}"] canvas`;
  await until(page, (selector) => document.querySelector(selector) && seen(document.querySelector(selector)).lit > 20, canvas);
  const before = await page.evaluate((selector) => seen(document.querySelector(selector)).hash, canvas);
  await until(page, ([selector, hash]) => seen(document.querySelector(selector)).hash !== hash, [canvas, before]);
}

/** What is drawn in each strip of the ECG view; runs in the page. */
const strips = () => {
  const canvas = document.querySelector(".field canvas");
  const ratio = canvas.width / canvas.clientWidth;
  return [...document.querySelectorAll(".field button")].map((cell) =>
    seen(canvas, Math.round(cell.offsetLeft * ratio), Math.round(cell.offsetTop * ratio), Math.round(cell.offsetWidth * ratio), Math.round(cell.offsetHeight * ratio)));
};

/** The ECG sensors whose tiles are mounted, in order. */
async function ecg_tiles(page) {
  await page.fill("#filter", "ecg");
  await until(page, () => [...document.querySelectorAll("article")].some((tile) =>
    __sensocto.sensors.find((s) => s.sensor_id === tile.dataset.sensor)?.attributes.some((a) => a.attribute_type === "ecg")));
  return page.evaluate(() => [...document.querySelectorAll("article")].map((tile) => tile.dataset.sensor)
    .filter((id) => __sensocto.sensors.find((s) => s.sensor_id === id)?.attributes.some((a) => a.attribute_type === "ecg")));
}

/** A rate that has been low and steady for over a second: digests, a few a second. */
async function calm_rate(page, id) {
  await until(page, (sensor) => {
    const kept = ((window.rates ??= {})[sensor] ??= []);
    kept.push(__sensocto.rate(sensor));
    const last = kept.slice(-13);
    return last.length === 13 && Math.min(...last) >= 2 && Math.max(...last) < 40 && Math.max(...last) - Math.min(...last) <= 3;
  }, id);
  return page.evaluate((sensor) => __sensocto.rate(sensor), id);
}

const server = await start();
process.stdout.write(`page at ${server.url}\n`);

const lobby = await open(server.url);
const { page } = lobby;
let ecg = [];

await it("the lobby says it is live and draws moving hearts", async () => {
  await until(page, () => __sensocto.link === "live" && __sensocto.sensors.length > 0);
  ecg = await ecg_tiles(page);
  must(ecg.length > 1, "two ECG sensors at least");
  await moving(page, ecg[0]);
});

await it("a first visit loads at most 150 kB of JavaScript, up to hearts that move", async () => {
  must(lobby.account.scripts.some((path) => path.includes("worker")), "the worker counts too");
  const bytes = await gzipped(dist, lobby.account.scripts);
  must(bytes <= LIMIT_BYTES, `${bytes} bytes`);
  return `${(bytes / 1000).toFixed(1)} kB`;
});

await it("a tile that is only seen gets digests; under the pointer it gets everything, and its trace is fine", async () => {
  const calm = await calm_rate(page, ecg[0]);
  await page.hover(`article[data-sensor="${ecg[0]}"]`);
  await until(page, ([id, rate]) => __sensocto.rate(id) > rate * 5, [ecg[0], calm]);
  // And on to all that the sensor says it sends.
  await until(page, (id) => __sensocto.rate(id) > 0.9 * __sensocto.sensors.find((s) => s.sensor_id === id).attributes.reduce((n, a) => n + (a.sampling_rate ?? 0), 0), ecg[0]);
  const high = await page.evaluate((id) => __sensocto.rate(id), ecg[0]);
  await page.mouse.move(1, 1);
  await until(page, (id) => __sensocto.rate(id) < 40, ecg[0]);
  return `${Math.round(calm)}/s to ${Math.round(high)}/s and back`;
});

await it("keyboard focus counts as much as the pointer", async () => {
  const calm = await calm_rate(page, ecg[1]);
  await page.mouse.move(1, 1);
  await page.focus("#filter");
  for (let k = 0; k < 9 && !(await page.evaluate(() => document.activeElement?.matches("article"))); k++) await page.keyboard.press("Tab");
  must(await page.evaluate(() => document.activeElement?.matches("article")), "Tab reaches the tiles");
  for (let k = 0; k < 20 && (await page.evaluate(() => document.activeElement?.dataset.sensor)) !== ecg[1]; k++) await page.keyboard.press("ArrowRight");
  await until(page, ([id, rate]) => __sensocto.rate(id) > rate * 5, [ecg[1], calm]);
});

await it("Enter opens all signals of a sensor, Escape closes them, P pins", async () => {
  await page.keyboard.press("Enter");
  await until(page, (id) => __sensocto.attention.focused[0] === id, ecg[1]);
  await until(page, () => document.querySelector("aside pre")?.textContent.includes('"payload"'));
  await until(page, () => seen(document.querySelector("aside canvas")).lit > 20);
  await axe(page, "detail");
  await page.keyboard.press("Escape");
  await until(page, () => __sensocto.attention.focused.length === 0 && document.querySelector("aside") === null);
  await page.keyboard.press("p");
  await until(page, (id) => __sensocto.attention.pinned[0] === id, ecg[1]);
  await page.keyboard.press("p");
  await until(page, () => __sensocto.attention.pinned.length === 0);
});

await it("a click focuses one at a time, and a click outside ends it", async () => {
  await page.click(`article[data-sensor="${ecg[0]}"] h3`);
  await until(page, (id) => __sensocto.attention.focused.join() === id, ecg[0]);
  await page.click(".bar p");
  await until(page, () => __sensocto.attention.focused.length === 0);
});

await it("the slash goes to the filter", async () => {
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("/");
  must(await page.evaluate(() => document.activeElement?.id === "filter"), "the filter has the focus");
  await page.fill("#filter", "");
  await page.evaluate(() => document.activeElement?.blur());
});

await it("a hidden tab asks for nothing, and comes back", async () => {
  // Digests alone: what was focused a moment ago has been let go.
  await until(page, () => __sensocto.totals.samples_per_s > 20 && __sensocto.totals.samples_per_s < 200);
  const before = await page.evaluate(() => __sensocto.totals.samples_per_s);
  const hide = (hidden) => page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden ? "hidden" : "visible");
  await hide(true);
  await until(page, (rate) => __sensocto.totals.samples_per_s < rate * 0.05, before);
  const away = await page.evaluate(() => __sensocto.totals.messages_per_s);
  await hide(false);
  await until(page, (rate) => __sensocto.totals.samples_per_s > rate * 0.5, before);
  return `${Math.round(before)} samples/s to under 5 %, ${away} messages/s`;
});

await it("WCAG rules hold in the lobby, dark and light", async () => {
  await axe(page, "dark");
  await page.click(".theme");
  await until(page, () => document.documentElement.dataset.theme === "light");
  await axe(page, "light");
  await page.click(".theme");
});

await it("all ECGs move in one view, in every strip", async () => {
  await page.evaluate(() => (location.hash = "#/ecg"));
  await until(page, () => document.querySelectorAll(".field button").length > 1);
  await page.evaluate(`window.strips = ${strips}`);
  await until(page, () => strips().every(({ lit }) => lit > 50));
  const before = await page.evaluate(() => strips().map(({ hash }) => hash));
  await until(page, (old) => strips().every(({ hash }, k) => hash !== old[k]), before);
  await until(page, () => __sensocto.quality.level === "high");
  return `${before.length} strips`;
});

await it("raw traces are whole: every sample once, in order", async () => {
  await until(page, () => {
    const button = document.querySelector(".field button");
    const sensor = __sensocto.sensors.find((s) => s.sensor_id === button.dataset.sensor);
    const { attribute_id } = sensor.attributes.find((a) => a.attribute_type === "ecg");
    const ring = __sensocto.ring(sensor.sensor_id, attribute_id);
    return ring !== null && ring.times.length > 1_000 && ring.times.slice(-500).every((t, k, all) => k === 0 || (t > all[k - 1] && t - all[k - 1] < 20));
  });
});

await it("WCAG rules hold for all ECGs", () => axe(page, "ecg"));

await it("seeds joined their live streams without gap or overlap, all the while", async () => {
  const sums = await page.evaluate(() => {
    const streams = __sensocto.sensors.flatMap((s) => __sensocto.streams(s.sensor_id));
    return { seeds: streams.reduce((n, s) => n + s.seeds, 0), ...__sensocto.totals };
  });
  must(sums.seeds > 0, "there were seeds");
  must(sums.gaps === 0 && sums.duplicates === 0 && sums.refused === 0, JSON.stringify(sums));
  return `${sums.seeds} seeds, ${sums.frames} frames, ${sums.missed} missed while away`;
});

await it("no other host was asked, and nothing complained", async () => {
  must(lobby.account.foreign.length === 0, lobby.account.foreign.join(", "));
  must(lobby.account.complaints.length === 0, lobby.account.complaints.join("\n"));
});
await lobby.close();

for (const [theme, size, name] of [
  ["dark", [1440, 900], "wide"], ["light", [1440, 900], "wide"], ["dark", [390, 844], "narrow"], ["light", [390, 844], "narrow"],
]) {
  await it(`a picture, ${theme} and ${name}`, async () => {
    const t = await open(server.url, { theme, size });
    await until(t.page, () => __sensocto.link === "live" && [...document.querySelectorAll("article canvas")].some((c) => seen(c).lit > 100));
    const tile = t.page.locator("article").nth(1);
    await tile.hover();
    const id = await tile.getAttribute("data-sensor");
    await until(t.page, (sensor) => __sensocto.attention.hovered.includes(sensor) && __sensocto.rate(sensor) > 20 && __sensocto.totals.frames > 20, id);
    await t.page.screenshot({ path: join(shots, `lobby-${theme}-${name}.png`) });
    await tile.click();
    await until(t.page, () => document.querySelector("aside canvas") && seen(document.querySelector("aside canvas")).lit > 100);
    await t.page.screenshot({ path: join(shots, `detail-${theme}-${name}.png`) });
    await t.page.keyboard.press("Escape");
    await t.page.evaluate(() => (location.hash = "#/ecg"));
    await until(t.page, () => document.querySelector(".field canvas") && seen(document.querySelector(".field canvas")).lit > 1_000);
    await t.page.screenshot({ path: join(shots, `ecg-${theme}-${name}.png`) });
    await t.close();
  });
}

await it("at 320 px nothing runs out of the page, and a tap focuses", async () => {
  const t = await open(server.url, { size: [320, 640], touch: true });
  await until(t.page, () => document.querySelectorAll("article").length > 0);
  must(await t.page.evaluate(() => document.documentElement.scrollWidth <= 320), "the page is wider than the screen");
  must(await t.page.evaluate(() => [...document.querySelectorAll("article, header *")].every((e) => e.getBoundingClientRect().right <= 320.5)), "something is cut off");
  await t.page.tap("article h3");
  await until(t.page, () => __sensocto.attention.focused.length === 1);
  await t.close();
});
await server.stop();

await it("a line that drops comes back by itself, with history and without doubles", async () => {
  const mock = await start_mock({ dist, ecgs: 4, others: 0 });
  const t = await open(mock.url);
  await until(t.page, () => __sensocto.link === "live" && __sensocto.totals?.frames > 10);
  mock.drop();
  await until(t.page, () => __sensocto.link === "live" && __sensocto.joins === 2);
  mock.drop({ forget: true });
  await until(t.page, () => __sensocto.link === "live" && __sensocto.joins === 3);
  const frames = await t.page.evaluate(() => __sensocto.totals.frames);
  await until(t.page, (n) => __sensocto.totals.frames > n + 20, frames);
  const totals = await t.page.evaluate(() => __sensocto.totals);
  must(totals.gaps === 0 && totals.duplicates === 0, JSON.stringify(totals));
  await t.close();
  await mock.stop();
});

await it("a server that is gone is said to be gone, and found again", async () => {
  const mock = await start_mock({ dist, ecgs: 2, others: 0 });
  const t = await open(mock.url);
  await until(t.page, () => document.querySelector("[role=status]").textContent === "Live");
  await mock.stop();
  await until(t.page, () => document.querySelector("[role=status]").textContent === "Reconnecting");
  const again = await start_mock({ dist, ecgs: 2, others: 0, port: mock.port });
  await until(t.page, () => document.querySelector("[role=status]").textContent === "Live");
  await t.close();
  await again.stop();
});

await it("where a token is asked for, the page asks for it, and a wrong one is refused", async () => {
  const mock = await start_mock({ dist, ecgs: 2, others: 0, bearer: "open sesame" });
  const t = await open(mock.url);
  await t.page.waitForSelector("#token", { timeout: WAIT_MS });
  await axe(t.page, "token");
  await t.page.fill("#token", "guess");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector("[role=alert]", { timeout: WAIT_MS });
  await t.page.fill("#token", "open sesame");
  await t.page.keyboard.press("Enter");
  await until(t.page, () => __sensocto.link === "live" && document.querySelectorAll("article").length === 2);
  must((await t.page.evaluate(() => sessionStorage.getItem("sensocto.bearer"))) === "open sesame", "kept in this tab");
  await t.close();
  await mock.stop();
});

await it("a thousand sensors mount only what is on screen", async () => {
  const mock = await start_mock({ dist, ecgs: 500, others: 500 });
  const t = await open(mock.url, { size: [1920, 1080] });
  await until(t.page, () => __sensocto.sensors.length === 1_000 && document.querySelectorAll("article").length > 10);
  const nodes = await t.page.evaluate(() => document.querySelectorAll("*").length);
  must(nodes <= 3_000, `${nodes} elements`);
  const first = await t.page.locator("article").first().getAttribute("data-sensor");
  await t.page.evaluate(() => (document.querySelector(".tiles").scrollTop = 20_000));
  await until(t.page, (id) => document.querySelectorAll("article").length > 10 && document.querySelector(`article[data-sensor="${id}"]`) === null, first);
  await until(t.page, (id) => __sensocto.attention.visible.length > 10 && !__sensocto.attention.visible.includes(id), first);
  const { script_ms_p95 } = await t.page.evaluate(() => __sensocto.frames);
  await t.close();
  await mock.stop();
  return `${nodes} elements, script p95 ${script_ms_p95.toFixed(1)} ms`;
});

await it("a hundred ECGs at 250 Hz all move, and no element comes or goes for it", async () => {
  const mock = await start_mock({ dist, ecgs: 100, others: 0 });
  const t = await open(mock.url, { size: [1920, 1080], hash: "#ecg" });
  await t.page.evaluate(`window.strips = ${strips}`);
  await until(t.page, () => strips().length === 100 && strips().every(({ lit }) => lit > 50));
  const before = await t.page.evaluate(() => {
    window.touched = 0;
    new MutationObserver((changes) => (touched += changes.length)).observe(document.querySelector(".field"), { subtree: true, childList: true });
    return { frames: __sensocto.frames.frames, hashes: strips().map(({ hash }) => hash) };
  });
  await until(t.page, ({ frames, hashes }) => __sensocto.frames.frames > frames + 60 && strips().every(({ hash }, k) => hash !== hashes[k]), before);
  const { touched, totals } = await t.page.evaluate(() => ({ touched, totals: __sensocto.totals }));
  await t.page.screenshot({ path: join(shots, "ecg-hundred.png") });
  await t.close();
  await mock.stop();
  must(touched === 0, `${touched} times`);
  must(totals.gaps === 0 && totals.duplicates === 0, JSON.stringify(totals));
});

await finish();
