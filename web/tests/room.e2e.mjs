/**
 * The room page: who is in it, its panels, its one time, and links that open exactly this.
 *
 * Against SENSOCTO_URL, or a server started from SENSOCTO_BIN, or the mock, as e2e.mjs.
 */

import { join } from "node:path";
import { WAIT_MS, axe, dist, finish, it, must, open, reaches, shots, until } from "./browser.mjs";
import { live, said } from "./person.mjs";
import { MockGroup } from "./mock-group.mjs";
import { start_mock } from "./mock-server.mjs";
import { RAMP_HZ, figure_at, minute_at, ramp, value_at } from "./ramp.mjs";
import { start_server } from "./server.mjs";

async function start() {
  if (process.env.SENSOCTO_URL) return { url: process.env.SENSOCTO_URL, stop: async () => {} };
  return process.env.SENSOCTO_BIN ? start_server(process.env.SENSOCTO_BIN, { simulate: "few,cyclists,gaze-small,pose-demo" }) : start_mock({ dist, ecgs: 6, others: 8, places: 4, gazes: 2, poses: 2 });
}
const server = await start();
process.stdout.write(`page at ${server.url}\n`);

const kinds = (page) => page.evaluate(() => __sensocto.room.layout.rows.map(({ panels }) => panels.map(({ panel }) => panel).join(" ")).join(" / "));
/** Of the dark theme: what a body's signals are, what is newest, what is seen. */
const [BODY, NEWEST, SEEN] = ["#56b4e9", "#ffe945", "#56b4e9"];
const lit = (page, panel) => until(page, (kind) => {
  const canvas = document.querySelector(`[data-panel=${kind}] canvas`);
  return canvas !== null && seen(canvas).lit > 200;
}, panel);
/** The graph has a ground: what counts is that something of this colour stands on it. */
const graphed = (page, colour) => until(page, (is) => {
  const canvas = document.querySelector("[data-panel=graph] canvas");
  return canvas !== null && tinted(canvas, is).count > 40;
}, colour);
async function arrange(page, preset) {
  await page.click('button[popovertarget="panels-menu"]');
  await page.click(`[data-preset=${preset}]`);
}
async function add(page, panel) {
  await page.click('button[popovertarget="panels-menu"]');
  await page.click(`[data-add=${panel}]`);
}
/** Where something is when it does not move any more: what comes late, such as the first figures in the header, shifts all below it. */
async function settled(page, selector) {
  await until(page, () => __sensocto.totals !== null && __sensocto.totals.frames > 20);
  return page.waitForFunction((is) => {
    const { x, y, width, height } = document.querySelector(is).getBoundingClientRect();
    const at = [x, y, width, height].join(" ");
    const counted = window.settling?.at === at ? window.settling.count + 1 : 0;
    window.settling = { at, count: counted };
    return counted >= 5 ? { x, y, width, height } : false;
  }, selector, { timeout: WAIT_MS, polling: 100 }).then((found) => found.jsonValue());
}
/** An address is written a moment after the last change: that it differs from the one before is not that it is the last. */
const written = (page) => until(page, () => location.hash === __sensocto.room.link);

await it("the rail lists everybody the filter leaves, is walked with the keyboard, and what is reached there comes in full", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await page.click(".rail-switch");
  await until(page, () => document.querySelectorAll(".rail li").length > 3);
  await until(page, () => document.querySelector(".rail [data-health=good]") !== null);
  await page.fill("#filter", "ecg");
  await until(page, () => {
    const ids = [...document.querySelectorAll(".rail [data-sensor]")].map((row) => row.dataset.sensor);
    return ids.length > 1 && ids.every((id) => __sensocto.sensors.find((s) => s.sensor_id === id).attributes.some((a) => a.attribute_type === "ecg"));
  });
  await page.focus(".rail [data-row='0']");
  await page.keyboard.press("ArrowDown");
  const id = await page.evaluate(() => document.activeElement.dataset.sensor);
  await until(page, (sensor) => __sensocto.attention.hovered.includes(sensor), id);
  await until(page, (sensor) => __sensocto.rate(sensor) > 0.8 * __sensocto.sensors.find((s) => s.sensor_id === sensor).attributes.reduce((n, a) => n + (a.sampling_rate ?? 0), 0), id);
  await page.keyboard.press("Enter");
  await until(page, (sensor) => __sensocto.attention.focused[0] === sensor && document.querySelector("aside") !== null, id);
  await page.keyboard.press("Escape");
  await axe(page, "rail");
  await page.reload();
  await until(page, () => document.querySelector(".rail") !== null);
  await t.close();
});

await it("panels are added, moved, shown alone and closed, and the address follows", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  must((await kinds(page)) === "grid", "a room begins with its sensors");
  await add(page, "waves");
  await add(page, "raw");
  must((await kinds(page)) === "grid waves / raw", await kinds(page));
  await lit(page, "waves");
  await page.click('[data-panel=raw] button[popovertarget]');
  await page.click('[data-panel=raw] [data-way=up]');
  must((await kinds(page)) === "grid waves raw", await kinds(page));
  await page.click('[data-panel=raw] button[popovertarget]');
  await page.click('[data-panel=raw] [data-way=left]');
  must((await kinds(page)) === "grid raw waves", await kinds(page));
  await page.focus('[data-panel=raw] [data-act=alone]');
  await page.keyboard.press("f");
  await until(page, () => document.querySelectorAll("[data-panel]").length === 1 && document.querySelector("[data-panel=raw]") !== null);
  await page.focus('[data-panel=raw] [data-act=alone]');
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelectorAll("[data-panel]").length === 3);
  await page.click('[data-panel=grid] button[popovertarget]');
  await page.click('[data-panel=grid] [data-act=remove]');
  must((await kinds(page)) === "raw waves", await kinds(page));
  await written(page);
  await page.reload();
  await until(page, () => document.querySelectorAll("[data-panel]").length === 2);
  await page.evaluate(() => (location.hash = "#/"));
  await page.reload();
  await until(page, () => document.querySelectorAll("[data-panel]").length === 2);
  must((await kinds(page)) === "raw waves", "kept in this browser, too");
  await t.close();
});

