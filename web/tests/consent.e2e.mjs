/**
 * Who is sent what is somebody's, kept, shown by name and taken back. Against the real server only, as people.e2e.mjs.
 */

import { join } from "node:path";
import { axe, finish, it, must, open, shots, until } from "./browser.mjs";
import { at, complaints, make_room, register, said, signed_in } from "./person.mjs";
import { start_server } from "./server.mjs";

if (!process.env.SENSOCTO_BIN && !process.env.SENSOCTO_URL) {
  process.stdout.write("consent.e2e: not run, there is no SENSOCTO_BIN\n");
  await finish();
  process.exit();
}
const server = process.env.SENSOCTO_URL ? { url: process.env.SENSOCTO_URL, stop: async () => {} } : await start_server(process.env.SENSOCTO_BIN, { simulate: "single-person" });
process.stdout.write(`page at ${server.url}\n`);

/** Who is named beside a signal of one's own. */
const looked_at = (page, type, by) => until(page, ([of, is]) => document.querySelector(`#looking [data-signal=${of}] dd`)?.textContent.trim() === is, [type, by]);
const kept = (page, word, is) => until(page, ([of, so]) => document.querySelector(`#kept [data-word=${of}]`)?.dataset.kept === so, [word, String(is)]);
const reads = (page, words) => said(page, "main [data-attribute=geolocation] pre", words);
/** By name, as it is typed: the first that is found. */
async function choose(page, name) {
  await page.fill("#give [name=person]", name);
  await until(page, (is) => document.querySelector("#give [role=option]")?.textContent === is, name);
  await page.press("#give [name=person]", "Enter");
  await said(page, "#give [role=status]", `${name} is chosen.`);
}

