/** Was die Befehlsliste und die Hilfe zu den Tasten sagen. */

import type { en } from "../en";
import type { Whole } from "../speak";

export const palette: Whole<(typeof en)["palette"]> = {
  title: "Finden und tun",
  hint: "Eine Ansicht, ein Raum, ein Sensor, ein Feld …",
  none: "Nichts hier heißt so.",
  kinds: { go: "Gehe zu", room: "Raum", sensor: "Sensor", arrange: "Anordnen", add: "Feld hinzu", do: "Tun" },
  stop_time: "Zeit anhalten",
  go_live: "Live weiter",
  wider: "Längeres Fenster",
  narrower: "Kürzeres Fenster",
  help: "Tasten",
  everywhere: "Überall",
  in_room: "In einem Raum",
  on_axis: "Auf der Zeitachse",
  ctrl_k: "Strg K",
  space: "Leertaste",
  arrows: "Pfeile",
  open_palette: "Alles finden und tun",
  open_help: "Diese Tasten",
  closes: "Schließt, was offen ist",
  goes_on: "Zum Nächsten",
  window: "Kürzeres, längeres Fenster",
  marks: "Merkt diesen Augenblick",
  alone: "Ein Feld allein",
  pins: "Hält einen Sensor bei voller Rate",
  walks: "Gehen durch Kacheln und Zeilen",
  opens: "Öffnet einen Sensor",
  step: "Eine Zehntelsekunde",
  step_far: "Eine Sekunde",
  step_window: "Ein Fenster",
  ends: "An die Enden",
  keys_off: "Einzelne Tasten sind in den Einstellungen ausgeschaltet.",
};
