/**
 * The System page in a real browser, and what a page says and hears of its own quality: one visit as a person
 * would have it, against SENSOCTO_URL, a server started from SENSOCTO_BIN, or the mock; then, against the mock,
 * every level of load and all that goes wrong. Nothing sleeps: everything waits for what should become true.
 */

import { join } from "node:path";
import { axe, dist, finish, it, must, open, reaches, real, shots, until } from "./browser.mjs";
import { start_mock } from "./mock-server.mjs";
import { MockSystem } from "./mock-system.mjs";
import { start_server } from "./server.mjs";

const HASH = "#/system";

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  return process.env.SENSOCTO_BIN ? start_server(process.env.SENSOCTO_BIN, { load: "measured" }) : start_mock({ dist });
}

const text = (page, selector, words) => until(page, ([at, some]) => document.querySelector(at)?.textContent.includes(some), [selector, words]);
const no_text = (page, selector, words) => until(page, ([at, some]) => !document.querySelector(at).textContent.includes(some), [selector, words]);
const spoken = (page, words) => text(page, "[aria-live][data-of=system]", words);
const hide = (page, hidden) => page.evaluate((state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden ? "hidden" : "visible");
const after = (page, ms) => {
  const begun = Date.now();
  return until(page, ([from, long]) => Date.now() - from > long, [begun, ms]);
};
async function open_system(url, more = {}) {
  const t = await open(url, { hash: HASH, ...more });
  await t.page.waitForSelector("#pressures canvas");
  return t;
}

const server = await start();
process.stdout.write(`page at ${server.url}\n`);
const api = async (path) => (await fetch(new URL(path, server.url))).json();

const visit = await open(server.url);
const { page } = visit;

await it("the header leads to the system and the back button away from it", async () => {
  await until(page, () => __sensocto.link === "live");
  await page.click('nav button:has-text("System")');
  await page.waitForSelector("#pressures canvas");
  must(new URL(page.url()).hash === HASH, page.url());
  must((await page.title()) === "System · Sensocto", "the tab says so");
  await page.goBack();
  await page.waitForSelector("#filter");
  await page.goForward();
  await page.waitForSelector("#pressures canvas");
  must((await page.getAttribute('nav button:has-text("System")', "aria-current")) === "page", "the header says where one is");
});

await it("the level is told in a word, as the server has it", async () => {
  // It may become another between two looks: until both say the same.
  const words = { normal: "Normal", elevated: "Elevated", high: "High", critical: "Critical" };
  const both = async () => ({ level: (await api("api/system")).load.level, told: await page.textContent("#load-title") });
  await reaches("the level in a word", both, ({ level, told }) => told.includes(words[level]));
  must(/^\d+ %$|^\d\.\d %$/.test((await page.textContent(".headline .big")).trim()), "and in per cent");
});

await it("it stands in a panel of a room, too, is asked for as long as that is open, and leads to all of it", async () => {
  const t = await open(server.url);
  await until(t.page, () => __sensocto.link === "live");
  must((await t.page.evaluate(() => __sensocto.points)) === 0, "nothing is asked before");
  await t.page.click('button[popovertarget="panels-menu"]');
  await t.page.click("[data-add=system]");
  await t.page.waitForSelector("[data-panel=system] #pressures canvas");
  await until(t.page, () => __sensocto.points >= 3);
  await until(t.page, () => [...document.querySelectorAll("[data-panel=system] #pressures canvas")].some((plot) => seen(plot).lit > 100));
  await axe(t.page, "the system in a panel");
  await t.page.screenshot({ path: join(shots, "system-panel-dark-wide.png") });
  // Its parts have names, which a page has once.
  await t.page.click('button[popovertarget="panels-menu"]');
  await t.page.click("[data-add=system]");
  await text(t.page, "[data-panel=system] .system > p:only-child", "It stands in another panel of this room.");
  await t.page.click("[data-panel=system] a");
  await until(t.page, (hash) => location.hash === hash && document.querySelector("#ages") !== null, HASH);
  await t.close();
});

await it("all six pressures are drawn, and go on with time", async () => {
  await until(page, () => {
    const plots = [...document.querySelectorAll("#pressures canvas")];
    return plots.length === 6 && plots.every((plot) => seen(plot).lit > 500);
  });
  const before = await page.evaluate(() => [...document.querySelectorAll("#pressures canvas")].map((plot) => seen(plot).hash));
  await until(page, (old) => [...document.querySelectorAll("#pressures canvas")].some((plot, k) => seen(plot).hash !== old[k]), before);
  const names = await page.evaluate(() => [...document.querySelectorAll("#pressures canvas")].map((plot) => plot.getAttribute("aria-label")));
  must(new Set(names).size === 6 && names.every((name) => /, the last five minutes\. \d/.test(name)), names.join("; "));
});

await it("arrow keys read all plots at one moment, and Escape goes back to now", async () => {
  await until(page, () => __sensocto.points >= 4);
  const slider = page.locator("[data-resource=cpu] input");
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  must(/^2\.0 s ago: \d+(\.\d)? %$/.test(await slider.getAttribute("aria-valuetext")), await slider.getAttribute("aria-valuetext"));
  must(/^2\.0 s ago: /.test(await page.getAttribute("[data-resource=memory] input", "aria-valuetext")), "the others too");
  await text(page, "#pressures", "All plots are read 2.0 s ago.");
  await page.keyboard.press("Escape");
  must(/^now: /.test(await slider.getAttribute("aria-valuetext")), "now again");
});

await it("the plots are a table for whoever asks", async () => {
  await page.click('#pressures button:has-text("As a table")');
  await page.waitForSelector("#pressures tbody tr");
  must((await page.locator("#pressures thead th").count()) === 8, "time, level and six figures");
  must((await page.locator("#pressures tbody tr").first().locator("td").allTextContents()).slice(1).every((cell) => /%$/.test(cell)), "in per cent");
  await axe(page, "pressures as a table");
  await page.click('#pressures button:has-text("As plots")');
  await page.waitForSelector("#pressures canvas");
});

await it("what is asked for and delivered is said, by how closely it is looked at", async () => {
  const other = await open(server.url);
  await until(other.page, () => __sensocto.link === "live" && document.querySelectorAll("article").length > 1);
  await other.page.locator("article").nth(1).hover();
  await text(page, "#flow", "samples a second");
  await page.waitForSelector("#flow svg[role=img]");
  await until(page, () => /Looked at closely\s*[1-9][\d,]*\/s asked/.test(document.querySelector("#flow [data-level=high]").textContent));
  const { flow } = await api("api/system");
  must(flow.levels.find(({ level }) => level === "high").asked_sps > 0, JSON.stringify(flow));
  await page.click('#flow button:has-text("As a table")');
  must((await page.locator("#flow tbody tr").count()) >= 3, "a row for each");
  await page.click('#flow button:has-text("As plots")');
  await other.close();
  // Whoever has gone is asked about by nobody: until the page's own viewer is alone in the list. The mock has eight, always.
  if (!real) return;
  await reaches("the other viewer stays", async () => (await api("api/system")).top.viewers.length, (count) => count <= 1);
  await until(page, () => !/(\b[2-9]|\d{2,}) viewers connected/.test(document.body.textContent));
});

await it("a viewer and a sensor, chosen with the keyboard, are explained layer by layer", async () => {
  const { top } = await api("api/system");
  must(top.viewers.length > 0 && top.sensors.length > 0, "somebody looks, somebody sends");
  await page.focus("#viewers .viewers tbody button");
  await page.keyboard.press("Enter");
  await text(page, ".decision", "Now choose a sensor.");
  await page.focus("#viewers .sensors tbody button");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".decision [data-layer]");
  must(/Asked [\d,.]+\/s, allowed [\d,.]+\/s, delivered ([\d,.]+|–)\/s/.test(await page.textContent(".decision .sum")), await page.textContent(".decision .sum"));
  await axe(page, "explained");
  await page.click('.decision button:has-text("Clear")');
  await page.waitForSelector(".decision [data-layer]", { state: "detached" });
});

