/** The catalogue in Japanese, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const ja: Begun<typeof en> = {
  page: {
    skip: "センサーへ移動", views: "表示", lobby: "ロビー", all_ecg: "すべての心電図", together_view: "同調", simulator_view: "シミュレーター", system_view: "システム",
    link: { connecting: "接続中", live: "ライブ", reconnecting: "再接続中", denied: "アクセス権が必要", closed: "切断", stalled: "データなし" },
    last_data: "最終データ {0} 前", no_data_yet: "データはまだありません", receiving: "このページの受信量", samples_per_s: "{0} サンプル/秒", age_p50: "{0} ミリ秒前",
    quality: "{1, select, null {品質：{0}} other {{0} · {1}}}", quality_title: "品質", quality_ask: "希望する品質",
    choices: { auto: "自動", high: "高", medium: "中", low: "低", minimal: "最低" }, levels: { high: "高", medium: "中", low: "低", minimal: "最低", paused: "一時停止" },
    theme: { dark: "ダーク", light: "ライト", to: "{0}テーマに切り替え" },
    filter: "センサーを絞り込む", filter_hint: "名前か種類で絞り込む", sort: "並べ替え", sort_name: "名前", sort_type: "種類",
    sensors: "{2, select, true {センサー {1, number} 個} other {センサー {1, number} 個中 {0, number} 個}}",
    no_sensors: "接続されたセンサーはまだありません。送信を始めるとここに現れます。", no_match: "該当するセンサーはありません。",
    attention: { none: "未視聴", low: "低", medium: "中", high: "高" }, attention_label: "注目度：{0}", rate: "{1, select, null {{0}/秒} other {{0}/{1} 毎秒}}", age: "{0} 前",
    pin_label: "{0} を全速に保つ", detail: "{0}、すべての信号", close: "閉じる", raw_json: "最新値（JSON）", waiting: "最初のサンプルを待っています", window: "時間幅",
  },
  time: { ms: "{0} ミリ秒", s: "{0} 秒", min: "{0} 分", h: "{0} 時間", h_min: "{0} 時間 {1} 分" },
  types: { ecg: "心電図", heartrate: "心拍数", hr: "心拍数", respiration: "呼吸", temperature: "温度", battery: "電池", imu: "動き", eye_gaze: "視線", geolocation: "位置" },
  settings: { title: "設定", view: "設定", intro: "このブラウザーだけに保存されます。", language: "言語", language_begun: "{0}（作業中）", theme: "テーマ", motion: "動き", keys: "単独キー", themes: { system: "システムに合わせる", dark: "ダーク", light: "ライト", contrast: "ハイコントラスト" }, motions: { system: "システムに合わせる", reduced: "減らす" } },
  about: { title: "このページについて", view: "概要", access: "アクセシビリティ", licence: "ライセンス", privacy: "データの行き先" },
};
