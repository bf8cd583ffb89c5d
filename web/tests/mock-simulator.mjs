/**
 * A simulator that makes nothing up but its own state: what is started is there, plays at its speed and
 * takes its time to stop; what is recorded can be played, fetched and deleted. `fail` makes it err.
 */

const MINUTE = 60_000;
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const BODY_MAX = 65_536;

const scenario = (name, people, sensors, attributes, samples_per_second, description, more = {}) => ({
  name, description, people, sensors, attributes, samples_per_second, viewers: 0, origin: "shipped", error: null, ...more,
});

export const SCENARIOS = [
  scenario("breathing-circle", 12, 24, 48, 744, "Twelve people breathe together; how strongly and with which lag is known, so that synchrony can be checked against what is true."),
  scenario("city", 10_000, 10_000, 24_000, 58_000, "Ten thousand people with a watch each, most of them asleep."),
  scenario("city-large", 100_000, 100_000, 240_000, 580_000, "A hundred thousand sensors: as many as one process should carry."),
  scenario("coral-buoys", 0, 40, 240, 48, "Forty buoys on a reef: temperature, salinity, oxygen, pH and turbidity, with tides and days."),
  scenario("cyclists", 25, 100, 300, 1_875, "A group ride over a pass: hearts, cadence, power and tracks at speeds a bicycle reaches."),
  scenario("few", 8, 20, 44, 2_152, "A handful of people and things with every kind of signal: the default."),
  scenario("gaze-study", 50, 100, 300, 13_055, "Fifty readers with eye trackers at 120 Hz: fixations, saccades and blinks."),
  scenario("hospital-ward", 30, 150, 420, 9_300, "A ward with thirty beds: ECG, oxygen, breathing and temperature, and staff who look at them.", { viewers: 12 }),
  scenario("one", 1, 4, 9, 268, "One person at rest."),
  scenario("orchestra", 80, 160, 400, 21_400, "Eighty musicians whose breath and hearts follow the music."),
  scenario("pose-demo", 4, 4, 4, 120, "Four dancers, 33 points each, thirty times a second."),
  scenario("rough-weather", 40, 80, 200, 4_600, "Devices that drop out, come back, skew their clocks, repeat, reorder and send rubbish.", { viewers: 20 }),
  scenario("sleep-lab", 6, 42, 96, 6_180, "A night in the sleep laboratory, six beds."),
  scenario("stadium", 300, 900, 2_400, 27_600, "Three hundred spectators and a goal now and then.", { viewers: 60 }),
  scenario("workshop", 16, 64, 160, 5_080, "Sixteen people in one room who sit, stand, walk and rest by a schedule."),
];

const OURS = [
  scenario("klinik-nord-longitudinal-monitoring-of-night-shift-nurses-2026-q4-second-cohort", 120, 480, 1_440, 18_240, "Our own study plan with the devices we have ordered, to see whether the network of the new building carries them.", { origin: "yours" }),
  scenario("studie-b", 0, 0, 0, 0, "", { origin: "yours", error: "scenarios/studie-b.toml:14: unknown key `coutn` in [[group]]; did you mean `count`?" }),
];

export class MockSimulator {
  scenarios = [...SCENARIOS];
  running = new Map();
  recordings = new Map();
  recording = null;
  health = { ok: true, orphan_count: 0, orphans: [], missing_count: 0, missing: [], repaired: 0 };
  checked_at = Date.now() - 12_000;
  /** How long things take to come, and to go. */
  start_ms = 300;
  stop_ms = 700;
  /** What the recording under way says of itself. */
  warning = null;
  bytes_max = 20e9;
  /** Everything that was asked: method, path, body, time. */
  asked = [];
  #failures = new Map();

  /** As an operator has it who has used it for a while. */
  static lived_in() {
    const it = new MockSimulator();
    it.scenarios = [...SCENARIOS, ...OURS].sort((a, b) => (a.name < b.name ? -1 : 1));
    const days = [["2026-11-23-rehearsal", 0.7, 5 * MINUTE, 160, true], ["group-breathing-pilot", 1.9, 31 * MINUTE, 24, true], ["power-cut", 3.2, 12.4 * MINUTE, 100, false],
      ["klinik-nord-longitudinal-monitoring-of-night-shift-nurses-2026", 6, 480 * MINUTE, 480, true]];
    for (const [name, ago, duration_ms, sensors, complete] of days) it.keep(name, { created_at: Date.now() - ago * 86_400_000, duration_ms, sensors, complete });
    it.keep("from-another-version", { duration_ms: 0, sensors: 0, error: "The file was written by a later version (format 3; this server reads up to 2)." });
    return it;
  }

