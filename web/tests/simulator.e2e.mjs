/**
 * The Simulator's page in a real browser: one session as a person would have it, against SENSOCTO_URL,
 * a server started from SENSOCTO_BIN, or the mock; then, against the mock, all that goes wrong.
 * Nothing sleeps: everything waits for what should become true.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { axe, dist, finish, it, must, open, shots, until } from "./browser.mjs";
import { start_mock } from "./mock-server.mjs";
import { MockSimulator } from "./mock-simulator.mjs";
import { start_server } from "./server.mjs";

const HASH = "#/simulator";
const SENSORS_MAX = 1_000;

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  return process.env.SENSOCTO_BIN ? start_server(process.env.SENSOCTO_BIN, { simulate: "none" }) : start_mock({ dist });
}

/** The page when it has heard of the simulator. */
async function open_simulator(url, more = {}) {
  const t = await open(url, { hash: HASH, ...more });
  await t.page.waitForSelector("[data-scenario]");
  return t;
}
const card = (name) => `[data-scenario="${name}"]`;
const row = (id) => `tr[data-running="${id}"]`;
const gone = (page, selector) => page.waitForSelector(selector, { state: "detached" });
const text = (page, selector, words) => until(page, ([at, some]) => document.querySelector(at)?.textContent.includes(some), [selector, words]);
const spoken = (page, words) => text(page, ".page > [aria-live]", words);
const focused = (page, selector) => until(page, (at) => document.activeElement?.matches(at), selector);

const server = await start();
process.stdout.write(`page at ${server.url}\n`);
const api = async (path) => (await fetch(new URL(path, server.url))).json();

/** Two that are small enough for any machine. */
const { scenarios } = await api("api/simulator");
const [first, second] = scenarios.filter((s) => s.error === null && s.sensors > 0 && s.sensors <= SENSORS_MAX).sort((a, b) => (b.name === "few") - (a.name === "few") || a.sensors - b.sensors);

const session = await open(server.url);
const { page } = session;

await it("the header leads to the simulator and the back button away from it", async () => {
  await until(page, () => __sensocto.link === "live");
  await page.click('nav button:has-text("Simulator")');
  await page.waitForSelector("[data-scenario]");
  must(new URL(page.url()).hash === HASH, page.url());
  await page.goBack();
  await page.waitForSelector("#filter");
  must((await page.title()) === "Sensocto", "the tab is the lobby's");
  await page.goForward();
  await page.waitForSelector("[data-scenario]");
  must((await page.getAttribute('nav button:has-text("Simulator")', "aria-current")) === "page", "the header says where one is");
  must((await page.title()) === "Simulator · Sensocto", "and the tab");
});

await it("every scenario is listed with what it brings, and found by its words", async () => {
  must((await page.locator("[data-scenario]").count()) === scenarios.length, `${scenarios.length} scenarios`);
  const said = await page.textContent(card(first.name));
  for (const n of [first.people, first.sensors, first.attributes, Math.round(first.samples_per_second)]) must(said.includes(n.toLocaleString("en")), `${n} in ${said}`);
  await page.keyboard.press("/");
  await page.keyboard.type(first.name);
  await until(page, (name) => [...document.querySelectorAll("[data-scenario]")].every((li) => li.textContent.includes(name)), first.name);
  await page.fill("#scenario-search", "no such thing at all");
  await text(page, "main", "No scenario matches");
  await page.keyboard.press("Escape");
  await until(page, (n) => document.querySelectorAll("[data-scenario]").length === n, scenarios.length);
});

await it("WCAG rules hold while nothing runs", async () => {
  await text(page, "main", "Nothing is running");
  await axe(page, "idle, dark");
});

await it("a scenario starts with the seed that was given, and all its sensors come", async () => {
  await page.click(`${card(first.name)} .options`);
  await page.fill(`${card(first.name)} input`, "seven");
  await text(page, card(first.name), "whole number from 0");
  await page.fill(`${card(first.name)} input`, "7");
  await page.click(`${card(first.name)} [data-act=start]`);
  await text(page, row(first.name), "seed 7");
  await text(page, row(first.name), `${first.sensors.toLocaleString("en")} of ${first.sensors.toLocaleString("en")}`);
  await spoken(page, `${first.name} is running`);
  // The button that was pressed is gone; the focus is not.
  must(await page.evaluate((at) => document.querySelector(at).contains(document.activeElement), card(first.name)), "the focus stays in the card");
});

