/** Groups of the mock server (docs/wire.md 2.6): made-up people whose phases and reasons a test sets. */

const STEP_MS = 100;
const LATENCY_MS = { confirmed: 8_000, prompt: 3_000, live: 1_000 };
const NULL95 = [NaN, NaN, 0.997, 0.94, 0.846, 0.758, 0.69, 0.642, 0.602, 0.569, 0.54];
export const WHYS = ["silent", "no_numbers", "wrong_clock", "clock_uncertain", "too_short", "gap", "flat", "clipped", "no_rhythm", "weak"];

/** In step by and large: everybody a little behind the one before. */
export const in_step = (k, t) => ((t / 1_000) * 2 * Math.PI) / 5 - k * 0.25 + 0.2 * Math.sin(t / 7_000 + k);
/** Each at a pace of their own. */
export const strangers = (k, t) => ((t / 1_000) * 2 * Math.PI) / (4 + ((k * 0.37) % 2)) + k * 2;

export class MockGroup {
  constructor() {
    /** A phase, or the word for why there is none. */
    this.state = in_step;
    /** What is said of a pair; null: nothing. */
    this.pair = null;
    this.heart = null;
    /** What breathing does to a member's heart; null: nothing is known. */
    this.breathing = () => null;
    /** A reason to refuse with. */
    this.refuse = null;
    /** Says nothing any more. */
    this.mute = false;
    /** How much of the past a new watcher hears at once. */
    this.past_ms = 0;
    this.watched = [];
  }

  /** True where the word was about a group. */
  hear(viewer, event, payload, sensors, reply) {
    if (event === "watch_group") {
      if (this.refuse !== null) return reply("error", { reason: this.refuse }), true;
      const heart = payload.signal !== "breath";
      const has = (sensor) => sensor.attributes.some(({ attribute_id }) => attribute_id === (heart ? "ecg" : "respiration"));
      const members = sensors.filter(has).map(({ sensor_id }) => sensor_id).filter((id) => payload.sensors === "all" || payload.sensors.includes(id)).sort();
      const latency_ms = LATENCY_MS[payload.tier] + (heart ? 4_000 : 0);
      this.watched.push({ viewer, channel: viewer.channel, ...payload, members, latency_ms, next: Date.now() - latency_ms - this.past_ms, told: 0, named: false });
      return reply("ok", { group: payload.group, latency_ms }), true;
    }
    if (event === "unwatch_group") {
      this.watched = this.watched.filter((one) => one.viewer !== viewer || one.group !== payload.group);
      return reply("ok", {}), true;
    }
    return false;
  }

  /** Who watches now, by name. */
  get names() {
    return this.watched.filter(({ channel }) => channel.socket.readyState === 1).map(({ group }) => group);
  }

  flush(now) {
    this.watched = this.watched.filter(({ channel, viewer }) => viewer.channel === channel && channel.socket.readyState === 1);
    if (this.mute) return;
    for (const watch of this.watched) {
      if (watch.viewer.hidden || watch.members.length === 0) continue;
      const { channel, group, members } = watch;
      const say = (event, payload) => channel.socket.send(JSON.stringify([channel.join_ref, null, channel.topic, event, { group, ...payload }]));
      if (!watch.named) say("group_members", { members, left_out: 0 });
      watch.named = true;
      const readings = [];
      for (; watch.next <= now - watch.latency_ms; watch.next += STEP_MS) readings.push(watch.next);
      if (readings.length > 0) channel.socket.send(pushed(channel, this.frame(group, members.length, readings)));
      if (now - watch.told < 1_000) continue;
      watch.told = now;
      if (this.pair !== null && members.length <= 20) {
        const pairs = [];
        for (let a = 0; a < members.length; a++) for (let b = a + 1; b < members.length; b++) {
          const pair = this.pair(a, b);
          if (pair !== null) pairs.push({ a, b, correlation_lag_s: null, ...pair });
        }
        say("group_pairs", { pairs });
      }
      if (this.heart !== null && watch.signal !== "breath") say("group_hearts", {
        beats: [], hearts: members.map((_, member) => ({ member, ...this.heart(member) })),
        breathing: members.map((_, member) => ({ member, ...this.breathing(member) })).filter(({ plv }) => plv !== undefined),
      });
    }
  }

  frame(group, n, times) {
    const name = Buffer.from(group);
    const out = Buffer.alloc(6 + name.length + 36 * times.length + 5 * n);
    out.writeUInt8(1, 0);
    out.writeUInt8(name.length, 1);
    name.copy(out, 2);
    let at = 2 + name.length;
    out.writeUInt16LE(times.length, at);
    out.writeUInt16LE(n, at + 2);
    at += 4;
    let states = [];
    for (const t of times) {
      states = Array.from({ length: n }, (_, k) => this.state(k, t));
      const phases = states.filter((one) => typeof one === "number");
      const m = phases.length;
      const x = phases.reduce((sum, phase) => sum + Math.cos(phase), 0) / m;
      const y = phases.reduce((sum, phase) => sum + Math.sin(phase), 0) / m;
      const R = m < 2 ? NaN : Math.hypot(x, y);
      const kappa = (m * R * R - 1) / (m - 1);
      out.writeDoubleLE(t, at);
      [R, kappa, m < 2 ? NaN : (NULL95[m] ?? Math.sqrt(3 / m)), m < 2 ? NaN : Math.atan2(y, x), R, kappa].forEach((value, c) => out.writeFloatLE(value, at + 8 + 4 * c));
      out.writeUInt16LE(m, at + 32);
      out.writeUInt16LE(n, at + 34);
      at += 36;
    }
    for (const one of states) at = out.writeFloatLE(typeof one === "number" ? Math.atan2(Math.sin(one), Math.cos(one)) : NaN, at);
    for (const one of states) at = out.writeUInt8(typeof one === "number" ? 255 : WHYS.indexOf(one), at);
    return out;
  }

  /** Bytes of nobody's making, to everybody who watches. */
  garble(bytes) {
    for (const { channel } of this.watched) channel.socket.send(pushed(channel, Buffer.from(bytes)));
  }
}

function pushed(channel, bytes) {
  const parts = [channel.join_ref, channel.topic, "group"].map((part) => Buffer.from(part));
  return Buffer.concat([Buffer.from([0, ...parts.map(({ length }) => length)]), ...parts, bytes]);
}