await it("edges between panels are moved with the keyboard and with the pointer", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "overview");
  const widths = () => page.evaluate(() => __sensocto.room.layout.rows[0].panels.map(({ w }) => w));
  const before = await widths();
  await page.focus("[role=separator][aria-orientation=vertical]");
  await page.keyboard.press("ArrowRight");
  const after = await widths();
  must(after[0] > before[0] && after[1] < before[1] && Math.abs(after[0] + after[1] - before[0] - before[1]) < 1e-9, `${before} ${after}`);
  const box = await settled(page, "[role=separator][aria-orientation=horizontal]");
  const heights = () => page.evaluate(() => __sensocto.room.layout.rows.map(({ h }) => h));
  const high = await heights();
  await page.mouse.move(box.x + box.width / 2, box.y + 4);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y - 76, { steps: 4 });
  await page.mouse.up();
  const low = await heights();
  must(low[0] < high[0] && low[1] > high[1], `${high} ${low}`);
  const moved = await settled(page, "[role=separator][aria-orientation=horizontal]");
  must(Math.abs(moved.y - (box.y - 80)) < 6, `the edge is where the pointer is: ${moved.y} for ${box.y - 80}`);
  await t.close();
});

await it("a link opens exactly this view, with its time, its window, its filter and who is looked at", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "hearts");
  await lit(page, "waves");
  await page.fill("#filter", "a");
  await page.click('.axis .segments button:has-text("20")');
  const id = await page.evaluate(() => document.querySelector("[data-panel=waves] [data-sensor]").dataset.sensor);
  await page.click(`[data-panel=waves] [data-sensor="${id}"]`);
  await until(page, (sensor) => __sensocto.attention.focused[0] === sensor, id);
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("Space");
  await until(page, () => __sensocto.room.at_ms !== null);
  const address = await page.evaluate(() => {
    let copied = "";
    Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => void (window.copied = copied = text) }, configurable: true });
    document.querySelector("[data-act=share]").click();
    return new Promise((done) => setTimeout(() => done(window.copied ?? copied), 0));
  });
  const mine = await page.evaluate(() => __sensocto.room);
  const other = await open(address);
  await until(other.page, () => document.querySelectorAll("[data-panel]").length === 3);
  await live(other.page);
  const theirs = await other.page.evaluate(() => __sensocto.room);
  const strip = ({ layout, window_s, at_ms }) => JSON.stringify({ layout, window_s, at_ms: Math.round(at_ms) });
  must(strip(mine) === strip(theirs), `${strip(mine)} ${strip(theirs)}`);
  must((await other.page.inputValue("#filter")) === "a", "the filter");
  await until(other.page, (sensor) => __sensocto.attention.focused[0] === sensor, id);
  await other.close();
  await t.close();
});

await it("a link that is damaged opens the room as it is", async () => {
  const t = await open(server.url, { hash: "#/?v=%%%notalink" });
  await live(t.page);
  must((await kinds(t.page)) === "grid", "as it begins");
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
});

await it("time is stopped, moved back as far as is held, and goes on; data come in all the while", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "ecg");
  await lit(page, "waves");
  await until(page, () => __sensocto.server_ms - __sensocto.room.held_from_ms > 8_000);
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("Space");
  await until(page, () => __sensocto.room.at_ms !== null && document.querySelector(".axis").dataset.live === "false");
  const picture = () => page.evaluate(() => seen(document.querySelector("[data-panel=waves] canvas")).hash);
  // Drawn once, and then not again.
  const drawn = await page.evaluate(() => __sensocto.frames.frames);
  await until(page, (n) => __sensocto.frames.frames > n + 5, drawn);
  const stopped = await picture();
  const heard = await page.evaluate(() => __sensocto.totals.frames);
  await until(page, (n) => __sensocto.totals.frames > n + 40, heard);
  must((await picture()) === stopped, "what is shown stands still");
  const at = await page.evaluate(() => __sensocto.room.at_ms);
  await page.focus(".axis input");
  await page.keyboard.press("Shift+ArrowLeft");
  await until(page, (was) => Math.abs(__sensocto.room.at_ms - (was - 1_000)) < 1, at);
  await until(page, (was) => seen(document.querySelector("[data-panel=waves] canvas")).hash !== was, stopped);
  await page.keyboard.press("Home");
  await until(page, () => __sensocto.room.at_ms - __sensocto.room.held_from_ms < 5);
  await page.keyboard.press("End");
  await until(page, (was) => __sensocto.room.at_ms >= was - 200, at);
  await page.keyboard.press("ArrowLeft");
  // As a table: the same second, in figures.
  await page.click("[data-panel=waves] [aria-label$='as a table']");
  await until(page, () => document.querySelectorAll("[data-panel=waves] tbody tr").length > 1 && [...document.querySelectorAll("[data-panel=waves] tbody tr td:nth-child(2)")].every((cell) => /\d/.test(cell.textContent)));
  await axe(page, "waves as a table");
  await page.click("[data-act=live]");
  await until(page, () => __sensocto.room.at_ms === null && document.querySelector(".axis [role=status]").textContent === "live");
  await t.close();
});

await it("digits mark moments, wherever one is; markers are gone to and removed; brackets change the window", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "ecg");
  await lit(page, "waves");
  await page.focus("#filter");
  await page.keyboard.type("3");
  must((await page.evaluate(() => __sensocto.room.markers.length)) === 0, "what is typed marks nothing");
  await page.fill("#filter", "");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("3");
  await until(page, () => __sensocto.room.markers.length === 1 && __sensocto.room.markers[0].label === "3");
  await until(page, () => document.querySelector("[data-panel=waves] .marker")?.textContent === "3");
  const at = await page.evaluate(() => __sensocto.room.markers[0].at_ms);
  await page.click(".axis .mark");
  await until(page, (moment) => Math.abs(__sensocto.room.at_ms - moment) < 1, at);
  await page.click("[data-act=live]");
  await page.keyboard.press("]");
  await until(page, () => __sensocto.room.window_s === 20);
  await page.keyboard.press("[");
  await page.keyboard.press("[");
  await until(page, () => __sensocto.room.window_s === 5);
  await page.reload();
  await until(page, () => __sensocto.room.markers.length === 1);
  await page.click(".markers summary");
  await axe(page, "markers");
  await page.click(".markers li button:nth-child(2)");
  await until(page, () => __sensocto.room.markers.length === 0 && document.querySelector(".markers") === null);
  await t.close();
});

