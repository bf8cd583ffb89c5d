/** What the Settings and About pages say. */

import type { en } from "../en";
import type { Whole } from "../speak";

export const settings: Whole<(typeof en)["settings"]> = {
  title: "Einstellungen",
  intro: "Nur in diesem Browser aufgehoben, sonst nirgends.",
  view: "Einstellungen",
  language: "Sprache",
  language_hint: "Zahlen und Einheiten folgen ihr. Was noch nicht übersetzt ist, steht auf Englisch da.",
  language_begun: "{0} (begonnen)",
  language_loading: "Die Sprache wird geholt …",
  language_failed: "Die Sprache war nicht zu holen. Die Seite bleibt, wie sie ist; versuchen Sie es wieder, wenn die Leitung steht.",
  theme: "Design",
  themes: { system: "Wie das System", dark: "Dunkel", light: "Hell", contrast: "Hoher Kontrast" },
  theme_hint: "Signale heben sich in jedem mit 3:1 oder mehr vom Grund ab.",
  motion: "Bewegung",
  motions: { system: "Wie das System", reduced: "Reduziert" },
  motion_hint: "Reduziert: nichts pulsiert, leuchtet auf oder gleitet. Laufende Kurven bleiben, denn sie sind das Gemessene; sie laufen durch und rollen nicht.",
  keys: "Einzelne Tasten",
  keys_on: "Eine Taste genügt",
  keys_hint: "Etwa / für den Filter und P zum Anheften. Aus, wenn Sie mit dem Rechner sprechen oder sich leicht vertippen: Tab, Enter, Escape und die Pfeiltasten gehen weiter.",
  about: "Über diese Seite",
};

export const about: Whole<(typeof en)["about"]> = {
  title: "Über",
  intro: "Sensoren an Menschen und an Orten senden, Browser schauen zu. Alle bekommen, was sie ansehen, so schnell ihr Gerät und dieser Rechner es tragen.",
  view: "Über",
  access: "Barrierefreiheit",
  access_aim: "Diese Seite soll WCAG 2.2 AA erfüllen. Jede Ansicht wird in ihren Designs mit axe-core geprüft und allein mit der Tastatur begangen.",
  access_signals: "Jede Zeichnung eines Signals hat einen Namen und eine Zusammenfassung in Worten, alle fünf Sekunden erneuert; was gezeichnet ist, lässt sich als Tabelle oder als neueste Werte lesen. Auf einer Kachel und auf der Seite eines Sensors ist ein Signal als Ton zu hören.",
  access_attention: "Was Sie mit der Tastatur erreichen, gilt als angesehen, ganz wie das unter einem Zeiger: es kommt vollständig.",
  access_colour: "Nichts wird allein durch Farbe gesagt. Text steht mit 4,5:1 oder mehr, Kurven mit 3:1 oder mehr.",
  access_limits: "Was sie noch nicht kann: von schnellen Signalen zeigt die Tabelle nur, was empfangen wurde.",
  privacy: "Wohin Ihre Daten gehen",
  privacy_hosts: "Diese Seite fragt keinen anderen Rechner als den Server, von dem sie kam: keine Schriften, keine Karten, keine Zähler.",
  privacy_kept: "In diesem Browser behält sie Ihre Einstellungen und Anordnungen; ein Zugangs-Token nur, bis der Tab geschlossen wird.",
  licence: "Lizenzen",
  licence_own: "Sensocto steht nach Ihrer Wahl unter der MIT-Lizenz oder der Apache-Lizenz 2.0.",
  licence_others: "Was außerdem in der Seite steckt:",
};
