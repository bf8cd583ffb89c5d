/**
 * All tests in a real browser, file by file, in two lanes beside each other: much of what they do is waiting.
 * What a file says is printed when it is done. Another file by itself: `node tests/<name>.e2e.mjs`.
 */

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const LANES = [
  ["room.e2e.mjs", "e2e.mjs", "device.e2e.mjs", "people.e2e.mjs", "pages.e2e.mjs", "simulator.e2e.mjs"],
  ["together.e2e.mjs", "system.e2e.mjs"],
];
const here = dirname(fileURLToPath(import.meta.url));

/** Whether it passed. */
function run(file) {
  return new Promise((done) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [join(here, file)], { env: { ...process.env, BUILT: "1" }, stdio: ["ignore", "pipe", "pipe"] });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => said.push(bytes));
    child.on("close", (code) => {
      process.stdout.write(`${file}: ${code === 0 ? "passed" : "FAILED"} in ${Math.round((performance.now() - begun) / 1000)} s\n${Buffer.concat(said)}`);
      done(code === 0);
    });
  });
}

await build({ root: join(here, ".."), logLevel: "warn" });
const passed = await Promise.all(
  LANES.map(async (files) => {
    let all = true;
    for (const file of files) all = (await run(file)) && all;
    return all;
  }),
);
process.exitCode = passed.every(Boolean) ? 0 : 1;