if (process.env.SENSOCTO_BIN)
  await it("five minutes ago is where it was, to the pixel, where it is kept; where it is not, that is said", async () => {
    const bare = await start_server(process.env.SENSOCTO_BIN, { simulate: "none" });
    const [kept, gone] = [await ramp(bare.url, "ramp", "Ramp"), await ramp(bare.url, "bare", "Bare")];
    const order = await fetch(`${bare.url}api/sensors/ramp/history`, { method: "PUT", headers: { "content-type": "application/json" }, body: "{}" });
    must(order.ok, `it is not kept: ${order.status}`);
    const end = await kept.send(720);
    await gone.send(720);
    const t = await open(bare.url);
    const { page } = t;
    await live(page);
    await arrange(page, "ecg");
    await until(page, () => __sensocto.ring("ramp", "ecg")?.times.length > 0 && __sensocto.ring("bare", "ecg")?.times.length > 0);
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press("Space");
    await until(page, () => __sensocto.room.at_ms !== null);
    const stopped = await page.evaluate(() => __sensocto.room.at_ms);
    await page.focus(".axis input");
    // By keys, further than the axis goes: it goes along.
    for (let k = 0; k < 30; k++) await page.keyboard.press("PageDown");
    await until(page, (was) => Math.abs(was - 300_000 - __sensocto.room.at_ms) < 1, stopped);
    const shown = (step_ms) => until(page, (step) => { const { standing, step_ms } = __sensocto.past("ramp", "ecg"); return standing === "kept" && step_ms === step; }, step_ms);
    await shown(0);
    await said(page, ".unkept", "are here: this sensor's past is not kept.");
    await said(page, "[data-sensor=bare]", "not kept");
    await said(page, "[data-sensor=ramp]", "every sample");
    must((await page.locator(".axis select").inputValue()) === "600", "the axis has what is shown on it");
    const held = await page.evaluate(() => __sensocto.past("ramp", "ecg"));
    const { at, window_s } = await page.evaluate(() => ({ at: __sensocto.room.at_ms, window_s: __sensocto.room.window_s }));
    const inside = held.times.map((time, k) => [time, held.low[k]]).filter(([time]) => time >= at - window_s * 1000 && time <= at);
    must(inside.length >= window_s * RAMP_HZ - 1 && inside.length <= window_s * RAMP_HZ + 1, `${inside.length} samples of ${window_s} s`);
    inside.forEach(([time, value], k) => {
      must(k === 0 || time - inside[k - 1][0] === 1000 / RAMP_HZ, `a gap before ${time}`);
      must(Math.abs(value - value_at(time, end)) < 1e-3, `${value} at ${time}`);
    });

    /** Of the lower of two strips, at parts of its width: how far what is drawn is from where the ramp is, in pixels. */
    const off = (low, high) => page.evaluate(([low, high, end, LABEL, PAD, MARGIN]) => {
      const canvas = document.querySelector("[data-panel=waves] canvas");
      const { at_ms, window_s } = __sensocto.room;
      const [cell, w] = [canvas.height / 2, canvas.width - 2 * PAD];
      const [top, h] = [Math.round(cell + LABEL), Math.round(cell - LABEL - 1)];
      const [middle, span] = [(low + high) / 2, (high - low) * 1.15];
      return [0.5, 0.7, 0.95].map((part) => {
        const x = PAD + Math.round(part * w);
        const { data } = canvas.getContext("2d").getImageData(x, top, 1, h);
        const lit = [];
        for (let y = 0; y < h; y++) if (data[4 * y + 3] > 60) lit.push(y);
        const value = (at_ms - window_s * 1000 * (1 - (x + 0.5 - PAD) / w) - end) / 1000;
        const y = h - MARGIN - ((value - (middle - span / 2)) / span) * (h - 2 * MARGIN);
        return lit.length === 0 ? NaN : Math.abs((lit[0] + lit.at(-1)) / 2 + 0.5 - y);
      });
    }, [low, high, end, 17, 4, 4]);
    const near = async (what, low, high) => {
      const late = performance.now() + WAIT_MS;
      let offs;
      do offs = await off(low, high);
      while (!offs.every((one) => one < 2.5) && performance.now() < late);
      must(offs.every((one) => one < 2.5), `${what}: ${offs} pixels off`);
    };
    await near("samples", inside[0][1], inside.at(-1)[1]);
    await axe(page, "the past, sample by sample");
    await page.screenshot({ path: join(shots, "past-samples-dark-wide.png") });
    const link = await page.evaluate(() => __sensocto.room.link);

    // As a whole: by the second, each with its lowest, highest and mean.
    await page.click(".axis .segments button:nth-child(5)");
    await until(page, () => __sensocto.room.window_s === 600);
    await shown(1_000);
    const summed = await page.evaluate(() => __sensocto.past("ramp", "ecg"));
    must(summed.times.length > 400, `${summed.times.length} seconds`);
    let whole = 0;
    summed.times.forEach((time, k) => {
      if (time < end - 719_000 || time > end - 1_000) return;
      const first = Math.ceil(time / (1000 / RAMP_HZ)) * (1000 / RAMP_HZ);
      const of = [first, first + 960, first + 480].map((moment) => value_at(moment, end));
      must([summed.low[k], summed.high[k], summed.mean[k]].every((value, j) => Math.abs(value - of[j]) < 2e-3), `${[summed.low[k], summed.high[k], summed.mean[k]]} at ${time}, and not ${of}`);
      whole++;
    });
    must(whole > 400, `${whole} whole seconds`);
    const from = summed.times.findIndex((time) => time >= at - 600_000);
    const to = summed.times.findLastIndex((time) => time <= at);
    await near("seconds", summed.low[from], summed.high[to]);
    await said(page, "[data-sensor=ramp]", "lowest, highest, mean of 1 s");
    await axe(page, "the past, by the second");
    await page.screenshot({ path: join(shots, "past-summed-dark-wide.png") });
    // One of them closely: the same time, in its own plot.
    await page.click("[data-panel=waves] [data-sensor=ramp]");
    await until(page, () => seen(document.querySelector("aside canvas")).lit > 200);
    await axe(page, "the past of one sensor");
    await page.screenshot({ path: join(shots, "past-detail-dark-wide.png") });
    await page.keyboard.press("Escape");
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 390, height: 844 });
    await shown(1_000);
    await axe(page, "the past on a phone");
    must(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "runs out of the page");
    await page.screenshot({ path: join(shots, "past-summed-light-narrow.png") });
    await page.setViewportSize({ width: 1440, height: 900 });

    // Time goes on: a window of the past is none of now.
    await page.click("[data-act=live]");
    await until(page, () => __sensocto.room.at_ms === null && __sensocto.room.window_s === 20);
    must((await page.locator(".unkept").count()) === 0, "of what is here there is nothing to say");
    // A link to five minutes ago opens five minutes ago.
    const other = await open(bare.url, { hash: link });
    await until(other.page, () => __sensocto.past("ramp", "ecg").standing === "kept");
    must(Math.abs((await other.page.evaluate(() => __sensocto.room.at_ms)) - at) < 1, "the same moment");
    for (const one of [t, other]) {
      must(one.account.complaints.length === 0 && one.account.foreign.length === 0, [...one.account.complaints, ...one.account.foreign].join("\n"));
      await one.close();
    }
    kept.close();
    gone.close();
    await bare.stop();
  });

