/**
 * Whether a page that is looked at for long grows: SECONDS of it (600), against the mock server, or SENSOCTO_URL. It shows
 * graph, waves, values, pose and chat, is stopped and let go on, and looks at another page and back, as people do.
 *
 * Every EVERY seconds (30), after a collection of garbage: what the page and its worker hold on the heap and in buffers, how many
 * DOM nodes and listeners there are, and what the rings take. Fails when the last third holds more than the first by GROWTH_MB
 * (5), or has more nodes by a tenth; the first minute is not counted, in which rings fill.
 */

import { dist, finish, open, until, WAIT_MS } from "../tests/browser.mjs";
import { start_mock } from "../tests/mock-server.mjs";

const SECONDS = Number(process.env.SECONDS ?? 600);
const EVERY = Number(process.env.EVERY ?? 30);
const GROWTH_MB = Number(process.env.GROWTH_MB ?? 5);
const WARM_S = Math.min(60, SECONDS / 4);
const MB = 1e6;

const mock = process.env.SENSOCTO_URL ? { url: process.env.SENSOCTO_URL, stop: async () => {} } : await start_mock({ dist, ecgs: 40, others: 40, places: 4, gazes: 2, poses: 4 });
const { page, account, close } = await open(mock.url, { size: [1920, 1080] });
await until(page, () => __sensocto.link === "live" && __sensocto.sensors.length > 0);

/** The page's session, and one of its worker, which only messages lead to. */
const cdp = await page.context().newCDPSession(page);
const answers = new Map();
let worker = null;
let asked = 0;
cdp.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
  // Not the graph's, which comes and goes.
  if (/\/worker-[^/]*\.js$/.test(targetInfo.url)) worker = sessionId;
});
cdp.on("Target.receivedMessageFromTarget", ({ message }) => {
  const { id, result } = JSON.parse(message);
  answers.get(id)?.(result);
});
await cdp.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
const of_worker = (method) => new Promise((done, fail) => {
  const id = ++asked;
  const late = setTimeout(() => fail(new Error(`the worker does not answer ${method}`)), WAIT_MS);
  answers.set(id, (result) => (clearTimeout(late), answers.delete(id), done(result)));
  void cdp.send("Target.sendMessageToTarget", { sessionId: worker, message: JSON.stringify({ id, method }) });
});

async function arrange(preset) {
  await page.click('button[popovertarget="panels-menu"]');
  await page.click(`[data-preset=${preset}]`);
}
async function add(panel) {
  await page.click('button[popovertarget="panels-menu"]');
  await page.click(`[data-add=${panel}]`);
}
await arrange("overview");
await add("pose");
await page.click("[data-act=side]");

async function measure(at_s) {
  for (const ask of [(method) => cdp.send(method), of_worker]) await ask("HeapProfiler.collectGarbage");
  const [heap, threads, dom] = await Promise.all([cdp.send("Runtime.getHeapUsage"), of_worker("Runtime.getHeapUsage"), cdp.send("Memory.getDOMCounters")]);
  const { rings, streams } = await page.evaluate(() => __sensocto.held);
  return {
    at_s, heap: heap.usedSize / MB, buffers: (heap.backingStorageSize ?? 0) / MB, worker_heap: threads.usedSize / MB, worker_buffers: (threads.backingStorageSize ?? 0) / MB,
    rings: rings / MB, streams, nodes: dom.nodes, listeners: dom.jsEventListeners,
  };
}
const COLUMNS = { at_s: "s", heap: "page, MB", buffers: "its buffers, MB", rings: "rings, MB", worker_heap: "worker, MB", worker_buffers: "its buffers, MB", streams: "streams", nodes: "DOM nodes", listeners: "listeners" };
const line = (cells) => process.stdout.write(`| ${cells.join(" | ")} |\n`);
line(Object.values(COLUMNS));
line(Object.keys(COLUMNS).map(() => "---"));

const measured = [];
const begun = performance.now();
for (let k = 1; k * EVERY <= SECONDS; k++) {
  // What people do, in turn; then back to where it is measured.
  if (k % 3 === 1) {
    await page.click(".axis [data-act=stop]");
    await page.click(".axis [data-act=live]");
  } else if (k % 3 === 2) {
    for (const view of ["system", "lobby"]) await page.click(`nav [data-view=${view}]`);
    // No handle on an element: it would hold the view that it stands in.
    await until(page, () => document.querySelector("[data-panel=graph] canvas") !== null);
  } else {
    await page.focus("[data-panel=values] button[data-sensor]");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
  }
  await new Promise((done) => setTimeout(done, Math.max(0, begun + k * EVERY * 1_000 - performance.now())));
  const now = await measure(Math.round((performance.now() - begun) / 1_000));
  measured.push(now);
  line(Object.keys(COLUMNS).map((key) => (Number.isInteger(now[key]) ? now[key] : now[key].toFixed(1))));
}

const counted = measured.filter(({ at_s }) => at_s > WARM_S);
const third = Math.max(1, Math.floor(counted.length / 3));
const mean = (of, key) => of.reduce((sum, one) => sum + one[key], 0) / of.length;
const grown = (key) => mean(counted.slice(-third), key) - mean(counted.slice(0, third), key);
const bytes = ["heap", "buffers", "worker_heap", "worker_buffers"].reduce((sum, key) => sum + grown(key), 0);
const nodes = grown("nodes") / mean(counted.slice(0, third), "nodes");
process.stdout.write(`grown by ${bytes.toFixed(1)} MB and ${(100 * nodes).toFixed(1)} % of its DOM nodes, from the first third to the last\n`);
const wrong = [bytes > GROWTH_MB && "memory", nodes > 0.1 && "nodes", account.complaints.length > 0 && account.complaints[0]].filter(Boolean);
await close();
await mock.stop();
await finish();
if (wrong.length > 0) {
  process.stdout.write(`FAIL: ${wrong.join(", ")}\n`);
  process.exitCode = 1;
}