await it("it is paused, resumed and made faster, and the server agrees", async () => {
  const at = row(first.name);
  await page.click(`${at} [data-act=pause]`);
  await text(page, at, "Paused");
  must((await api("api/simulator")).running[0].state === "paused", "paused");
  await page.click(`${at} [data-act=resume]`);
  await text(page, at, "Running");
  await page.selectOption(`${at} select`, "2");
  await spoken(page, "speed");
  await until(page, (s) => document.querySelector(`${s} select`).value === "2", at);
  must((await api("api/simulator")).running[0].speed === 2, "twice as fast");
});

await it("WCAG rules hold while something runs, dark and light", async () => {
  await axe(page, "running, dark");
  await page.click(".theme");
  await until(page, () => document.documentElement.dataset.theme === "light");
  await axe(page, "running, light");
  await page.click(".theme");
});

await it("switching stops everything else", async () => {
  await page.click(`${card(second.name)} [data-act=switch]`);
  await page.waitForSelector(row(second.name));
  await gone(page, row(first.name));
  await spoken(page, `Switched to ${second.name}`);
  const { running } = await api("api/simulator");
  must(running.length === 1 && running[0].id === second.name, JSON.stringify(running));
});

await it("the red button records, and what was recorded is listed", async () => {
  await page.fill("#recording-name", "Not A Name");
  await text(page, "#recordings", "Small letters");
  await page.fill("#recording-name", "from-the-page");
  await page.click("[data-act=record]");
  await page.waitForSelector(".recorder[data-recording=from-the-page]");
  await until(page, () => /^0:0[2-9]$/.test(document.querySelector(".elapsed").textContent));
  await until(page, () => /[1-9][\d,]* samples/.test(document.querySelector(".recorder .figures").textContent));
  await axe(page, "recording");
  await page.click('nav button:has-text("Lobby")');
  await page.waitForSelector("nav button [aria-label=Recording]");
  await axe(page, "recording, in the lobby");
  await page.click('nav button:has-text("Simulator")');
  await page.click("[data-act=end]");
  await page.waitForSelector('[data-recording-name="from-the-page"]');
  await focused(page, ".recorder *");
  must((await api("api/recordings")).recordings[0].complete === true, "complete");
});

await it("a download is the file", async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click('[data-recording-name="from-the-page"] a[download]')]);
  const head = (await readFile(await download.path())).subarray(0, 8).toString("latin1");
  must(head === "\x89MCAP0\r\n", `MCAP's magic, not ${JSON.stringify(head)}`);
  must(download.suggestedFilename() === "from-the-page.mcap", download.suggestedFilename());
});

await it("a recording plays, and its time bar is below every view", async () => {
  await page.click('[data-recording-name="from-the-page"] [data-act=play]');
  await page.waitForSelector(".time-bar");
  await text(page, ".time-bar", "from-the-page");
  await axe(page, "replay");
  for (const [view, hash] of [["Lobby", "#/"], ["ECG", "#/ecg"], ["Simulator", HASH]]) {
    await page.evaluate((to) => (location.hash = to), hash);
    await until(page, (is) => document.querySelector("nav [aria-current=page]")?.textContent.includes(is), view);
    const { bottom } = await page.locator(".time-bar").evaluate((bar) => bar.getBoundingClientRect());
    must(Math.abs(bottom - 900) < 1, `${view}: the bar ends at ${bottom}`);
  }
});

await it("the slider goes where the keys say, and tells where it is", async () => {
  const slider = page.locator(".time-bar input[type=range]");
  await page.waitForSelector(".time-bar [data-act=resume], .time-bar [data-act=pause]");
  if (await page.locator(".time-bar [data-act=pause]").count()) await page.click(".time-bar [data-act=pause]");
  await page.waitForSelector(".time-bar [data-act=resume]");
  const replay = async () => (await api("api/simulator")).running.find(({ kind }) => kind === "replay");
  const { duration_ms } = await replay();
  const heard = (ms) => until(page, async (to) => {
    const { running } = await (await fetch("api/simulator")).json();
    return Math.abs(running.find(({ kind }) => kind === "replay").position_ms - to) < 50;
  }, ms);
  await slider.focus();
  await page.keyboard.press("Home");
  await heard(0);
  must(/^0 seconds of /.test(await slider.getAttribute("aria-valuetext")), await slider.getAttribute("aria-valuetext"));
  await page.keyboard.press("ArrowRight");
  await heard(1_000);
  must(/^1 second of /.test(await slider.getAttribute("aria-valuetext")), await slider.getAttribute("aria-valuetext"));
  await page.keyboard.press("Shift+ArrowRight");
  await heard(Math.min(duration_ms, 11_000));
  await page.keyboard.press("End");
  await heard(duration_ms);
});

