/** Sessions of the mock server (docs/synchrony.md "A session"): what runs becomes measurable, and a report takes a moment. */

const ROOT = "/api/synchrony/sessions";
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const MEASURABLE_MS = 1_000;

export class MockSessions {
  kept = new Map();
  going = new Map();
  /** How long a report takes. */
  report_ms = 800;
  people = 10;
  left_out = 0;
  /** Everything that was asked: method, path, body. */
  asked = [];
  /** A status and a body to answer all orders with. */
  refuse = null;

  keep(name, more = {}) {
    this.kept.set(name, {
      name, state: "done", signal: "breath", tier: "prompt", condition: "free", begin_ms: Date.now() - 86_400_000, duration_s: 312.4, people: 10,
      group: { mean_r: 0.61, mean_kappa: 0.31, measured_s: 290, above_null95_share: 0.4, cluster: 0.6 },
      significance: { outcome: "tested", method: "phase_randomised", surrogates: 999, seed: 1, liberal: false, p_group: 0.001, null95_plv: 0.5 },
      cautions: [], files: [], ...more,
    });
  }

  begin(name, more = {}) {
    this.going.set(name, { name, began: Date.now(), stopped: null, signal: "breath", tier: "prompt", condition: "free", people: this.people, ...more });
  }

  async answer(request, response, url, bearer) {
    const path = url.pathname;
    if (path !== ROOT && !path.startsWith(`${ROOT}/`)) return false;
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = text === "" ? {} : JSON.parse(text);
    this.asked.push({ what: `${request.method} ${path}`, body });
    const say = (status, value) => (response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value)), true);
    const refuse = (status, code, error) => say(status, { error, code });
    if (bearer !== null && request.headers.authorization !== `Bearer ${bearer}`) return refuse(401, "unauthorized", "a valid Authorization: Bearer is needed");
    if (request.method !== "GET" && this.refuse !== null) return say(...this.refuse);
    this.#pass();
    const [name, file] = path.slice(ROOT.length + 1).split("/").map(decodeURIComponent);
    if (name === "" && request.method === "GET") return say(200, { sessions: [...[...this.going.values()].map((one) => this.#told(one)), ...this.kept.values()], running_max: 8, kept_max: 256, people_max: 64 });
    if (name === "") {
      const called = body.name ?? `session-${this.kept.size + this.going.size + 1}`;
      if (!NAME.test(called)) return refuse(400, "bad_name", "a name is up to 64 of a-z, 0-9, dot, dash and underscore");
      if (this.going.has(called) || this.kept.has(called)) return refuse(409, "already_exists", `there is a session \`${called}\` already`);
      this.begin(called, { ...body, people: body.sensors === "all" ? this.people : body.sensors.length, name: called });
      return say(201, this.#told(this.going.get(called)));
    }
    const one = this.going.get(name);
    if (one === undefined && !this.kept.has(name)) return refuse(404, "session_not_found", `there is no session \`${name}\``);
    if (file === "stop") {
      if (one === undefined || one.stopped !== null) return refuse(409, "not_running", `\`${name}\` has ended already`);
      one.stopped = Date.now();
      return say(202, this.#told(one));
    }
    if (request.method === "DELETE") {
      this.going.delete(name);
      this.kept.delete(name);
      return response.writeHead(204).end(), true;
    }
    if (file === undefined) return say(200, one === undefined ? this.kept.get(name) : this.#told(one));
    if (one !== undefined) return refuse(409, "not_done", `the report of \`${name}\` is not there yet`);
    const page = file === "report.html";
    response.writeHead(200, { "content-type": page ? "text/html" : "text/plain", "content-disposition": page ? "inline" : `attachment; filename="${name}-${file}"` });
    return response.end(page ? `<!DOCTYPE html><html lang="en"><title>Synchrony: ${name}</title><h1>${name}</h1></html>` : `${file} of ${name}`), true;
  }

  #pass() {
    for (const [name, { stopped, began, signal, tier, condition, people }] of this.going) {
      if (stopped === null || Date.now() - stopped < this.report_ms) continue;
      this.going.delete(name);
      const duration_s = (stopped - began) / 1_000;
      this.keep(name, {
        signal, tier, condition, people, begin_ms: began, duration_s, cautions: ["Less than a minute could be measured: strangers look alike that long."],
        significance: { outcome: "not_tested", method: "phase_randomised", reason: `the window is ${Math.round(duration_s)} s long; this method needs 60 to 3600 s` },
      });
    }
  }

  #told({ name, began, stopped, signal, tier, condition, people }) {
    const known = Date.now() - began > MEASURABLE_MS;
    return {
      name, state: stopped === null ? "running" : "reporting", progress: stopped === null ? null : Math.min(1, (Date.now() - stopped) / this.report_ms), why: null,
      signal, tier, condition, started_at: began, seconds: Math.floor(((stopped ?? Date.now()) - began) / 100) / 10, left_out: this.left_out, full: false,
      people: Array.from({ length: people }, (_, k) => ({ sensor_id: `person-${k}`, measurable: known && k !== 3, why: known && k !== 3 ? null : "too_short" })),
    };
  }
}
