/** What a first visit loads of JavaScript, compressed: held to 150 kB. */

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

export const LIMIT_BYTES = 150_000;

/** Of these scripts of the page, by their addresses or names. */
export async function gzipped(dist, addresses) {
  let sum = 0;
  for (const name of new Set(addresses.map((address) => basename(address)))) sum += gzipSync(await readFile(join(dist, "assets", name)), { level: 9 }).length;
  return sum;
}

/** What is there before anything is fetched on demand: the page's script, what it imports, and the worker. */
async function at_start(dist) {
  const names = new Set();
  const take = async (name) => {
    if (names.has(name)) return;
    names.add(name);
    const source = await readFile(join(dist, "assets", name), "utf8");
    for (const [, imported] of source.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) await take(imported);
  };
  const page = await readFile(join(dist, "index.html"), "utf8");
  for (const [, name] of page.matchAll(/\/assets\/([^"]+\.js)"/g)) await take(name);
  for (const name of await readdir(join(dist, "assets"))) if (/^worker-.*\.js$/.test(name)) await take(name);
  return [...names];
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const dist = process.argv[2] ?? "dist";
  const bytes = await gzipped(dist, await at_start(dist));
  process.stdout.write(`${(bytes / 1000).toFixed(1)} kB of JavaScript at the start, gzipped (limit ${LIMIT_BYTES / 1000} kB)\n`);
  process.exitCode = bytes <= LIMIT_BYTES ? 0 : 1;
}
