/** What the browser tells of the machine it runs on, asked in each browser's own way. */

import type { CpuPressure, Machine, Network } from "./stream/health";

const PRESSURES: readonly unknown[] = ["nominal", "fair", "serious", "critical"];
const NETWORKS: readonly unknown[] = ["slow-2g", "2g", "3g", "4g"];

interface Battery extends EventTarget {
  level: number;
  charging: boolean;
}
interface Observer {
  observe(source: "cpu", options: { sampleInterval: number }): Promise<void>;
}
type ObserverClass = new (hear: (records: { state: unknown }[]) => void) => Observer;
interface Telling {
  getBattery?: () => Promise<Battery>;
  connection?: { effectiveType?: unknown; saveData?: unknown };
}

export class Told {
  private cpu_pressure: CpuPressure | undefined;
  private battery: Battery | undefined;

  /** `hear` is called with each change of the battery. */
  constructor(sample_ms: number, hear: (level: number, charging: boolean) => void) {
    void this.follow_battery(hear);
    void this.follow_cpu(sample_ms);
  }

  now(): Machine {
    const machine: Machine = {};
    if (this.cpu_pressure !== undefined) machine.cpuPressure = this.cpu_pressure;
    if (this.battery !== undefined) {
      machine.batteryLevel = 100 * this.battery.level;
      machine.batteryCharging = this.battery.charging;
    }
    const { connection } = navigator as Telling;
    if (NETWORKS.includes(connection?.effectiveType)) machine.networkEffectiveType = connection!.effectiveType as Network;
    if (typeof connection?.saveData === "boolean") machine.saveData = connection.saveData;
    const { memory } = performance as { memory?: { usedJSHeapSize: number; jsHeapSizeLimit: number } };
    if (memory !== undefined && memory.jsHeapSizeLimit > 0) {
      machine.memoryPressure = Math.min(1, memory.usedJSHeapSize / memory.jsHeapSizeLimit);
    }
    return machine;
  }

  private async follow_battery(hear: (level: number, charging: boolean) => void): Promise<void> {
    const get = (navigator as Telling).getBattery;
    if (get === undefined) return;
    try {
      const battery = await get.call(navigator);
      this.battery = battery;
      const say = (): void => hear(battery.level, battery.charging);
      battery.addEventListener("levelchange", say);
      battery.addEventListener("chargingchange", say);
      say();
    } catch {
      // Not every browser tells; then it counts as charged.
    }
  }

  private async follow_cpu(sample_ms: number): Promise<void> {
    const { PressureObserver } = window as { PressureObserver?: ObserverClass };
    if (PressureObserver === undefined) return;
    try {
      const observer = new PressureObserver((records) => {
        const state = records.at(-1)?.state;
        this.cpu_pressure = PRESSURES.includes(state) ? (state as CpuPressure) : undefined;
      });
      await observer.observe("cpu", { sampleInterval: sample_ms });
    } catch {
      // Not where it is not allowed; then nothing is said of it.
    }
  }
}
