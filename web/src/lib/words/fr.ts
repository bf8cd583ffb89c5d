/** The catalogue in French, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const fr: Begun<typeof en> = {
  page: {
    skip: "Aller aux capteurs", views: "Vues", lobby: "Hall", all_ecg: "Tous les ECG", together_view: "Ensemble", simulator_view: "Simulateur", system_view: "Système",
    link: { connecting: "Connexion", live: "En direct", reconnecting: "Reconnexion", denied: "Accès requis", closed: "Fermé", stalled: "Aucune donnée" },
    last_data: "dernières données il y a {0}", no_data_yet: "pas encore de données", receiving: "Ce que cette page reçoit", samples_per_s: "{0} valeurs/s", kb_per_s: "{0} ko/s", age_p50: "âge {0} ms",
    quality: "{1, select, null {qualité {0}} other {{0} · {1}}}", quality_title: "Qualité", quality_ask: "Demander",
    choices: { auto: "Auto", high: "Haute", medium: "Moyenne", low: "Basse", minimal: "Minimale" }, levels: { high: "haute", medium: "moyenne", low: "basse", minimal: "minimale", paused: "en pause" },
    theme: { dark: "sombre", light: "clair", to: "Passer au thème {0}" },
    filter: "Filtrer les capteurs", filter_hint: "Filtrer par nom ou type", sort: "Trier par", sort_name: "Nom", sort_type: "Type",
    sensors: "{2, select, true {{1, plural, one {# capteur} other {# capteurs}}} other {{0, number} sur {1, plural, one {# capteur} other {# capteurs}}}}",
    no_sensors: "Aucun capteur n'est encore connecté. Ils apparaissent ici dès qu'ils émettent.", no_match: "Aucun capteur ne correspond au filtre.",
    attention: { none: "non regardé", low: "faible", medium: "moyenne", high: "forte" }, attention_label: "Attention : {0}", rate: "{1, select, null {{0}/s} other {{0}/s sur {1}/s}}", age: "il y a {0}",
    pin_label: "Garder {0} à plein débit", detail: "{0}, tous les signaux", close: "Fermer", raw_json: "Dernière valeur en JSON", waiting: "En attente de la première valeur",
    keys_tile: "Les flèches parcourent, Entrée ouvre, P épingle, Échap ferme.", window: "Fenêtre",
  },
  types: { ecg: "ECG", heartrate: "Fréquence cardiaque", hr: "Fréquence cardiaque", respiration: "Respiration", temperature: "Température", battery: "Batterie", imu: "Mouvement", eye_gaze: "Regard", geolocation: "Position" },
  settings: { title: "Réglages", view: "Réglages", intro: "Gardés dans ce navigateur, et nulle part ailleurs.", language: "Langue", language_begun: "{0} (commencé)", theme: "Thème", motion: "Mouvement", keys: "Touches seules", themes: { system: "Comme le système", dark: "Sombre", light: "Clair", contrast: "Contraste élevé" }, motions: { system: "Comme le système", reduced: "Réduit" } },
  about: { title: "À propos", view: "À propos", access: "Accessibilité", licence: "Licences", privacy: "Où vont vos données" },
};
