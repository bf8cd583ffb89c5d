/** The catalogue in Alemannic, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const gsw: Begun<typeof en> = {
  page: {
    skip: "Zue de Sensore springe", views: "Aasichte", all_ecg: "Alli EKG", together_view: "Zäme", system_view: "Syschtem",
    link: { connecting: "Verbindet", live: "Live", reconnecting: "Verbindet nomol", denied: "Bruucht Zuegang", closed: "Zue", stalled: "Kei Date" },
    last_data: "letschti Date vor {0}", no_data_yet: "no kei Date", receiving: "Was die Siite bechunnt", samples_per_s: "{0} Wärt/s", age_p50: "{0} ms alt",
    filter: "Sensore filtere", filter_hint: "Nach Name oder Art filtere", sort: "Sortiere nach", sort_name: "Name", sort_type: "Art",
    sensors: "{2, select, true {{1, plural, one {# Sensor} other {# Sensore}}} other {{0, number} vo {1, plural, one {# Sensor} other {# Sensore}}}}",
    no_sensors: "S isch no kei Sensor verbunde. Si chömme do, sobald si sände.", no_match: "Kei Sensor passt zum Filter.",
    attention: { none: "niemer luegt", low: "nidrig", medium: "mittel", high: "höch" }, attention_label: "Ufmerksamkeit: {0}", age: "vor {0}",
    close: "Zuemache", pin_label: "{0} ganz bhalte", waiting: "Wartet uf dr erscht Wärt",
  },
  settings: { title: "Iistellige", view: "Iistellige", language: "Sproch", theme: "Farbe", motion: "Bewegig", themes: { system: "Wie s Syschtem", dark: "Dunkel", light: "Hell", contrast: "Starke Kontrascht" } },
  about: { title: "Über die Siite", view: "Über" },
};
