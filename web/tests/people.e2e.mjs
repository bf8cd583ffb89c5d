/**
 * People and their rooms: signing in, inviting, looking on together, sending away. Against the real server only
 * (SENSOCTO_BIN, or SENSOCTO_URL): what is tested is what both say to each other.
 */

import { join } from "node:path";
import { axe, finish, it, must, open, shots, until, WAIT_MS } from "./browser.mjs";
import { start_server } from "./server.mjs";

if (!process.env.SENSOCTO_BIN && !process.env.SENSOCTO_URL) {
  process.stdout.write("people.e2e: not run, there is no SENSOCTO_BIN\n");
  await finish();
  process.exit();
}
const server = process.env.SENSOCTO_URL
  ? { url: process.env.SENSOCTO_URL, stop: async () => {} }
  : await start_server(process.env.SENSOCTO_BIN, { simulate: "breathing-circle" });
process.stdout.write(`page at ${server.url}\n`);

const PASSWORD = "correct horse battery";
const signed_in = (page, role) => until(page, (is) => __sensocto.me?.role === is, role);
const live = (page) => until(page, () => __sensocto.link === "live" && __sensocto.sensors.length > 0);
const at = (page, hash) => page.evaluate((to) => (location.hash = to), hash);
const said = (page, selector, text) => until(page, ([where, words]) => document.querySelector(where)?.textContent.includes(words), [selector, text]);
const complaints = ({ account }) => must(account.complaints.length === 0 && account.foreign.length === 0, [...account.complaints, ...account.foreign].join("\n"));

