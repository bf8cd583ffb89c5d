import { parse, TYPE, type MessageFormatElement } from "@formatjs/icu-messageformat-parser";
import { afterEach, describe, expect, it } from "vitest";
import { age_text, bytes_text, count_text, fault_text, lag_text, number_text, percent_text, rate_text, speak, strings, type_name } from "../strings";
import { de } from "./de";
import { en } from "./en";
import { language_for, LANGUAGES } from "./languages";
import { speech, type Begun, type Messages } from "./speak";

/** Every message by its path. */
function flat(messages: Messages, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, message] of Object.entries(messages)) {
    const at = path === "" ? key : `${path}.${key}`;
    if (typeof message === "string") found.set(at, message);
    else for (const [deeper, one] of flat(message, at)) found.set(deeper, one);
  }
  return found;
}

/** The numbers of the arguments a message takes, and of plurals the categories it has. */
function taken(message: string): { args: Set<string>; plurals: Set<string>[] } {
  const args = new Set<string>();
  const plurals: Set<string>[] = [];
  const walk = (elements: MessageFormatElement[]): void => {
    for (const element of elements) {
      if (element.type === TYPE.literal || element.type === TYPE.pound || element.type === TYPE.tag) continue;
      args.add(element.value);
      if (element.type !== TYPE.plural && element.type !== TYPE.select) continue;
      if (element.type === TYPE.plural) plurals.push(new Set(Object.keys(element.options)));
      for (const { value } of Object.values(element.options)) walk(value);
    }
  };
  walk(parse(message, { ignoreTag: true }));
  return { args, plurals };
}

const english = flat(en);
afterEach(() => speak(LANGUAGES[0]!, null));

describe("the catalogue", () => {
  it("is complete in German: every English message, and no other", () => {
    expect([...flat(de).keys()].sort()).toEqual([...english.keys()].sort());
    const empty = [...flat(de)].filter(([key, message]) => (message === "") !== (english.get(key) === "")).map(([key]) => key);
    expect(empty).toEqual([]);
  });

  it("counts its English arguments from 0, so that a message is a function exactly when it takes some", () => {
    for (const [key, message] of english) {
      const { args } = taken(message);
      expect([...args].map(Number).sort(), key).toEqual(Array.from(args, (_, k) => k));
    }
  });

  it.each(LANGUAGES.map(({ code }) => code))("reads in %s, says nothing English does not have, and takes the same arguments", async (code) => {
    const { fetch, locale } = LANGUAGES.find((one) => one.code === code)!;
    const own = await fetch();
    const categories = new Intl.PluralRules(locale).resolvedOptions().pluralCategories;
    for (const [key, message] of flat((own ?? en) as Messages)) {
      const base = english.get(key);
      expect(base, `${key} is not in English`).toBeDefined();
      const [mine, theirs] = [taken(message), taken(base!)];
      expect([...mine.args].filter((arg) => !theirs.args.has(arg)), key).toEqual([]);
      // Only what is counted in digits may leave some out: there a number is spelled out by none of them.
      for (const plural of mine.plurals) {
        expect(plural.has("other"), key).toBe(true);
        if (code !== "en" && plural.has("one")) for (const category of categories) if (category !== "many" || code === "ar") expect(plural.has(category) || category === "other", `${key}: ${category}`).toBe(true);
      }
      const said = speech({ one: base! }, "en", { one: message } as Begun<{ one: string }>, locale).one as unknown;
      if (typeof said === "function") expect((said as (...args: number[]) => string)(2, 3, 4, 5, 6, 7), key).not.toMatch(/[{}]/);
    }
  });

  it("has every message that the page uses, and uses every message that it has", () => {
    const sections: Record<string, string> = {
      strings: "page", room_strings: "room", people_strings: "people", rooms_strings: "rooms", chat_strings: "chat", consent_strings: "consent", device_strings: "device", devices_strings: "devices", known_strings: "known", palette_strings: "palette", settings_strings: "settings", about_strings: "about", together_strings: "together", session_strings: "session", simulator_strings: "simulator", system_strings: "system",
    };
    const sources = import.meta.glob<string>("/src/**/*.{svelte,ts}", { query: "?raw", import: "default", eager: true });
    const missing: string[] = [];
    const used = new Set<string>();
    for (const [name, source] of Object.entries(sources)) {
      if (name.includes("/words/") || name.endsWith(".test.ts")) continue;
      const imported = new Map((/import \{([^}]*)\} from "[^"]*\/strings"/.exec(source)?.[1] ?? "").split(",").map((one) => {
        const [name_of, alias] = one.trim().split(" as ");
        return [name_of!, alias ?? name_of!];
      }));
      for (const [name_of, section] of Object.entries(sections)) {
        const alias = name === "/src/lib/strings.ts" ? name_of : imported.get(name_of);
        if (alias === undefined) continue;
        const keys = [...source.matchAll(new RegExp(`(?<!\\w|\\w\\.)${alias}\\.(\\w+)`, "g"))].map(([, key]) => key!);
        for (const [, taken_out] of source.matchAll(new RegExp(`const \\{([^}]*)\\} = ${alias};`, "g"))) keys.push(...taken_out!.split(",").map((one) => one.split(":")[0]!.trim()));
        for (const key of keys) {
          used.add(`${section}.${key}`);
          if (!Object.hasOwn((en as unknown as Record<string, object>)[section]!, key)) missing.push(`${name}: ${section}.${key}`);
        }
      }
    }
    expect(missing).toEqual([]);
    const unused = Object.values(sections).flatMap((section) => Object.keys((en as unknown as Record<string, object>)[section]!).map((key) => `${section}.${key}`)).filter((key) => !used.has(key));
    expect(unused).toEqual([]);
  });

  it("is said in English where a language has only begun", async () => {
    const french = LANGUAGES.find(({ code }) => code === "fr")!;
    speak(french, await french.fetch());
    expect(strings.filter).toBe("Filtrer les capteurs");
    expect(strings.token_refused).toBe("The token was refused.");
  });
});

