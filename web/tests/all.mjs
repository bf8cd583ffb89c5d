/**
 * All tests in a real browser, file by file, some beside each other: four fifths of what they do is waiting.
 * What a file says is printed when it is done. Another file by itself: `node tests/<name>.e2e.mjs`.
 */

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

/** So many at once. */
const LANES = 2;
/** A file that is not done by then hangs, and is ended: what it has said until then tells where. */
const LATE_MS = 15 * 60_000;
/** The longest first, so that the lanes end together. */
const FILES = ["together.e2e.mjs", "room.e2e.mjs", "simulator.e2e.mjs", "system.e2e.mjs", "people.e2e.mjs", "consent.e2e.mjs", "known.e2e.mjs", "e2e.mjs", "device.e2e.mjs", "pages.e2e.mjs"];
const here = dirname(fileURLToPath(import.meta.url));

/** What it said, if it did not pass: said once more at the end, where a log that is cut has it. */
const failed = [];

function run(file) {
  return new Promise((done) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [join(here, file)], { env: { ...process.env, BUILT: "1" }, stdio: ["ignore", "pipe", "pipe"] });
    const said = [];
    const late = setTimeout(() => child.kill(), LATE_MS);
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => said.push(bytes));
    child.on("close", (code) => {
      clearTimeout(late);
      const all = `${file}: ${code === 0 ? "passed" : "FAILED"} in ${Math.round((performance.now() - begun) / 1000)} s\n${Buffer.concat(said)}`;
      process.stdout.write(all);
      if (code !== 0) failed.push(all);
      done();
    });
  });
}

await build({ root: join(here, ".."), logLevel: "warn" });
const waiting = [...FILES];
await Promise.all(
  Array.from({ length: LANES }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await run(file);
  }),
);
for (const all of failed) process.stdout.write(`\nFAILED: ${all.split("\n").filter((line) => !line.startsWith("ok ")).join("\n")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
