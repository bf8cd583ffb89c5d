/**
 * One sensor in full, and this browser as one: what it measures, shares, keeps while the line is down, and stops. Against the
 * real server only, as people.e2e.mjs.
 */

import { join } from "node:path";
import { Socket } from "phoenix";
import WebSocket from "ws";
import { axe, finish, it, must, open, shots, until } from "./browser.mjs";
import { complaints, live } from "./person.mjs";
import { start_server } from "./server.mjs";

if (!process.env.SENSOCTO_BIN && !process.env.SENSOCTO_URL) {
  process.stdout.write("device.e2e: not run, there is no SENSOCTO_BIN\n");
  await finish();
  process.exit();
}
const server = process.env.SENSOCTO_URL ? { url: process.env.SENSOCTO_URL, stop: async () => {} } : await start_server(process.env.SENSOCTO_BIN, { simulate: "single-person" });
process.stdout.write(`page at ${server.url}\n`);

const standing = (page, source, is) => until(page, ([of, what]) => document.querySelector(`[data-source=${of}]`)?.dataset.standing === what, [source, is]);
/** The sensors of a browser, by what they measure. */
const of_browser = (page, source) => page.evaluate((of) => __sensocto.sensors.find((s) => s.connector_id?.startsWith("browser-") && s.sensor_id.endsWith(`:${of}`))?.sensor_id ?? null, source);

await it("one sensor in full: every signal comes whole, with what was asked, allowed and delivered", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  const id = await page.evaluate(() => __sensocto.sensors.find((s) => s.attributes.some((a) => a.attribute_type === "ecg")).sensor_id);
  await page.focus(`article[data-sensor="${id}"]`);
  await page.keyboard.press("Enter");
  await page.click("aside [data-act=page]");
  await until(page, (sensor) => location.hash === `#/sensor/${encodeURIComponent(sensor)}` && document.querySelectorAll("main section[data-attribute]").length === __sensocto.sensors.find((s) => s.sensor_id === sensor).attributes.length, id);
  await until(page, (sensor) => __sensocto.attention.hovered.includes(sensor), id);
  await until(page, (sensor) => __sensocto.streams(sensor).filter(({ rate_hz }) => rate_hz > 10).every(({ per_s, rate_hz }) => per_s > 0.8 * rate_hz), id);
  await until(page, () => [...document.querySelectorAll("main canvas")].some((canvas) => seen(canvas).lit > 200));
  // Digests were before it was looked at; a whole stream has intervals.
  await until(page, () => /\d/.test(document.querySelector("[data-attribute=ecg] dl > div:nth-child(5) dd").textContent));
  await until(page, () => {
    const figures = [...document.querySelectorAll("[data-attribute=ecg] dd")].map((dd) => dd.textContent);
    return figures[1] === "high" && /^\d+\/s$/.test(figures[2]) && figures[7] === "0";
  });
  await until(page, () => document.querySelector("[data-attribute=ecg] pre").textContent.includes("payload"));
  // It is heard: a tone that follows it, and ends with the page.
  await page.click("[data-attribute=ecg] [data-act=listen]");
  await until(page, () => __sensocto.sound?.attribute_id === "ecg" && __sensocto.sound.hz >= 220 && __sensocto.sound.hz <= 880);
  await until(page, (was) => Math.abs(__sensocto.sound.hz - was) > 20, await page.evaluate(() => __sensocto.sound.hz));
  await axe(page, "a sensor in full");
  for (const [theme, width, height, name] of [["dark", 1440, 900, "wide"], ["light", 390, 844, "narrow"]]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width, height });
    await until(page, () => [...document.querySelectorAll("main canvas")].some((canvas) => seen(canvas).lit > 100));
    await axe(page, `a sensor in full, ${theme}`);
    must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing runs out of the page");
    await page.screenshot({ path: join(shots, `sensor-${theme}-${name}.png`) });
  }
  await page.evaluate(() => (location.hash = "#/sensor/nobody"));
  await until(page, () => document.querySelector("main").textContent.includes("This sensor is not here"));
  await until(page, () => __sensocto.attention.visible.length === 0 && __sensocto.sound === null);
  complaints(t);
  await t.close();
});

