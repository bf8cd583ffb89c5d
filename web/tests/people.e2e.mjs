/**
 * People and their rooms: signing in, inviting, looking on together, sending away. Against the real server only
 * (SENSOCTO_BIN, or SENSOCTO_URL): what is tested is what both say to each other.
 */

import { createServer } from "node:net";
import { join } from "node:path";
import { axe, finish, it, LAN, must, open, reaches, shots, until } from "./browser.mjs";
import { at, code_of, complaints, guest, live, make_room, PASSWORD, register, said, signed_in } from "./person.mjs";
import { free_port, start_server } from "./server.mjs";

if (!process.env.SENSOCTO_BIN && !process.env.SENSOCTO_URL) {
  process.stdout.write("people.e2e: not run, there is no SENSOCTO_BIN\n");
  await finish();
  process.exit();
}
const server = process.env.SENSOCTO_URL
  ? { url: process.env.SENSOCTO_URL, stop: async () => {} }
  : await start_server(process.env.SENSOCTO_BIN, { simulate: "breathing-circle" });
process.stdout.write(`page at ${server.url}\n`);

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
  await page.click("[data-act=side]");
  await until(page, () => document.querySelector(".side [data-person]")?.textContent.includes("Dmitri (you)"));
  await axe(page, "a room, with who is here");

  const id = ten[0];
  const declared = await page.evaluate((one) => __sensocto.sensors.find((s) => s.sensor_id === one).attributes.reduce((n, a) => n + (a.sampling_rate ?? 0), 0), id);
  must(declared >= 10, `${declared} a second is enough to tell`);
  // Merely seen, it comes summed up, a few times a second.
  await until(page, ([one, all]) => __sensocto.rate(one) > 0 && __sensocto.rate(one) < 0.6 * all, [id, declared]);
  // Summed up a few times a second, one second is not the next: the middle one of three.
  const readings = [await delivered_rate(), await delivered_rate(), await delivered_rate()];
  const calm = readings.sort((a, b) => a - b)[1];
  await page.focus(`article[data-sensor="${id}"]`);
  await until(page, (one) => __sensocto.attention.hovered.includes(one), id);
  await until(page, ([one, all]) => __sensocto.rate(one) > 0.8 * all, [id, declared]);
  const full = await reaches("by the server's own count", delivered_rate, (rate) => rate > calm + 0.4 * declared);
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