/** What is said of a sensor in a tile, in Values and among all figures: its figure, and how old it is or why it is not known. */
const figures_of = (page, id) => page.evaluate((sensor) => {
  const text = (where) => document.querySelector(where)?.textContent.trim() ?? null;
  const row = [...document.querySelectorAll("[data-panel=raw] tbody tr")].find(({ dataset }) => dataset.key.startsWith(`${sensor}\u0000`));
  return {
    tile: text(`[data-panel=grid] article[data-sensor=${sensor}] .value span`), age: text(`[data-panel=grid] article[data-sensor=${sensor}] .age`), per_s: text(`[data-panel=grid] article[data-sensor=${sensor}] .rate`),
    pill: text(`[data-panel=values] button[data-sensor=${sensor}] strong`), remark: text(`[data-panel=values] button[data-sensor=${sensor}] .remark`),
    raw: row?.children[2].textContent.trim() ?? null, raw_per_s: row?.children[3].textContent.trim() ?? null, raw_age: row?.children[5].textContent.trim() ?? null,
  };
}, id);
const figures_are = (page, id, is) => reaches(`figures of ${id}`, () => figures_of(page, id), is);
const all_are = (figure) => ({ tile, pill, raw }) => tile === figure && pill === figure && raw === `${figure} bpm`;
async function back_to(page, reach_s) {
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("Space");
  await until(page, () => __sensocto.room.at_ms !== null);
  const stopped = await page.evaluate(() => __sensocto.room.at_ms);
  await page.selectOption(".axis select", String(reach_s));
  await page.focus(".axis input");
  await page.keyboard.press("Home");
  await until(page, ([was, s]) => Math.abs(__sensocto.room.at_ms - (was - s * 1000)) < 5_000, [stopped, reach_s]);
  return page.evaluate(() => __sensocto.room.at_ms);
}
const keep = async (url, id) => {
  const order = await fetch(`${url}api/sensors/${id}/history`, { method: "PUT", headers: { "content-type": "application/json" }, body: "{}" });
  must(order.ok, `it is not kept: ${order.status}`);
};

if (process.env.SENSOCTO_BIN)
  await it("a pause stands in tiles, values and all figures while more comes, what is of now says so, and all goes on when time does", async () => {
    const bare = await start_server(process.env.SENSOCTO_BIN, { simulate: "none" });
    const pulse = await ramp(bare.url, "pulse", "Pulse", "heartrate");
    await pulse.send(120);
    const t = await open(bare.url);
    const { page } = t;
    await live(page);
    for (const panel of ["values", "raw", "graph"]) await add(page, panel);
    await figures_are(page, "pulse", all_are("60"));
    must((await page.locator(".of-now").count()) === 0, "while time runs, all is of now");
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press("Space");
    await until(page, () => __sensocto.room.at_ms !== null);
    await pulse.say(99);
    await until(page, () => __sensocto.streams("pulse")[0].value === 99);
    const drawn = await page.evaluate(() => __sensocto.frames.frames);
    await until(page, (n) => __sensocto.frames.frames > n + 60, drawn);
    const stood = await figures_are(page, "pulse", all_are("60"));
    must(stood.per_s === "" && stood.raw_per_s === "–", `how much came in a second is not known of then: ${JSON.stringify(stood)}`);
    must((await page.locator(".of-now").allTextContents()).join() === "shows now" && (await page.locator("[data-panel=graph] .of-now").count()) === 1, "the graph says that it is of now, and no other panel does");
    // A minute before, which the page holds itself.
    await page.focus(".axis input");
    const window_s = await page.evaluate(() => __sensocto.room.window_s);
    for (let k = 0; k < 70 / window_s; k++) await page.keyboard.press("PageDown");
    await figures_are(page, "pulse", all_are("61"));
    await axe(page, "a room that stands");
    await page.screenshot({ path: join(shots, "stands-figures-dark-wide.png") });
    await page.click("[data-act=live]");
    await figures_are(page, "pulse", all_are("99"));
    must((await page.locator(".of-now").count()) === 0, "it is now again");
    must(t.account.complaints.length === 0 && t.account.foreign.length === 0, [...t.account.complaints, ...t.account.foreign].join("\n"));
    await t.close();
    pulse.close();
    await bare.stop();
  });

