/** What this browser can measure, each asked of it in its own way. Nothing is asked before a person wants it. */

import { read_heart_rate } from "./heart";

export const SOURCES = ["button", "motion", "location", "battery", "microphone", "heart"] as const;
export type SourceId = (typeof SOURCES)[number];

export interface Attribute {
  attribute_id: string;
  attribute_type: string;
  /** A second; 0: when something happens. */
  sampling_rate: number;
}

/** Why there is nothing to measure. */
export type Why = "refused" | "absent" | "failed";

export interface Source {
  attributes: readonly Attribute[];
  /** Whether this browser has it at all. */
  has(): boolean;
  /** Begins, and answers how to end. Fails with a `Why`. */
  begin(measured: Measured, over: (why: Why) => void): Promise<() => void>;
}
export type Measured = (attribute_id: string, payload: unknown) => void;

export class NoSource extends Error {
  readonly why: Why;
  constructor(why: Why) {
    super(why);
    this.why = why;
  }
}

const LEVEL_HZ = 10;
const MOTION_HZ = 50;
const BATTERY_MS = 10_000;
/** Silence, as loud as it is told. */
const SILENCE_DB = -100;

interface Battery extends EventTarget {
  level: number;
  charging: boolean;
}
type AsksMotion = { requestPermission?: () => Promise<string> };
interface Bluetooth {
  requestDevice(wish: object): Promise<{ name?: string; gatt: Gatt; addEventListener: EventTarget["addEventListener"] }>;
}
interface Gatt {
  connect(): Promise<Gatt>;
  disconnect(): void;
  getPrimaryService(name: string): Promise<{ getCharacteristic(name: string): Promise<Characteristic> }>;
}
interface Characteristic extends EventTarget {
  value?: DataView;
  startNotifications(): Promise<Characteristic>;
  readValue(): Promise<DataView>;
}
const bluetooth = (): Bluetooth | undefined => (navigator as { bluetooth?: Bluetooth }).bluetooth;

function why_of(error: unknown): NoSource {
  const name = error instanceof DOMException ? error.name : "";
  return new NoSource(name === "NotAllowedError" || name === "SecurityError" ? "refused" : name === "NotFoundError" ? "absent" : "failed");
}