/** A mail server that takes everything; `mails` are what it took. */
async function mail_server() {
  const mails = [];
  const server = createServer((socket) => {
    let [text, is_mail] = ["", false];
    socket.setEncoding("latin1");
    socket.write("220 mail.test\r\n");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk;
      for (let end = text.indexOf(is_mail ? "\r\n.\r\n" : "\r\n"); end >= 0; end = text.indexOf(is_mail ? "\r\n.\r\n" : "\r\n")) {
        const said = text.slice(0, end);
        text = text.slice(end + (is_mail ? 5 : 2));
        if (is_mail) mails.push(said.replaceAll("=\r\n", ""));
        is_mail = !is_mail && said === "DATA";
        socket.write(is_mail ? "354 go on\r\n" : "250 ok\r\n");
      }
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { mails, port: server.address().port, stop: () => server.close() };
}

if (process.env.SENSOCTO_BIN) await it("who has forgotten a password is signed in by a link that came by mail, once", async () => {
  const post = await mail_server();
  const port = await free_port();
  const own = await start_server(process.env.SENSOCTO_BIN, {
    port, simulate: "none",
    settings: { SENSOCTO_MAIL: `smtp://127.0.0.1:${post.port}`, SENSOCTO_MAIL_FROM: "mail@example.org", SENSOCTO_PUBLIC_URL: `http://127.0.0.1:${port}` },
  });
  try {
    const t = await open(own.url);
    const { page } = t;
    await register(page, "forgetful@example.org", "Otto");
    await page.click("[data-act=sign_out]");
    await until(page, () => __sensocto.me === null);
    await page.fill("[name=email]", "forgetful@example.org");
    await page.click("[data-act=link]");
    await said(page, ".mailed", "a link is on its way");
    await reaches("mails", async () => post.mails.length, (n) => n === 1);
    const link = /http:\S+#\/enter\/\S+/.exec(post.mails[0])?.[0];
    must(link !== undefined, post.mails[0]);
    await page.goto(link);
    await signed_in(page, "person");
    await until(page, () => location.hash === "#/account");
    await said(page, "main", "Signed in as Otto");
    const other = await open(link);
    await said(other.page, "main", "no longer good");
    await axe(other.page, "a link that is over");
    await other.page.click("[data-act=to_account]");
    await until(other.page, () => location.hash === "#/account" && __sensocto.me === null);
    await other.close();
    await t.close();
  } finally {
    await own.stop();
    post.stop();
  }
});

await it("whoever runs a room has what is measured there kept; who is there is told for how long, and when it is erased", async () => {
  const owner = await open(server.url);
  const { page } = owner;
  await register(page, "keeper@example.org", "Mara");
  const id = await make_room(page, "Archive", { is_public: true });
  const code = await code_of(page);
  const past = () => page.evaluate(async (room) => (await fetch(`/api/rooms/${room}/history`)).json(), id);
  await said(page, "[data-of=past]", "This room keeps nothing");
  await at(page, "#/");
  await live(page);
  await page.click("[popovertarget=put-menu]");
  await page.click(`[data-put="${id}"]`);
  await said(page, "#put-menu [role=status]", "in Archive");
  const count = await page.evaluate(() => __sensocto.sensors.length);

  const member = await open(server.url);
  await register(member.page, "kept@example.org", "Nils");
  await at(member.page, `#/join/${code}`);
  await until(member.page, () => __sensocto.rooms.room?.role === "member");
  must((await member.page.locator("[data-past]").count()) === 0, "nothing is kept, and nothing is said to be");
  await member.page.click("[data-act=desk]");
  await said(member.page, "[data-of=past]", "This room keeps nothing");
  must((await member.page.locator("[data-of=past] form").count()) === 0, "a member does not decide");

  await at(page, `#/room/${id}`);
  await until(page, () => __sensocto.rooms.standing === "here");
  await page.click("[data-act=desk]");
  must((await page.inputValue("[name=keep_hours]")) === "24", "a day is offered");
  await page.fill("[name=keep_hours]", "0");
  await page.click("[data-act=keep_past]");
  must(await page.evaluate(() => document.querySelector("[name=keep_hours]:invalid") !== null), "no hours are no wish");
  await page.fill("[name=keep_hours]", "24");
  await page.fill("[name=mib_max]", "2");
  await page.press("[name=mib_max]", "Enter");
  await said(page, "[data-of=past] [data-kept=true]", "What is measured here is kept for 24 hours.");
  await said(page, "[data-of=past]", `${count} sensors are kept now. Each has 2 MiB`);
  await said(page, "[data-past]", "What is measured here is kept for 24 hours.");
  await said(member.page, "[data-past]", "What is measured here is kept for 24 hours.");
  await said(member.page, "[data-of=past]", `${count} sensors are kept now.`);
  await axe(page, "a room that is kept");
  await axe(member.page, "a room that is kept, to a member");
  await page.fill("[name=keep_hours]", "72");
  await page.click("[data-act=keep_past]");
  await said(member.page, "[data-past]", "kept for 3 days.");

  // Asked once, and then it is gone.
  await page.click("[data-act=erase_past]");
  await said(page, "dialog[open]", "What was kept of this room is erased at once, for everybody");
  await axe(page, "whether it is to be erased");
  await page.keyboard.press("Escape");
  must((await past()).keep_hours === 72, "it is kept still");
  await page.click("[data-act=erase_past]");
  await page.click("dialog[open] .yes");
  await said(page, "[data-of=past] [role=status]", "Nothing is kept any more, and what was kept is erased.");
  await until(page, () => document.activeElement?.matches("[data-of=past] h3"));
  must((await past()).code === "not_kept", "the server keeps nothing");
  // Which the browser notes.
  owner.account.complaints = owner.account.complaints.filter((one) => !/404.*\/history$/.test(one));
  await until(member.page, () => document.querySelector("[data-past]") === null);
  await said(member.page, "[data-of=past]", "This room keeps nothing");
  for (const t of [owner, member]) {
    complaints(t);
    await t.close();
  }
});

if (process.env.SENSOCTO_BIN)
  await it("a server without a folder says that it keeps nothing, and one without mail that it sends none", async () => {
    const bare = await start_server(process.env.SENSOCTO_BIN, { simulate: "none", keeps: false });
    const t = await open(bare.url);
    await register(t.page, "bare@example.org", "Tom");
    await make_room(t.page, "Sieve");
    await t.page.click("[data-act=desk]");
    await t.page.click("[data-act=keep_past]");
    await said(t.page, "[data-of=past] [role=alert]", "This server keeps nothing");
    await axe(t.page, "nothing is kept");
    await at(t.page, "#/account");
    await t.page.click("[data-act=sign_out]");
    await t.page.fill("[name=email]", "bare@example.org");
    await t.page.click("[data-act=link]");
    await said(t.page, ".mailed", "This server sends no mail.");
    await t.close();
    await bare.stop();
  });

await it("a scenario is started into a room, from the Simulator's page and from the room; how it stands there is told", async () => {
  const owner = await open(server.url);
  const { page } = owner;
  await register(page, "stage@example.org", "Olga");
  const id = await make_room(page, "Stage", { is_public: true });
  const code = await code_of(page);
  const sensors = (t, test) => until(t, (words) => new Function("n", `return ${words}`)(__sensocto.rooms.room?.sensors.length), test);
  const check = () => page.evaluate(() => fetch("/api/simulator/check", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }));

  await at(page, "#/simulator");
  await page.selectOption("[data-into]", id);
  // There is no place for so many: nothing is started.
  await page.click('[data-scenario="hundred-thousand"] [data-act=start]');
  await said(page, '[data-scenario="hundred-thousand"]', "It is not started into this room: the room has no place for all of it");
  must((await page.locator('[data-running="hundred-thousand"]').count()) === 0, "it was not started");
  await page.click('[data-scenario="single-person"] [data-act=start]');
  await said(page, '[data-running="single-person"] [data-home=there]', "In Stage");
  await axe(page, "a scenario in a room");

  await at(page, `#/room/${id}`);
  await page.click("[data-act=desk]");
  await said(page, '[data-act-here="single-person"] [data-home=there]', "In Stage");
  await sensors(page, "n > 0");
  await page.click('[data-act-here="single-person"] [data-act=stop]');
  await until(page, () => document.querySelector("[data-act-here]") === null);
  await sensors(page, "n === 0");

  // A member may, too; whoever may not stay takes it along.
  const other = await open(server.url);
  await register(other.page, "actor@example.org", "Pia");
  await at(other.page, `#/join/${code}`);
  await until(other.page, () => __sensocto.rooms.room?.role === "member");
  await other.page.click("[data-act=desk]");
  await other.page.selectOption("[name=scenario]", "few");
  await axe(other.page, "a scenario to be started in a room");
  await other.page.click("aside [data-act=start]");
  await said(other.page, "[data-act-here=few] [data-home=there]", "In Stage");
  await sensors(page, "n > 30");
  const pia = await other.page.evaluate(() => __sensocto.me.id);
  await page.click(`[data-member="${pia}"] [data-act=kick]`);
  await page.click("dialog[open] .yes");
  await check();
  await sensors(page, "n === 0");
  await said(page, "[data-act-here=few] [data-home=waiting]", "Not in Stage yet: ");
  await at(page, "#/simulator");
  await said(page, "[data-running=few] [data-home=waiting]", "It is tried again.");

  // A room that is gone is lost; the scenario goes on.
  await at(page, `#/room/${id}`);
  await page.click("[data-act=desk]");
  await page.click("aside [data-act=remove]");
  await page.click("dialog[open] .yes");
  await until(page, () => location.hash === "#/rooms");
  for (let k = 0; k < 6; k++) await check();
  await at(page, "#/simulator");
  await said(page, "[data-running=few] [data-home=lost]", "Goes on without a room");
  await until(page, () => document.querySelector("[data-into]") === null);
  await page.click("[data-running=few] [data-act=stop]");
  await until(page, () => document.querySelector("[data-running=few]") === null);
  // The browser notes what was refused above.
  owner.account.complaints = owner.account.complaints.filter((one) => !/409.*simulator\/start$/.test(one));
  complaints(owner);
  await owner.close();
  await other.close();
});

await it("the owner of a room records how its people breathe together, and nobody else hears of it", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await register(page, "leader@example.org", "Ella");
  // Who breathes comes with the answer: three of them, however late the page hears of their signals.
  const who = await (await page.waitForFunction(() => {
    const breathe = __sensocto.sensors.filter(({ attributes }) => attributes.some(({ attribute_id }) => attribute_id === "respiration"));
    return breathe.length < 3 ? null : breathe.slice(0, 3).map(({ sensor_id }) => sensor_id);
  })).jsonValue();
  const id = await make_room(page, "Recorded");
  const put = await page.evaluate(async ([room, sensors]) => {
    const ask = (sensor) => fetch(`/api/rooms/${room}/sensors/${encodeURIComponent(sensor)}`, { method: "PUT" });
    return (await Promise.all(sensors.map(ask))).map(({ status }) => status);
  }, [id, who]);
  must(put.length === 3 && put.every((status) => status < 300), `put: ${put}`);
  await until(page, () => __sensocto.sensors.length === 3);
  await page.click('button[popovertarget="panels-menu"]');
  await page.click("[data-preset=together]");
  await page.fill("[data-panel=group] #session-name", "in-the-room");
  await page.click("[data-panel=group] [data-act=start]");
  await page.waitForSelector('[data-session^="in-the-room."][data-state=running]');
  // Rhythms are listened to for half a minute first.
  await page.waitForFunction(() => /[23] of 3/.test(document.querySelector('[data-session^="in-the-room."] .measurable')?.textContent ?? ""), null, { timeout: 180_000, polling: 250 });
  const stranger = await open(server.url);
  await live(stranger.page);
  const heard = await stranger.page.evaluate(async () => (await (await fetch("/api/synchrony/sessions")).json()).sessions.length);
  must(heard === 0, `a stranger is told of ${heard} sessions`);
  await stranger.close();
  await axe(page, "recording in a room");
  await page.screenshot({ path: join(shots, "room-recording.png") });
  await page.click('[data-session^="in-the-room."] [data-act=stop]');
  await at(page, "#/together");
  await page.waitForSelector('[data-kept^="in-the-room."][data-state=done]', { timeout: 60_000 });
  const report = await page.evaluate(async (name) => (await fetch(`/api/synchrony/sessions/${name}/report.json`)).json(), `in-the-room.${id.slice(-8)}`);
  must(report.room === id && report.people.length === 3, JSON.stringify([report.room, report.people.length]));
  complaints(t);
  await t.close();
});

