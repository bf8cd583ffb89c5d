/** Was die Seite der Personen sagt. */

import type { en } from "../en";
import type { Whole } from "../speak";

export const known: Whole<(typeof en)["known"]> = {
  view: "Personen",
  intro: "Wer in einem Raum ist, den Sie sehen dürfen, mit diesen Räumen und mit dem, was von ihnen jetzt misst und Ihnen gezeigt wird.",
  signed_out: "Ohne Anmeldung sehen Sie, wer in einem offenen Raum ist.",
  loading: "Fragt, wer hier ist …",
  everybody: "Alle",
  absent: "Niemand, von dem Sie wissen dürfen, hat diese Adresse.",
  filter: "Ein Name, ein Raum, ein Signal",
  none: "Noch ist niemand hier: Legen Sie einen Raum an, und laden Sie jemanden ein.",
  no_match: "Niemand hier heißt so.",
  count: "{0, plural, one {# Person} other {# Personen}}",
  more: "Es gibt mehr: Strg K findet sie beim Namen.",
  rooms: "{0, plural, =0 {in keinem Raum, den Sie sehen} one {in # Raum} other {in # Räumen}}",
  sensors: "{0, plural, =0 {nichts, was Sie sehen, misst jetzt} one {# Sensor misst jetzt} other {# Sensoren messen jetzt}}",
  and_more: "{0, plural, one {und # weiterer} other {und # weitere}}",
};