await it("the replay is stopped from the bar, and the bar goes", async () => {
  await page.click(".time-bar [data-act=stop]");
  await gone(page, ".time-bar");
});

await it("deleting asks first; Escape keeps it and gives the focus back", async () => {
  const remove = '[data-recording-name="from-the-page"] [data-act=remove]';
  await page.focus(remove);
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  await axe(page, "dialog");
  must(await page.evaluate(() => document.activeElement.textContent === "Keep it"), "what keeps it has the focus");
  await page.keyboard.press("Escape");
  await gone(page, "dialog");
  must(await page.evaluate((at) => document.activeElement === document.querySelector(at), remove), "the focus is back");
  await page.keyboard.press("Enter");
  await page.click("dialog .yes");
  await gone(page, '[data-recording-name="from-the-page"]');
  must(!(await api("api/recordings")).recordings.some(({ name }) => name === "from-the-page"), "gone");
  await focused(page, "#recordings-title");
});

await it("with the keyboard alone: from the top of the page to a running scenario, and its end", async () => {
  await page.reload();
  await page.waitForSelector(row(second.name));
  await page.keyboard.press("Tab");
  must(await page.evaluate(() => document.activeElement.matches("a.skip")), "first the skip link");
  await page.keyboard.press("Enter");
  must(await page.evaluate(() => document.activeElement.tagName === "MAIN"), "into the page");
  must(new URL(page.url()).hash === HASH, "the view stays");
  const reach = async (selector) => {
    for (let k = 0; k < 80; k++) {
      if (await page.evaluate((at) => document.activeElement?.matches(at), selector)) return;
      await page.keyboard.press("Tab");
    }
    must(false, `Tab does not reach ${selector}`);
  };
  await reach(`${row(second.name)} [data-act=stop]`);
  await page.keyboard.press("Enter");
  await gone(page, row(second.name));
  await spoken(page, `${second.name} has stopped`);
  await focused(page, "#running-title");
  must((await api("api/simulator")).running.length === 0, "nothing runs");
});

await it("no other host was asked, and nothing complained", async () => {
  must(session.account.foreign.length === 0, session.account.foreign.join(", "));
  must(session.account.complaints.length === 0, session.account.complaints.join("\n"));
});
await session.close();
await server.stop();

/* From here on the mock alone: it errs when asked to. */

const mock = await start_mock({ dist, simulator: MockSimulator.lived_in() });
const { simulator } = mock;
const count = (what) => simulator.asked.filter((one) => one.what === what).length;
const stop_all = async (t) => {
  await fetch(new URL("api/simulator/stop", mock.url), { method: "POST", headers: { "content-type": "application/json" }, body: '{"id":"*"}' });
  if (t) await until(t.page, () => document.querySelector("tr[data-running]") === null);
};

await it("a button says what is under way until it is so, and is pressed once", async () => {
  simulator.stop_ms = 1_500;
  const t = await open_simulator(mock.url);
  await t.page.click(`${card("few")} [data-act=start]`);
  await t.page.waitForSelector(row("few"));
  const before = count("POST /api/simulator/stop");
  await t.page.click(`${row("few")} [data-act=stop]`);
  await text(t.page, row("few"), "Stopping…");
  await t.page.click(`${row("few")} [data-act=stop]`, { timeout: 300 }).catch(() => {});
  await gone(t.page, row("few"));
  must(count("POST /api/simulator/stop") === before + 1, "asked once");
  simulator.stop_ms = 300;
  await t.close();
});