if (process.env.SENSOCTO_BIN)
  await it("an hour ago is told in figures where it is kept; where it is not, that is said, and nothing of now is", async () => {
    const bare = await start_server(process.env.SENSOCTO_BIN, { simulate: "none" });
    const [pulse, mute] = [await ramp(bare.url, "pulse", "Pulse", "heartrate"), await ramp(bare.url, "mute", "Mute", "heartrate")];
    await keep(bare.url, "pulse");
    const end = await pulse.send(3_700);
    await mute.send(3_700);
    const t = await open(bare.url);
    const { page } = t;
    await live(page);
    for (const panel of ["values", "waves", "raw"]) await add(page, panel);
    for (const id of ["pulse", "mute"]) await figures_are(page, id, all_are("60"));
    const at = await back_to(page, 3_600);
    const then = String(figure_at(Math.floor(at / 1000) * 1000, end));
    must(Number(then) > 117, `an hour ago: ${then}`);
    await figures_are(page, "pulse", all_are(then));
    const unknown = await figures_are(page, "mute", ({ age, remark, raw_age }) => [age, remark, raw_age].every((text) => text === "not kept"));
    must(unknown.tile === "–" && unknown.pill === "–" && unknown.raw === "– bpm", `nothing of now: ${JSON.stringify(unknown)}`);
    await said(page, "[data-panel=values] .summary", `Heart rate of 1: mean ${then}, from ${then} to ${then}`);
    await until(page, () => seen(document.querySelector("[data-panel=grid] article[data-sensor=pulse] canvas")).lit > 100);
    await axe(page, "an hour ago");
    await page.screenshot({ path: join(shots, "stands-hour-dark-wide.png") });
    // One closely: its figure of then, and no payload of now.
    await page.click("[data-panel=values] button[data-sensor=pulse]");
    await until(page, (figure) => document.querySelector("aside .value span")?.textContent === figure, then);
    must((await page.locator("aside pre").count()) === 0, "the newest payload is of now");
    await page.keyboard.press("Escape");

    // Over time: the room's window, by the second, from moment to moment.
    await page.click('[data-panel=values] .segments button:has-text("Over time")');
    await page.click(".axis .segments button:nth-child(5)");
    await until(page, () => { const { standing, step_ms, times } = __sensocto.past("pulse", "heartrate"); return standing === "kept" && step_ms > 0 && times.length > 90; });
    const clock = (ms) => page.evaluate((of) => new Date(of).toLocaleTimeString("en-GB"), ms);
    const [from, to] = [await clock(at - 600_000), await clock(at)];
    await until(page, (ends) => document.querySelector("[data-panel=values] canvas").getAttribute("aria-label").endsWith(ends), `from ${from} to ${to}`);
    await said(page, "[data-panel=values] [role=status]", "1 is not drawn: not kept.");
    // Half a window on, ten minutes are kept: the figure falls by one each minute, from edge to edge.
    await page.focus(".axis input");
    for (let k = 0; k < 2; k++) await page.keyboard.press("PageUp");
    await until(page, (was) => __sensocto.room.at_ms - was > 1_199_000 && __sensocto.past("pulse", "heartrate").times.at(-1) > was + 1_190_000, at);
    const later = await page.evaluate(() => __sensocto.room.at_ms);
    const lines = () => page.evaluate(([low, high, end, ago]) => {
      const canvas = document.querySelector("[data-panel=values] canvas");
      const [left, w, h, margin] = [48, canvas.width - 58, canvas.height - 24, 4];
      const [middle, span] = [(low + high) / 2, (high - low) * 1.15];
      return [0.08, 0.33, 0.61, 0.93].map((part) => {
        const x = left + Math.round(part * w);
        const { data } = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height);
        const ys = [];
        for (let y = 0; y < canvas.height; y++) if (data[4 * y + 3] > 60 && Math.max(data[4 * y], data[4 * y + 1], data[4 * y + 2]) - Math.min(data[4 * y], data[4 * y + 1], data[4 * y + 2]) > 60) ys.push(y);
        const t = ago - 600_000 + ((x + 0.5 - left) / w) * 600_000;
        const wanted = [t - 3_000, t + 3_000].map((one) => 4 + h - margin - ((60 + Math.floor((end - one) / 60_000) - (middle - span / 2)) / span) * (h - 2 * margin));
        return ys.length === 0 ? NaN : Math.min(...wanted.map((y) => Math.abs((ys[0] + ys.at(-1)) / 2 + 0.5 - y)));
      });
    }, [figure_at(later, end), figure_at(later - 600_000 + 1_000, end), end, later]);
    const late = performance.now() + WAIT_MS;
    let offs;
    do offs = await lines();
    while (!offs.every((one) => one < 4) && performance.now() < late);
    must(offs.every((one) => one < 4), `over time: ${offs} pixels off`);
    await axe(page, "over time, an hour ago");
    await page.screenshot({ path: join(shots, "stands-timeline-dark-wide.png") });
    const link = await page.evaluate(() => __sensocto.room.link);
    await page.click("[data-act=live]");
    await until(page, () => document.querySelector("[data-panel=values] canvas").getAttribute("aria-label").endsWith("over the last minutes"));
    must((await page.locator("[data-panel=values] [role=status]").count()) === 0, "of now nothing is missing");

    // A link to then, opened where nothing was ever drawn, on a phone and in other languages.
    const figure = String(figure_at(Math.floor(later / 1000) * 1000, end));
    for (const [locale, words] of [["en-US", "not kept"], ["de-DE", "nicht aufbewahrt"], ["ar", "غير محفوظ"]]) {
      const other = await open(bare.url, { hash: link, size: [390, 844], theme: "light", locale });
      await until(other.page, ([figure, words]) => document.querySelector("article[data-sensor=pulse] .value span")?.textContent === figure && document.querySelector("article[data-sensor=mute] .age")?.textContent === words, [figure, words]);
      await axe(other.page, `then, on a phone, ${locale}`);
      must(await other.page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "runs out of the page");
      await other.page.screenshot({ path: join(shots, `stands-grid-light-narrow-${locale}.png`) });
      must(other.account.complaints.length === 0 && other.account.foreign.length === 0, [...other.account.complaints, ...other.account.foreign].join("\n"));
      await other.close();
    }
    must(t.account.complaints.length === 0 && t.account.foreign.length === 0, [...t.account.complaints, ...t.account.foreign].join("\n"));
    await t.close();
    pulse.close();
    mute.close();
    await bare.stop();
  });

if (process.env.SENSOCTO_BIN)
  await it("ten minutes ago bodies, eyes and places are where they were, and where that is not kept, that is said", async () => {
    const bare = await start_server(process.env.SENSOCTO_BIN, { simulate: "none" });
    const devices = [];
    let end = 0;
    for (const type of ["geolocation", "skeleton", "eye_gaze"]) {
      for (const id of ["kept", "gone"]) {
        const device = await ramp(bare.url, `${id}_${type}`, `${id} ${type}`, type);
        if (id === "kept") await keep(bare.url, `${id}_${type}`);
        end = await device.send(720);
        devices.push(device);
      }
    }
    const t = await open(bare.url);
    const { page } = t;
    await live(page);
    await page.click('[data-panel=grid] button[popovertarget]');
    await page.click("[data-panel=grid] [data-act=remove]");
    for (const panel of ["map", "pose", "gaze"]) await add(page, panel);
    const who = (name) => page.selectOption("[data-panel=gaze] select", { label: name });
    await who("kept eye_gaze");
    await until(page, () => document.querySelector("[data-panel=gaze] .panel-bar").textContent.includes("rested"));
    const at = await back_to(page, 600);
    const minute = minute_at(Math.floor(at / 1000) * 1000, end);
    must(minute >= 8, `ten minutes ago: ${minute}`);
    await said(page, "[data-panel=map] .panel-bar", "1 place is known.");
    await said(page, "[data-panel=gaze] .panel-bar", "eyes rested");
    await axe(page, "bodies, eyes and places of then");
    await page.screenshot({ path: join(shots, "stands-bodies-dark-wide.png") });
    await who("gone eye_gaze");
    await said(page, "[data-panel=gaze] .panel-bar", "gone eye_gaze: not kept");
    await who("kept eye_gaze");
    for (const panel of ["map", "pose", "gaze"]) await page.click(`[data-panel=${panel}] [aria-label$='as a table']`);
    const cells = (panel) => page.evaluate((of) => [...document.querySelectorAll(`[data-panel=${of}] tbody tr`)].map((row) => [...row.children].map((cell) => cell.textContent.trim())), panel);
    const table = async (panel, is) => {
      const late = performance.now() + WAIT_MS;
      let rows;
      do if (is((rows = await cells(panel)))) return rows;
      while (performance.now() < late);
      throw new Error(`${panel}: ${JSON.stringify(rows)}`);
    };
    await table("map", (rows) => rows.some(([name, latitude, , , age]) => name.startsWith("kept") && Math.abs(parseFloat(latitude) - 47 - minute / 100) < 1e-4 && /s$/.test(age)));
    await table("map", (rows) => rows.some(([name, latitude, , , age]) => name.startsWith("gone") && latitude === "–" && age === "not kept"));
    await table("pose", (rows) => rows.filter(([name]) => name.startsWith("kept")).length === 9 && rows.every(([name, , x]) => (name.startsWith("kept") ? Math.abs(parseFloat(x) - minute) < 0.06 : x === "–")));
    await table("gaze", (rows) => rows.length >= 1 && Math.abs(parseFloat(rows.at(-1)[1]) - minute) <= 1.06);
    // Ten minutes as a whole: where they came from by its means, and eyes in its last minute.
    await page.click("[data-panel=map] [aria-label$='as a table']");
    await page.click(".axis .segments button:nth-child(5)");
    await until(page, () => __sensocto.past("kept_geolocation", "geolocation").step_ms > 0);
    await said(page, "[data-panel=gaze] .panel-bar", "in 60 s");
    await page.click("[data-act=live]");
    await said(page, "[data-panel=map] .panel-bar", "2 places are known.");
    must(t.account.complaints.length === 0 && t.account.foreign.length === 0, [...t.account.complaints, ...t.account.foreign].join("\n"));
    await t.close();
    for (const device of devices) device.close();
    await bare.stop();
  });