await it("whoever shares sees by name who looks, keeps it at one touch, shows it to one person and to a room, and takes it back", async () => {
  const anna = await open(server.url);
  const { page } = anna;
  const go_to = (latitude) => page.context().setGeolocation({ latitude, longitude: 8.5, accuracy: 12 });
  await page.context().grantPermissions(["geolocation"]);
  await go_to(47.25);
  await register(page, "anna@example.org", "Anna");
  const room = await make_room(page, "Lab", { is_public: true });
  const bert = await open(server.url);
  await register(bert.page, "bert@example.org", "Bert");
  await at(bert.page, `#/room/${room}`);
  await bert.page.click("[data-act=join_room]");
  await until(bert.page, () => __sensocto.rooms.room?.role === "member");

  await at(page, "#/device");
  for (const source of ["button", "location"]) {
    await page.click(`[data-source=${source}] [role=switch]`);
    await until(page, (of) => document.querySelector(`[data-source=${of}]`)?.dataset.standing === "shared", source);
  }
  const visitor = await open(server.url);
  await until(visitor.page, () => __sensocto.sensors.some(({ sensor_id }) => sensor_id.endsWith(":location")));
  const place = await visitor.page.evaluate(() => __sensocto.sensors.find(({ sensor_id }) => sensor_id.endsWith(":location")).sensor_id);
  for (const other of [bert, visitor]) {
    await at(other.page, "#/");
    await until(other.page, (id) => __sensocto.sensors.some(({ sensor_id }) => sensor_id === id), place);
    await at(other.page, `#/sensor/${encodeURIComponent(place)}`);
    await reads(other.page, "47.25");
  }

  // In every view it is said how many may look on; from there it is told who.
  await at(page, "#/settings");
  await said(page, "[data-act=who_looks]", "2 people may look on");
  await page.click("[data-act=who_looks]");
  await said(page, "#looking [role=status]", "2 people are sent something of yours now.");
  const both = await page.evaluate(() => document.querySelector("#looking [data-signal=geolocation] dd").textContent);
  must(both.includes("Bert") && both.includes("a visitor who is not signed in"), both);
  await kept(page, "geolocation", false);
  await said(page, "[data-word=geolocation] p", "Whoever may look here sees it.");
  await axe(page, "who looks");

  await page.click("[data-act=keep_all]");
  for (const word of ["any", "button", "geolocation"]) await kept(page, word, true);
  await looked_at(page, "geolocation", "nobody else");
  await said(page, "#looking [role=status]", "Nobody is sent anything of yours now.");
  await go_to(48.5);

  // What is no person is not shown anything.
  await page.click("[data-act=give]");
  await said(page, "#give [role=status]", "Choose somebody from the list.");
  await page.fill("#give [name=person]", "Zyzzyva");
  await said(page, "#give [role=status]", "Nobody whom you may know of is called “Zyzzyva”.");
  await choose(page, "Bert");
  await page.click("[data-act=give]");
  await said(page, "#give form > .acts [role=status]", "Bert sees it now.");
  await said(page, "[data-word=any] [data-grant]", "all my sensors · until you take it back");
  await looked_at(page, "geolocation", "Bert");
  await go_to(49.75);
  await reads(bert.page, "49.75");
  must(!/48\.5|49\.75/.test(await visitor.page.textContent("main")), "a visitor is sent nothing of it");
  await at(bert.page, "#/consent");
  await said(bert.page, "[data-received]", "Anna shows you Everything");
  await said(bert.page, "[data-received]", "all their sensors");
  await axe(page, "shown to one");
  await page.screenshot({ path: join(shots, "consent-dark-wide.png"), fullPage: true });

  await page.click("[data-grant] [data-act=revoke]");
  await until(page, () => document.querySelector("[data-grant]") === null);
  await looked_at(page, "geolocation", "nobody else");
  await until(bert.page, () => document.querySelector("[data-received]") === null);
  await at(bert.page, `#/sensor/${encodeURIComponent(place)}`);

  // To a room, one signal, for an hour; the rest is for everybody again, and that is asked for twice.
  await page.check("#give input[value=room]");
  await page.selectOption("#give [name=room]", room);
  await page.selectOption("#give [name=signal]", "geolocation");
  await page.selectOption("#give [name=span]", "hour");
  await page.click("[data-act=give]");
  await said(page, "[data-word=geolocation] [data-grant]", "whoever is in the room Lab");
  await said(page, "[data-word=geolocation] [data-grant]", "until ");
  await page.click("[data-word=any] [data-act=show]");
  await said(page, "dialog[open]", "Show to everybody: Everything?");
  await page.click("dialog[open] .yes");
  await kept(page, "any", false);
  await kept(page, "button", false);
  await kept(page, "geolocation", true);
  await looked_at(page, "geolocation", "Bert");
  await go_to(51.5);
  await reads(bert.page, "51.5");
  must(!/51\.5/.test(await visitor.page.textContent("main")), "a visitor is sent nothing of it");

  // It is the server that keeps it.
  await page.reload();
  await signed_in(page, "person");
  await kept(page, "geolocation", true);
  await said(page, "[data-word=geolocation] [data-grant]", "whoever is in the room Lab");
  for (const t of [anna, bert, visitor]) {
    complaints(t);
    await t.close();
  }
});

await it("who is not signed in is told what that means; wide and on a phone, dark, light and in Arabic nothing runs out of the page", async () => {
  const t = await open(server.url, { hash: "#/consent" });
  const { page } = t;
  await said(page, "#consent", "Sign in to see who looks");
  await axe(page, "signed out");
  await page.click("#consent .out button");
  await register(page, "carla@example.org", "Carla");
  await at(page, "#/devices");
  await page.click("[data-act=consent]");
  await said(page, "#looking", "No sensor of yours measures now.");
  await said(page, "#received", "Nobody has shown you anything by name.");
  for (const language of ["en", "de", "ar"]) {
    await at(page, "#/settings");
    await page.selectOption("#language", language);
    await until(page, (is) => document.documentElement.lang === is, language);
    await at(page, "#/consent");
    await page.waitForSelector("[data-act=keep_all]");
    for (const [theme, width, height, name] of [["dark", 1440, 900, "wide"], ["light", 390, 844, "narrow"]]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.setViewportSize({ width, height });
      await axe(page, `consent, ${language}, ${theme}`);
      must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${language} ${name}: runs out of the page`);
      await page.screenshot({ path: join(shots, `consent-${language}-${theme}-${name}.png`) });
    }
  }
  complaints(t);
  await t.close();
});

await server.stop();
await finish();