  keep(name, { created_at = Date.now(), duration_ms = 30_000, sensors = 20, complete = true, error = null, rate = 107 } = {}) {
    const samples = Math.round((duration_ms / 1_000) * sensors * rate);
    const hash = [...name].reduce((sum, letter) => (Math.imul(sum, 16_777_619) ^ letter.charCodeAt(0)) >>> 0, 2_166_136_261).toString(16).padStart(8, "0");
    this.recordings.set(name, {
      name, bytes: 900 + Math.round(samples * 2.6), created_at: Math.round(created_at), duration_ms, ticks: Math.round(duration_ms / 16), samples, sensors, hash: hash.repeat(4), complete, error,
    });
  }

  /** The next `times` questions of this kind go wrong: `fail("POST /api/simulator/start", 409, { error, code })`. A text is sent as it is; 0 drops the line. */
  fail(what, status, body, times = 1) {
    this.#failures.set(what, { status, body, times });
  }
  mend(what) {
    this.#failures.delete(what);
  }

  async answer(request, response, url, bearer) {
    const { pathname } = url;
    if (!/^\/api\/(simulator|recordings)(\/|$)/.test(pathname)) return false;
    let text = "";
    for await (const chunk of request) {
      text += chunk;
      if (text.length > BODY_MAX) return this.#say(response, 413, { error: "too large", code: "too_large" });
    }
    const what = `${request.method} ${pathname}`;
    let body = {};
    try {
      body = text === "" ? {} : JSON.parse(text);
    } catch {
      return this.#say(response, 400, { error: "the body is not JSON", code: "bad_json" });
    }
    this.asked.push({ what, body, at: Date.now() });
    if (bearer !== null && request.headers.authorization !== `Bearer ${bearer}`) return this.#say(response, 401, { error: "unauthorized", code: "unauthorized" });
    if (request.method === "POST" && request.headers["content-type"] !== "application/json") return this.#say(response, 415, { error: "JSON is expected", code: "not_json" });
    const failure = this.#failures.get(what);
    if (failure !== undefined) {
      if (--failure.times <= 0) this.#failures.delete(what);
      if (failure.status === 0) request.socket.destroy();
      else this.#say(response, failure.status, failure.body);
      return true;
    }
    return this.#act(request.method, pathname, body, response);
  }