async function open_compared() {
  const t = await open(server.url);
  await live(t.page);
  await arrange(t.page, "together");
  return t;
}
/** Hearts are listened to for half a minute before anything is said of them: meanwhile other tests run. The mock measures none. */
const measures_hearts = process.env.SENSOCTO_URL !== undefined || process.env.SENSOCTO_BIN !== undefined;
const compared = measures_hearts && process.env.ONLY === undefined ? await open_compared() : null;

await it("values are those of the stream, ranked by size, over time, and as a table", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "hearts");
  await until(page, () => document.querySelectorAll("[data-panel=values] .ranking li").length > 1 && [...document.querySelectorAll("[data-panel=values] .ranking strong")].every((value) => /^\d+$/.test(value.textContent)));
  await until(page, () => {
    const shown = [...document.querySelectorAll("[data-panel=values] .ranking button")].map((row) => [row.dataset.sensor, Number(row.querySelector("strong").textContent)]);
    const falls = shown.every(([, value], k) => k === 0 || value <= shown[k - 1][1]);
    return falls && shown.every(([id, value]) => __sensocto.streams(id).some(({ attribute_type, value: is }) => attribute_type === "heartrate" && Math.abs(is - value) <= 0.5));
  });
  await until(page, () => [...document.querySelectorAll("[data-panel=values] canvas")].some((canvas) => seen(canvas).lit > 500));
  await page.click('[data-panel=values] .segments button:has-text("Each")');
  await page.focus("[data-panel=values] .pills button");
  await page.keyboard.press("ArrowDown");
  const id = await page.evaluate(() => document.activeElement.dataset.sensor);
  await until(page, (sensor) => __sensocto.attention.hovered.includes(sensor), id);
  await page.click("[data-panel=values] [aria-label$='as a table']");
  await until(page, () => document.querySelectorAll("[data-panel=values] tbody tr").length > 1);
  await axe(page, "values");
  await t.close();
});

await it("the graph shows everybody, is walked with the arrow keys, opens a sensor, and can be read as a table", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "sensors");
  await add(page, "graph");
  await graphed(page, BODY);
  const names = await page.evaluate(() => document.querySelector("[data-panel=graph] canvas").getAttribute("aria-label"));
  const [sensors, people] = await page.evaluate(() => [__sensocto.sensors.length, new Set(__sensocto.sensors.map((s) => s.connector_id ?? s.sensor_id)).size]);
  must(names.startsWith(`${people} people around the room, ${sensors} sensors`), names);
  await page.focus("[data-panel=graph] [role=application]");
  await page.keyboard.press("ArrowUp");
  await until(page, () => document.querySelector("[data-panel=graph] .said").textContent.startsWith("The room"));
  for (const key of ["ArrowUp", "ArrowUp", "ArrowUp"]) await page.keyboard.press(key);
  await until(page, () => /attention/.test(document.querySelector("[data-panel=graph] .said").textContent));
  await until(page, () => __sensocto.attention.hovered.length > 0);
  await page.keyboard.press("Enter");
  await until(page, () => __sensocto.attention.focused.length === 1);
  await page.keyboard.press("Escape");
  for (const [mode, colour] of [["Freshness", NEWEST], ["Attention", SEEN]]) {
    await page.click(`[data-panel=graph] .segments button:has-text("${mode}")`);
    await graphed(page, colour);
    must((await page.locator("[data-panel=graph] .key li").count()) >= 4, `a legend of ${mode}`);
    await axe(page, mode);
  }
  const where = () => page.evaluate((colour) => tinted(document.querySelector("[data-panel=graph] canvas"), colour).hash, SEEN);
  const rings = await where();
  await page.click('[data-panel=graph] .segments button:has-text("By forces")');
  await page.waitForSelector("[data-panel=graph] [data-settled=true]", { timeout: 60_000 });
  must((await where()) !== rings, "everything stands elsewhere");
  await page.click("[data-panel=graph] [aria-label$='as a table']");
  await until(page, (n) => document.querySelectorAll("[data-panel=graph] tbody tr").length === Math.min(n, 200), sensors);
  await axe(page, "graph as a table");
  must(t.account.complaints.length === 0 && t.account.foreign.length === 0, [...t.account.complaints, ...t.account.foreign].join("\n"));
  await t.close();
});

await it("the map has everybody's place and a scale, and asks no other host", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "places");
  const wanted = await page.evaluate(() => __sensocto.sensors.filter((s) => s.attributes.some((a) => a.attribute_type === "geolocation")).length);
  must(wanted > 1, "somebody says where they are");
  await until(page, (n) => document.querySelector("[data-panel=map] .panel-bar p").textContent === `${n} places are known.`, wanted);
  await lit(page, "map");
  await until(page, () => /^[125]0* (m|km)$/.test(document.querySelector("[data-panel=map] .scale").textContent));
  const scale = await page.textContent("[data-panel=map] .scale");
  await page.focus("[data-panel=map] [role=application]");
  for (let k = 0; k < 8; k++) await page.keyboard.press("+");
  await until(page, (was) => document.querySelector("[data-panel=map] .scale").textContent !== was, scale);
  await page.keyboard.press("0");
  await until(page, (was) => document.querySelector("[data-panel=map] .scale").textContent === was, scale);
  await axe(page, "map");
  await page.click("[data-panel=map] [aria-label$='as a table']");
  await until(page, (n) => document.querySelectorAll("[data-panel=map] tbody tr").length === n && [...document.querySelectorAll("[data-panel=map] tbody td:nth-child(2)")].every((cell) => /^-?\d+\.\d{5}°$/.test(cell.textContent.trim())), wanted);
  must(t.account.foreign.length === 0, t.account.foreign.join());
  await t.close();
});

