/** Asks the server about itself. */

import type { Answer, Asker } from "../ask";
import { read_decision, read_system, read_traces, type Decision, type System, type Trace } from "./shape";

/** Whose decision is asked for. */
export interface Chosen {
  viewer: number;
  sensor_id: string;
  /** Empty: the sensor as a whole. */
  attribute_id: string;
}

export class Client {
  private server: Asker;

  constructor(server: Asker) {
    this.server = server;
  }

  system(): Promise<Answer<System>> {
    return this.server.ask("GET", "api/system", read_system);
  }
  traces(): Promise<Answer<Trace[]>> {
    return this.server.ask("GET", "api/system/traces", read_traces);
  }
  decision({ viewer, sensor_id, attribute_id }: Chosen): Promise<Answer<Decision>> {
    const asked = new URLSearchParams({ viewer: String(viewer), sensor: sensor_id });
    if (attribute_id !== "") asked.set("attribute", attribute_id);
    return this.server.ask("GET", `api/system/decision?${asked}`, read_decision);
  }
}
