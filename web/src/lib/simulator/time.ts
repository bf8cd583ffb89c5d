/** Where a replay is between two answers of the server, and how times, sizes and speeds are written. */

import { date_text, significant_text, span_text, spoken_text } from "../strings";
import type { Running } from "./shape";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100];

/** The steps, and whatever is in force though it is no step. */
export function speeds_with(speed: number): number[] {
  return SPEEDS.includes(speed) ? SPEEDS : [...SPEEDS, speed].sort((a, b) => a - b);
}

/** `since_ms` after the server said so. What is paused or over stays where it is. */
export function position_at(running: Running, since_ms: number): number {
  const moved = running.state === "running" ? Math.max(0, since_ms) * running.speed : 0;
  return Math.min(running.position_ms + moved, running.duration_ms ?? Infinity);
}

/** The moment that was recorded at a position; null when the recording does not say. */
export function recorded_at(running: Running, position_ms: number): number | null {
  return running.recorded_at === null ? null : running.recorded_at + position_ms - running.position_ms;
}

/** Where a key takes the slider; null when it is no such key. */
export function seek_key(key: string, shift: boolean, position_ms: number, duration_ms: number): number | null {
  const step_ms = shift ? 10_000 : 1_000;
  const to = (ms: number): number => Math.min(duration_ms, Math.max(0, ms));
  switch (key) {
    case "ArrowRight":
    case "ArrowUp": return to(position_ms + step_ms);
    case "ArrowLeft":
    case "ArrowDown": return to(position_ms - step_ms);
    case "PageUp": return to(position_ms + 60_000);
    case "PageDown": return to(position_ms - 60_000);
    case "Home": return 0;
    case "End": return duration_ms;
    default: return null;
  }
}

function parts(ms: number): { h: number; m: number; s: number } {
  const s = Math.floor(Math.max(0, ms) / 1_000);
  return { h: Math.floor(s / 3_600), m: Math.floor(s / 60) % 60, s: s % 60 };
}

/** `1:12`, or `1:02:09` from an hour on. */
export function clock_text(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const { h, m, s } = parts(ms);
  const ss = s.toString().padStart(2, "0");
  return h > 0 ? `${h}:${m.toString().padStart(2, "0")}:${ss}` : `${m}:${ss}`;
}

/** `1 minute 12`, as one says it. */
export function spoken_time(ms: number): string {
  const { h, m, s } = parts(ms);
  return spoken_text(h, m, s);
}

/** `48 s`, `12 min`, `2 h 5 min`: how long something has been so. */
export function length_text(ms: number): string {
  const { h, m, s } = parts(ms);
  return span_text(h, m, s);
}

export function speed_text(speed: number): string {
  return `${significant_text(speed)}×`;
}

export const day_text = (unix_ms: number): string => date_text(unix_ms, "day");
export const time_text = (unix_ms: number): string => date_text(unix_ms, "time");
export const short_time_text = (unix_ms: number): string => date_text(unix_ms, "short");
export const moment_text = (unix_ms: number): string => `${day_text(unix_ms)}, ${short_time_text(unix_ms)}`;
