/** What a reader has set for this browser: language, theme, motion, keys. What is not set follows the system. */

import type { Theme } from "./draw/palette";
import { keep, kept } from "./kept";
import { language, speak } from "./strings";
import { language_for, LANGUAGES, type Language } from "./words/languages";

const LANGUAGE_KEY = "sensocto.language";
const THEME_KEY = "sensocto.theme";
const MOTION_KEY = "sensocto.motion";
const KEYS_KEY = "sensocto.keys";

export const THEMES = ["system", "dark", "light", "contrast"] as const;
export type ThemeChoice = (typeof THEMES)[number];
export const MOTIONS = ["system", "reduced"] as const;
export type MotionChoice = (typeof MOTIONS)[number];

class Settings {
  language = $state.raw<Language>(language);
  theme_choice = $state<ThemeChoice>(THEMES.find((one) => one === kept(THEME_KEY)) ?? "system");
  motion_choice = $state<MotionChoice>(MOTIONS.find((one) => one === kept(MOTION_KEY)) ?? "system");
  /** Keys that do something by themselves, without Ctrl or Alt. */
  keys = $state(kept(KEYS_KEY) !== "off");
  private light = $state(false);
  private still = $state(false);
  /** The newest language asked for; an answer to an older question comes too late. */
  private asked = 0;

  readonly theme: Theme = $derived(this.theme_choice !== "system" ? this.theme_choice : this.light ? "light" : "dark");
  /** Nothing moves that need not. */
  readonly calm = $derived(this.motion_choice === "reduced" || this.still);

  constructor() {
    const light = matchMedia("(prefers-color-scheme: light)");
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const follow = (): void => {
      this.light = light.matches;
      this.still = still.matches;
      this.apply();
    };
    light.addEventListener("change", follow);
    still.addEventListener("change", follow);
    follow();
  }

  /** Before anything is shown. Without the wished language the page speaks English. */
  async begin(): Promise<void> {
    const chosen = kept(LANGUAGE_KEY);
    const wished = LANGUAGES.find(({ code }) => code === chosen) ?? language_for(navigator.languages);
    if (!(await this.take(wished))) this.apply();
  }

  /** Whether the language could be fetched; if not, all stays as it is. */
  async speak(code: string): Promise<boolean> {
    const wished = LANGUAGES.find((one) => one.code === code);
    if (wished === undefined || !(await this.take(wished))) return false;
    keep(LANGUAGE_KEY, code);
    return true;
  }

  set_theme(choice: ThemeChoice): void {
    this.theme_choice = choice;
    keep(THEME_KEY, choice === "system" ? null : choice);
    this.apply();
  }

  set_motion(choice: MotionChoice): void {
    this.motion_choice = choice;
    keep(MOTION_KEY, choice === "system" ? null : choice);
    this.apply();
  }

  set_keys(on: boolean): void {
    this.keys = on;
    keep(KEYS_KEY, on ? null : "off");
  }

  private async take(wished: Language): Promise<boolean> {
    const asked = ++this.asked;
    try {
      const own = await wished.fetch();
      if (asked !== this.asked) return true;
      speak(wished, own);
    } catch {
      return false;
    }
    this.language = wished;
    this.apply();
    return true;
  }

  private apply(): void {
    const root = document.documentElement;
    root.dataset["theme"] = this.theme;
    if (this.calm) root.dataset["motion"] = "reduced";
    else delete root.dataset["motion"];
    root.lang = this.language.code;
    root.dir = this.language.dir;
  }
}

export const settings = new Settings();
