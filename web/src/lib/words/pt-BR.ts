/** The catalogue in Brazilian Portuguese, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const pt_BR: Begun<typeof en> = {
  page: {
    skip: "Ir para os sensores", views: "Visões", lobby: "Saguão", all_ecg: "Todos os ECG", together_view: "Juntos", simulator_view: "Simulador", system_view: "Sistema",
    link: { connecting: "Conectando", live: "Ao vivo", reconnecting: "Reconectando", denied: "Acesso necessário", closed: "Fechado", stalled: "Sem dados" },
    last_data: "últimos dados há {0}", no_data_yet: "ainda sem dados", receiving: "O que esta página recebe", samples_per_s: "{0} amostras/s", age_p50: "{0} ms de idade",
    quality: "{1, select, null {qualidade {0}} other {{0} · {1}}}", quality_title: "Qualidade", quality_ask: "Pedir",
    choices: { auto: "Automática", high: "Alta", medium: "Média", low: "Baixa", minimal: "Mínima" }, levels: { high: "alta", medium: "média", low: "baixa", minimal: "mínima", paused: "pausada" },
    theme: { dark: "escuro", light: "claro", to: "Mudar para o tema {0}" },
    filter: "Filtrar sensores", filter_hint: "Filtrar por nome ou tipo", sort: "Ordenar por", sort_name: "Nome", sort_type: "Tipo",
    sensors: "{2, select, true {{1, plural, one {# sensor} other {# sensores}}} other {{0, number} de {1, plural, one {# sensor} other {# sensores}}}}",
    no_sensors: "Nenhum sensor conectado ainda. Eles aparecem aqui assim que enviam.", no_match: "Nenhum sensor corresponde ao filtro.",
    attention: { none: "não observado", low: "baixa", medium: "média", high: "alta" }, attention_label: "Atenção: {0}", rate: "{1, select, null {{0}/s} other {{0}/s de {1}/s}}", age: "há {0}",
    pin_label: "Manter {0} em taxa plena", detail: "{0}, todos os sinais", close: "Fechar", raw_json: "Último valor em JSON", waiting: "Aguardando a primeira amostra", window: "Janela",
  },
  types: { ecg: "ECG", heartrate: "Frequência cardíaca", hr: "Frequência cardíaca", respiration: "Respiração", temperature: "Temperatura", battery: "Bateria", imu: "Movimento", eye_gaze: "Olhar", geolocation: "Localização" },
  settings: { title: "Configurações", view: "Configurações", intro: "Guardadas neste navegador e em nenhum outro lugar.", language: "Idioma", language_begun: "{0} (iniciado)", theme: "Tema", motion: "Movimento", keys: "Teclas simples", themes: { system: "Como o sistema", dark: "Escuro", light: "Claro", contrast: "Alto contraste" }, motions: { system: "Como o sistema", reduced: "Reduzido" } },
  about: { title: "Sobre", view: "Sobre", access: "Acessibilidade", licence: "Licenças", privacy: "Para onde vão seus dados" },
};
