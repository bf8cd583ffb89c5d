/** The catalogue in Chinese, begun: what stands on every view. */

import type { en } from "./en";
import type { Begun } from "./speak";

export const zh: Begun<typeof en> = {
  page: {
    skip: "跳到传感器", views: "视图", lobby: "大厅", all_ecg: "全部心电图", together_view: "同步", simulator_view: "模拟器", system_view: "系统",
    link: { connecting: "正在连接", live: "实时", reconnecting: "正在重新连接", denied: "需要访问权限", closed: "已关闭", stalled: "无数据" },
    last_data: "最新数据于 {0} 前", no_data_yet: "尚无数据", receiving: "本页接收的数据", samples_per_s: "{0} 样本/秒", age_p50: "延迟 {0} 毫秒",
    quality: "{1, select, null {质量：{0}} other {{0} · {1}}}", quality_title: "质量", quality_ask: "请求",
    choices: { auto: "自动", high: "高", medium: "中", low: "低", minimal: "最低" }, levels: { high: "高", medium: "中", low: "低", minimal: "最低", paused: "已暂停" },
    theme: { dark: "深色", light: "浅色", to: "切换到{0}主题" },
    filter: "筛选传感器", filter_hint: "按名称或类型筛选", sort: "排序", sort_name: "名称", sort_type: "类型",
    sensors: "{2, select, true {{1, number} 个传感器} other {{1, number} 个传感器中的 {0, number} 个}}",
    no_sensors: "尚无传感器连接。一旦发送数据便会显示在这里。", no_match: "没有符合筛选条件的传感器。",
    attention: { none: "无人观看", low: "低", medium: "中", high: "高" }, attention_label: "关注度：{0}", rate: "{1, select, null {{0}/秒} other {{0}/{1} 每秒}}", age: "{0} 前",
    pin_label: "让 {0} 保持全速", detail: "{0}，全部信号", close: "关闭", raw_json: "最新值（JSON）", waiting: "等待第一个样本", window: "时间窗",
  },
  time: { ms: "{0} 毫秒", s: "{0} 秒", min: "{0} 分钟", h: "{0} 小时", h_min: "{0} 小时 {1} 分钟" },
  types: { ecg: "心电图", heartrate: "心率", hr: "心率", respiration: "呼吸", temperature: "温度", battery: "电池", imu: "运动", eye_gaze: "视线", geolocation: "位置" },
  settings: { title: "设置", view: "设置", intro: "只保存在此浏览器中。", language: "语言", language_begun: "{0}（进行中）", theme: "主题", motion: "动态效果", keys: "单键快捷键", themes: { system: "跟随系统", dark: "深色", light: "浅色", contrast: "高对比度" }, motions: { system: "跟随系统", reduced: "减少" } },
  about: { title: "关于", view: "关于", access: "无障碍", licence: "许可证", privacy: "您的数据去向" },
};