/** What is read there: who said it, and what, message by message. */
const read = (page) => page.evaluate(() => [...document.querySelectorAll(".side [data-message]")].map((one) => [one.querySelector("strong").textContent, one.querySelector("p").textContent]));
const reads = (page, all) => until(page, (is) => JSON.stringify([...document.querySelectorAll(".side [data-message]")].map((one) => one.querySelector("p")?.textContent)) === JSON.stringify(is), all);
const say = async (page, words) => {
  await page.fill(".side [name=message]", words);
  await page.press(".side [name=message]", "Enter");
};

await it("what is said in a room is heard, changed and taken back, is text whatever it says, and beside it stands who is there", async () => {
  const owner = await open(server.url);
  const { page } = owner;
  await register(page, "chat@example.org", "Klara");
  const id = await make_room(page, "Talk", { is_public: true });
  await page.click("[data-act=side]");
  await said(page, ".side [role=log]", "Nothing was said here");
  const other = await open(server.url, { hash: `#/room/${id}` });
  await other.page.waitForSelector("[data-act=side]");
  await other.page.click("[data-act=side]");
  await said(other.page, ".side [data-may-not]", "Only whoever is signed in may write.");
  await at(other.page, "#/account");
  await guest(other.page, "Leo");
  await at(other.page, `#/room/${id}`);
  await said(other.page, ".side [data-may-not]", "Join this room to write here.");
  await other.page.click("[data-act=join_room]");
  await other.page.waitForSelector(".side [name=message]");

  await other.page.locator(".side [name=message]").pressSequentially("Hel");
  await said(page, ".side .types", "Leo is typing…");
  const trick = '<img src=x onerror="window.tricked = true"><b>bold</b>';
  await say(other.page, trick);
  await reads(page, [trick]);
  must((await page.locator(".side img, .side b").count()) === 0 && (await page.evaluate(() => window.tricked)) === undefined, "what looks like a page is text");
  await said(page, "[aria-live=polite][data-of=chat]", `Leo says: ${trick}`);
  must((await page.textContent(".side .types")) === "", "whoever has said it types no more");
  await say(page, "One\ntwo");
  await reads(other.page, [trick, "One\ntwo"]);
  must((await read(other.page))[1][0] === "Klara", "who said it");
  must((await other.page.locator(".side li:not(.mine) [data-act=edit], .side li:not(.mine) [data-act=take_back]").count()) === 0, "another's is not theirs to change");

  // By keyboard: changed, and left as it is.
  await page.focus(".side .mine [data-act=edit]");
  await page.keyboard.press("Enter");
  await page.fill(".side .mine textarea", "Three");
  await page.keyboard.press("Enter");
  await reads(other.page, [trick, "Three"]);
  await said(other.page, ".side li:not(.mine) .edited", "changed");
  await until(page, () => document.activeElement?.matches(".side .mine [data-act=edit]"));
  await page.keyboard.press("Enter");
  await page.keyboard.type("!");
  await page.keyboard.press("Escape");
  await reads(page, [trick, "Three"]);
  await axe(page, "chat");
  await page.screenshot({ path: join(shots, "chat-dark-wide.png") });
  // Whoever runs the room takes back what others said.
  await page.click(".side li:not(.mine) [data-act=take_back]");
  await page.click("dialog .yes");
  await reads(other.page, ["Three"]);

  // Limits are told before and after.
  await page.fill(".side [name=message]", "ä".repeat(501));
  await said(page, ".side form [role=status]", "2 letters too long");
  await page.press(".side [name=message]", "Enter");
  for (let k = 0; k < 8; k++) await say(page, `quick ${k}`);
  await said(page, ".side [role=alert]", "Too many at once. Try again in");
  must(/^quick \d$/.test(await page.inputValue(".side [name=message]")), "what was not said is not lost");
  must(!JSON.stringify(await read(other.page)).includes("ä"), "what is too long was not said");

  // Two tabs are one person; what is said while nobody looks is counted.
  const tab = await page.context().newPage();
  await tab.goto(`${server.url}#/room/${id}`);
  await until(page, () => [...document.querySelectorAll(".side [data-person]")].some((one) => /Klara \(you\) in 2 tabs/.test(one.textContent)));
  await tab.close();
  await page.keyboard.press("Escape");
  await until(page, () => document.querySelector(".side") === null && document.activeElement?.matches("[data-act=side]"));
  await say(other.page, "Anybody?");
  await until(page, () => document.querySelector("[data-act=side]").getAttribute("aria-label") === "People and chat, 1 new message");
  await page.keyboard.press("c");
  await until(page, () => document.activeElement?.matches(".side [name=message]") && [...document.querySelectorAll(".side p")].some((one) => one.textContent === "Anybody?"));
  await other.page.reload();
  await until(other.page, () => [...document.querySelectorAll(".side [data-message] p")].at(-1)?.textContent === "Anybody?");

  // In the lobby everybody reads it.
  await at(page, "#/");
  await said(page, ".side h2", "Chat of everybody");
  await say(page, "To all");
  await at(other.page, "#/");
  await said(other.page, ".side [data-may-not]", "Guests read what is said to everybody");
  await reads(other.page, ["To all"]);
  await other.page.setViewportSize({ width: 390, height: 844 });
  await axe(other.page, "chat on a phone");
  await other.page.screenshot({ path: join(shots, "chat-dark-narrow.png") });
  complaints(owner);
  complaints(other);
  await owner.close();
  await other.close();
});