await it("what the server refuses is told beside what was asked, and aloud", async () => {
  const t = await open_simulator(mock.url);
  const sentence = "sensor `breath-3` belongs to `hospital-ward`, which is running";
  for (const [status, body, words] of [
    [409, { error: sentence, code: "sensor_clash" }, "Could not start it. Sensor `breath-3` belongs to `hospital-ward`, which is running."],
    [422, { error: "few.toml:3: unknown key `coutn`", code: "scenario_invalid" }, "few.toml:3: unknown key `coutn`"],
    [409, { error: "", code: "already_running" }, "It is running already."],
    [500, "<h1>Oops</h1>", "The server said no (500)."],
    [201, "not json", "could not be read"],
    [201, [], "could not be read"],
    [0, null, "The server does not answer."],
  ]) {
    // A browser asks again by itself where a kept line drops.
    simulator.fail("POST /api/simulator/start", status, body, status === 0 ? 9 : 1);
    await t.page.click(`${card("few")} [data-act=start]`);
    await text(t.page, card("few"), words);
    await spoken(t.page, words);
    await t.page.waitForSelector(`${card("few")} [data-act=start][aria-disabled=false]`);
  }
  simulator.mend("POST /api/simulator/start");
  await axe(t.page, "refused");
  await t.page.click(`${card("few")} button[aria-label=Close]`);
  await until(t.page, (at) => !document.querySelector(at).textContent.includes("Could not"), card("few"));
  simulator.fail("POST /api/recordings", 507, { error: "the disk is full", code: "no_room" });
  await t.page.click("[data-act=record]");
  await text(t.page, ".recorder", "Could not start recording. The disk is full.");
  await t.close();
});

await it("a file of the operator's own that is broken says where, and cannot be started", async () => {
  const t = await open_simulator(mock.url);
  await text(t.page, card("studie-b"), "scenarios/studie-b.toml:14: unknown key `coutn` in [[group]]; did you mean `count`?");
  must((await t.page.locator(`${card("studie-b")} button`).count()) === 0, "no button");
  await text(t.page, '[data-recording-name="power-cut"]', "Cut: plays up to the end of what was written");
  await text(t.page, '[data-recording-name="from-another-version"]', "later version");
  must((await t.page.locator('[data-recording-name="from-another-version"] [data-act=play]').count()) === 0, "cannot be played");
  await t.close();
});

await it("health is told in words, with the names of what is wrong", async () => {
  const t = await open_simulator(mock.url);
  await text(t.page, ".health", "All sensors that should be there are there");
  simulator.health = { ok: false, orphan_count: 1, orphans: ["few-3-ecg"], missing_count: 24, missing: ["ward-01", "ward-02"], repaired: 3 };
  await text(t.page, ".health", "1 sensor is still there though nothing runs that owns it. 24 sensors that should be there are missing.");
  await t.page.click(".health summary");
  await text(t.page, ".health details", "few-3-ecg");
  await text(t.page, ".health details", "and 22 more");
  await axe(t.page, "unwell");
  simulator.health = { ok: true, orphan_count: 0, orphans: [], missing_count: 0, missing: [], repaired: 0 };
  await t.close();
});

await it("answers of no known shape leave the page standing", async () => {
  const t = await open(mock.url, { hash: HASH });
  for (const body of ["", "null", "[]", '{"scenarios":3}', '{"scenarios":[{"name":[]}],"running":[{"id":1}],"health":7}', "<html>"]) {
    simulator.fail("GET /api/simulator", 200, body);
    simulator.fail("GET /api/recordings", 200, body);
    await t.page.reload();
    await t.page.waitForSelector("main");
    await t.page.waitForSelector(card("few"));
  }
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
});

await it("a server that is gone is said to be gone, and found again", async () => {
  const t = await open_simulator(mock.url);
  simulator.fail("GET /api/simulator", 0, null, 1e9);
  await text(t.page, "main", "The server does not answer. What you see is from");
  await spoken(t.page, "The server does not answer.");
  must((await t.page.locator("[data-scenario]").count()) > 10, "what was known stays");
  simulator.mend("GET /api/simulator");
  await until(t.page, () => !document.querySelector("main").textContent.includes("does not answer"));
  await t.close();
});

await it("a server without a simulator is said to have none", async () => {
  const plain = await start_mock({ dist, ecgs: 2, others: 0, simulator: null });
  const t = await open(plain.url, { hash: HASH });
  await text(t.page, "main", "This server has no simulator");
  await t.close();
  await plain.stop();
});

