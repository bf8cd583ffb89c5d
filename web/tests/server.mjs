/**
 * The real server as a child of a test: started, stopped politely, started again on the same port.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 15_000;

export async function free_port() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts `bin serve`, and answers once its address stands on stdout. `port` absent: a free one. Without `keeps` it has no folder. */
export async function start_server(bin, { port, simulate = "few", auth = "dev", load = "normal", keeps = true, settings = {} } = {}) {
  port ??= await free_port();
  const data = await mkdtemp(join(tmpdir(), "sensocto-e2e-"));
  const args = ["serve", "--listen", `127.0.0.1:${port}`, ...(keeps ? ["--data", data] : []), "--simulate", simulate, "--auth", auth];
  // What a busy machine measures is not what these tests are about, but where they say so.
  // Nor is how often one address may knock.
  const env = { ...process.env, SENSOCTO_LOAD: load, SENSOCTO_ADDRESS_LIMIT_FACTOR: "20", ...settings };
  const child = spawn(bin, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((done) => child.once("exit", done));
  let said = "";
  child.stderr.on("data", (chunk) => (said = (said + chunk).slice(-4_000)));
  const url = `http://127.0.0.1:${port}/`;
  await new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`no word from ${bin}:\n${said}`)), START_MS);
    child.stdout.once("data", () => (clearTimeout(late), done()));
    child.once("error", (error) => (clearTimeout(late), fail(error)));
    void ended.then((code) => (clearTimeout(late), fail(new Error(`the server ended with ${code}:\n${said}`))));
  });
  return {
    url,
    port,
    /** Ends it, by SIGTERM unless said otherwise, and waits until it is gone. */
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}
