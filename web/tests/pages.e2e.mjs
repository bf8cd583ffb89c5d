/**
 * Languages, themes, motion and keys: the Settings page and what it does to all the others.
 *
 * Against SENSOCTO_URL, or a server started from SENSOCTO_BIN, or the mock, as e2e.mjs.
 */

import { join } from "node:path";
import { axe, dist, finish, it, must, open, shots, until } from "./browser.mjs";
import { live } from "./person.mjs";
import { start_mock } from "./mock-server.mjs";
import { start_server } from "./server.mjs";

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  return process.env.SENSOCTO_BIN ? start_server(process.env.SENSOCTO_BIN) : start_mock({ dist, ecgs: 4, others: 8 });
}
const server = await start();
process.stdout.write(`page at ${server.url}\n`);

const shown = (page, selector, text) => until(page, ([where, words]) => document.querySelector(where)?.textContent.trim() === words, [selector, text]);
const root = (page) => page.evaluate(() => ({ ...document.documentElement.dataset, lang: document.documentElement.lang, dir: document.documentElement.dir }));

await it("a browser that wishes German gets German, with its numbers, and no other language is fetched", async () => {
  const t = await open(server.url, { locale: "de-AT" });
  await live(t.page);
  await until(t.page, () => /^\d+ Sensoren$/.test(document.querySelector(".bar p")?.textContent.trim() ?? ""));
  must((await root(t.page)).lang === "de", "the page says that it is German");
  must(t.account.scripts.filter((path) => /\/(de|fr|ar|zh|ja|es|gsw|pt-BR)-/.test(path)).length === 1, t.account.scripts.join());
  await axe(t.page, "lobby in German");
  await t.close();
});

await it("another language is chosen with the keyboard, is kept, and the focus stays where it was", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  for (let k = 0; k < 30 && (await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))) !== "Settings"; k++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await shown(page, "main h2", "Settings");
  must((await page.evaluate(() => location.hash)) === "#/settings", "the view has an address");
  for (let k = 0; k < 10 && (await page.evaluate(() => document.activeElement?.id)) !== "language"; k++) await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  await shown(page, "main h2", "Einstellungen");
  await until(page, () => document.activeElement?.id === "language");
  await page.reload();
  await shown(page, "main h2", "Einstellungen");
  must((await page.title()) === "Einstellungen · Sensocto", await page.title());
  must(t.account.complaints.length === 0 && t.account.foreign.length === 0, [...t.account.complaints, ...t.account.foreign].join("\n"));
  await t.close();
});

await it("every view is in German where English has words, and has a title", async () => {
  const t = await open(server.url, { locale: "de" });
  await live(t.page);
  for (const [hash, title] of [["#/ecg", "Alle EKG"], ["#/together", "Gemeinsam"], ["#/simulator", "Simulator"], ["#/system", "System"], ["#/about", "Über"]]) {
    await t.page.goto(server.url + hash);
    await until(t.page, (words) => document.title === `${words} · Sensocto`, title);
    await until(t.page, () => document.querySelector("main") !== null && document.querySelector("main[aria-busy]") === null);
    must((await root(t.page)).lang === "de", hash);
  }
  await t.close();
});

await it("Arabic runs from right to left, and time does not", async () => {
  const t = await open(server.url, { locale: "ar" });
  const { page } = t;
  await live(page);
  await until(page, () => document.querySelectorAll("article canvas").length > 1);
  const { dir, lang } = await root(page);
  must(dir === "rtl" && lang === "ar", `${dir} ${lang}`);
  const first = await page.locator("article").nth(0).boundingBox();
  const second = await page.locator("article").nth(1).boundingBox();
  must(second.x < first.x, "the second tile stands left of the first");
  must(await page.evaluate(() => [...document.querySelectorAll("canvas")].every((canvas) => getComputedStyle(canvas).direction === "ltr")), "traces run from left to right");
  await page.focus("article");
  const before = await page.evaluate(() => document.activeElement.dataset.sensor);
  await page.keyboard.press("ArrowLeft");
  await until(page, (id) => document.activeElement?.dataset?.sensor !== undefined && document.activeElement.dataset.sensor !== id, before);
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector("aside") !== null && document.querySelector("aside").getBoundingClientRect().left === 0);
  await axe(page, "lobby in Arabic");
  await page.keyboard.press("Escape");
  must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing runs out of the page");
  await page.screenshot({ path: join(shots, "lobby-arabic.png") });
  await t.close();
});