export const sources: Record<SourceId, Source> = {
  button: {
    attributes: [{ attribute_id: "button", attribute_type: "button", sampling_rate: 0 }],
    has: () => true,
    // Whoever shows the button says when it is pressed.
    begin: () => Promise.resolve(() => {}),
  },

  motion: {
    attributes: [{ attribute_id: "accelerometer", attribute_type: "accelerometer", sampling_rate: MOTION_HZ }],
    has: () => "DeviceMotionEvent" in window,
    async begin(measured) {
      const asks = DeviceMotionEvent as unknown as AsksMotion;
      if (asks.requestPermission !== undefined && (await asks.requestPermission().catch(() => "denied")) !== "granted") throw new NoSource("refused");
      let last_ms = -Infinity;
      const hear = ({ acceleration, accelerationIncludingGravity }: DeviceMotionEvent): void => {
        const { x, y, z } = accelerationIncludingGravity ?? acceleration ?? {};
        const now = performance.now();
        if (typeof x !== "number" || typeof y !== "number" || typeof z !== "number" || now - last_ms < 900 / MOTION_HZ) return;
        last_ms = now;
        const short = (value: number): number => Math.round(value * 1_000) / 1_000;
        measured("accelerometer", { x: short(x), y: short(y), z: short(z) });
      };
      window.addEventListener("devicemotion", hear);
      return () => window.removeEventListener("devicemotion", hear);
    },
  },

  location: {
    attributes: [{ attribute_id: "geolocation", attribute_type: "geolocation", sampling_rate: 1 }],
    has: () => "geolocation" in navigator,
    begin: (measured, over) =>
      new Promise((done, fail) => {
        const stop = (): void => navigator.geolocation.clearWatch(watch);
        let begun = false;
        const watch = navigator.geolocation.watchPosition(
          ({ coords }) => {
            measured("geolocation", { latitude: coords.latitude, longitude: coords.longitude, accuracy: coords.accuracy, speed: coords.speed ?? 0 });
            if (!begun) done(stop);
            begun = true;
          },
          ({ code, PERMISSION_DENIED }) => {
            // A place that is not found now may be found later.
            if (code !== PERMISSION_DENIED && begun) return;
            stop();
            if (begun) over("refused");
            else fail(new NoSource(code === PERMISSION_DENIED ? "refused" : "failed"));
          },
          { enableHighAccuracy: true, maximumAge: 1_000 },
        );
      }),
  },

  battery: {
    attributes: [{ attribute_id: "battery", attribute_type: "battery", sampling_rate: 1_000 / BATTERY_MS }],
    has: () => "getBattery" in navigator,
    async begin(measured) {
      const battery = await (navigator as unknown as { getBattery(): Promise<Battery> }).getBattery().catch((error: unknown) => Promise.reject(why_of(error)));
      const say = (): void => measured("battery", { level: Math.round(100 * battery.level), charging: battery.charging });
      battery.addEventListener("levelchange", say);
      battery.addEventListener("chargingchange", say);
      const timer = setInterval(say, BATTERY_MS);
      say();
      return () => {
        clearInterval(timer);
        battery.removeEventListener("levelchange", say);
        battery.removeEventListener("chargingchange", say);
      };
    },
  },

  microphone: {
    attributes: [{ attribute_id: "sound_level", attribute_type: "numeric", sampling_rate: LEVEL_HZ }],
    has: () => navigator.mediaDevices !== undefined && "AudioContext" in window,
    async begin(measured, over) {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch((error: unknown) => Promise.reject(why_of(error)));
      const audio = new AudioContext();
      const analyser = audio.createAnalyser();
      audio.createMediaStreamSource(stream).connect(analyser);
      const waves = new Float32Array(analyser.fftSize);
      // Only how loud it is leaves this function.
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(waves);
        let sum = 0;
        for (const value of waves) sum += value * value;
        measured("sound_level", Math.round(10 * Math.max(SILENCE_DB, 10 * Math.log10(sum / waves.length || 1e-10))) / 10);
      }, 1_000 / LEVEL_HZ);
      const stop = (): void => {
        clearInterval(timer);
        for (const track of stream.getTracks()) track.stop();
        void audio.close();
      };
      stream.getAudioTracks()[0]?.addEventListener("ended", () => {
        stop();
        over("failed");
      });
      return stop;
    },
  },

  heart: {
    attributes: [
      { attribute_id: "heartrate", attribute_type: "heartrate", sampling_rate: 1 },
      { attribute_id: "rr_interval", attribute_type: "numeric", sampling_rate: 1 },
      { attribute_id: "battery", attribute_type: "battery", sampling_rate: 0 },
    ],
    has: () => bluetooth() !== undefined,
    async begin(measured, over) {
      try {
        const device = await bluetooth()!.requestDevice({ filters: [{ services: ["heart_rate"] }], optionalServices: ["battery_service"] });
        const gatt = await device.gatt.connect();
        const strap = await (await gatt.getPrimaryService("heart_rate")).getCharacteristic("heart_rate_measurement");
        const hear = (): void => {
          const beat = strap.value === undefined ? null : read_heart_rate(strap.value);
          if (beat === null) return;
          measured("heartrate", beat.bpm);
          for (const rr_ms of beat.rr_ms) measured("rr_interval", rr_ms);
        };
        strap.addEventListener("characteristicvaluechanged", hear);
        await strap.startNotifications();
        // Not every strap tells how full it is.
        void gatt.getPrimaryService("battery_service").then(async (service) => {
          const level = await (await service.getCharacteristic("battery_level")).readValue();
          measured("battery", { level: level.getUint8(0), charging: false });
        }).catch(() => {});
        let ended = false;
        device.addEventListener("gattserverdisconnected", () => !ended && over("failed"));
        return () => {
          ended = true;
          strap.removeEventListener("characteristicvaluechanged", hear);
          gatt.disconnect();
        };
      } catch (error) {
        throw why_of(error);
      }
    },
  },
};