await it("a browser shares a button, its place, its motion and how loud it is; another sees them; one touch stops all", async () => {
  const t = await open(server.url, { hash: "#/device" });
  const { page } = t;
  await page.context().grantPermissions(["geolocation", "microphone", "accelerometer", "gyroscope"]);
  await page.context().setGeolocation({ latitude: 47.3769, longitude: 8.5417, accuracy: 12 });
  const other = await open(server.url);
  await live(other.page);
  must((await of_browser(other.page, "button")) === null, "nothing is measured unasked");
  for (const source of ["button", "location", "motion", "microphone"]) {
    await page.click(`[data-source=${source}] [role=switch]`);
    await standing(page, source, "shared");
  }
  await until(page, () => document.querySelector(".consent [role=status]").textContent.startsWith("4 signals are shared with everybody"));
  await axe(page, "sharing");
  await page.screenshot({ path: join(shots, "device-dark-wide.png") });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "light" });
  await axe(page, "sharing, light");
  must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing runs out of the page");
  await page.screenshot({ path: join(shots, "device-light-narrow.png") });
  await page.setViewportSize({ width: 1440, height: 900 });

  await until(other.page, () => __sensocto.sensors.filter((s) => s.connector_id?.startsWith("browser-")).length === 4);
  const [button, place, motion, sound] = [await of_browser(other.page, "button"), await of_browser(other.page, "location"), await of_browser(other.page, "motion"), await of_browser(other.page, "microphone")];
  // Whoever shares is told that somebody looks closely.
  await other.page.evaluate((id) => (location.hash = `#/sensor/${encodeURIComponent(id)}`), button);
  await until(page, () => document.querySelector("[data-source=button] .seen")?.textContent === "Somebody looks closely.");
  await page.focus("[data-source=button] [data-act=press]");
  await page.keyboard.down("Space");
  await until(other.page, (id) => __sensocto.streams(id)[0]?.value === 1, button);
  await page.keyboard.up("Space");
  await until(other.page, (id) => __sensocto.streams(id)[0]?.value === 0, button);
  await other.page.evaluate((id) => (location.hash = `#/sensor/${encodeURIComponent(id)}`), place);
  await until(other.page, () => /47\.37/.test(document.querySelector("[data-attribute=geolocation] pre")?.textContent ?? ""));
  await other.page.evaluate((id) => (location.hash = `#/sensor/${encodeURIComponent(id)}`), sound);
  await until(other.page, (id) => Number.isFinite(__sensocto.streams(id)[0]?.value) && __sensocto.streams(id)[0].value <= 0 && __sensocto.streams(id)[0].value >= -100, sound);
  await other.page.evaluate((id) => (location.hash = `#/sensor/${encodeURIComponent(id)}`), motion);
  await page.evaluate(() => {
    window.moving = setInterval(() => dispatchEvent(new DeviceMotionEvent("devicemotion", { accelerationIncludingGravity: { x: 1.5, y: -2.25, z: 9.75 } })), 20);
  });
  await until(other.page, () => /"x":1.5,"y":-2.25,"z":9.75/.test(document.querySelector("[data-attribute=accelerometer] pre")?.textContent ?? ""));

  // From any view, at once and for everybody.
  await page.evaluate(() => (location.hash = "#/settings"));
  await page.click("[data-act=stop_sharing]");
  await until(other.page, () => !__sensocto.sensors.some((s) => s.connector_id?.startsWith("browser-")));
  await until(page, () => document.querySelector("[data-act=stop_sharing]") === null);
  complaints(t);
  complaints(other);
  await t.close();
  await other.close();
});

await it("what is measured while the line is down comes when it is back, once; what the browser refuses is said", async () => {
  const t = await open(server.url, { hash: "#/device" });
  const { page } = t;
  let down = false;
  const lines = new Set();
  // The page's own sockets; the worker's go past this.
  await page.routeWebSocket(/socket/, (line) => {
    if (down) return void line.close({ code: 1012 });
    lines.add([line, line.connectToServer()]);
  });
  await page.reload();
  const other = await open(server.url);
  await live(other.page);
  await page.click("[data-source=button] [role=switch]");
  await standing(page, "button", "shared");
  await until(other.page, () => __sensocto.sensors.some((s) => s.sensor_id.endsWith(":button")));
  const id = await of_browser(other.page, "button");
  await other.page.evaluate((sensor) => (location.hash = `#/sensor/${encodeURIComponent(sensor)}`), id);
  await until(page, () => document.querySelector("[data-source=button] .seen")?.textContent === "Somebody looks closely.");
  const press = async () => {
    await page.keyboard.down("Space");
    await page.keyboard.up("Space");
  };
  await page.focus("[data-source=button] [data-act=press]");
  await press();
  await until(other.page, (sensor) => __sensocto.ring(sensor, "button")?.times.length === 2, id);
  down = true;
  for (const [near, far] of lines) await Promise.all([near.close({ code: 1012 }), far.close()]);
  await standing(page, "button", "offline");
  for (let k = 0; k < 3; k++) await press();
  await until(page, () => /6 waiting/.test(document.querySelector("[data-source=button] .figures").textContent));
  down = false;
  await standing(page, "button", "shared");
  await until(page, () => !/waiting/.test(document.querySelector("[data-source=button] .figures").textContent));
  // Three presses and releases, each once, in turn; what was before went with the sensor, unless it came back at once.
  await until(other.page, (sensor) => {
    const ring = __sensocto.ring(sensor, "button");
    return /^(1,0,)?1,0,1,0,1,0$/.test(ring?.low.join() ?? "") && ring.times.every((time, k) => k === 0 || time >= ring.times[k - 1]);
  }, id);
  await page.click("[data-source=location] [role=switch]");
  await standing(page, "location", "refused");
  await axe(page, "refused by the browser");
  await t.close();
  await other.close();
});