await it("tables are sorted with the keyboard, both ways", async () => {
  const column = () => page.evaluate(() => [...document.querySelectorAll("#engine tbody tr")].map((row) => row.querySelector("th").textContent));
  await page.focus("#engine thead button");
  await page.keyboard.press("Enter");
  must((await page.getAttribute("#engine thead th", "aria-sort")) === "ascending", "upwards first");
  const up = await column();
  must(up.length > 1 && up.join() === [...up].sort(new Intl.Collator("en", { numeric: true }).compare).join(), up.join());
  await page.keyboard.press("Enter");
  must((await column()).join() === up.toReversed().join(), "and downwards");
});

await it("WCAG rules hold, dark and light", async () => {
  await axe(page, "dark");
  await page.click(".theme");
  await until(page, () => document.documentElement.dataset.theme === "light");
  await axe(page, "light");
  await page.click(".theme");
});

await it("the plots keep what they have while one is elsewhere", async () => {
  const points = await page.evaluate(() => __sensocto.points);
  await page.click('nav button:has-text("Lobby")');
  await page.waitForSelector("#filter");
  await page.click('nav button:has-text("System")');
  await page.waitForSelector("#pressures canvas");
  must((await page.evaluate(() => __sensocto.points)) >= points, "nothing is forgotten");
});

