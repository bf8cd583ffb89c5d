/** Whom one may know of, and what is found by name. Against the real server only, as people.e2e.mjs. */

import { join } from "node:path";
import { axe, finish, it, must, open, shots, until } from "./browser.mjs";
import { at, complaints, guest, make_room, register, said } from "./person.mjs";
import { start_server } from "./server.mjs";

if (!process.env.SENSOCTO_BIN && !process.env.SENSOCTO_URL) {
  process.stdout.write("known.e2e: not run, there is no SENSOCTO_BIN\n");
  await finish();
  process.exit();
}
const server = process.env.SENSOCTO_URL ? { url: process.env.SENSOCTO_URL, stop: async () => {} } : await start_server(process.env.SENSOCTO_BIN, { simulate: "single-person" });
process.stdout.write(`page at ${server.url}\n`);

/** Names on the page of people, as they stand. */
const named = (page, all) => until(page, (is) => JSON.stringify([...document.querySelectorAll("[data-known] h3")].map((one) => one.textContent.trim())) === JSON.stringify(is), all);
const card_of = (page, name, words) => until(page, ([who, all]) => {
  const card = [...document.querySelectorAll("[data-known]")].find((one) => one.querySelector("h3").textContent.trim() === who);
  return card !== undefined && all.every((one) => card.textContent.includes(one));
}, [name, words]);

await it("people stand with the rooms and sensors of theirs that one may see; what is kept, and who is in private, is not told", async () => {
  const anna = await open(server.url);
  const { page } = anna;
  await register(page, "anna@example.org", "Anna");
  await make_room(page, "Open lab", { is_public: true });
  await make_room(page, "Cellar");
  await at(page, "#/device");
  await page.click("[data-source=button] [role=switch]");
  await until(page, () => document.querySelector("[data-source=button]")?.dataset.standing === "shared");
  const stranger = await open(server.url, { hash: "#/people" });
  await named(stranger.page, ["Anna"]);
  await card_of(stranger.page, "Anna", ["in 1 room", "Open lab", "owner", "1 sensor measures now", "Anna, Button"]);
  must(!(await stranger.page.textContent("body")).includes("Cellar"), "a private room is not told");
  await said(stranger.page, "main", "Not signed in, you see whoever is in an open room.");
  await axe(stranger.page, "people, not signed in");
  // One who is in no room is nobody to others, and oneself to oneself.
  await at(stranger.page, "#/account");
  await guest(stranger.page, "Gus");
  await at(stranger.page, "#/people");
  await named(stranger.page, ["Anna", "Gus (you)"]);
  await page.click('nav [data-view="people"]');
  await named(page, ["Anna (you)"]);
  await card_of(page, "Anna (you)", ["in 2 rooms", "Cellar", "Open lab"]);
  await stranger.page.fill("main [name=filter]", "button lab");
  await named(stranger.page, ["Anna"]);
  await stranger.page.fill("main [name=filter]", "zyzzyva");
  await said(stranger.page, "main .find [role=status]", "Nobody here is called so.");
  await stranger.page.fill("main [name=filter]", "");
  // What she keeps is hers no more to others.
  await at(page, "#/consent");
  await page.click("[data-act=keep_all]");
  await card_of(stranger.page, "Anna", ["nothing that you see measures now"]);
  await at(page, "#/people");
  await card_of(page, "Anna (you)", ["1 sensor measures now"]);
  await page.screenshot({ path: join(shots, "people-dark-wide.png") });

  // One of them, and from there to the room.
  await stranger.page.click("[data-known] h3 a");
  await until(stranger.page, () => /^#\/people\/.+/.test(location.hash) && document.querySelectorAll("[data-known]").length === 1);
  await stranger.page.click("[data-list=rooms] a");
  await until(stranger.page, () => __sensocto.rooms.room?.name === "Open lab");
  await at(stranger.page, "#/people/nobody");
  await said(stranger.page, "main", "Nobody whom you may know of has this address.");
  for (const t of [anna, stranger]) {
    // A 404 is what was asked for.
    t.account.complaints = t.account.complaints.filter((line) => !line.includes("api/people/nobody"));
    complaints(t);
    await t.close();
  }
});

await it("Ctrl and K finds people, rooms and sensors that are not here, by the server, and says what it did not find", async () => {
  const owner = await open(server.url);
  await register(owner.page, "doris@example.org", "Doris Day");
  const room = await make_room(owner.page, "Quartet", { is_public: true });
  await make_room(owner.page, "Secret quarters");
  const doris = await owner.page.evaluate(() => __sensocto.me.id);
  const t = await open(server.url, { hash: "#/settings" });
  const { page } = t;
  const seek = async (words) => {
    // The one before is gone: else the key closes what is closing.
    await until(page, () => document.querySelector("dialog") === null);
    await page.keyboard.press("Control+k");
    await until(page, () => document.activeElement?.getAttribute("role") === "combobox");
    await page.keyboard.type(words);
  };
  const offered = (...ids) => until(page, (all) => all.every((one) => document.querySelector(`[data-command="${one}"]`) !== null), ids);
  const says = (words) => said(page, "dialog [role=status]", words);
  await seek("doris");
  await offered(`person-${doris}`);
  await says("1 is called so. Nothing called so among rooms, sensors.");
  await axe(page, "found by the server");
  await page.screenshot({ path: join(shots, "palette-found-dark-wide.png") });
  await page.keyboard.press("Enter");
  await until(page, (id) => location.hash === `#/people/${id}` && document.querySelector("[data-known] h3")?.textContent.trim() === "Doris Day", doris);
  // A letter is wrong: nearly so.
  await seek("dorsi");
  await offered(`person-${doris}`);
  await said(page, `[data-command="person-${doris}"]`, "nearly so");
  await page.keyboard.press("Escape");
  // Down to the second, and there.
  await seek("quar");
  await offered(`room-${room}`);
  await until(page, () => !document.querySelector("dialog").textContent.includes("Secret"));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await until(page, (id) => document.querySelector('[aria-selected="true"]')?.dataset.command === `room-${id}`, room);
  await page.keyboard.press("Enter");
  await until(page, () => __sensocto.rooms.room?.name === "Quartet");
  await seek("zyzzyva");
  await says("Nothing is called so.");
  // What is not here any more is not offered for what stands there now.
  await page.fill("dialog input", "");
  await until(page, () => document.querySelector("dialog [role=status]").textContent === "" && document.querySelector('[data-command="go-people"]') !== null);
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "light" });
  await seek("doris");
  await offered(`person-${doris}`);
  await axe(page, "found by the server, on a phone");
  await page.screenshot({ path: join(shots, "palette-found-light-narrow.png") });
  complaints(owner);
  complaints(t);
  await owner.close();
  await t.close();
});

await it("people, wide and on a phone, dark, light and in Arabic", async () => {
  const t = await open(server.url);
  const { page } = t;
  await register(page, "carla@example.org", "Carla");
  await make_room(page, "Choir", { is_public: true });
  for (const [language, theme, width, height, name] of [["de", "dark", 1440, 900, "wide"], ["en", "light", 390, 844, "narrow"], ["ar", "light", 1280, 800, "wide"]]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
    await at(page, "#/settings");
    await page.selectOption("#language", language);
    await until(page, (is) => document.documentElement.lang === is, language);
    await at(page, "#/people");
    await page.waitForSelector("[data-known]");
    await axe(page, `people, ${language}`);
    must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${language}: runs out of the page`);
    await page.screenshot({ path: join(shots, `people-${language}-${theme}-${name}.png`) });
  }
  complaints(t);
  await t.close();
});

await server.stop();
await finish();
