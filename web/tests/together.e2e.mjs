/**
 * The Together view in a real browser: one visit as a person would have it, against SENSOCTO_URL (with the scenario
 * breathing-circle), a server started from SENSOCTO_BIN, or the mock; then, against the mock, all that cannot be
 * measured and all that goes wrong. Nothing sleeps: everything waits for what should become true.
 */

import { join } from "node:path";
import { axe, dist, finish, it, must, open, reaches, real, shots } from "./browser.mjs";
import { in_step, MockGroup, strangers } from "./mock-group.mjs";
import { start_mock } from "./mock-server.mjs";
import { start_server } from "./server.mjs";

const HASH = "#/together";
const SOON_MS = 15_000;
/** Three breaths at six a minute, and what the filters need. */
const MEASURED_MS = 60_000;
/** A minute in common, and a little. */
const PAIRS_MS = 120_000;
const mocked = (more = {}) => start_mock({ dist, others: 40, ...more });

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  if (process.env.SENSOCTO_BIN) return start_server(process.env.SENSOCTO_BIN, { simulate: "breathing-circle" });
  const group = new MockGroup();
  // As a real one, though sooner: nothing is known at first.
  const begun = Date.now();
  group.state = (k, t) => (Date.now() - begun < 4_000 ? "too_short" : in_step(k, t));
  group.pair = (a, b) => (Date.now() - begun < 30_000 ? null : { plv: 0.95, lag_s: 0.2 * (b - a), common_s: 61 });
  return mocked({ group });
}

