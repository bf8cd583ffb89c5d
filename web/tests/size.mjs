/** What a first visit loads of JavaScript, compressed: held to 150 kB. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export const LIMIT_BYTES = 150_000;

/** Nothing is loaded on demand, so all of it counts, the worker too. */
export async function script_bytes(dist) {
  const folder = join(dist, "assets");
  let sum = 0;
  for (const name of await readdir(folder)) {
    if (name.endsWith(".js")) sum += gzipSync(await readFile(join(folder, name)), { level: 9 }).length;
  }
  return sum;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const bytes = await script_bytes(process.argv[2] ?? "dist");
  process.stdout.write(`${(bytes / 1000).toFixed(1)} kB of JavaScript, gzipped (limit ${LIMIT_BYTES / 1000} kB)\n`);
  process.exitCode = bytes <= LIMIT_BYTES ? 0 : 1;
}