  #say(response, status, body) {
    if (status === 204) response.writeHead(204).end();
    else response.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
    return true;
  }

  #act(method, path, body, response) {
    const say = (status, answer) => this.#say(response, status, answer);
    const refuse = (status, code, error) => say(status, { error, code });
    this.#pass();
    if (method === "GET" && path === "/api/simulator") return say(200, this.overview());
    if (method === "GET" && path === "/api/recordings") {
      return say(200, { recordings: [...this.recordings.values()], recording: this.#capture(), bytes_max: this.bytes_max });
    }
    if (method === "POST" && path === "/api/recordings") {
      if (this.recording !== null) return refuse(409, "already_recording", `"${this.recording.name}" is being recorded already`);
      const name = body.name ?? `recording-${this.recordings.size + 1}`;
      if (!NAME.test(name)) return refuse(400, "bad_name", "a name is made of a-z, 0-9, dot, dash and underscore");
      if (this.recordings.has(name)) return refuse(409, "name_taken", `there is a recording "${name}" already`);
      this.recording = { name, started_at: Date.now() };
      return say(201, this.#capture());
    }
    if (method === "POST" && path === "/api/recordings/stop") {
      if (this.recording === null) return refuse(409, "not_recording", "nothing is being recorded");
      const { name, started_at } = this.recording;
      const sensors = [...this.running.values()].reduce((sum, entry) => sum + entry.sensors, 0);
      this.recording = null;
      this.keep(name, { created_at: started_at, duration_ms: Math.max(1, Date.now() - started_at), sensors });
      return say(200, this.recordings.get(name));
    }
    const file = /^\/api\/recordings\/([^/]+)$/.exec(path);
    if (file !== null) {
      const entry = this.recordings.get(decodeURIComponent(file[1]));
      if (entry === undefined) return refuse(404, "recording_not_found", "there is no such recording");
      if (method === "DELETE") {
        if ([...this.running.values()].some(({ kind, name }) => kind === "replay" && name === entry.name)) return refuse(409, "in_use", "it is being played: stop the replay first");
        this.recordings.delete(entry.name);
        return say(204);
      }
      response.writeHead(200, { "content-type": "application/octet-stream", "content-disposition": `attachment; filename="${entry.name}.mcap"` });
      response.end(Buffer.from("\x89MCAP0\r\n", "latin1"));
      return true;
    }
    const order = /^\/api\/simulator\/([a-z]+)$/.exec(path)?.[1];
    if (method !== "POST" || order === undefined) return refuse(404, "not_found", "there is no such thing");
    if (order === "start" || order === "switch") {
      const found = this.scenarios.find(({ name }) => name === body.scenario);
      if (found === undefined) return refuse(404, "scenario_not_found", `there is no scenario "${body.scenario}"`);
      if (found.error !== null) return refuse(422, "scenario_invalid", found.error);
      if (order === "start" && this.running.has(found.name)) return refuse(409, "already_running", `"${found.name}" is running already`);
      if (order === "switch") for (const entry of this.running.values()) if (entry.id !== found.name) this.#stop(entry);
      if (!this.running.has(found.name)) this.#begin(found.name, "scenario", found, body);
      return say(201, this.#tell(this.running.get(found.name)));
    }
    if (order === "replay") {
      const recording = this.recordings.get(body.recording);
      if (recording === undefined) return refuse(404, "recording_not_found", "there is no such recording");
      const id = `replay:${recording.name}`;
      if (this.running.has(id)) return refuse(409, "already_running", `"${recording.name}" is playing already`);
      const samples_per_second = recording.samples / (recording.duration_ms / 1_000);
      this.#begin(id, "replay", { name: recording.name, sensors: recording.sensors, samples_per_second }, body);
      Object.assign(this.running.get(id), { duration_ms: recording.duration_ms, recorded_from: recording.created_at });
      return say(201, this.#tell(this.running.get(id)));
    }
    if (order === "stop" && body.id === "*") {
      const stopped = [...this.running.keys()];
      for (const entry of this.running.values()) this.#stop(entry);
      return say(200, { stopped, took_ms: this.stop_ms });
    }
    const entry = this.running.get(body.id);
    if (entry === undefined) return refuse(404, "not_running", `"${body.id}" is not running`);
    const now = Date.now();
    if (order === "stop") {
      this.#stop(entry);
      return say(200, { stopped: [entry.id], took_ms: this.stop_ms });
    }
    const at = this.#position(entry);
    if (order === "pause") Object.assign(entry, { base_ms: at, since: now, state: "paused" });
    else if (order === "resume") Object.assign(entry, { base_ms: at, since: now, state: "running" });
    else if (order === "speed") {
      if (!(body.speed >= 0.1 && body.speed <= 100)) return refuse(400, "bad_speed", "a speed is from 0.1 to 100");
      Object.assign(entry, { base_ms: at, since: now, speed: body.speed });
    } else if (order === "seek") {
      if (entry.kind !== "replay") return refuse(409, "not_a_replay", `"${entry.name}" is not a replay`);
      Object.assign(entry, { base_ms: Math.min(entry.duration_ms, Math.max(0, body.position_ms)), since: now });
    } else return refuse(404, "not_found", "there is no such thing");
    return say(200, this.#tell(entry));
  }

  #begin(id, kind, { name, sensors, samples_per_second }, { seed = 1, speed = 1, from_ms = 0 }) {
    const now = Date.now();
    this.running.set(id, {
      id, kind, name, sensors, samples_per_second, seed, speed, state: "running", started_at: now, since: now, base_ms: from_ms, duration_ms: null, recorded_from: null, gone_at: Infinity, skipped_ms: 0,
    });
  }

  #stop(entry) {
    if (entry.state !== "stopping") Object.assign(entry, { base_ms: this.#position(entry), state: "stopping", gone_at: Date.now() + this.stop_ms });
  }

  /** What has become due: who stopped is gone, what is over has ended. */
  #pass() {
    const now = Date.now();
    if (now - this.checked_at >= 30_000) this.checked_at = now;
    for (const entry of [...this.running.values()]) {
      if (now >= entry.gone_at) this.running.delete(entry.id);
      else if (entry.state === "running" && entry.duration_ms !== null && this.#position(entry) >= entry.duration_ms) Object.assign(entry, { base_ms: entry.duration_ms, state: "ended" });
    }
  }

  #position({ state, base_ms, since, speed, duration_ms }) {
    return Math.min(duration_ms ?? Infinity, base_ms + (state === "running" ? (Date.now() - since) * speed : 0));
  }

  #tell(entry) {
    const { id, kind, name, state, seed, speed, sensors, samples_per_second, started_at, duration_ms, recorded_from, skipped_ms } = entry;
    const position_ms = Math.round(this.#position(entry));
    const share = state === "stopping" ? 0.5 : Math.min(1, (Date.now() - started_at) / this.start_ms);
    return {
      id, kind, name, state, seed, speed, sensors, sensors_live: Math.floor(share * sensors), samples_per_second, started_at, position_ms, duration_ms,
      recorded_at: recorded_from === null ? null : recorded_from + position_ms, skipped_ms,
      error: entry.error ?? null,
    };
  }

  #capture() {
    if (this.recording === null) return null;
    const { name, started_at } = this.recording;
    const elapsed_ms = Date.now() - started_at;
    const rate = [...this.running.values()].reduce((sum, entry) => sum + entry.samples_per_second, 0);
    const samples = Math.round((elapsed_ms / 1_000) * rate);
    return { name, started_at, elapsed_ms, samples, bytes: 900 + Math.round(samples * 2.6), warning: this.warning, error: null };
  }

  overview() {
    this.#pass();
    return {
      scenarios: this.scenarios, running: [...this.running.values()].map((entry) => this.#tell(entry)),
      health: { checked_at: this.checked_at, every_ms: 30_000, ...this.health },
    };
  }
}