const until = (page, test, arg, timeout = SOON_MS) => page.waitForFunction(test, arg, { timeout, polling: 100 });
const text = (page, selector, words, timeout) => until(page, ([at, some]) => document.querySelector(at)?.textContent.includes(some), [selector, words], timeout);
const hide = (page, hidden) => page.evaluate((state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden ? "hidden" : "visible");
async function open_together(url, more = {}) {
  const t = await open(url, { hash: HASH, ...more });
  await t.page.waitForSelector("#verdict");
  return t;
}
async function both_themes(page, where) {
  await axe(page, `${where}, dark`);
  await page.click(".theme");
  await until(page, () => document.documentElement.dataset.theme === "light");
  await axe(page, `${where}, light`);
  await page.click(".theme");
}
/** How often the server has read the group, by its own count. */
async function read_times(url, name) {
  const said = await (await fetch(new URL("metrics", url))).text();
  const of = (metric) => Number(said.match(new RegExp(`^sensocto_${metric}\\{group="${name}"\\} (\\S+)`, "m"))?.[1] ?? 0);
  return of("group_order_count") + of("group_unmeasurable_total");
}

const server = await start();
process.stdout.write(`page at ${server.url}\n`);
const visit = await open(server.url);
const { page } = visit;

await it("the header leads there, and the address says what is compared", async () => {
  await until(page, () => __sensocto.link === "live");
  await page.click('nav button:has-text("Together")');
  await page.waitForSelector("#verdict");
  must((await page.title()) === "Together · Sensocto", "the tab says so");
  must(new URL(page.url()).hash === "#/together?signal=breath&tier=prompt&who=all", page.url());
  await page.click('button:has-text("Live")');
  must(new URL(page.url()).hash === "#/together?signal=breath&tier=live&who=all", page.url());
});

await it("before anything is known it says that there is not enough data yet, and how late it is", async () => {
  await text(page, "#verdict", "Not enough data yet");
  await text(page, "#together dd.late", "1 s");
  const { members } = await page.evaluate(() => __sensocto.group);
  must(members.length === 10, `${members.length} members`);
  await text(page, ".how-many", "10 of 10 not measurable: too little data yet");
  await until(page, () => document.querySelectorAll(".outside li").length === 10 && document.querySelectorAll("#people tbody tr").length === 10);
  await text(page, "[aria-live][data-of=together]", "Not enough data yet");
  // Nor of any pair, which takes a minute in common.
  must(await page.evaluate(() => __sensocto.group.pairs.length === 0 && [...document.querySelectorAll("#pairs tbody td:not(.same)")].every((cell) => cell.textContent.includes("needs a minute in common"))), "no figure without a minute");
  await both_themes(page, "not enough data");
});

// While that is being measured: against the mock: ten who breathe, twelve with an ECG.
const mock = await mocked();
const { group } = mock;
function scene(more = {}) {
  Object.assign(group, { state: in_step, pair: null, heart: null, refuse: null, mute: false, past_ms: 60_000 }, more);
}
/** Sessions of every kind. */
function furnish() {
  const { sessions } = mock;
  sessions.going.clear();
  sessions.kept.clear();
  sessions.left_out = 3;
  sessions.report_ms = 30_000;
  sessions.begin("evening-choir", { began: Date.now() - 192_000, people: 10, condition: "paced" });
  sessions.begin("morning-circle-second-cohort", { began: Date.now() - 700_000, stopped: Date.now() - 9_000 });
  sessions.keep("first-try", { begin_ms: 0, duration_s: 0, group: {}, significance: { outcome: "not_tested", reason: "the window is 0 s long; this method needs 60 to 3600 s" }, cautions: ["Never could two people be measured at once."] });
  sessions.keep("rehearsal", { begin_ms: Date.now() - 90_000_000 });
  sessions.keep("paced-breathing-of-night-shift-nurses-2026-q4-second-cohort", { condition: "paced", people: 8, begin_ms: Date.now() - 4_000_000, cautions: ["They followed a pacer: what is found here says that they followed it, not that they followed each other."] });
  sessions.kept.set("cut", { name: "cut", state: "broken", why: "report.json: unexpected end of file" });
}
/** Until so many groups are watched. */
const watched = (n, of = group) => reaches(`${n} groups are watched`, () => of.names, (names) => names.length === n);
const asked = () => mock.heard.filter(({ event }) => event === "watch_group").at(-1).payload;

await it("people in step are together more than strangers are; strangers are not told apart", async () => {
  scene();
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Together more than strangers are");
  await text(t.page, ".how-many", "All 10 measurable.");
  await text(t.page, "[aria-live][data-of=together]", "Together more than strangers are. All 10 measurable.");
  await t.close();
  scene({ state: strangers });
  const others = await open_together(mock.url);
  await text(others.page, "#verdict", "Not told apart from strangers");
  await others.close();
});

await it("whoever lags behind for good lowers R, and the words say that distances are steady", async () => {
  scene({ state: (k, t) => (t / 1_000) * 1.2 + k * 0.6, pair: () => ({ plv: 0.97, lag_s: 1.3, common_s: 90 }) });
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Not at one point, but at steady distances");
  await text(t.page, ".words", "45 of 45 pairs keep their distance more steadily than strangers do; by chance alone about 2 would.");
  await t.close();
});

await it("who cannot be measured stands outside, with the reason in words", async () => {
  scene({ state: (k, t) => (k === 3 ? "flat" : k === 7 ? "no_rhythm" : k === 8 ? "flat" : in_step(k, t)) });
  const t = await open_together(mock.url);
  await text(t.page, ".how-many", "7 of 10 measurable. 3 of 10 not measurable: flat signal (2), no clear rhythm (1).");
  await until(t.page, () => document.querySelectorAll(".outside li").length === 3);
  const outside = await t.page.locator(".outside li").allTextContents();
  must(/^\s*4 .+: flat signal$/.test(outside[0]) && /^\s*8 .+: no clear rhythm$/.test(outside[1]), outside.join("; "));
  must(/not measurable: flat signal/.test(await t.page.locator("#people tbody tr").nth(3).textContent()), "in the table too");
  await axe(t.page, "outside");
  group.state = (k) => ["flat", "clipped"][k % 2];
  await text(t.page, "#verdict", "Not measurable now");
  await text(t.page, "#together dd.big", "–");
  await t.close();
});

await it("where nobody sends the signal it says so, and not that it is asking", async () => {
  const empty = await mocked({ ecgs: 0, others: 4 });
  const t = await open_together(empty.url, { hash: "#/together?signal=heart_low&tier=live&who=all" });
  await text(t.page, "#verdict", "Nobody sends this signal now");
  await t.page.click('button:has-text("Breathing")');
  await text(t.page, "#verdict", "One person alone");
  await t.close();
  await empty.stop();
});

await it("readings that stop are said to be old, and nothing of them is shown as now", async () => {
  scene();
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Together");
  group.mute = true;
  await text(t.page, "#verdict", "No readings come");
  await text(t.page, "#together dd.big", "–");
  await until(t.page, () => !/measurable|ahead|behind/.test(document.querySelector("#people tbody").textContent));
  await axe(t.page, "stale");
  group.mute = false;
  await text(t.page, "#verdict", "Together");
  await t.close();
});

await it("a line that drops comes back, and the group with it", async () => {
  scene();
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Together");
  const n = await t.page.evaluate(() => __sensocto.group.readings);
  mock.drop({ forget: true });
  await until(t.page, (before) => __sensocto.joins === 2 && __sensocto.group.readings > before + 20, n);
  await text(t.page, "#verdict", "Together");
  await t.close();
});

await it("bytes that are no frame are counted, and change nothing", async () => {
  scene();
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Together");
  const good = group.frame("together breath prompt all", 10, [Date.now()]);
  for (const bytes of [[], [2], [1, 255, 1], good.subarray(0, 40), Buffer.concat([good, Buffer.from([0])])]) group.garble(bytes);
  await until(t.page, () => __sensocto.totals.refused === 5);
  const n = await t.page.evaluate(() => __sensocto.group.readings);
  await until(t.page, (before) => __sensocto.group.readings > before + 5 && __sensocto.joins === 1, n);
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
});

await it("a refusal is said with what can be done", async () => {
  scene({ refuse: "too_many_groups" });
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "The server does not compare them");
  await text(t.page, ".words", "It compares as many groups as it can.");
  await axe(t.page, "refused");
  await t.close();
});

