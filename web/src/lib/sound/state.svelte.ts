/** One signal at a time is heard. Nothing sounds before somebody asks, nor in a tab that is hidden. */

import { app } from "../app.svelte";
import { tone_of } from "./pitch";

const VOLUME = 0.12;
/** A tone glides to the next one, so that nothing clicks. */
const GLIDE_S = 0.02;

class SoundState {
  /** What is heard, by sensor and attribute; null: nothing. */
  heard = $state.raw<{ sensor_id: string; attribute_id: string } | null>(null);
  /** The tone of now, in Hz; NaN while there is none. */
  hz = NaN;
  private end: (() => void) | null = null;

  is_heard(sensor_id: string, attribute_id: string): boolean {
    return this.heard?.sensor_id === sensor_id && this.heard.attribute_id === attribute_id;
  }

  toggle(sensor_id: string, attribute_id: string): void {
    const again = this.is_heard(sensor_id, attribute_id);
    this.stop();
    if (!again) this.listen(sensor_id, attribute_id);
  }

  stop(): void {
    this.end?.();
    this.end = null;
    this.heard = null;
    this.hz = NaN;
  }

  private listen(sensor_id: string, attribute_id: string): void {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = "triangle";
    volume.gain.value = 0;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    void audio.resume();
    const release = app.hub.watch(sensor_id, attribute_id);
    const stop = app.frame.add("draw", () => {
      const hz = tone_of(app.hub.stream(sensor_id, attribute_id)?.ring ?? null, app.hub.server_ms());
      this.hz = hz;
      if (!Number.isNaN(hz)) tone.frequency.setTargetAtTime(hz, audio.currentTime, GLIDE_S);
      volume.gain.setTargetAtTime(Number.isNaN(hz) ? 0 : VOLUME, audio.currentTime, GLIDE_S);
    });
    // Without frames the last tone would go on.
    const hidden = (): void => void (document.visibilityState === "hidden" ? audio.suspend() : audio.resume());
    document.addEventListener("visibilitychange", hidden);
    this.heard = { sensor_id, attribute_id };
    this.end = () => {
      stop();
      release();
      document.removeEventListener("visibilitychange", hidden);
      void audio.close();
    };
  }
}

export const sound = new SoundState();