await it("themes are chosen and kept, the system's is followed, and each holds its contrast", async () => {
  const t = await open(server.url, { theme: "light", hash: "#/settings" });
  const { page } = t;
  await until(page, () => document.documentElement.dataset.theme === "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await until(page, () => document.documentElement.dataset.theme === "dark");
  for (const theme of ["light", "contrast", "dark"]) {
    await page.check(`input[name=theme][value=${theme}]`);
    await until(page, (is) => document.documentElement.dataset.theme === is, theme);
    await axe(page, `settings, ${theme}`);
  }
  await page.check("input[name=theme][value=contrast]");
  await page.reload();
  await until(page, () => document.documentElement.dataset.theme === "contrast" && document.querySelector("input[value=contrast]")?.checked);
  await page.evaluate(() => (location.hash = "#/"));
  await live(page);
  await until(page, () => [...document.querySelectorAll("article canvas")].some((canvas) => seen(canvas).lit > 100));
  await axe(page, "lobby, high contrast");
  await page.screenshot({ path: join(shots, "lobby-contrast-wide.png") });
  await t.close();
});

await it("reduced motion is taken from the system, or set", async () => {
  const still = await open(server.url, { motion: "reduce", hash: "#/settings" });
  await until(still.page, () => document.documentElement.dataset.motion === "reduced");
  await still.close();
  const t = await open(server.url, { hash: "#/settings" });
  await t.page.waitForSelector("input[name=motion]");
  must((await root(t.page)).motion === undefined, "not unless it is wished");
  await t.page.check("input[name=motion][value=reduced]");
  await until(t.page, () => document.documentElement.dataset.motion === "reduced");
  await t.close();
});

await it("single keys are switched off, and the others go on", async () => {
  const t = await open(server.url, { hash: "#/settings" });
  const { page } = t;
  await page.uncheck("input[name=keys]");
  await page.evaluate(() => (location.hash = "#/"));
  await live(page);
  await page.focus("article");
  await page.keyboard.press("p");
  await page.keyboard.press("/");
  must(await page.evaluate(() => document.activeElement.matches("article")), "the slash goes nowhere");
  await page.keyboard.press("Enter");
  await until(page, () => __sensocto.attention.focused.length === 1);
  must(await page.evaluate(() => __sensocto.attention.pinned.length === 0), "P pinned nothing");
  await t.close();
});

await it("the simulator, the system and groups are in Arabic, wide and on a phone", async () => {
  const t = await open(server.url, { locale: "ar" });
  const { page } = t;
  await live(page);
  for (const [view, heading, known] of [["simulator", "المحاكي", "#scenarios h3, main h3"], ["system", "النظام", "#pressures canvas"], ["together", "معًا", "main h3"]]) {
    await page.evaluate((to) => (location.hash = `#/${to}`), view);
    await shown(page, "main h2", heading);
    await page.waitForSelector(known);
    // What headings, hints and the heads of columns say is Arabic; the heads of rows, and of pairs, are names.
    await until(page, () => [...document.querySelectorAll("main h3, main section > p, main thead th:not(#pairs th)")].every((one) => one.textContent.trim() === "" || /[\u0600-\u06ff]/.test(one.textContent) || /^(p\d+|RMSSD|SDNN|R|κ)$/.test(one.textContent.trim())));
    for (const [theme, width, height, name] of [["dark", 1440, 900, "wide"], ["light", 390, 844, "narrow"]]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.setViewportSize({ width, height });
      await until(page, () => document.documentElement.scrollWidth <= window.innerWidth);
      await axe(page, `${view} in Arabic, ${name}`);
      await page.screenshot({ path: join(shots, `${view}-arabic-${name}.png`) });
    }
  }
  await t.close();
});

await it("a language that cannot be fetched leaves the page as it is, and says so", async () => {
  const t = await open(server.url, { hash: "#/settings" });
  await t.page.waitForSelector("#language");
  await t.page.route("**/assets/ja-*.js", (route) => route.abort());
  await t.page.selectOption("#language", "ja");
  await until(t.page, () => [...document.querySelectorAll("main [role=status]")].some((said) => said.textContent.includes("could not be fetched")));
  must((await root(t.page)).lang === "en", "still English");
  await t.close();
});

await it("Ctrl and K finds views, panels and sensors, and does what is chosen; the focus goes back", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await page.focus("#filter");
  await page.keyboard.press("Control+k");
  await until(page, () => document.activeElement?.getAttribute("role") === "combobox");
  await axe(page, "palette");
  await page.screenshot({ path: join(shots, "palette-dark-wide.png") });
  await page.keyboard.press("Escape");
  await until(page, () => document.activeElement?.id === "filter" && document.querySelector("dialog") === null);
  const panels = await page.evaluate(() => document.querySelectorAll("[data-panel]").length);
  await page.keyboard.press("Control+k");
  await until(page, () => document.activeElement?.getAttribute("role") === "combobox");
  await page.keyboard.type("add waves");
  await until(page, () => [...document.querySelectorAll("[role=option]")].map((one) => one.dataset.command).join() === "add-waves");
  await page.keyboard.press("Enter");
  await until(page, (n) => document.querySelectorAll("[data-panel]").length === n + 1, panels);
  const name = await page.evaluate(() => __sensocto.sensors[0].sensor_name);
  await page.keyboard.press("Control+k");
  await until(page, () => document.activeElement?.getAttribute("role") === "combobox");
  await page.keyboard.type(`sensor ${name}`.slice("sensor ".length));
  await until(page, (is) => document.querySelector("[role=option][data-command^=sensor-] .name")?.textContent === is || [...document.querySelectorAll("[data-command^=sensor-]")].length > 0, name);
  const id = await page.evaluate(() => document.querySelector("[role=option][aria-selected=true]").dataset.command);
  must(id.startsWith("sensor-"), id);
  await page.keyboard.press("Enter");
  await until(page, (of) => location.hash === `#/sensor/${encodeURIComponent(of)}`, id.slice("sensor-".length));
  await page.keyboard.press("Control+k");
  await until(page, () => document.activeElement?.getAttribute("role") === "combobox");
  await page.keyboard.type("light");
  await until(page, () => document.querySelector("[aria-selected=true]")?.dataset.command === "theme-light");
  await page.keyboard.press("Enter");
  await until(page, () => document.documentElement.dataset.theme === "light");
  await t.close();
});

