import { describe, expect, it } from "vitest";
import { ids_in, read_credentials, read_devices, read_made, read_own, said_of, when } from "./shape";

describe("what is one's own", () => {
  it("is read as the server tells it, and what is none is left out", () => {
    const connector = { id: "belt-7", name: "Belt", connector_type: "iot", status: "idle", configuration: {}, last_seen_at: "2026-11-29T20:00:00Z", connected_at: null, inserted_at: "", updated_at: "", sensors: [{ sensor_id: "a:ecg", sensor_name: "ECG", activity_status: "offline" }, 3] };
    expect(read_devices({ connectors: [connector, { name: "no id" }, { id: "x", connector_type: "toaster", status: "on fire" }] })).toEqual([
      { id: "belt-7", name: "Belt", kind: "iot", status: "idle", seen_ms: Date.UTC(2026, 10, 29, 20), sensors: [{ sensor_id: "a:ecg", sensor_name: "ECG", online: false }] },
      { id: "x", name: "x", kind: "native", status: "offline", seen_ms: null, sensors: [] },
    ]);
    expect(read_devices({})).toBeNull();
    expect(read_own({ sensors: [{ sensor_id: "a", sensor_name: "A", activity_status: "active", since: "2026-01-01T00:00:00Z", attributes: [{ id: "hr", attribute_type: "heartrate" }, { id: "x" }, {}] }] })).toEqual([
      { sensor_id: "a", sensor_name: "A", online: true, since_ms: Date.UTC(2026, 0, 1), signals: [{ id: "hr", type: "heartrate" }, { id: "x", type: "x" }] },
    ]);
    expect([when("never"), when(null), when(5)]).toEqual([null, null, null]);
  });

  it("has credentials for all sensors, for some, or for named ones", () => {
    const of = (sensors: unknown) => ({ id: "c1", name: "Belt", sensors, created_at: "2026-01-01T00:00:00Z", expires_at: null, last_seen_at: null, feed_count: 2 });
    const scopes = ["any", { prefix: "anna:" }, ["a", "b"]];
    for (const sensors of scopes) expect(said_of(read_credentials({ credentials: [of(sensors)] })![0]!.scope)).toEqual(sensors);
    expect(read_credentials({ credentials: [of("everything"), of({ suffix: "x" })] })).toEqual([]);
    expect(read_made({ credential: of("any"), token: "sd_x", durable: true })).toMatchObject({ token: "sd_x", credential: { feed_count: 2, expires_ms: null } });
    expect(read_made({ credential: of("any") })).toBeNull();
    expect(ids_in(" a, b\n\na ,c d")).toEqual(["a", "b", "c d"]);
  });
});