await it("people are chosen with the keyboard, found by typing, and a link opens exactly them", async () => {
  scene({ pair: () => ({ plv: 0.9, lag_s: -0.6, common_s: 120 }) });
  const t = await open_together(mock.url);
  await t.page.focus('button:has-text("Chosen")');
  await t.page.keyboard.press("Enter");
  await text(t.page, "#verdict", "Choose two people at least");
  await watched(0);
  await t.page.fill('#who-list input[type="search"]', "elif");
  await until(t.page, () => [...document.querySelectorAll("#who-list li")].every((one) => one.textContent.includes("Elif")));
  await t.page.keyboard.press("Tab");
  await t.page.keyboard.press("Tab");
  await t.page.keyboard.press("Space");
  await t.page.fill('#who-list input[type="search"]', "anna");
  await t.page.locator('#who-list input[type="checkbox"]').first().focus();
  await t.page.keyboard.press("Space");
  await text(t.page, "#who-list [role=status]", "2 of 10 chosen");
  await text(t.page, "#verdict", "Together more than strangers are");
  await text(t.page, ".words", "How steady their distance was: 0.90 over 120 s. 95 % of the time, strangers stay below 0.50.");
  await text(t.page, "#pairs tbody", "s behind");
  must(asked().sensors.length === 2, JSON.stringify(asked()));
  await axe(t.page, "chosen");
  const address = new URL(t.page.url()).hash;
  await t.close();
  const again = await open_together(mock.url, { hash: address });
  await text(again.page, "#who-list [role=status]", "2 of 10 chosen");
  await text(again.page, "#verdict", "Together more than strangers are");
  must(new URL(again.page.url()).hash === address, again.page.url());
  await again.page.evaluate(() => (location.hash = "#/together?signal=heart_low&tier=confirmed&who=all"));
  await text(again.page, "#together dd.late", "12 s");
  must(asked().signal === "heart_low" && asked().tier === "confirmed" && asked().sensors === "all", JSON.stringify(asked()));
  await again.close();
});

await it("of hearts it tells rate and variability, over which window, and how much was corrected", async () => {
  scene({ heart: (k) => ({ rate_bpm: 60 + k, rmssd_ms: 41.4, sdnn_ms: 52, pnn50_pct: 9, window_s: 60, corrected_share: 0.015 }) });
  const t = await open_together(mock.url, { hash: "#/together?signal=heart_high&tier=live&who=all" });
  await text(t.page, "#together dd.late", "5 s");
  await text(t.page, "#people tbody", "60 bpm");
  const cells = await t.page.locator("#people tbody tr").first().locator("td").allTextContents();
  must(/60 bpm.*41 ms.*52 ms.*60 s.*1\.5 %/s.test(cells.join()), cells.join());
  await axe(t.page, "hearts");
  await t.close();
});