await it("no other host was asked, and nothing complained", async () => {
  must(visit.account.foreign.length === 0, visit.account.foreign.join(", "));
  must(visit.account.complaints.length === 0, visit.account.complaints.join("\n"));
});
await visit.close();
await server.stop();

/* From here on the mock alone: it is as loaded as it is asked to be, and errs. */

const system = new MockSystem();
const mock = await start_mock({ dist, system });
const count = (what = "/api/system") => system.asked.filter((one) => one.what === what).length;

await it("every level is told in words and aloud, with what decided it and what was taken", async () => {
  system.scene = "calm";
  const t = await open_system(mock.url);
  await text(t.page, "#load-title", "Normal");
  await text(t.page, "#flow", "Nothing is taken: all ");
  must((await t.page.locator("#flow [fill='url(#taken)']").count()) === 0, "nothing is drawn as taken");
  await text(t.page, "#drops", "Nothing has been dropped.");
  system.scene = "pressed";
  await text(t.page, "#load-title", "Elevated: CPU");
  await spoken(t.page, "Load is now elevated: CPU");
  await until(t.page, () => document.querySelectorAll("#flow [fill='url(#taken)']").length === 4);
  await text(t.page, "#flow", "Budget of the server: ");
  await text(t.page, "#flow", "There is not enough for all:");
  system.scene = "critical";
  await text(t.page, "#load-title", "Critical");
  await spoken(t.page, "Load is now critical");
  await until(t.page, () => document.querySelector(".headline .wrong")?.textContent.includes("On"));
  await t.page.waitForSelector("[data-resource] .decides");
  await axe(t.page, "critical");
  system.scene = "calm";
  await text(t.page, "#load-title", "Normal");
  await t.close();
});

await it("what is switched off, and books that do not balance, are told", async () => {
  system.scene = "broken";
  const t = await open_system(mock.url);
  await text(t.page, "#engine", "1 is switched off.");
  await text(t.page, "#engine", "forecast_attention: index out of bounds");
  await text(t.page, "#drops", "The books do not balance");
  await axe(t.page, "broken");
  system.scene = "calm";
  await text(t.page, "#drops", "The books balance");
  await t.close();
});

await it("why a viewer gets less is told where it happens", async () => {
  system.scene = "pressed";
  const t = await open_system(mock.url);
  await t.page.click('[data-key="102"] button');
  await t.page.click('[data-key="few-chiara-breath"] button');
  await text(t.page, ".decision", "Held back by: Viewers' lines.");
  await text(t.page, ".decision .limits", "182 kB wait");
  must((await t.page.locator(".decision .limits").count()) === 1, "one layer, not the product of all");
  system.fail("/api/system/decision", 404, { error: "no such viewer" }, 1e9);
  await text(t.page, ".decision", "The server no longer knows this viewer or this sensor.");
  system.mend("/api/system/decision");
  await text(t.page, ".decision", "Held back by");
  system.scene = "calm";
  await t.close();
});

await it("answers of no known shape leave the page standing, and are told", async () => {
  const t = await open_system(mock.url);
  for (const [status, body, words] of [
    [500, "<h1>Oops</h1>", "The server said no (500). What you see is from"], [503, { error: "the server is shutting down" }, "The server is shutting down."],
    [200, "<html>", "not in a way this page can read"], [200, "null", "not in a way this page can read"], [200, '{"load":{}}', "not in a way this page can read"],
    [0, null, "The server does not answer. What you see is from"],
  ]) {
    system.fail("/api/system", status, body, 1e9);
    await text(t.page, "#system", words);
    must((await t.page.locator("#pressures canvas").count()) === 6, "what was known stays");
    system.mend("/api/system");
    await no_text(t.page, "#system", words);
  }
  // Least that can be read: everything else is missing, and said to be.
  system.fail("/api/system", 200, { load: { level: "high" } }, 1e9);
  await text(t.page, "#load-title", "High");
  await text(t.page, "#flow", "The server does not say.");
  await text(t.page, "#bio", "The server does not say.");
  await axe(t.page, "nearly nothing told");
  system.mend("/api/system");
  system.fail("/api/system/traces", 500, "no", 1e9);
  await text(t.page, "#traces", "The server said no (500).");
  system.mend("/api/system/traces");
  await no_text(t.page, "#traces", "said no");
  // The browser itself notes that a question failed; the page adds nothing to it.
  const ours = t.account.complaints.filter((line) => !/Failed to load resource/.test(line));
  must(ours.length === 0, ours.join("\n"));
  await t.close();
});

