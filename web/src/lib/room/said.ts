/** What a stream says at the moment that is shown: now its newest sample; while time stands the last at or before that moment. */

import type { Dated } from "../freshness";
import type { Stream } from "../stream/hub";
import type { Ring } from "../stream/ring";
import type { Standing } from "./past";

/** What was newest of a stream when time was stopped, though nobody drew it. */
export interface Newest {
  last_ms: number;
  value: number;
  text: string;
}

export interface Said extends Dated {
  value: number;
  /** Of a stream without numbers. */
  text: string;
  /** NaN where it cannot be told of then. */
  per_s: number;
  /** All of its cells are in `ring` at `i`; null, or -1, where there is no such point. */
  ring: Ring | null;
  i: number;
  /** Neither `here` nor `kept`: nothing is known of the moment. */
  standing: Standing;
}

const UNKNOWN = { rate_hz: 0 };

export function said_now(stream: Stream | undefined): Said {
  if (stream === undefined) return { card: UNKNOWN, last_ms: NaN, value: NaN, text: "", per_s: 0, ring: null, i: -1, standing: "here" };
  const { card, last_ms, value, text, per_s, ring } = stream;
  return { card, last_ms, value, text, per_s, ring, i: ring === null || ring.length === 0 ? -1 : ring.total - 1, standing: "here" };
}

/** `stopped_ms`: when `newest` was so. `found`: what there is of the moment as a ring, or why there is none. */
export function said_then(at_ms: number, stopped_ms: number, newest: Newest | undefined, found: { ring: Ring | null; standing: Standing }, rate_hz: number): Said {
  const { ring, standing } = found;
  const i = ring?.last_at(at_ms) ?? -1;
  const then = { card: { rate_hz }, text: "", per_s: NaN, ring, i };
  // A device may be ahead of the server's clock: what had come by then was said by then.
  if (newest !== undefined && at_ms >= Math.min(newest.last_ms, stopped_ms) && !(i >= 0 && ring!.time(i) > newest.last_ms)) return { ...then, ...newest, standing: "here" };
  return i < 0 ? { ...then, last_ms: NaN, value: NaN, standing } : { ...then, last_ms: ring!.time(i), value: ring!.value_at(i), standing };
}

/** Whether something is known of the moment. */
export function is_known({ standing }: Pick<Said, "standing">): boolean {
  return standing === "here" || standing === "kept";
}
