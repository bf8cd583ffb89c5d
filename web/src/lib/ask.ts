/**
 * Asks the server over HTTP. No question throws: an answer is what was read, or a fault that says in
 * which of six ways it failed.
 */

import { fields, name, text } from "./read";

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

/** How much of an error's sentence is kept. */
const SENTENCE_MAX = 600;

const fault = (kind: Fault["kind"], status = 0, code = "", sentence = ""): { ok: false; fault: Fault } => ({
  ok: false,
  fault: { kind, status, code, sentence },
});

/** What an error answer says: `{"error": "sentence", "code": "already_running"}`. */
function read_refusal(value: unknown): { sentence: string; code: string } {
  const given = fields(value);
  return { sentence: text(given?.["error"]).slice(0, SENTENCE_MAX), code: name(given?.["code"]) ?? "" };
}

export class Asker {
  private base: string;
  private bearer: () => string | null;
  private fetcher: typeof fetch;
  private renew: () => Promise<boolean>;

  /** `renew`: a token was refused; whether there is another now. */
  constructor(base: string, bearer: () => string | null, fetcher: typeof fetch, renew: () => Promise<boolean> = () => Promise.resolve(false)) {
    this.base = base;
    this.bearer = bearer;
    this.fetcher = fetcher;
    this.renew = renew;
  }

  /** `read` answers null when it cannot make sense of what came. `signal` calls the question off: it is `unreachable` then. */
  ask<T>(method: string, path: string, read: (value: unknown) => T | null, body?: object, signal?: AbortSignal): Promise<Answer<T>> {
    return this.question(method, path, read, body, true, signal);
  }
  /** The same, where a refusal is final. */
  once<T>(method: string, path: string, read: (value: unknown) => T | null, body?: object): Promise<Answer<T>> {
    return this.question(method, path, read, body, false);
  }
  private question<T>(method: string, path: string, read: (value: unknown) => T | null, body: object | undefined, again: boolean, signal?: AbortSignal): Promise<Answer<T>> {
    const late = AbortSignal.timeout(ANSWER_MS);
    return this.send(method, path, body, signal === undefined ? late : AbortSignal.any([late, signal]), async (response) => {
      if (response.status === 204) return { ok: true, value: true as T };
      const value = read(await response.json());
      return value === null ? fault("malformed", response.status) : { ok: true, value };
    }, again);
  }

  /** The bytes as they are. They may be many: no limit of time. */
  file(path: string): Promise<Answer<Blob>> {
    return this.send("GET", path, undefined, undefined, async (response) => ({ ok: true, value: await response.blob() }));
  }

  address_of(path: string): string {
    return new URL(path, this.base).href;
  }

  private async send<T>(
    method: string, path: string, body: object | undefined, signal: AbortSignal | undefined,
    take: (response: Response) => Promise<Answer<T>>, again = true,
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
      if (response.status === 401) {
        if (again && bearer !== null && (await this.renew())) return await this.send(method, path, body, signal, take, false);
        return fault("denied", 401, code, sentence);
      }
      // Our own 404s say what was not found.
      if ((response.status === 404 || response.status === 405) && code === "") return fault("absent", response.status);
      return fault("refused", response.status, code, sentence);
    } catch (error) {
      if (error instanceof SyntaxError) return fault("malformed");
      return fault(error instanceof DOMException && error.name === "TimeoutError" ? "late" : "unreachable");
    }
  }
}
