/** The catalogue in Arabic, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const ar: Begun<typeof en> = {
  page: {
    skip: "انتقل إلى المستشعرات", views: "طرق العرض", lobby: "البهو", all_ecg: "كل تخطيطات القلب", together_view: "معًا", simulator_view: "المحاكي", system_view: "النظام",
    link: { connecting: "جارٍ الاتصال", live: "مباشر", reconnecting: "إعادة الاتصال", denied: "يلزم إذن", closed: "مغلق", stalled: "لا بيانات" },
    last_data: "آخر بيانات قبل {0}", no_data_yet: "لا بيانات بعد", receiving: "ما تستقبله هذه الصفحة", samples_per_s: "{0} عينة/ث", kb_per_s: "{0} كب/ث", age_p50: "عمرها {0} م.ث",
    quality: "{1, select, null {الجودة: {0}} other {{0} · {1}}}", quality_title: "الجودة", quality_ask: "اطلب",
    choices: { auto: "تلقائية", high: "عالية", medium: "متوسطة", low: "منخفضة", minimal: "دنيا" }, levels: { high: "عالية", medium: "متوسطة", low: "منخفضة", minimal: "دنيا", paused: "متوقفة" },
    theme: { dark: "الداكن", light: "الفاتح", to: "التبديل إلى المظهر {0}" },
    filter: "تصفية المستشعرات", filter_hint: "تصفية بالاسم أو النوع", sort: "ترتيب حسب", sort_name: "الاسم", sort_type: "النوع",
    sensors: "{2, select, true {{1, plural, zero {لا مستشعرات} one {مستشعر واحد} two {مستشعران} few {# مستشعرات} many {# مستشعرًا} other {# مستشعر}}} other {{0, number} من {1, plural, zero {لا مستشعرات} one {مستشعر واحد} two {مستشعرين} few {# مستشعرات} many {# مستشعرًا} other {# مستشعر}}}}",
    no_sensors: "لا مستشعرات متصلة بعد. تظهر هنا حالما ترسل.", no_match: "لا مستشعر يطابق التصفية.",
    attention: { none: "غير مشاهَد", low: "منخفض", medium: "متوسط", high: "عالٍ" }, attention_label: "الانتباه: {0}", rate: "{1, select, null {{0}/ث} other {{0} من {1}/ث}}", age: "قبل {0}",
    pin_label: "أبقِ {0} بالمعدل الكامل", detail: "{0}، كل الإشارات", close: "إغلاق", raw_json: "آخر قيمة بصيغة JSON", waiting: "في انتظار أول عينة", window: "النافذة",
  },
  time: { ms: "{0} م.ث", s: "{0} ث", min: "{0} د", h: "{0} س", h_min: "{0} س {1} د" },
  types: { ecg: "تخطيط القلب", heartrate: "نبض القلب", hr: "نبض القلب", respiration: "التنفس", temperature: "الحرارة", battery: "البطارية", imu: "الحركة", eye_gaze: "النظر", geolocation: "الموقع" },
  settings: { title: "الإعدادات", view: "الإعدادات", intro: "محفوظة في هذا المتصفح وحده.", language: "اللغة", language_begun: "{0} (قيد الترجمة)", theme: "المظهر", motion: "الحركة", keys: "مفاتيح مفردة", themes: { system: "كالنظام", dark: "داكن", light: "فاتح", contrast: "تباين عالٍ" }, motions: { system: "كالنظام", reduced: "مخففة" } },
  about: { title: "حول الصفحة", view: "حول", access: "إمكانية الوصول", licence: "التراخيص", privacy: "أين تذهب بياناتك" },
};
