/**
 * Asks the server's simulator: every request there is, none of them throws. An answer is what was read,
 * or a fault that says in which of six ways it failed.
 */

import {
  read_capture, read_overview, read_recordings, read_refusal, read_running,
  type Capture, type Overview, type Recordings, type Running,
} from "./shape";

export const ANSWER_MS = 15_000;

export interface Fault {
  /**
   * `denied`: a token is asked for. `absent`: this server has no such thing. `refused`: it said no, and why.
   * `unreachable`: no answer. `late`: none in time. `malformed`: an answer that cannot be read.
   */
  kind: "denied" | "absent" | "refused" | "unreachable" | "late" | "malformed";
  status: number;
  /** The server's own word for it, as `already_running`; may be empty. */
  code: string;
  /** The server's own sentence; may be empty. */
  sentence: string;
}

export type Answer<T> = { ok: true; value: T } | { ok: false; fault: Fault };

/** How a scenario is to run; what is absent the server decides. */
export interface Given {
  seed?: number | undefined;
  speed?: number | undefined;
}

const fault = (kind: Fault["kind"], status = 0, code = "", sentence = ""): { ok: false; fault: Fault } => ({
  ok: false,
  fault: { kind, status, code, sentence },
});

/** For answers that only say yes; whatever else is in them is not needed. */
const yes = (): true => true;

export class Client {
  private base: string;
  private bearer: () => string | null;
  private fetcher: typeof fetch;

  constructor(base: string, bearer: () => string | null, fetcher: typeof fetch) {
    this.base = base;
    this.bearer = bearer;
    this.fetcher = fetcher;
  }

  overview(): Promise<Answer<Overview>> {
    return this.ask("GET", "api/simulator", read_overview);
  }
  start(scenario: string, given: Given): Promise<Answer<Running>> {
    return this.ask("POST", "api/simulator/start", read_running, { scenario, ...given });
  }
  switch_to(scenario: string, given: Given): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/switch", yes, { scenario, ...given });
  }
  stop(id: string): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/stop", yes, { id });
  }
  pause(id: string): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/pause", yes, { id });
  }
  resume(id: string): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/resume", yes, { id });
  }
  set_speed(id: string, speed: number): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/speed", yes, { id, speed });
  }
  seek(id: string, position_ms: number): Promise<Answer<true>> {
    return this.ask("POST", "api/simulator/seek", yes, { id, position_ms: Math.round(position_ms) });
  }
  replay(recording: string): Promise<Answer<Running>> {
    return this.ask("POST", "api/simulator/replay", read_running, { recording });
  }

  recordings(): Promise<Answer<Recordings>> {
    return this.ask("GET", "api/recordings", read_recordings);
  }
  /** An empty name is the server's to choose. */
  record(name: string): Promise<Answer<Capture | true>> {
    return this.ask("POST", "api/recordings", (value) => read_capture(value) ?? true, name === "" ? {} : { name });
  }
  end_recording(): Promise<Answer<true>> {
    return this.ask("POST", "api/recordings/stop", yes, {});
  }
  remove(name: string): Promise<Answer<true>> {
    return this.ask("DELETE", this.path_of(name), yes);
  }
  /** Where a recording can be fetched from by whoever needs no token. */
  address_of(name: string): string {
    return new URL(this.path_of(name), this.base).href;
  }
  /** The file itself, for when a token must go with the question. It may be large: no limit of time. */
  file(name: string): Promise<Answer<Blob>> {
    return this.send("GET", this.path_of(name), undefined, undefined, async (response) => ({ ok: true, value: await response.blob() }));
  }

  private path_of(name: string): string {
    return `api/recordings/${encodeURIComponent(name)}`;
  }

  private ask<T>(method: string, path: string, read: (value: unknown) => T | null, body?: object): Promise<Answer<T>> {
    return this.send(method, path, body, AbortSignal.timeout(ANSWER_MS), async (response) => {
      if (response.status === 204) return { ok: true, value: true as T };
      const value = read(await response.json());
      return value === null ? fault("malformed", response.status) : { ok: true, value };
    });
  }

  private async send<T>(
    method: string, path: string, body: object | undefined, signal: AbortSignal | undefined,
    take: (response: Response) => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    const headers: Record<string, string> = {};
    const bearer = this.bearer();
    if (bearer !== null) headers["authorization"] = `Bearer ${bearer}`;
    // A request that changes something is one that no foreign page could have sent.
    if (method !== "GET") headers["content-type"] = "application/json";
    const init: RequestInit = { method, headers, cache: "no-store", credentials: "same-origin" };
    if (body !== undefined) init.body = JSON.stringify(body);
    if (signal !== undefined) init.signal = signal;
    try {
      const response = await this.fetcher(new URL(path, this.base), init);
      if (response.ok) return await take(response);
      const { sentence, code } = read_refusal(await response.json().catch(() => null));
      if (response.status === 401) return fault("denied", 401, code, sentence);
      // Our own 404s say what was not found.
      if ((response.status === 404 || response.status === 405) && code === "") return fault("absent", response.status);
      return fault("refused", response.status, code, sentence);
    } catch (error) {
      if (error instanceof SyntaxError) return fault("malformed");
      return fault(error instanceof DOMException && error.name === "TimeoutError" ? "late" : "unreachable");
    }
  }
}
