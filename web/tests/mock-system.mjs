/**
 * A server that tells of itself as docs/wire.md's `/api/system` does, with figures made up by a scene:
 * `calm`, `pressed`, `critical`, `broken`. Figures are functions of time, so that plots move, and add up: what is
 * asked for is delivered or taken by some layer. `fail` makes it err.
 */

const MB = 1_000_000;
const CLASSES = ["bio", "motion", "location", "environment", "device"];

/**
 * What each scene presses: used shares by resource, the share of what is asked that is delivered at each level of
 * attention, and who takes the rest.
 */
export const SCENES = {
  calm: {
    level: "normal", since_ms: 4_380_000, used: { cpu: 0.31, cpu_system: 0.38, queue: 0.02, tick: 0.19, broadcast: 0.01, memory: 0.34 },
    share: { high: 1, medium: 1, low: 1 }, took: {}, protection: false,
  },
  pressed: {
    level: "elevated", since_ms: 48_000, used: { cpu: 0.76, cpu_system: 0.81, queue: 0.22, tick: 0.58, broadcast: 0.34, memory: 0.52 },
    share: { high: 1, medium: 0.72, low: 0.45 }, took: { budget: 0.62, socket: 0.21, health: 0.05, device: 0.12 }, protection: false,
  },
  critical: {
    level: "critical", since_ms: 12_000, used: { cpu: 0.99, cpu_system: 1, queue: 0.91, tick: 1.06, broadcast: 0.72, memory: 0.83 },
    share: { high: 0.995, medium: 0.21, low: 0.06 }, took: { budget: 0.57, socket: 0.14, health: 0.04, device: 0.13, intake: 0.08, storage: 0.04 }, protection: true,
  },
  broken: {
    level: "high", since_ms: 6_000, used: { cpu: 0.88, cpu_system: 0.9, queue: 0.41, tick: 0.83, broadcast: 0.2, memory: 0.61 },
    share: { high: 1, medium: 0.48, low: 0.2 }, took: { budget: 0.7, socket: 0.1 }, protection: false,
  },
};

const THRESHOLDS = [
  { level: "elevated", enter: 0.7, exit: 0.6 },
  { level: "high", enter: 0.85, exit: 0.75 },
  { level: "critical", enter: 0.95, exit: 0.85 },
];
const SYSTEMS = [
  ["take_samples", 412], ["take_commands", 38], ["derive_levels", 21], ["measure_novelty", 96], ["forecast_attention", 14], ["correlate_viewers", 9],
  ["regulate_thresholds", 3], ["inhibit_laterally", 27], ["follow_the_day", 2], ["conduct", 64], ["fit_rings", 41], ["cut_slices", 688], ["count_drops", 5], ["reap", 8],
];
/** Asked for at each level of attention, samples a second. */
const ASKED = { high: 5_240, medium: 14_800, low: 2_310 };

const round = (value, to = 1) => Math.round(value / to) * to;

export class MockSystem {
  scene = "calm";
  begun = Date.now();
  /** Everything that was asked: path with its query, and when. */
  asked = [];
  /** Merged over what is told, for what a test wants to be so. */
  more = {};
  #failures = new Map();

  constructor(scene = "calm") {
    this.scene = scene;
  }

  /** The next `times` questions for this path go wrong. A text is sent as it is; status 0 drops the line; null never answers. */
  fail(path, status, body, times = 1) {
    this.#failures.set(path, { status, body, times });
  }
  mend(path) {
    this.#failures.delete(path);
  }

  async answer(request, response, url, bearer) {
    const { pathname } = url;
    if (!/^\/api\/system(\/|$)/.test(pathname)) return false;
    this.asked.push({ what: pathname + url.search, at: Date.now() });
    const say = (status, body) => {
      response.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
      return true;
    };
    if (bearer !== null && request.headers.authorization !== `Bearer ${bearer}`) return say(401, { error: "unauthorized" });
    const failure = this.#failures.get(pathname);
    if (failure !== undefined) {
      if (--failure.times <= 0) this.#failures.delete(pathname);
      if (failure.status === 0) request.socket.destroy();
      else if (failure.status !== null) say(failure.status, failure.body);
      return true;
    }
    if (pathname === "/api/system") return say(200, { ...this.tell(), ...this.more });
    if (pathname === "/api/system/traces") return say(200, this.traces());
    if (pathname === "/api/system/decision") return this.#decide(url.searchParams, say);
    return say(404, { error: "no such page" });
  }

