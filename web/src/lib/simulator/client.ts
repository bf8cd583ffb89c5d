/** Asks the server's simulator: every request there is. */

import { Asker, type Answer } from "../ask";
import {
  read_capture, read_overview, read_recordings, read_running,
  type Capture, type Overview, type Recordings, type Running,
} from "./shape";

/** How a scenario is to run; what is absent the server decides. */
export interface Given {
  seed?: number | undefined;
  speed?: number | undefined;
  /** By its id: what it measures is there. */
  room?: string | undefined;
}

/** For answers that only say yes; whatever else is in them is not needed. */
const yes = (): true => true;

export class Client {
  private server: Asker;

  constructor(server: Asker) {
    this.server = server;
  }

  overview(): Promise<Answer<Overview>> {
    return this.server.ask("GET", "api/simulator", read_overview);
  }
  start(scenario: string, given: Given): Promise<Answer<Running>> {
    return this.server.ask("POST", "api/simulator/start", read_running, { scenario, ...given });
  }
  switch_to(scenario: string, given: Given): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/switch", yes, { scenario, ...given });
  }
  stop(id: string): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/stop", yes, { id });
  }
  pause(id: string): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/pause", yes, { id });
  }
  resume(id: string): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/resume", yes, { id });
  }
  set_speed(id: string, speed: number): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/speed", yes, { id, speed });
  }
  seek(id: string, position_ms: number): Promise<Answer<true>> {
    return this.server.ask("POST", "api/simulator/seek", yes, { id, position_ms: Math.round(position_ms) });
  }
  replay(recording: string): Promise<Answer<Running>> {
    return this.server.ask("POST", "api/simulator/replay", read_running, { recording });
  }

  recordings(): Promise<Answer<Recordings>> {
    return this.server.ask("GET", "api/recordings", read_recordings);
  }
  /** An empty name is the server's to choose. */
  record(name: string): Promise<Answer<Capture | true>> {
    return this.server.ask("POST", "api/recordings", (value) => read_capture(value) ?? true, name === "" ? {} : { name });
  }
  end_recording(): Promise<Answer<true>> {
    return this.server.ask("POST", "api/recordings/stop", yes, {});
  }
  remove(name: string): Promise<Answer<true>> {
    return this.server.ask("DELETE", this.path_of(name), yes);
  }
  /** Where a recording can be fetched from by whoever needs no token. */
  address_of(name: string): string {
    return this.server.address_of(this.path_of(name));
  }
  /** The file itself, for when a token must go with the question. */
  file(name: string): Promise<Answer<Blob>> {
    return this.server.file(this.path_of(name));
  }

  private path_of(name: string): string {
    return `api/recordings/${encodeURIComponent(name)}`;
  }
}