async function register(page, email, name) {
  await at(page, "#/account");
  await page.click("[data-act=turn]");
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", PASSWORD);
  await page.fill("[name=display_name]", name);
  await page.click("[data-act=register]");
  await signed_in(page, "person");
}
async function guest(page, name) {
  await page.fill("[name=guest_name]", name);
  await page.click("[data-act=guest]");
  await signed_in(page, "guest");
}
/** Makes a room and leaves the page in it; answers its id. */
async function make_room(page, name, { is_public = false } = {}) {
  await at(page, "#/rooms");
  await page.fill("#make [name=room_name]", name);
  if (is_public) await page.check("#make [name=is_public]");
  await page.click("[data-act=create]");
  await until(page, (words) => __sensocto.rooms.room?.name === words && __sensocto.rooms.standing === "here", name);
  return page.evaluate(() => __sensocto.rooms.room.id);
}
async function code_of(page) {
  if ((await page.locator("aside [data-act=code], aside [data-code]").count()) === 0) await page.click("[data-act=desk]");
  await page.click("[data-act=code]");
  await until(page, () => /^[A-Z0-9]{8}$/.test(document.querySelector("[data-code]")?.textContent ?? ""));
  return page.textContent("[data-code]");
}
/** A figure of `/metrics`, all its labels together. */
async function metric(name) {
  const text = await (await fetch(`${server.url}metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  must(lines.length > 0, `no ${name} in /metrics`);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
/** Samples a second that the server sends to viewers, one by one and not summed up, over a second or so. */
async function delivered_rate() {
  const [begun, before] = [performance.now(), await metric("sensocto_lens_delivered_total")];
  let passed = 0;
  while (passed < 1_000) {
    await new Promise((done) => setTimeout(done, 50));
    passed = performance.now() - begun;
  }
  return (1000 * ((await metric("sensocto_lens_delivered_total")) - before)) / passed;
}
async function reaches(what, figure, test) {
  const late = performance.now() + WAIT_MS;
  let last;
  do {
    last = await figure();
    if (test(last)) return last;
  } while (performance.now() < late);
  throw new Error(`${what}: ${last}`);
}

await it("an account is made, is there after a reload and in another tab, and is signed out of everywhere", async () => {
  const t = await open(server.url, { hash: "#/account" });
  const { page } = t;
  await page.fill("[name=email]", "nobody@example.org");
  await page.fill("[name=password]", "wrong password");
  await page.click("[data-act=sign_in]");
  await said(page, "main [role=alert]", "no account with this address and password");
  await register(page, "ada@example.org", "Ada");
  await said(page, "main", "Signed in as Ada");
  await page.reload();
  await signed_in(page, "person");
  await page.fill("#me [name=display_name]", "Ada L.");
  await page.click("[data-act=rename]");
  await said(page, "main [role=status]", "The name is saved");
  // Another tab knows by the cookie alone.
  const other = await page.context().newPage();
  await other.goto(`${server.url}#/account`);
  await until(other, () => __sensocto.me?.display_name === "Ada L.");
  await page.click("[data-act=everywhere]");
  await until(page, () => __sensocto.me === null && document.querySelector("main [role=status]").textContent.includes("ended"));
  // What the other tab asks next is refused, and it says why.
  await other.fill("#me [name=display_name]", "Too late");
  await other.click("[data-act=rename]");
  await until(other, () => __sensocto.me === null && document.querySelector("main").textContent.includes("You were signed out"));
  await page.reload();
  await page.waitForSelector("[data-act=sign_in]");
  await page.fill("[name=email]", "ada@example.org");
  await page.fill("[name=password]", PASSWORD);
  await page.press("[name=password]", "Enter");
  await signed_in(page, "person");
  must(!JSON.stringify(await page.evaluate(() => ({ ...localStorage }))).includes("s"+"a_"), "no token outlives the tab");
  must(t.account.foreign.length === 0, t.account.foreign.join());
  await t.close();
});

await it("a guest comes in by code, sees ten who breathe, and what is looked at by keyboard comes in full until the tab is hidden", async () => {
  const host = await open(server.url);
  await live(host.page);
  await register(host.page, "host@example.org", "Chloe");
  await make_room(host.page, "Breathing");
  const code = await code_of(host.page);
  // The host puts those of the lobby there who breathe.
  await at(host.page, "#/");
  await host.page.fill("#filter", "respiration");
  await until(host.page, () => document.querySelectorAll("article[data-sensor]").length === 10);
  await host.page.click('button[popovertarget="put-menu"]');
  await host.page.click("[data-put]");
  await said(host.page, "#put-menu [role=status]", "10 sensors are in Breathing");
  const ten = await host.page.evaluate(() => [...document.querySelectorAll("article[data-sensor]")].map((tile) => tile.dataset.sensor).sort());
  await axe(host.page, "the lobby, with rooms to put sensors in");
  await host.close();

  const t = await open(server.url, { hash: "#/rooms" });
  const { page } = t;
  await page.fill("[name=code]", code.toLowerCase());
  await page.click("[data-act=join]");
  await said(page, "main", "You are invited");
  await guest(page, "Dmitri");
  await until(page, () => __sensocto.rooms.standing === "here" && __sensocto.rooms.room.name === "Breathing");
  await until(page, (ids) => __sensocto.link === "live" && __sensocto.sensors.map((s) => s.sensor_id).sort().join() === ids.join(), ten);
  await until(page, () => document.querySelectorAll("article[data-sensor]").length === 10);
  await until(page, () => [...document.querySelectorAll("article canvas")].some((canvas) => seen(canvas).lit > 50));
  await page.click(".rail-switch");
  await until(page, () => document.querySelector(".rail [data-person]")?.textContent.includes("Dmitri (you)"));
  await axe(page, "a room, with who is here");

  const id = ten[0];
  const declared = await page.evaluate((one) => __sensocto.sensors.find((s) => s.sensor_id === one).attributes.reduce((n, a) => n + (a.sampling_rate ?? 0), 0), id);
  must(declared >= 10, `${declared} a second is enough to tell`);
  // Merely seen, it comes summed up, a few times a second.
  await until(page, ([one, all]) => __sensocto.rate(one) > 0 && __sensocto.rate(one) < 0.6 * all, [id, declared]);
  const calm = await delivered_rate();
  await page.focus(`article[data-sensor="${id}"]`);
  await until(page, (one) => __sensocto.attention.hovered.includes(one), id);
  await until(page, ([one, all]) => __sensocto.rate(one) > 0.8 * all, [id, declared]);
  const full = await reaches("by the server's own count", delivered_rate, (rate) => rate > calm + 0.5 * declared);
  await page.screenshot({ path: join(shots, "story-breathers-dark-wide.png") });
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until(page, (one) => __sensocto.rate(one) === 0 && __sensocto.totals.samples_per_s === 0, id);
  await reaches("hidden, by the server's count", delivered_rate, (rate) => rate === 0);
  complaints(t);
  await t.close();
  return `${Math.round(calm)}/s seen, ${Math.round(full)}/s looked at, 0/s hidden`;
});

await it("an owner invites, promotes, sends away and pardons; the room is edited, left, and closed for everybody", async () => {
  const owner = await open(server.url);
  const { page } = owner;
  await register(page, "owner@example.org", "Grace");
  const id = await make_room(page, "Lab", { is_public: true });
  const code = await code_of(page);
  await until(page, () => document.querySelector("aside svg[role=img] .dark").getAttribute("d").length > 500);
  must((await page.inputValue("#room-link")) === `${server.url}#/join/${code}`, "the link is this page's own");
  await axe(page, "people and invitation");

  const other = await open(server.url);
  await register(other.page, "member@example.org", "Hugo");
  await at(other.page, `#/join/${code}`);
  await until(other.page, (room) => __sensocto.rooms.standing === "here" && __sensocto.rooms.room.id === room && __sensocto.rooms.room.role === "member", id);
  const hugo = await other.page.evaluate(() => __sensocto.me.id);
  await until(page, (user) => document.querySelector(`[data-member="${user}"]`)?.dataset.role === "member", hugo);
  await until(page, () => __sensocto.rooms.present.length === 2);
  await page.click(`[data-member="${hugo}"] [data-act=promote]`);
  await until(page, (user) => document.querySelector(`[data-member="${user}"]`)?.dataset.role === "admin", hugo);
  await page.click(`[data-member="${hugo}"] [data-act=demote]`);
  await until(page, (user) => document.querySelector(`[data-member="${user}"]`)?.dataset.role === "member", hugo);

  // What is edited here is read there.
  await page.fill("aside [name=room_name]", "Lab 2");
  await page.fill("aside [name=description]", "Tuesdays");
  await page.click("aside [data-act=edit]");
  await said(page, "aside form [role=status]", "Saved");
  await until(other.page, () => document.title.startsWith("Lab 2") && document.querySelector("main ~ *, section h2")?.textContent === "Lab 2");

  await page.click(`[data-member="${hugo}"] [data-act=kick]`);
  await page.click("dialog .yes");
  await until(other.page, () => __sensocto.rooms.standing === "sent_away" && document.querySelector("[data-standing=sent_away] h2") !== null);
  await axe(other.page, "sent away");
  // The code that they know is worth nothing now; whoever runs the room sees the new one.
  await at(other.page, `#/join/${code}`);
  await said(other.page, "main", "No room has this code");
  await until(page, (old) => /^[A-Z0-9]{8}$/.test(document.querySelector("[data-code]")?.textContent ?? old) && document.querySelector("[data-code]")?.textContent !== old, code);
  const renewed = await page.textContent("[data-code]");
  await at(other.page, `#/join/${renewed}`);
  await said(other.page, "main", "You were sent away from this room");
  await until(page, (user) => document.querySelector(`[data-member="${user}"]`)?.dataset.role === "banned", hugo);
  await page.click(`[data-member="${hugo}"] [data-act=pardon]`);
  await until(page, (user) => document.querySelector(`[data-member="${user}"]`) === null, hugo);

  await other.page.reload();
  await until(other.page, () => __sensocto.rooms.standing === "here");
  await other.page.click("[data-act=desk]");
  await other.page.click("aside [data-act=leave]");
  await other.page.click("dialog .yes");
  await until(other.page, () => location.hash === "#/rooms" && __sensocto.rooms.mine?.length === 0);
  await until(other.page, (room) => document.querySelector(`[data-list=open] [data-room="${room}"]`) !== null, id);
  await page.click("aside [data-act=remove]");
  await page.click("dialog .yes");
  await until(page, () => location.hash === "#/rooms" && document.querySelector("main h2") !== null);
  // The lobby hears of it, too.
  await until(other.page, (room) => document.querySelector(`[data-room="${room}"]`) === null, id);
  complaints(owner);
  await owner.close();
  await other.close();
});

await it("a private room is nothing to a stranger, a guest makes none, and what is mistyped is said", async () => {
  const owner = await open(server.url);
  await register(owner.page, "secret@example.org", "Ines");
  const id = await make_room(owner.page, "Secret");
  const t = await open(server.url, { hash: `#/room/${id}` });
  const { page } = t;
  await until(page, () => __sensocto.rooms.standing === "absent" && document.querySelector("[data-standing=absent] [data-act=guest]") !== null);
  must(!(await page.textContent("body")).includes("Secret"), "not even its name");
  await axe(page, "no room");
  await guest(page, "");
  await until(page, () => __sensocto.rooms.standing === "absent");
  await at(page, "#/rooms");
  await said(page, "#make", "Guests join rooms");
  await page.fill("[name=code]", "no code!");
  await page.click("[data-act=join]");
  await said(page, "#with-code [role=alert]", "That is no code");
  await page.fill("[name=code]", "AAAAAAAA");
  await page.click("[data-act=join]");
  await said(page, "#with-code [role=alert]", "No room has this code");
  must(t.account.foreign.length === 0, t.account.foreign.join());
  await t.close();
  await owner.close();
});

for (const theme of ["dark", "light"]) {
  await it(`pictures of account, rooms and a room's desk, ${theme}, wide and on a phone`, async () => {
    const t = await open(server.url, { theme, hash: "#/account" });
    const { page } = t;
    const picture = async (name) => {
      for (const [size, width, height] of [["wide", 1440, 900], ["narrow", 390, 844]]) {
        await page.setViewportSize({ width, height });
        await page.screenshot({ path: join(shots, `${name}-${theme}-${size}.png`) });
        const out = await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth ? [] : [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1).map((e) => e.outerHTML.slice(0, 100)));
        must(out.length === 0, `${name} ${size}: runs out of the page: ${out.slice(-3).join(" ")}`);
      }
      await page.setViewportSize({ width: 1440, height: 900 });
      await axe(page, name);
    };
    await page.waitForSelector("[data-act=guest]");
    await picture("sign-in");
    await register(page, `picture-${theme}@example.org`, "Greta");
    await picture("account");
    await make_room(page, `Choir, ${theme}`, { is_public: true });
    await code_of(page);
    await picture("room-desk");
    await at(page, "#/rooms");
    await page.waitForSelector("[data-list=mine] a");
    await picture("rooms");
    await t.close();
  });
}

await server.stop();
await finish();