  /** Between -1 and 1, slow and quick together, different for each name. */
  #wave(name, now) {
    const seed = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 97;
    const t = now / 1_000;
    return 0.6 * Math.sin(t / 17 + seed) + 0.25 * Math.sin(t / 5.3 + seed * 2) + 0.15 * Math.sin(t / 1.7 + seed * 3);
  }

  tell(now = Date.now()) {
    const scene = SCENES[this.scene];
    const sway = (name, share) => 1 + share * this.#wave(name, now);
    const used = Object.fromEntries(Object.entries(scene.used).map(([name, value]) => [name, value * sway(name, 0.06)]));
    const worst = Object.entries(used).reduce((a, b) => (b[1] > a[1] ? b : a));
    const measured = { cpu: [used.cpu * 2, 2, "cores"], cpu_system: [used.cpu_system * 2, 2, "cores"], queue: [used.queue * 200, 200, "ms"], tick: [used.tick * 4, 4, "ms"], broadcast: [used.broadcast * 500, 500, "ms"], memory: [used.memory * 2_147 * MB, 2_147 * MB, "bytes"] };
    const levels = Object.entries(ASKED).map(([level, sps]) => {
      const asked_sps = sps * sway(level, 0.04);
      return { level, asked_sps, allowed_sps: asked_sps * Math.min(1, scene.share[level] * 1.03), delivered_sps: asked_sps * scene.share[level] };
    });
    const lost = levels.reduce((sum, one) => sum + one.asked_sps - one.delivered_sps, 0);
    const took = ["asked", "device", "intake", "storage", "budget", "socket", "health"].map((layer) => ({ layer, sps: lost * (scene.took[layer] ?? 0) }));
    const contended = this.scene !== "calm";
    const comes = { bio: 12_400, motion: 8_900, location: 210, environment: 640, device: 96 };
    const slow = { calm: 1, pressed: 2.4, critical: 7, broken: 4 }[this.scene];
    const stages = [["device", 18], ["intake", 3.1], ["route", 0.9], ["outbox", 6], ["delivery", 12]];
    return {
      at: now, uptime_ms: now - this.begun + 7_432_000, version: "0.1.0",
      load: {
        level: scene.level, since_ms: scene.since_ms + (now - this.begun), pressure: worst[1],
        weighted: 0.45 * Math.max(used.cpu, used.cpu_system) + 0.3 * used.broadcast + 0.15 * Math.max(used.queue, used.tick) + 0.1 * used.memory,
        limited_by: contended ? worst[0] : null, memory_protection: scene.protection, offset: contended ? -0.02 : 0,
        pressures: Object.entries(used).map(([name, value]) => ({ name, used: value, measured: measured[name][0], limit: measured[name][1], unit: measured[name][2] })),
        weights: { cpu: 0.45, broadcast: 0.3, queue: 0.15, memory: 0.1 }, thresholds: THRESHOLDS,
      },
      flow: { levels, took, contended, allowed_sps: contended ? round(levels.reduce((sum, one) => sum + one.allowed_sps, 0)) : null },
      classes: CLASSES.map((name) => {
        const in_sps = comes[name] * sway(name, 0.05) * (name === "location" && this.scene === "critical" ? 100 : 1);
        const quota_sps = this.scene === "critical" && name !== "bio" ? { motion: 9_000, location: 2_000, environment: 2_000, device: 2_000 }[name] : null;
        const accepted_sps = Math.min(in_sps, quota_sps ?? Infinity);
        return { class: name, in_sps, accepted_sps, dropped_sps: in_sps - accepted_sps, quota_sps, queued: quota_sps !== null && in_sps > quota_sps ? 4_096 : Math.round(in_sps / 250) };
      }),
      storage: { bytes: used.memory * 512 * MB, limit_bytes: 512 * MB, hot_multiplier: contended ? 0.5 : 1, warm_multiplier: { calm: 1, pressed: 0.5, critical: 0.2, broken: 0.3 }[this.scene], squeeze: scene.protection ? 2 : 0 },
      pacing: [["high", 100, 1], ["medium", 500, 5], ["low", 2_000, 10], ["none", 10_000, 20]].map(([level, window_ms, batch_size]) => ({
        level, window_ms: window_ms * (level === "high" ? 1 : { calm: 1, pressed: 1.5, critical: 5, broken: 3 }[this.scene]), batch_size, paused: this.scene === "critical" && level === "none",
      })),
      viewers: {
        open: 24,
        qualities: { calm: { high: 9, medium: 4, low: 11, minimal: 0, paused: 0 }, pressed: { high: 2, medium: 8, low: 11, minimal: 2, paused: 1 }, critical: { high: 0, medium: 1, low: 6, minimal: 14, paused: 3 }, broken: { high: 1, medium: 5, low: 12, minimal: 6, paused: 0 } }[this.scene],
        limited_by: { device: 0, intake: 0, storage: 0, ...{ calm: { asked: 15, budget: 0, socket: 0, health: 0 }, pressed: { asked: 8, budget: 9, socket: 3, health: 1 }, critical: { asked: 1, budget: 16, socket: 5, health: 2 }, broken: { asked: 5, budget: 15, socket: 2, health: 1 } }[this.scene] },
      },
      bio: {
        novelty: { events_total: 14, lifted: contended ? 2 : 1, recent: [
          { at_ms_ago: 4_200 + (now % 1_000), sensor_id: "few-anna-ecg", attribute_id: "ecg", z: 6.4, boost_ms: 27_000 },
          { at_ms_ago: 71_000, sensor_id: "buoy-7", attribute_id: "salinity", z: -9.1, boost_ms: 40_000 },
          { at_ms_ago: 312_000, sensor_id: "few-dario-wrist", attribute_id: "imu", z: 4.9, boost_ms: 19_000 },
        ] },
        forecast: { enabled: true, score: 0.71, baseline: 0.58, known: 42, warmed: 3 },
        correlation: { enabled: false, pairs: 118 },
        homeostasis: { offset: contended ? -0.02 : 0, p99_ms: 34 * slow, target_ms: 150, drop_rate: { calm: 0, pressed: 0.002, critical: 0.031, broken: 0.01 }[this.scene], saturated: this.scene === "critical" },
        arbiter: { contended, budget_fps: contended ? 1_240 : null, groups: [["high", 6, 180], ["medium", 44, 640], ["low", 130, 1_300]].map(([level, count, asked_fps]) => ({ level, count, asked_fps, allowed_fps: asked_fps * scene.share[level] })) },
        circadian: { factor: 1.12, confidence: 0.46, hour_local: 14.4 },
      },
      ages: stages.flatMap(([stage, ms]) => [...CLASSES, "all"].map((of, k) => {
        const p50 = ms * (of === "bio" || of === "all" ? Math.sqrt(slow) : slow) * sway(stage + of, 0.12) * (of === "location" ? 1.4 : 1);
        return { stage, class: of, p50, p95: p50 * 2.1, p99: p50 * 2.8 + k, count: of === "all" ? 12_400 : 2_100 - 300 * k };
      })),
      top: {
        sensors: ["few-anna-ecg", "few-beat-ecg", "few-chiara-breath", "few-dario-wrist", "buoy-7", "cyclist-12-gps", "hospital-ward-bed-04-monitor-with-a-long-name"].map((sensor_id, k) => ({
          sensor_id, class: ["bio", "bio", "bio", "motion", "environment", "location", "bio"][k], level: ["high", "high", "medium", "medium", "low", "none", "medium"][k],
          in_sps: [251, 251, 50, 50, 1, this.scene === "critical" ? 2_000 : 10, 612][k] * sway(sensor_id, 0.02), viewers: [9, 4, 11, 3, 1, 0, 6][k],
        })),
        viewers: Array.from({ length: 8 }, (_, k) => {
          const asked_sps = [5_200, 3_100, 2_400, 1_900, 1_200, 800, 420, 96][k];
          const limit = contended ? ["budget", "socket", "budget", "health", "budget", null, "asked", "asked"][k] : [null, null, null, null, "asked", "asked", "asked", "asked"][k];
          const share = limit === null || limit === "asked" ? 1 : scene.share.medium;
          return {
            viewer: 101 + k, choice: ["auto", "auto", "high", "auto", "auto-low", "auto-low", "low", "minimal"][k], strong: "high", rest: limit === null ? "high" : limit === "asked" ? "low" : { pressed: "medium", critical: "minimal", broken: "low", calm: "high" }[this.scene],
            limited_by: limit, asked_sps: asked_sps * sway(`v${k}`, 0.03), allowed_sps: asked_sps * share * 1.02, delivered_sps: asked_sps * share,
            waiting_bytes: limit === "socket" ? 182_000 : 0, waiting_ms: limit === "socket" ? 640 : 0, health: k === 3 ? 41 : k === 5 ? null : 96,
          };
        }),
      },
      systems: SYSTEMS.map(([name, micros]) => {
        const off = this.scene === "broken" && name === "forecast_attention";
        const panics = off ? 11 : this.scene === "broken" && name === "measure_novelty" ? 2 : 0;
        return { name, state: off ? "off" : "running", panics, message: panics > 0 ? "index out of bounds: the len is 24 but the index is 24" : null, micros: off ? 0 : micros * Math.sqrt(slow) * sway(name, 0.15) };
      }),
      drops: {
        calm: [["door", "rate_limited", 0, 0]],
        pressed: [["lens", "aged_out", 18_200, 96], ["door", "rate_limited", 412, 0]],
        critical: [["lens", "aged_out", 92_400, 3_150], ["door", "rate_limited", 41_200, 18_900], ["store", "no_memory", 1_220, 84], ["door", "queue_full", 310, 0]],
        broken: [["lens", "aged_out", 24_000, 610]],
      }[this.scene].map(([ledger, reason, count, per_s]) => ({ ledger, reason, count: count + Math.round((per_s * (now - this.begun)) / 1_000), per_s: per_s * sway(reason, 0.1) })),
      balanced: this.scene !== "broken",
    };
  }

  traces(now = Date.now()) {
    const slow = { calm: 1, pressed: 2.4, critical: 7, broken: 4 }[this.scene];
    const newest = Math.floor(now / 1_500);
    return {
      traces: Array.from({ length: 24 }, (_, k) => {
        const n = newest - k;
        const jitter = 0.7 + ((n * 7_919) % 61) / 61;
        const of = n % 5;
        const tick = 2.1 * jitter;
        const flush = tick + 9.4 * slow * jitter;
        const written = flush + 1.8 * slow * jitter;
        const stages = [["device", -14 * jitter], ["door", 0], ["tick", tick], ["flush", flush], ["written", written]].map(([stage, at_ms]) => ({ stage, at_ms }));
        return {
          id: `${17 + of}:${n % 100_000}`, sensor_id: ["few-anna-ecg", "few-dario-wrist", "cyclist-12-gps", "buoy-7", "few-anna-phone"][of], attribute_id: ["ecg", "imu", "geolocation", "salinity", "battery"][of],
          class: CLASSES[of], stages: k === 0 ? stages.slice(0, 3) : stages, viewers: 1 + (n % 4),
        };
      }),
    };
  }

  #decide(query, say) {
    const { top } = this.tell();
    const viewer = top.viewers.find((one) => String(one.viewer) === query.get("viewer"));
    const sensor = top.sensors.find((one) => one.sensor_id === query.get("sensor"));
    if (viewer === undefined) return say(404, { error: "no such viewer" });
    if (sensor === undefined) return say(404, { error: "no such sensor" });
    const asked_hz = query.get("attribute") === null ? sensor.in_sps : sensor.in_sps * 0.9;
    const share = SCENES[this.scene].share[sensor.level] ?? 1;
    const cut = share < 1 ? (viewer.limited_by ?? "budget") : null;
    const chain = [
      ["asked", asked_hz, `quality ${viewer.choice}, attention ${sensor.level}`], ["device", asked_hz, "sends all it measures"], ["intake", sensor.in_sps * 1.5, "within its share of the class"],
      ["storage", null, "the ring holds 12 s"], ["budget", cut === "budget" ? asked_hz * share : null, cut === "budget" ? `load is ${SCENES[this.scene].level}: ${sensor.level} attention gets ${Math.round(share * 100)} %` : "there is enough"],
      ["socket", cut === "socket" ? asked_hz * share : null, cut === "socket" ? "182 kB wait, the oldest for 640 ms" : "nothing waits"], ["health", cut === "health" ? asked_hz * share : null, cut === "health" ? "41 of 100 points: 19 frames a second" : "96 of 100 points"],
    ].map(([layer, allows_hz, why]) => ({ layer, allows_hz, why }));
    const allowed_hz = Math.min(...chain.map(({ allows_hz }) => allows_hz ?? Infinity));
    return say(200, { asked_hz, allowed_hz, delivered_hz: allowed_hz * 0.99, limited_by: cut, form: share < 0.3 ? "digest" : sensor.level === "high" ? "raw" : "latest", chain });
  }
}