await it("whose gaze is drawn comes sample by sample, as heat, as a path, and as rests in a table", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "gaze");
  await lit(page, "gaze");
  const id = await page.evaluate(() => document.querySelector("[data-panel=gaze] select").value.split(" ")[0]);
  await until(page, (sensor) => {
    const gaze = __sensocto.streams(sensor).find(({ attribute_type }) => attribute_type === "eye_gaze");
    return gaze.per_s > 0.8 * gaze.rate_hz;
  }, id);
  await until(page, () => /eyes rested \d+ times/.test(document.querySelector("[data-panel=gaze] .panel-bar p").textContent));
  const before = await page.evaluate(() => seen(document.querySelector("[data-panel=gaze] canvas")).lit);
  await page.click('[data-panel=gaze] .segments button:has-text("Scan path")');
  await until(page, (was) => seen(document.querySelector("[data-panel=gaze] canvas")).lit < was * 0.8, before);
  await axe(page, "gaze");
  await page.click("[data-panel=gaze] [aria-label$='as a table']");
  await until(page, () => document.querySelectorAll("[data-panel=gaze] tbody tr").length > 2);
  await t.close();
});

if (measures_hearts) await it("who breathes is compared on a circle, and hearts by their intervals, as a plot and as a table", async () => {
  const t = compared ?? (await open_compared());
  const { page } = t;
  await until(page, () => /^(soon|together|distances|apart)$/.test(document.querySelector("[data-panel=group] [data-verdict]")?.dataset.verdict ?? ""));
  await lit(page, "group");
  // A heart's figures are there when it has been listened to for a minute.
  await page.waitForFunction(() => {
    const shown = [...document.querySelectorAll("[data-panel=hrv] li button")];
    return shown.length > 1 && /^\d+$/.test(shown[0].querySelector("strong").textContent);
  }, null, { timeout: 180_000, polling: 250 });
  await lit(page, "hrv");
  const [rmssd, rate] = await page.evaluate(() => document.querySelector("[data-panel=hrv] .figures").textContent.match(/\d+/g).map(Number));
  must(rmssd > 5 && rmssd < 200 && rate > 40 && rate < 160, `${rmssd} ms and ${rate} a minute are a heart's`);
  const [first, second] = await page.evaluate(() => [...document.querySelectorAll("[data-panel=hrv] li button")].map(({ dataset }) => dataset.sensor));
  await page.focus("[data-panel=hrv] li button[aria-pressed=true]");
  await page.keyboard.press("ArrowDown");
  await until(page, ([was, is]) => was !== is && document.activeElement.dataset.sensor === is && document.activeElement.getAttribute("aria-pressed") === "true", [first, second]);
  const tachogram = await page.evaluate(() => seen(document.querySelector("[data-panel=hrv] canvas")).hash);
  await page.click('[data-panel=hrv] .segments button:has-text("Poincaré")');
  await until(page, (was) => seen(document.querySelector("[data-panel=hrv] canvas")).hash !== was && seen(document.querySelector("[data-panel=hrv] canvas")).lit > 200, tachogram);
  await axe(page, "group and hearts");
  for (const panel of ["group", "hrv"]) await page.click(`[data-panel=${panel}] [aria-label$='as a table']`);
  await until(page, () => ["group", "hrv"].every((panel) => document.querySelectorAll(`[data-panel=${panel}] tbody tr`).length > 1));
  await axe(page, "group and hearts as tables");
  must(t.account.complaints.length === 0, t.account.complaints.join("\n"));
  await t.close();
});

await it("a tile is heard, one at a time, until it is stopped or one goes elsewhere", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  const [first, second] = await page.evaluate(() => [...document.querySelectorAll("article [data-act=listen]")].slice(0, 2).map((one) => one.closest("article").dataset.sensor));
  // By keyboard: from the tile to what is in it.
  await page.focus(`article[data-sensor="${first}"]`);
  await page.keyboard.press("Tab");
  await until(page, () => document.activeElement?.dataset.act === "listen");
  await page.keyboard.press("Enter");
  await until(page, (id) => __sensocto.sound?.sensor_id === id && __sensocto.sound.hz >= 220 && __sensocto.sound.hz <= 880, first);
  must(await page.evaluate(() => __sensocto.attention.focused.length === 0), "a tile that is heard is not opened for it");
  await page.click(`article[data-sensor="${second}"] [data-act=listen]`);
  await until(page, (id) => __sensocto.sound?.sensor_id === id && document.querySelectorAll("article [data-act=listen][aria-pressed=true]").length === 1, second);
  await axe(page, "a tile is heard");
  await page.click("[data-act=stop_tone]");
  await until(page, () => __sensocto.sound === null && document.querySelector("[data-act=stop_tone]") === null);
  await page.click(`article[data-sensor="${second}"] [data-act=listen]`);
  await until(page, () => __sensocto.sound !== null);
  await page.click("nav [data-view=rooms]");
  await until(page, () => __sensocto.sound === null);
  await t.close();
});

await it("a known pose is at known pixels, is told in words and figures, and stays when time is stopped", async () => {
  const mock = await start_mock({ dist, ecgs: 0, others: 0, poses: 1 });
  const t = await open(mock.url);
  const { page } = t;
  await live(page);
  await arrange(page, "pose");
  await lit(page, "pose");
  // Along bones there is colour, beside them there is none: by the numbers that the mock sends.
  const seen_at = (x, y) => page.evaluate(([across, down]) => {
    const canvas = document.querySelector("[data-panel=pose] canvas");
    const [box] = JSON.parse(canvas.dataset.boxes);
    const ratio = canvas.width / canvas.clientWidth;
    const { data } = canvas.getContext("2d").getImageData(Math.round((box.x + across * box.side) * ratio), Math.round((box.y + down * box.side) * ratio), 1, 1);
    return data[3] > 200;
  }, [x, y]);
  const on = [[0.75, 0.25], [0.9, 0.25], [0.35, 0.25], [0.1, 0.25], [0.5, 0.25], [0.591, 0.4], [0.58, 0.65], [0.42, 0.85], [0.5, 0.55]];
  const off = [[0.75, 0.35], [0.75, 0.15], [0.5, 0.4], [0.05, 0.25], [0.95, 0.25], [0.5, 0.75], [0.3, 0.9]];
  // A panel that has just come is drawn anew when it has its size.
  let missing = on;
  for (const late = performance.now() + WAIT_MS; missing.length > 0 && performance.now() < late; ) {
    const seen = await Promise.all(missing.map(([x, y]) => seen_at(x, y)));
    missing = missing.filter((_, k) => !seen[k]);
  }
  must(missing.length === 0, `nothing at ${missing.join("; ")}`);
  for (const [x, y] of off) must(!(await seen_at(x, y)), `something at ${x}, ${y}`);
  // The left shin is a guess, and dashed: not whole.
  const along = [];
  for (let k = 0; k < 40; k++) along.push(await seen_at(0.58, 0.78 + 0.13 * (k / 40)));
  must(along.includes(true) && along.includes(false), "a guess is dashed");
  await until(page, () => /1 body\. Anna camera: upright, hands down/.test(document.querySelector("[data-panel=pose] canvas").getAttribute("aria-label")));
  await axe(page, "pose");
  await page.click(".axis [data-act=stop]");
  await until(page, () => __sensocto.room.at_ms !== null);
  must(await seen_at(0.75, 0.25), "it stays");
  await page.click("[data-panel=pose] [aria-label$='as a table']");
  await until(page, () => [...document.querySelectorAll("[data-panel=pose] tbody tr")].some((row) => /Left wrist/.test(row.textContent) && row.textContent.includes("90 %") && row.textContent.includes("25 %")));
  await axe(page, "pose as a table");
  await t.close();
  await mock.stop();
});

