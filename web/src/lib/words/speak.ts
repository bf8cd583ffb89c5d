/**
 * Makes sentences of a catalogue's messages, which are ICU's: `{0}`, `{0, number}`, `{0, plural, ...}`, `{0, select, ...}`.
 *
 * A message of the English catalogue with arguments becomes a function of them, one without a text; so the compiler
 * refuses a message that is not there, and one that is given too few or too many. `null` and an empty text are selected by `null`, truth by `true`.
 */

import { IntlMessageFormat } from "intl-messageformat";

export type Arg = string | number | boolean | null;
/** Every message has to be there. */
export type Whole<T> = { readonly [K in keyof T]: T[K] extends string ? string : Whole<T[K]> };
/** What is not there is said in English. */
export type Begun<T> = { readonly [K in keyof T]?: T[K] extends string ? string : Begun<T[K]> };
/** As many as the message names. */
type Args<T extends string> = T extends `${string}{5${string}` ? [Arg, Arg, Arg, Arg, Arg, Arg]
  : T extends `${string}{4${string}` ? [Arg, Arg, Arg, Arg, Arg]
  : T extends `${string}{3${string}` ? [Arg, Arg, Arg, Arg]
  : T extends `${string}{2${string}` ? [Arg, Arg, Arg]
  : T extends `${string}{1${string}` ? [Arg, Arg]
  : T extends `${string}{0${string}` ? [Arg]
  : [];
export type Speech<T> = {
  readonly [K in keyof T]: T[K] extends string ? (Args<T[K]> extends [] ? string : (...args: Args<T[K]>) => string) : Speech<T[K]>;
};

export interface Messages {
  readonly [key: string]: string | Messages;
}

function sentence(message: string, locale: string): (...args: Arg[]) => string {
  let made: IntlMessageFormat | null = null;
  return (...args) => {
    made ??= new IntlMessageFormat(message, locale, undefined, { ignoreTag: true });
    return String(made.format(args.map((arg) => (arg === "" ? null : arg)) as unknown as Record<string, Arg>));
  };
}

function tree(base: Messages, own: Messages | undefined, locale: string, base_locale: string): Record<string, unknown> {
  const said: Record<string, unknown> = {};
  for (const [key, message] of Object.entries(base)) {
    const mine = own?.[key];
    if (typeof message !== "string") {
      said[key] = tree(message, typeof mine === "object" ? mine : undefined, locale, base_locale);
      continue;
    }
    const [chosen, of] = typeof mine === "string" ? [mine, locale] : [message, base_locale];
    said[key] = message.includes("{0") ? sentence(chosen, of) : chosen;
  }
  return said;
}

/** `base` decides what there is, `own` what of it is said in another language. */
export function speech<T extends Messages>(base: T, base_locale: string, own: Begun<T> | null, locale: string): Speech<T> {
  return tree(base, (own ?? undefined) as Messages | undefined, locale, base_locale) as Speech<T>;
}