await it("a question mark tells the keys, not while something is typed, and not where single keys are off", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await page.focus("#filter");
  await page.keyboard.press("?");
  await until(page, () => document.querySelector("#filter").value === "?");
  await page.fill("#filter", "");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("?");
  await until(page, () => document.querySelectorAll("dialog[open] kbd").length > 10);
  await axe(page, "keys");
  await page.screenshot({ path: join(shots, "keys-dark-wide.png") });
  await page.keyboard.press("Escape");
  await until(page, () => document.querySelector("dialog") === null);
  await page.evaluate(() => (location.hash = "#/settings"));
  await page.uncheck("input[name=keys]");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("?");
  await page.keyboard.press("Control+k");
  await until(page, () => document.querySelector("dialog [role=combobox]") !== null && document.querySelectorAll("dialog").length === 1);
  await t.close();
});

for (const [theme, size, name] of [["dark", [1440, 900], "wide"], ["light", [1440, 900], "wide"], ["dark", [390, 844], "narrow"], ["light", [390, 844], "narrow"]]) {
  await it(`a picture of Settings and About, ${theme} and ${name}`, async () => {
    const t = await open(server.url, { theme, size, hash: "#/settings" });
    await t.page.waitForSelector("#language");
    await axe(t.page, "settings");
    must(await t.page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing runs out of the page");
    await t.page.screenshot({ path: join(shots, `settings-${theme}-${name}.png`) });
    await t.page.click(".about button");
    await shown(t.page, "main h2", "About");
    await axe(t.page, "about");
    await t.page.screenshot({ path: join(shots, `about-${theme}-${name}.png`) });
    await t.close();
  });
}

await server.stop();
await finish();