/** A device of somebody's: feeds one sensor until its channel is closed. Why not, if it may not. */
function device(token, sensor_id) {
  const socket = new Socket(`${server.url.replace("http", "ws")}socket`, { transport: WebSocket });
  socket.connect();
  const channel = socket.channel(`sensocto:sensor:${sensor_id}`, {
    connector_id: "belt-7", connector_name: "Belt 7", sensor_id, sensor_name: `Belt ${sensor_id}`, sensor_type: "temperature", bearer_token: token,
    attributes: [{ attribute_id: "temperature", attribute_type: "temperature", sampling_rate: 5 }], sampling_rate: 5, batch_size: 1,
  });
  const closed = new Promise((done) => channel.onClose(done));
  const timer = setInterval(() => channel.state === "joined" && channel.push("measurement", { attribute_id: "temperature", payload: 36.6, timestamp: Date.now() }), 200);
  const joined = new Promise((done) => channel.join().receive("ok", () => done(null)).receive("error", ({ reason }) => done(reason)));
  return { joined, closed, end: () => (clearInterval(timer), socket.disconnect()) };
}

await it("what is one's own: a credential is made, shown once and revoked, its device is seen, renamed and forgotten, its sensor given up", async () => {
  const t = await open(server.url, { hash: "#/devices" });
  const { page } = t;
  const says = (selector, words) => until(page, ([where, text]) => document.querySelector(where)?.textContent.includes(text), [selector, words]);
  await says("#devices", "Sign in to see your devices");
  await page.click("#devices .out button");
  await page.click("[data-act=turn]");
  await page.fill("[name=email]", "belt@example.org");
  await page.fill("[name=password]", "correct horse battery");
  await page.click("[data-act=register]");
  await page.click("[data-act=devices]");
  await says("#connectors", "None has come in yet");
  await says("#credentials", "There is none yet");

  // By keyboard.
  await page.focus("[name=credential_name]");
  await page.keyboard.type("Belt");
  await page.check("[name=scope][value=prefix]");
  await page.fill("[name=prefix]", "belt:");
  await page.selectOption("[name=span]", "month");
  await page.press("[name=prefix]", "Enter");
  await until(page, () => /^sd_.{43}$/.test(document.querySelector("[name=token]")?.value ?? ""));
  const token = await page.inputValue("[name=token]");
  await says("#credentials [data-thing]", "sensors that begin with belt:");
  await says("#credentials [data-thing]", "feeds nothing now · never seen · good until");
  await axe(page, "a credential is shown");
  const outside = device(token, "anna:temperature");
  must((await outside.joined) === "out_of_scope", "it feeds nothing else");
  outside.end();
  const belt = device(token, "belt:temperature");
  must((await belt.joined) === null, "it feeds what it is for");
  await says("#credentials [data-thing]", "feeds 1 sensor now · last seen");
  await says("#connectors [data-thing=belt-7] [data-status=online]", "online · App");
  await says("#connectors [data-thing=belt-7]", "1 sensor: Belt belt:temperature");
  await says("#sensors-of-mine [data-thing='belt:temperature']", "measures now");
  await page.click("[data-act=put_away]");
  await page.reload();
  await says("#credentials [data-thing]", "feeds 1 sensor now");
  must((await page.locator("[name=token]").count()) === 0 && !(await page.content()).includes(token), "shown once, and then no more");

  await page.click("#connectors [data-act=rename]");
  await page.fill("[name=new_name]", "Anna's belt");
  await page.keyboard.press("Enter");
  await says("#connectors [data-thing=belt-7] strong", "Anna's belt");
  await until(page, () => document.activeElement?.matches("#connectors [data-act=rename]"));
  await page.click("#credentials [data-act=rename]");
  await page.keyboard.press("Escape");
  await says("#credentials [data-thing] strong", "Belt");
  for (const [theme, width, height, name] of [["dark", 1440, 900, "wide"], ["light", 390, 844, "narrow"]]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width, height });
    await axe(page, `my devices, ${theme}`);
    must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing runs out of the page");
    await page.screenshot({ path: join(shots, `devices-${theme}-${name}.png`) });
  }

  await page.click("#credentials [data-act=revoke]");
  await page.click("dialog .yes");
  await belt.closed;
  await until(page, () => document.querySelector("#credentials [data-thing]") === null);
  const again = device(token, "belt:temperature");
  must((await again.joined) === "unauthorized", "it opens nothing any more");
  again.end();
  belt.end();
  await says("#connectors [data-thing=belt-7] [data-status=offline]", "offline");
  await page.click("#connectors [data-act=forget]");
  await page.click("dialog .yes");
  await says("#connectors", "None has come in yet");
  await page.click("#sensors-of-mine [data-act=give_up]");
  await page.click("dialog .yes");
  await says("#sensors-of-mine", "None is yours yet");
  complaints(t);
  await t.close();
});

await server.stop();
await finish();