await it("what a session refuses is said in the server's words; who cannot be recorded is told before", async () => {
  scene();
  const { sessions } = mock;
  const t = await open_together(mock.url);
  await text(t.page, "#sessions", "No sessions yet.");
  sessions.refuse = [507, { error: "there are 256 sessions already; delete some", code: "no_room" }];
  await t.page.click("#record [data-act=start]");
  await text(t.page, "#record", "Could not start the session. There are 256 sessions already; delete some.");
  sessions.refuse = null;
  await axe(t.page, "refused session");
  await t.page.fill("#session-name", "Not A Name");
  await text(t.page, "#session-name-wrong", "Small letters");
  await t.page.click('button:has-text("Chosen")');
  await text(t.page, "#record", "Choose two people at least.");
  const before = sessions.asked.length;
  await t.page.focus("#session-name");
  await t.page.keyboard.press("Enter");
  await t.page.fill("#session-name", "");
  await t.page.fill('#who-list input[type="search"]', "elif");
  await t.page.click("#who-list .find button");
  await t.page.fill('#who-list input[type="search"]', "anna");
  await t.page.click("#who-list .find button");
  must(sessions.asked.slice(before).every(({ what }) => !what.startsWith("POST")), "nothing was started meanwhile");
  await t.page.click('#record button:has-text("Common")');
  await t.page.click("#record [data-act=start]");
  await t.page.waitForSelector("li[data-session]");
  const { body } = sessions.asked.findLast(({ what }) => what.startsWith("POST"));
  const shown = new URL(t.page.url()).hash.split("only:")[1].split(",").map(decodeURIComponent).sort();
  must(shown.length >= 2 && body.sensors.join() === shown.join() && body.signal === "breath" && body.tier === "prompt" && body.condition === "common_stimulus" && !("name" in body), JSON.stringify(body));
  await t.page.click("li[data-session] [data-act=discard]");
  await t.page.click('dialog button:has-text("Discard it")');
  await t.page.waitForSelector("li[data-session]", { state: "detached" });
  await t.close();
});

await it("with a token, files of sessions are fetched and saved", async () => {
  const barred = await mocked({ bearer: "sesame" });
  barred.sessions.keep("kept-one");
  const t = await open(barred.url, { hash: HASH });
  await t.page.fill("input[type=password]", "sesame");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector("li[data-kept]");
  for (const file of ["report.html", "signals.csv"]) {
    const [saved] = await Promise.all([t.page.waitForEvent("download"), t.page.click(`li[data-kept] [data-act="${file}"]`)]);
    must(saved.suggestedFilename() === `kept-one-${file}`, saved.suggestedFilename());
  }
  await t.close();
  await barred.stop();
});

await it("a hidden tab asks for no group, and one that comes back asks again", async () => {
  scene();
  const t = await open_together(mock.url);
  await text(t.page, "#verdict", "Together");
  await hide(t.page, true);
  await watched(0);
  await hide(t.page, false);
  await watched(1);
  await text(t.page, "#verdict", "Together");
  await t.close();
});

await it("of more than twenty no pairs are told, and a thousand do not stop the page", async () => {
  const crowd = await mocked({ others: 1_200, ecgs: 0 });
  const t = await open_together(crowd.url);
  await until(t.page, () => __sensocto.group.members.length === 300 && __sensocto.group.readings > 20);
  await text(t.page, "#pairs", "groups of up to 20");
  must((await t.page.locator("#pairs table").count()) === 0, "no matrix");
  const { script_ms_p95 } = await t.page.evaluate(() => __sensocto.frames);
  await t.close();
  await crowd.stop();
  return `script p95 ${script_ms_p95.toFixed(1)} ms`;
});

for (const [size, touch] of [[[320, 640], true], [[390, 844], true], [[720, 450], false], [[1060, 800], false]]) {
  await it(`at ${size[0]} px nothing runs out of the page, and everything is large enough to hit`, async () => {
    scene({ state: (k, t) => (k === 3 ? "no_rhythm" : in_step(k, t)), pair: (a, b) => ({ plv: 0.4 + 0.05 * (b - a), lag_s: 0.3 * (b - a), common_s: 90 }) });
    const t = await open_together(mock.url, { size, touch, motion: "reduce", hash: `${HASH}?who=only:` });
    furnish();
    await t.page.click('button:has-text("Choose these 10")');
    await t.page.click("#record [data-act=start]");
    await until(t.page, () => document.querySelectorAll("li[data-kept]").length === 4 && document.querySelectorAll("li[data-session]").length > 1);
    await until(t.page, () => document.querySelector(".locked") !== null);
    must(await t.page.evaluate((width) => document.documentElement.scrollWidth <= width, size[0]), "the page is wider than the screen");
    const out = await t.page.evaluate((width) => [...document.querySelectorAll("header *, main *")]
      .filter((e) => e.checkVisibility() && e.closest(".hidden-text, .scroll, svg") === null && e.getBoundingClientRect().right > width + 0.5).map((e) => e.outerHTML.slice(0, 120)), size[0]);
    must(out.length === 0, out.join("; "));
    if (touch) {
      const small = await t.page.evaluate(() => [...document.querySelectorAll("header nav button, main button, main a, main label")].filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.textContent.trim()));
      must(small.length === 0, `too small for a finger: ${small.join("; ")}`);
    }
    await axe(t.page, `${size[0]} px`);
    await t.close();
  });
}

