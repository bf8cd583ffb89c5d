/** The catalogue in Spanish, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const es: Begun<typeof en> = {
  page: {
    skip: "Ir a los sensores", views: "Vistas", lobby: "Vestíbulo", all_ecg: "Todos los ECG", together_view: "Juntos", simulator_view: "Simulador", system_view: "Sistema",
    link: { connecting: "Conectando", live: "En vivo", reconnecting: "Reconectando", denied: "Se requiere acceso", closed: "Cerrado", stalled: "Sin datos" },
    last_data: "últimos datos hace {0}", no_data_yet: "aún sin datos", receiving: "Lo que recibe esta página", samples_per_s: "{0} muestras/s", age_p50: "{0} ms de edad",
    quality: "{1, select, null {calidad {0}} other {{0} · {1}}}", quality_title: "Calidad", quality_ask: "Pedir",
    choices: { auto: "Automática", high: "Alta", medium: "Media", low: "Baja", minimal: "Mínima" }, levels: { high: "alta", medium: "media", low: "baja", minimal: "mínima", paused: "en pausa" },
    theme: { dark: "oscuro", light: "claro", to: "Cambiar al tema {0}" },
    filter: "Filtrar sensores", filter_hint: "Filtrar por nombre o tipo", sort: "Ordenar por", sort_name: "Nombre", sort_type: "Tipo",
    sensors: "{2, select, true {{1, plural, one {# sensor} other {# sensores}}} other {{0, number} de {1, plural, one {# sensor} other {# sensores}}}}",
    no_sensors: "Aún no hay sensores conectados. Aparecen aquí en cuanto emiten.", no_match: "Ningún sensor coincide con el filtro.",
    attention: { none: "sin mirar", low: "baja", medium: "media", high: "alta" }, attention_label: "Atención: {0}", rate: "{1, select, null {{0}/s} other {{0}/s de {1}/s}}", age: "hace {0}",
    pin_label: "Mantener {0} a velocidad plena", detail: "{0}, todas las señales", close: "Cerrar", raw_json: "Último valor en JSON", waiting: "Esperando la primera muestra", window: "Ventana",
  },
  types: { ecg: "ECG", heartrate: "Frecuencia cardíaca", hr: "Frecuencia cardíaca", respiration: "Respiración", temperature: "Temperatura", battery: "Batería", imu: "Movimiento", eye_gaze: "Mirada", geolocation: "Ubicación" },
  settings: { title: "Ajustes", view: "Ajustes", intro: "Guardados en este navegador y en ningún otro sitio.", language: "Idioma", language_begun: "{0} (empezado)", theme: "Tema", motion: "Movimiento", keys: "Teclas sueltas", themes: { system: "Como el sistema", dark: "Oscuro", light: "Claro", contrast: "Alto contraste" }, motions: { system: "Como el sistema", reduced: "Reducido" } },
  about: { title: "Acerca de", view: "Acerca de", access: "Accesibilidad", licence: "Licencias", privacy: "Adónde van sus datos" },
};