await it("over a line that is not protected one is told what a session is worth there, and why it has ended", async () => {
  const plain = server.url.replace("127.0.0.1", LAN);
  const t = await open(plain, { hash: "#/account" });
  const { page } = t;
  await said(page, "[data-unprotected]", "a line that is not protected (http)");
  await axe(page, "not protected");
  await guest(page, "Nora");
  await said(page, "[data-unprotected]", "for a quarter of an hour at most");
  await page.reload();
  await signed_in(page, "guest");
  // No browser keeps the cookie there, so nothing renews the session: its token is over, and that is said.
  await page.evaluate(() => {
    const held = JSON.parse(sessionStorage.getItem("sensocto.session"));
    sessionStorage.setItem("sensocto.session", JSON.stringify({ ...held, access: `${held.access}x` }));
  });
  await page.reload();
  await page.fill("#me [name=display_name]", "Nobody");
  await page.click("[data-act=rename]");
  await said(page, "main", "by http a session cannot be renewed");
  must(t.account.foreign.length === 0, t.account.foreign.join());
  await t.close();
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
    await page.click("[data-act=keep_past]");
    await page.waitForSelector("[data-past]");
    await page.evaluate(() => document.querySelector("[data-of=past]").scrollIntoView());
    await picture("room-past");
    await at(page, "#/simulator");
    await page.selectOption("[data-into]", { index: 1 });
    await picture("simulator-into");
    await at(page, "#/rooms");
    await page.waitForSelector("[data-list=mine] a");
    await picture("rooms");
    await t.close();
  });
}

await server.stop();
await finish();