for (const [theme, size, name] of [
  ["dark", [1440, 2_600], "wide"], ["light", [1440, 2_600], "wide"], ["dark", [390, 5_000], "narrow"], ["light", [390, 5_000], "narrow"],
]) {
  await it(`a picture, ${theme} and ${name}`, async () => {
    scene({
      past_ms: 290_000,
      state: (k, t) => (k === 3 ? "flat" : k === 7 ? "no_rhythm" : t % 150_000 < 12_000 ? "gap" : (t / 150_000) % 2 < 1 && k > 4 ? strangers(k, t) : in_step(k, t)),
      pair: (a, b) => (a === 3 || a === 7 || b === 3 || b === 7 ? null : { plv: Math.max(0.05, 0.98 - 0.08 * Math.abs(b - a)), lag_s: 0.2 * (b - a), common_s: 118 }),
    });
    furnish();
    const t = await open_together(mock.url, { theme, size });
    await until(t.page, () => document.querySelector(".locked") !== null && document.querySelector("#people tbody") !== null && !document.querySelector("#traces").textContent.includes("not measured") && __sensocto.group.readings > 2_800 && [...document.querySelectorAll("main canvas")].every((canvas) => seen(canvas).lit > 500));
    await t.page.screenshot({ path: join(shots, `together-${theme}-${name}.png`) });
    await t.close();
  });
}

await mock.stop();

// Back at the first page: by now it is measured.
await it("then it says how many are measurable, and an R beside strangers'", async () => {
  await until(page, () => __sensocto.group.measurable > 2, null, MEASURED_MS);
  await until(page, () => /^[01]\.\d{2,3}$/.test(document.querySelector("#together dd.big").textContent), null, MEASURED_MS);
  await until(page, () => ["Together more than strangers are", "Not told apart from strangers", "Not at one point, but at steady distances"].includes(document.querySelector("#verdict").textContent), null, MEASURED_MS);
  await until(page, () => /^(All 10|\d of 10) measurable\./.test(document.querySelector(".how-many").textContent));
  must(/R [01]\.\d{2,3} over the last half minute\. 95 % of the time, strangers stay below 0\.\d{2,3}\./.test(await page.textContent(".words")), await page.textContent(".words"));
  return page.textContent("#verdict");
});

await it("the circle and both traces are drawn, and go on with time", async () => {
  const drawn = () => [...document.querySelectorAll("#circle canvas, #traces canvas")].map((canvas) => seen(canvas));
  await page.evaluate(`window.drawn = ${drawn}`);
  await until(page, () => drawn().length === 3 && drawn().every(({ lit }) => lit > 500));
  const before = await page.evaluate(() => drawn().map(({ hash }) => hash));
  await until(page, (old) => drawn().every(({ hash }, k) => hash !== old[k]), before);
  const names = await page.evaluate(() => [...document.querySelectorAll("#circle canvas, #traces canvas")].map((canvas) => canvas.getAttribute("aria-label")));
  must(/^Circle of phases\. /.test(names[0]) && new Set(names).size === 3, names.join("; "));
  await until(page, () => /\d+ of 10 on the circle, R [01]\.\d{2,3}/.test(document.querySelector("#circle canvas").getAttribute("aria-label")));
});

await it("arrow keys read both traces at one moment, and Escape goes back to the newest", async () => {
  const slider = page.locator("#traces input").first();
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  must(/^2 s before the newest: ([01]\.\d{2,3}, strangers below 0\.\d{2,3}|not measured)$/.test(await slider.getAttribute("aria-valuetext")), await slider.getAttribute("aria-valuetext"));
  must(/^2 s before the newest: /.test(await page.locator("#traces input").nth(1).getAttribute("aria-valuetext")), "the other too");
  await page.keyboard.press("Escape");
  must(/^newest: /.test(await slider.getAttribute("aria-valuetext")), "the newest again");
});

await it("the traces are a table for whoever asks", async () => {
  await page.click('#traces button:has-text("As a table")');
  await until(page, () => document.querySelectorAll("#traces tbody tr").length >= 2);
  await axe(page, "as a table");
  await page.click('#traces button:has-text("As plots")');
  await page.waitForSelector("#traces canvas");
});