await it("a server that is slow to answer is said to be, and is not asked more", async () => {
  const t = await open_system(mock.url);
  system.fail("/api/system", null, null, 1e9);
  await text(t.page, "#system", "What you see is from 5 s ago");
  const before = count();
  await text(t.page, "#system", "What you see is from 8 s ago");
  must(count() === before, `${count() - before} more questions`);
  system.mend("/api/system");
  await t.close();
});

await it("a server without such a page is said to have none", async () => {
  const plain = await start_mock({ dist, ecgs: 2, others: 0, system: null });
  const t = await open(plain.url, { hash: HASH });
  await text(t.page, "#system", "This server tells nothing of itself");
  await t.close();
  await plain.stop();
});

await it("a hidden page asks nothing, nor does one that is paused, nor another view", async () => {
  const t = await open_system(mock.url);
  const quiet = async () => {
    // One may be on its way.
    await after(t.page, 1_200);
    const before = count();
    // It asks once a second where it does.
    await after(t.page, 1_500);
    return count() - before;
  };
  const more = async () => {
    const before = count();
    for (let k = 0; k < 150 && count() === before; k++) await after(t.page, 100);
    must(count() > before, "asks again");
  };
  await hide(t.page, true);
  must((await quiet()) === 0, "hidden");
  await hide(t.page, false);
  await more();
  await t.page.click(".pause");
  await text(t.page, ".title", "Paused");
  must((await quiet()) === 0, "paused");
  await t.page.click(".pause");
  await more();
  await t.page.click('nav button:has-text("Lobby")');
  must((await quiet()) === 0, "elsewhere");
  await t.close();
});

await it("a token is asked for, and sent", async () => {
  const strict = await start_mock({ dist, ecgs: 2, others: 0, bearer: "open sesame" });
  const t = await open(strict.url, { hash: HASH });
  await t.page.fill("#token", "open sesame");
  await t.page.keyboard.press("Enter");
  await t.page.waitForSelector("#pressures canvas");
  must(new URL(t.page.url()).hash === HASH, "the view stays");
  await t.close();
  await strict.stop();
});

await it("how the browser is doing is said every two seconds while the page is seen", async () => {
  const t = await open(mock.url);
  const reports = () => mock.heard.filter(({ event, at }) => event === "client_health" && at > begun);
  const begun = Date.now();
  const heard = async (n) => {
    await after(t.page, 0);
    for (let k = 0; k < 150 && reports().length < n; k++) await after(t.page, 100);
    must(reports().length >= n, `${reports().length} of ${n} reports`);
  };
  await until(t.page, () => __sensocto.link === "live");
  await heard(3);
  const [first, second] = reports();
  must(second.at - first.at > 1_500, `${second.at - first.at} ms between two`);
  must(reports().every(({ payload }) => payload.fps > 0 && Number.isInteger(payload.droppedFrames)), JSON.stringify(first.payload));
  // Where frames come slowly anyway, one more that is late need not stand out: then another is.
  for (let tries = 0, dropped = false; !dropped; tries++) {
    must(tries < 5, "a frame of 300 ms was late");
    const n = reports().length;
    await t.page.evaluate(() => {
      const end = performance.now() + 300;
      while (performance.now() < end);
    });
    await heard(n + 1);
    dropped = reports().slice(n - 1).some(({ payload }) => payload.droppedFrames > 0);
  }
  await hide(t.page, true);
  await after(t.page, 500);
  const away = reports().length;
  await after(t.page, 4_500);
  must(reports().length === away, "hidden, it says nothing");
  await hide(t.page, false);
  await heard(away + 1);
  // A report that the server refuses is complained of.
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
  return JSON.stringify(reports().at(-1).payload);
});