await it("what breathing does to a heart is said beside its intervals, and else why it is not", async () => {
  const group = new MockGroup();
  group.heart = () => ({ rate_bpm: 62, rmssd_ms: 48, sdnn_ms: 55, pnn50_pct: 12, window_s: 60, corrected_share: 0 });
  group.breathing = (k) => (k === 0 ? { breath_per_min: 6.04, plv: 0.926, coherence: 0.81, segments: 7, peak_to_trough_ms: 118.4 } : null);
  const mock = await start_mock({ dist, ecgs: 8, others: 8, group });
  const t = await open(mock.url);
  const { page } = t;
  await live(page);
  await arrange(page, "together");
  await until(page, () => document.querySelector("[data-panel=hrv] .breathing")?.dataset.known === "true");
  const figures = () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".breathing [data-figure]")].map((one) => [one.dataset.figure, one.textContent])));
  must(JSON.stringify(await figures()) === JSON.stringify({ plv: "0.93", coherence: "0.81", trough: "118 ms", breath: "6.0 a minute" }), JSON.stringify(await figures()));
  const whose = await page.evaluate(() => {
    const with_breath = new Set(__sensocto.sensors.filter((s) => s.attributes.some((a) => a.attribute_id === "respiration")).map((s) => s.connector_id));
    return __sensocto.sensors.filter((s) => s.sensor_type === "ecg").map((s) => [s.sensor_id, with_breath.has(s.connector_id)]).sort().slice(1);
  });
  const [soon, none] = [whose.find(([, breath]) => breath), whose.find(([, breath]) => !breath)];
  must(soon !== undefined && none !== undefined, "one of each is there");
  await page.click(`[data-panel=hrv] [data-sensor="${soon[0]}"]`);
  await until(page, () => document.querySelector(".breathing").textContent.includes("Not enough data yet: it takes two minutes"));
  await page.click(`[data-panel=hrv] [data-sensor="${none[0]}"]`);
  await until(page, () => document.querySelector(".breathing").textContent.includes("No breath of this person is measured here."));
  await axe(page, "hearts with breaths");
  await page.click("[data-panel=hrv] [aria-label$='as a table']");
  await until(page, () => document.querySelector("[data-panel=hrv] tbody tr").textContent.includes("118 ms"));
  await t.close();
  await mock.stop();
});

await it("all figures are told, of every signal, and how whole they are", async () => {
  const t = await open(server.url);
  const { page } = t;
  await live(page);
  await arrange(page, "raw");
  const signals = await page.evaluate(() => __sensocto.sensors.reduce((n, s) => n + s.attributes.length, 0));
  await until(page, (n) => document.querySelectorAll("[data-panel=raw] tbody tr").length === Math.min(200, n), signals);
  await until(page, () => [...document.querySelectorAll("[data-panel=raw] tbody tr")].filter((row) => /\d/.test(row.children[2].textContent)).length > 5);
  must(await page.evaluate(() => [...document.querySelectorAll("[data-panel=raw] tbody tr")].every((row) => row.lastElementChild.textContent.trim() === "0")), "no stream came twice or out of turn");
  await axe(page, "all figures");
  await t.close();
});

for (const theme of ["dark", "light"]) {
  await it(`pictures of the room, ${theme}: every arrangement, wide`, async () => {
    const t = await open(server.url, { theme, size: [1440, 900] });
    const { page } = t;
    await live(page);
    for (const preset of ["overview", "ecg", "breathing", "hearts", ...(process.env.SENSOCTO_BIN ? ["together"] : []), "motion", "pose", "places", "gaze", "raw"]) {
      await arrange(page, preset);
      await until(page, () => [...document.querySelectorAll("[data-panel]:not([data-panel=raw]):not([data-panel=values])")].every((panel) => panel.querySelector("canvas") !== null && seen(panel.querySelector("canvas"), 0, 0, 600, 300).lit > 200));
      await until(page, (n) => __sensocto.totals.frames > n + 8, await page.evaluate(() => __sensocto.totals.frames));
      if (theme === "light") await axe(page, preset);
      await page.screenshot({ path: join(shots, `room-${preset}-${theme}-wide.png`) });
    }
    await t.close();
  });

  await it(`pictures of the room, ${theme}: one panel at a time on a phone`, async () => {
    const t = await open(server.url, { theme, size: [390, 844], touch: true });
    const { page } = t;
    await live(page);
    await page.tap('button[popovertarget="panels-menu"]');
    await page.tap("[data-preset=overview]");
    await until(page, () => document.querySelectorAll("[role=tab]").length === 4 && document.querySelectorAll("[data-panel]").length === 1);
    await page.waitForSelector("[data-panel=graph] canvas");
    await until(page, (n) => __sensocto.totals.frames > n + 8, await page.evaluate(() => __sensocto.totals.frames));
    await axe(page, "phone");
    must(await page.evaluate(() => document.documentElement.scrollWidth <= 390), "nothing runs out of the page");
    await page.screenshot({ path: join(shots, `room-graph-${theme}-narrow.png`) });
    await page.focus("[role=tab][aria-selected=true]");
    await page.keyboard.press("ArrowRight");
    await lit(page, "waves");
    await until(page, (n) => __sensocto.totals.frames > n + 8, await page.evaluate(() => __sensocto.totals.frames));
    await page.screenshot({ path: join(shots, `room-waves-${theme}-narrow.png`) });
    await page.tap(".rail-switch");
    await until(page, () => document.querySelectorAll(".rail li").length > 3);
    await axe(page, "phone, rail");
    await page.screenshot({ path: join(shots, `room-rail-${theme}-narrow.png`) });
    await t.close();
  });
}

await server.stop();
await finish();