await it("held to the group, whoever is ahead is on the right", async () => {
  await page.click('#circle button:has-text("Held")');
  await until(page, () => document.querySelector("#circle button[aria-pressed=true]").textContent.trim() === "Held");
  await page.click('#circle button:has-text("Turning")');
});

await it("pairs are told when they have a minute in common", async () => {
  await until(page, () => __sensocto.group.pairs.length > 0, null, PAIRS_MS);
  await until(page, () => [...document.querySelectorAll("#pairs tbody td")].some((cell) => /: [01]\.\d{2,3} over \d+ s/.test(cell.textContent)));
  await until(page, () => /is \d+\.\d s behind|at the same point|no steady distance/.test(document.querySelector("#pairs tbody").textContent));
  await text(page, "#pairs", "By chance alone it would be about");
  must((await page.evaluate(() => Math.min(...__sensocto.group.pairs.map(({ common_s }) => common_s)))) >= 60, "a minute at least");
  await page.locator("#pairs .scroll").focus();
  await both_themes(page, "all of it");
});

await it("a session is recorded, stopped, reported and deleted", async () => {
  const called = `walk-${Date.now()}`;
  const going = `li[data-session="${called}"]`;
  const kept = `li[data-kept="${called}"]`;
  const spoken = "[aria-live][data-of=sessions]";
  await page.fill("#session-name", called);
  await page.click('#record button:has-text("Paced")');
  await page.focus("#session-name");
  await page.keyboard.press("Enter");
  await page.waitForSelector(`${going}[data-state=running]`);
  await text(page, spoken, `${called} is being recorded.`);
  must((await page.inputValue("#session-name")) === "", "the field is free for the next");
  await until(page, (at) => /^([2-9]|10) of 10 measurable now$/.test(document.querySelector(`${at} .measurable`).textContent), going, MEASURED_MS);
  await until(page, (at) => !/^(0:00|–)$/.test(document.querySelector(`${at} .elapsed`).textContent), going);
  await text(page, `${going} .facts`, "Breathing · Paced");
  await both_themes(page, "a session runs");
  await page.click(`${going} [data-act=stop]`);
  await page.waitForSelector(`${kept}[data-state=done]`, { timeout: MEASURED_MS });
  await text(page, spoken, `The report of ${called} is there.`);
  await text(page, kept, "10 people");
  await text(page, `${kept} .figures`, "mean κ");
  const [report] = await Promise.all([page.context().waitForEvent("page"), page.click(`${kept} a:has-text("Report")`)]);
  await report.waitForLoadState();
  must((await report.title()) === `Synchrony: ${called}`, await report.title());
  must((await report.textContent("h1")).includes(called), "its heading");
  await report.close();
  const [json] = await Promise.all([page.waitForEvent("download"), page.click(`${kept} a:has-text("JSON")`)]);
  must(json.suggestedFilename() === `${called}-report.json`, json.suggestedFilename());
  await axe(page, "a session is kept");
  await page.click(`${kept} [data-act=remove]`);
  await page.click('dialog button:has-text("Delete for good")');
  await page.waitForSelector(kept, { state: "detached" });
  await text(page, spoken, `${called} is deleted.`);
  await until(page, () => document.activeElement.id === "sessions-title");
});

await it("whoever leaves is not told any more", async () => {
  const before = await page.evaluate(() => __sensocto.group.readings);
  const name = "together breath live all";
  if (real) must((await read_times(server.url, name)) > 0, "it was read");
  else must(server.group.names.join() === name, server.group.names.join());
  await page.click('nav button:has-text("System")');
  if (real) {
    const read_in_a_second = async () => {
      const before = await read_times(server.url, name);
      await new Promise((done) => setTimeout(done, 1_000));
      return (await read_times(server.url, name)) - before;
    };
    await reaches("the group is read on", read_in_a_second, (count) => count === 0);
  } else await watched(0, server.group);
  await page.goBack();
  await page.waitForSelector("#verdict");
  must(new URL(page.url()).hash === "#/together?signal=breath&tier=live&who=all", page.url());
  await until(page, (n) => __sensocto.group.readings > n, before);
});

await it("nothing was refused, no other host was asked, and nothing complained", async () => {
  const { refused } = await page.evaluate(() => __sensocto.totals);
  must(refused === 0, `${refused} refused`);
  must(visit.account.foreign.length === 0, visit.account.foreign.join(", "));
  must(visit.account.complaints.length === 0, visit.account.complaints.join("\n"));
});
await visit.close();
await server.stop();
await finish();
