/** What tests in a real browser share: the browser, pages that keep account, waiting, and counting what passed. */

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
export const dist = join(here, "..", "dist");
export const shots = join(here, "..", "screenshots");
const axe_source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const WAIT_MS = 30_000;
const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --use-fake-device-for-media-stream";
/** This machine by a name that no browser takes for it: what came from there came over a line that is not protected. */
export const LAN = "lan.test";

/** Against a server that is one, and not a mock. */
export const real = process.env.SENSOCTO_URL !== undefined || process.env.SENSOCTO_BIN !== undefined;

const results = [];
const opened = new Set();
/** ONLY names the tests to run, as a regular expression. A test that fails leaves no page behind. */
export async function it(name, test) {
  if (process.env.ONLY !== undefined && !new RegExp(process.env.ONLY).test(name)) return;
  const begun = performance.now();
  const before = new Set(opened);
  try {
    const note = await test();
    results.push(true);
    process.stdout.write(`ok    ${name}${note ? ` (${note})` : ""} ${Math.round(performance.now() - begun)} ms\n`);
  } catch (error) {
    for (const context of opened) if (!before.has(context)) await context.close();
    results.push(false);
    process.stdout.write(`FAIL  ${name}\n      ${String(error?.stack ?? error).split("\n").slice(0, 6).join("\n      ")}\n`);
  }
}
export function must(truth, what) {
  if (!truth) throw new Error(what);
}

if (process.env.BUILT === undefined) await build({ root: join(here, ".."), logLevel: "warn" });
await mkdir(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...FLAGS.split(" "), `--host-resolver-rules=MAP ${LAN} 127.0.0.1`] });

/** Ends the browser, and the process with what the tests came to. */
export async function finish() {
  await browser.close();
  const failed = results.filter((ok) => !ok).length;
  process.stdout.write(`${results.length - failed} of ${results.length} passed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** A page that keeps account of what it asked for and what it complained of. */
export async function open(url, { size = [1440, 900], theme = "dark", hash = "", touch = false, motion = "no-preference", locale = "en-US" } = {}) {
  const context = await browser.newContext({
    viewport: { width: size[0], height: size[1] }, colorScheme: theme, hasTouch: touch, reducedMotion: motion, locale,
  });
  opened.add(context);
  context.on("close", () => opened.delete(context));
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const account = { foreign: [], complaints: [], scripts: [] };
  const host = new URL(url).host;
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.pathname.endsWith(".js")) account.scripts.push(asked.pathname);
    if (asked.host !== host && asked.protocol !== "data:" && asked.protocol !== "blob:") account.foreign.push(request.url());
  });
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== host) account.foreign.push(socket.url());
  });
  page.on("console", (message) => {
    // Reading pixels back is this test's doing, not the page's.
    if (message.text().includes("getImageData")) return;
    if (message.type() === "error" || message.type() === "warning") account.complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => account.complaints.push(String(error)));
  await page.addInitScript(() => {
    /** What is drawn in a part of a canvas: how many pixels are lit, and a number that changes with them. */
    window.seen = (canvas, x = 0, y = 0, w = canvas.width, h = canvas.height) => {
      const { data } = canvas.getContext("2d").getImageData(x, y, w, h);
      let lit = 0, hash = 0;
      for (let k = 3; k < data.length; k += 4) {
        if (data[k] === 0) continue;
        lit++;
        hash = (Math.imul(hash, 31) + k) | 0;
      }
      return { lit, hash };
    };
    /** How many pixels have exactly this colour, and a number that changes with where they are. */
    window.tinted = (canvas, colour) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
      let count = 0, hash = 0;
      for (let k = 0; k < data.length; k += 4) {
        if (data[k] !== r || data[k + 1] !== g || data[k + 2] !== b) continue;
        count++;
        hash = (Math.imul(hash, 31) + k) | 0;
      }
      return { count, hash };
    };
  });
  await page.goto(url + hash);
  return { page, account, close: () => context.close() };
}

/** Waits until it is so. What is not there yet, so that the question itself fails, is not so. */
export async function until(page, test, arg) {
  const deadline = performance.now() + WAIT_MS;
  for (let trouble = "it is not so"; ; ) {
    try {
      if (await page.evaluate(test, arg)) return;
      trouble = "it is not so";
    } catch (error) {
      trouble = String(error).split("\n")[0];
    }
    if (performance.now() > deadline) throw new Error(`never: ${String(test).replace(/\s+/g, " ").slice(0, 240)} (${trouble})`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Asks until the answer is as it should be; the answer. For what is not in a page: there `until` is. */
export async function reaches(what, ask, test) {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const last = await ask();
    if (test(last)) return last;
    if (performance.now() > deadline) throw new Error(`${what}: ${JSON.stringify(last)}`);
    // Others in this process have their turn, too.
    await new Promise((done) => setTimeout(done, 50));
  }
}

export async function axe(page, where) {
  await page.evaluate(axe_source);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  must(violations.length === 0, `${where}: ${violations.map((v) => `${v.id} (${v.nodes[0].html.slice(0, 160)}) ${v.nodes[0].failureSummary}`).join("; ")}`);
}