await it("what holds this page back stands in the header, with the reason", async () => {
  const t = await open(mock.url);
  await text(t.page, ".chip .quality", "low quality");
  await t.page.click(".chip .quality button");
  await text(t.page, "#quality-menu", "That is all this view needs.");
  await text(t.page, "#quality-menu", "What you look at closely comes at high quality.");
  await axe(t.page, "quality menu");
  await t.page.keyboard.press("Escape");
  await until(t.page, () => !document.querySelector("#quality-menu").matches(":popover-open"));
  must(await t.page.evaluate(() => document.activeElement?.matches(".chip .quality button")), "the focus is back");
  for (const [reason, short, sentence] of [
    ["socket", "slow line", "Your line does not take more"], ["budget", "busy server", "The server is busy"], ["health", "busy browser", "Your browser reports"],
  ]) {
    mock.grant({ level: "minimal", reason, focused: "medium" });
    await text(t.page, ".chip .quality button", `minimal · ${short}`);
    await t.page.keyboard.press("Enter");
    await text(t.page, "#quality-menu", sentence);
    await text(t.page, "#quality-menu", "comes at medium quality");
    await t.page.keyboard.press("Escape");
  }
  mock.grant(null);
  await text(t.page, ".chip .quality", "low quality");
  await t.page.click(".chip .quality button");
  await t.page.click('#quality-menu button:has-text("what the server decides")');
  await t.page.waitForSelector("#pressures canvas");
  await t.close();
});

await it("a person may ask for another quality, in any view, until Auto again", async () => {
  const t = await open(mock.url);
  await until(t.page, () => __sensocto.quality.level === "low");
  const asked = () => [...mock.viewers.values()].at(-1).quality;
  await t.page.focus(".chip .quality button");
  await t.page.keyboard.press("Enter");
  // Into the menu, and from Auto to High.
  await t.page.keyboard.press("Tab");
  await t.page.keyboard.press("ArrowDown");
  await until(t.page, () => __sensocto.quality.level === "high");
  await text(t.page, "#quality-menu", "That is what you asked for.");
  must(asked() === "high", asked());
  await t.page.check("#quality-menu input[value=minimal]");
  await until(t.page, () => __sensocto.quality.level === "minimal");
  await t.page.keyboard.press("Escape");
  await t.page.evaluate(() => (location.hash = "#/ecg"));
  await until(t.page, () => document.querySelector(".field canvas") !== null && __sensocto.quality.level === "minimal");
  await t.page.reload();
  await until(t.page, () => __sensocto.quality.level === "minimal");
  await t.page.click(".chip .quality button");
  await t.page.check("#quality-menu input[value=auto]");
  await until(t.page, () => __sensocto.quality.level === "high" && __sensocto.quality.reason === "auto");
  await t.close();
});

await it("at 320 px nothing runs out of the page", async () => {
  system.scene = "critical";
  const t = await open(mock.url, { size: [320, 640], touch: true, hash: HASH });
  await t.page.waitForSelector("#pressures canvas");
  must(await t.page.evaluate(() => document.documentElement.scrollWidth <= 320), "the page is wider than the screen");
  const out = await t.page.evaluate(() => [...document.querySelectorAll("header *, main *")]
    .filter((e) => e.closest(".scroll") === null && e.closest("svg") === null && !e.closest("[popover]") && e.getBoundingClientRect().right > 320.5)
    .map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`));
  must(out.length === 0, out.join("; "));
  const small = await t.page.evaluate(() => [...document.querySelectorAll("main button")].filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.textContent.trim()));
  must(small.length === 0, `too small for a finger: ${small.join("; ")}`);
  await axe(t.page, "320 px");
  await t.page.tap('nav button:has-text("Lobby")');
  await t.page.tap(".chip .quality button");
  const menu = await t.page.locator("#quality-menu").boundingBox();
  must(menu.x >= 0 && menu.x + menu.width <= 320 && menu.y + menu.height <= 640, JSON.stringify(menu));
  await t.close();
});

for (const [scene, theme, size, name] of [
  ["calm", "dark", [1600, 2_000], "wide"], ["critical", "light", [1600, 2_000], "wide"], ["calm", "light", [390, 2_000], "narrow"], ["critical", "dark", [390, 2_000], "narrow"],
]) {
  await it(`a picture, ${scene}, ${theme} and ${name}`, async () => {
    system.scene = scene;
    const t = await open_system(mock.url, { theme, size });
    await until(t.page, () => __sensocto.points >= 5);
    await t.page.screenshot({ path: join(shots, `system-${scene}-${theme}-${name}.png`) });
    await t.close();
  });
}

await mock.stop();
await finish();
