/** Which languages the page speaks. All but English are fetched when they are chosen. */

import type { en } from "./en";
import type { Begun } from "./speak";

type Catalogue = Begun<typeof en>;

export interface Language {
  /** As on `<html lang>`. */
  code: string;
  /** Its own name. */
  name: string;
  /** Whose numbers, dates and plurals it takes. */
  locale: string;
  dir: "ltr" | "rtl";
  /** Not every message is translated yet. */
  begun: boolean;
  fetch: () => Promise<Catalogue | null>;
}

const none = (): Promise<null> => Promise.resolve(null);

export const LANGUAGES: readonly Language[] = [
  { code: "en", name: "English", locale: "en", dir: "ltr", begun: false, fetch: none },
  { code: "de", name: "Deutsch", locale: "de", dir: "ltr", begun: false, fetch: async () => (await import("./de")).de },
  { code: "gsw", name: "Elsässisch / Schwyzerdütsch", locale: "de-CH", dir: "ltr", begun: true, fetch: async () => (await import("./gsw")).gsw },
  { code: "fr", name: "Français", locale: "fr", dir: "ltr", begun: true, fetch: async () => (await import("./fr")).fr },
  { code: "es", name: "Español", locale: "es", dir: "ltr", begun: true, fetch: async () => (await import("./es")).es },
  { code: "pt-BR", name: "Português (Brasil)", locale: "pt-BR", dir: "ltr", begun: true, fetch: async () => (await import("./pt-BR")).pt_BR },
  { code: "zh", name: "中文", locale: "zh", dir: "ltr", begun: true, fetch: async () => (await import("./zh")).zh },
  { code: "ja", name: "日本語", locale: "ja", dir: "ltr", begun: true, fetch: async () => (await import("./ja")).ja },
  // Western digits: they stand beside signals and clocks, which run from left to right.
  { code: "ar", name: "العربية", locale: "ar-u-nu-latn", dir: "rtl", begun: true, fetch: async () => (await import("./ar")).ar },
];

/** The first of the wished languages that the page speaks, exactly or by its first part; else English. */
export function language_for(wished: readonly string[]): Language {
  const base = (tag: string): string => tag.split("-")[0]!.toLowerCase();
  for (const tag of wished) {
    const found = LANGUAGES.find(({ code }) => code.toLowerCase() === tag.toLowerCase()) ?? LANGUAGES.find(({ code }) => base(code) === base(tag));
    if (found !== undefined) return found;
  }
  return LANGUAGES[0]!;
}