describe("a language", () => {
  it("has its own plurals and its own numbers", async () => {
    expect([strings.sensors(1, 1, true), strings.sensors(3, 12_000, false)]).toEqual(["1 sensor", "3 of 12,000 sensors"]);
    speak(LANGUAGES.find(({ code }) => code === "de")!, de);
    expect([strings.sensors(1, 1, true), strings.sensors(3, 12_000, false)]).toEqual(["1 Sensor", "3 von 12.000 Sensoren"]);
    expect([number_text(1.234), count_text(24_500), rate_text(6.8), age_text(240), percent_text(0.0123), bytes_text(4_249_000)]).toEqual(["1,23", "24.500", "6,8", "0,2 s", "1,2 %", "4,2 MB"]);
    expect([type_name("respiration"), type_name("skin_temperature"), lag_text("Bea", "Ada", 0.6)]).toEqual(["Atmung", "Skin temperature", "Bea ist 0,6 s hinter Ada"]);
    expect(fault_text({ kind: "refused", code: "already_running", sentence: "", status: 409 })).toBe("Es läuft schon.");
    const arabic = LANGUAGES.find(({ code }) => code === "ar")!;
    speak(arabic, await arabic.fetch());
    expect([2, 3, 11].map((n) => strings.sensors(n, n, true))).toEqual(["مستشعران", "3 مستشعرات", "11 مستشعرًا"]);
  });

  it("is found by what a browser wishes", () => {
    const code = (...wished: string[]): string => language_for(wished).code;
    expect([code("de-AT"), code("pt-PT"), code("zh-Hant-TW", "en"), code("xx", "fr-CA"), code(), code("sv")]).toEqual(["de", "pt-BR", "zh", "fr", "en", "en"]);
  });

  it("does not take what every object has for a word", () => {
    expect(type_name("constructor")).toBe("Constructor");
    expect(fault_text({ kind: "refused", code: "toString", sentence: "", status: 500 })).toBe("The server said no (500).");
  });
});