await it("a hidden tab asks nothing, and a visible one again", async () => {
  const t = await open_simulator(mock.url);
  const hide = (state) => t.page.evaluate((is) => {
    Object.defineProperty(document, "visibilityState", { value: is, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
  await hide("hidden");
  const before = count("GET /api/simulator");
  // Longer than two periods.
  const begun = Date.now();
  await until(t.page, (from) => Date.now() - from > 4_500, begun);
  must(count("GET /api/simulator") - before <= 1, `${count("GET /api/simulator") - before} questions`);
  await hide("visible");
  await until(t.page, () => true);
  const again = count("GET /api/simulator");
  await until(t.page, (from) => Date.now() - from > 8_000, begun);
  must(count("GET /api/simulator") > again, "asks again");
  await t.close();
});

await it("recordings have a page of their own: listed, played from there, and watched in the lobby", async () => {
  const t = await open(mock.url, { hash: "#/recordings" });
  await t.page.waitForSelector('[data-recording-name="group-breathing-pilot"]');
  must((await t.page.title()) === "Recordings · Sensocto", await t.page.title());
  must((await t.page.locator("[data-recording-name]").count()) >= 3 && (await t.page.locator("#scenarios, [data-scenario]").count()) === 0, "all of them, and nothing else");
  await axe(t.page, "recordings");
  await t.page.locator('[data-recording-name="group-breathing-pilot"] [data-act=play]').focus();
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector('[data-recording-name="group-breathing-pilot"] [data-act=stop]');
  await t.page.click("[data-act=to_lobby]");
  await t.page.waitForSelector("#filter");
  must(new URL(t.page.url()).hash.startsWith("#/"), t.page.url());
  await t.page.goBack();
  await t.page.click('[data-recording-name="group-breathing-pilot"] [data-act=stop]');
  await t.page.waitForSelector('[data-recording-name="group-breathing-pilot"] [data-act=play]');
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
});

await it("dragging the slider asks at most four times a second, and ends where it was let go", async () => {
  simulator.keep("long", { duration_ms: 300_000 });
  const t = await open_simulator(mock.url);
  await t.page.click('[data-recording-name="long"] [data-act=play]');
  const slider = t.page.locator(".time-bar input[type=range]");
  const { x, y, width, height } = await slider.boundingBox();
  const before = simulator.asked.length;
  await t.page.mouse.move(x + 12, y + height / 2);
  await t.page.mouse.down();
  const begun = Date.now();
  for (let k = 1; k <= 60; k++) await t.page.mouse.move(x + (k / 60) * (width * 0.6), y + height / 2);
  const took_ms = Date.now() - begun;
  await t.page.mouse.up();
  await until(t.page, () => Math.abs(document.querySelector(".time-bar input").valueAsNumber - 180_000) < 6_000);
  await text(t.page, ".time-bar .at", "3:0");
  const seeks = simulator.asked.slice(before).filter(({ what }) => what === "POST /api/simulator/seek");
  must(seeks.length >= 1 && seeks.length <= took_ms / 250 + 3, `${seeks.length} seeks in ${took_ms} ms`);
  must(Math.abs(seeks.at(-1).body.position_ms - 180_000) < 6_000, `the last is ${seeks.at(-1).body.position_ms}`);
  // It plays on from there, between two answers of the server too.
  await text(t.page, ".time-bar .at", "3:04");
  must(/^3 minutes \d of 5 minutes$/.test(await slider.getAttribute("aria-valuetext")), await slider.getAttribute("aria-valuetext"));
  // What is wrong with its file is told where it runs.
  simulator.running.get("replay:long").error = "the file is cut after 4 minutes 10";
  await text(t.page, row("replay:long"), "the file is cut after 4 minutes 10");
  // At its end it says so, and starts over when asked.
  await t.page.keyboard.press("End");
  await text(t.page, ".time-bar", "The recording is over.");
  await t.page.click(".time-bar [data-act=resume]");
  await until(t.page, () => document.querySelector(".time-bar input").valueAsNumber < 10_000);
  await t.page.waitForSelector(".time-bar [data-act=pause]");
  // What fails is said in the bar, in any view.
  await t.page.click('nav button:has-text("Lobby")');
  simulator.fail("POST /api/simulator/pause", 409, { error: "not now", code: "busy" });
  await t.page.click(".time-bar [data-act=pause]");
  await text(t.page, ".time-bar", "Could not pause it. Not now.");
  await axe(t.page, "time bar in the lobby");
  await stop_all();
  await gone(t.page, ".time-bar");
  await t.close();
  return `${seeks.length} seeks in ${took_ms} ms of dragging`;
});

await it("a token is asked for, sent with everything, and a file is fetched with it", async () => {
  const strict = await start_mock({ dist, ecgs: 2, others: 0, bearer: "open sesame", simulator: MockSimulator.lived_in() });
  const t = await open(strict.url, { hash: HASH });
  await t.page.fill("#token", "guess");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector("[role=alert]");
  await t.page.fill("#token", "open sesame");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector(card("few"));
  must(new URL(t.page.url()).hash === HASH, "the view stays");
  await t.page.click(`${card("few")} [data-act=start]`);
  await t.page.waitForSelector(row("few"));
  const [download] = await Promise.all([t.page.waitForEvent("download"), t.page.click('[data-recording-name="power-cut"] [data-act=fetch]')]);
  must((await readFile(await download.path())).subarray(1, 5).toString() === "MCAP", "the file");
  await t.close();
  await strict.stop();
});

await it("where only the simulator asks for a token, the rest of the page goes on", async () => {
  const t = await open(mock.url);
  await until(t.page, () => __sensocto.link === "live");
  simulator.fail("GET /api/simulator", 401, { error: "unauthorized", code: "unauthorized" }, 1e9);
  await t.page.click('nav button:has-text("Simulator")');
  await t.page.waitForSelector("#token");
  await t.page.click('nav button:has-text("Lobby")');
  await t.page.waitForSelector("article");
  await t.page.click('nav button:has-text("Simulator")');
  simulator.mend("GET /api/simulator");
  await t.page.fill("#token", "mine");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector(card("few"));
  await t.close();
});

/** Everything at once, as full as it gets. */
async function full() {
  const order = (path, body) => fetch(new URL(path, mock.url), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  await order("api/simulator/start", { scenario: "few" });
  await order("api/simulator/start", { scenario: "klinik-nord-longitudinal-monitoring-of-night-shift-nurses-2026-q4-second-cohort", speed: 2 });
  await order("api/simulator/replay", { recording: "2026-11-23-rehearsal" });
  await order("api/recordings", { name: "tuesday" });
  simulator.warning = "The disk has 1.2 GB left: at this pace enough for 40 minutes.";
}
await full();

for (const [size, touch] of [[[320, 640], true], [[390, 844], false], [[720, 450], false], [[1060, 800], false], [[1100, 700], false], [[1920, 1080], false]]) {
  await it(`at ${size[0]} px nothing runs out of the page, and everything is large enough to hit`, async () => {
    const t = await open_simulator(mock.url, { size, touch, motion: "reduce" });
    await t.page.waitForSelector(".time-bar");
    await t.page.waitForSelector(".recorder[data-recording]");
    await t.page.click(`${card("city-large")} .options`);
    simulator.fail("POST /api/simulator/start", 409, { error: `a long ${"word".repeat(40)}`, code: "sensor_clash" });
    await t.page.click(`${card("city-large")} [data-act=start]`);
    await text(t.page, card("city-large"), "Could not start it");
    must(await t.page.evaluate((width) => document.documentElement.scrollWidth <= width, size[0]), "the page is wider than the screen");
    const cut = await t.page.evaluate((width) => [...document.querySelectorAll("main *, header *, .time-bar *")]
      .filter((e) => e.checkVisibility() && e.closest(".hidden-text, thead") === null && e.getBoundingClientRect().right > width + 0.5).map((e) => e.outerHTML.slice(0, 120)), size[0]);
    must(cut.length === 0, `cut off: ${cut.join("; ")}`);
    const over = await t.page.evaluate(() => [...document.querySelectorAll("main button, main a, main li, main dl, main td, main p, .time-bar button")]
      .filter((e) => e.checkVisibility() && e.closest(".hidden-text") === null && getComputedStyle(e).textOverflow !== "ellipsis" && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 120)));
    must(over.length === 0, `runs over: ${over.join("; ")}`);
    const small = await t.page.evaluate((least) => [...document.querySelectorAll("main button, main a, main input, main select, main summary, .time-bar button, .time-bar select, .time-bar input, nav button")]
      .filter((e) => e.checkVisibility()).map((e) => [e, e.getBoundingClientRect()]).filter(([, box]) => box.height < least || box.width < least).map(([e]) => e.outerHTML.slice(0, 120)), 24);
    must(small.length === 0, `too small: ${small.join("; ")}`);
    await axe(t.page, `${size[0]} px`);
    await t.close();
  });
}

for (const [theme, size, name] of [
  ["dark", [1440, 900], "wide"], ["light", [1440, 900], "wide"], ["dark", [390, 844], "narrow"], ["light", [390, 844], "narrow"], ["dark", [320, 640], "narrowest"],
]) {
  await it(`a picture, ${theme} and ${name}`, async () => {
    const t = await open_simulator(mock.url, { theme, size });
    await t.page.waitForSelector(".time-bar");
    await t.page.waitForSelector(".recorder[data-recording]");
    await axe(t.page, `${theme} ${name}`);
    await t.page.screenshot({ path: join(shots, `simulator-${theme}-${name}.png`) });
    await t.close();
  });
}
await mock.stop();
await finish();
