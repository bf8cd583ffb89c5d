/**
 * The flow from asked to delivered as rectangles and ribbons: what is asked for at each level of attention on
 * the left, what of it is delivered on the right at the same height, and below it what each layer took.
 *
 * Which layer took from which level is not known, only the sums are: so the losses meet in one place before
 * they part by layer.
 */

import type { Attention, Flow, Layer } from "./shape";

/** Thinner could not be seen. */
const THIN_PX = 2;
/** Between two bars. */
const GAP_PX = 8;
/** Losses below this share of what is asked for are the jitter of two clocks. */
const NOISE = 0.005;

export interface Bar {
  y: number;
  h: number;
}
export interface LevelBars {
  level: Attention;
  asked_sps: number;
  allowed_sps: number;
  delivered_sps: number;
  asked: Bar;
  /** Height 0 when nothing is. */
  delivered: Bar;
  /** At the lower end of `asked`, and where it enters the meeting place; height 0 when nothing is lost. */
  lost: Bar;
  enters: Bar;
}
export interface LayerBar {
  /** `other`: on its way, or not told. */
  layer: Layer | "other";
  sps: number;
  /** Where it leaves the meeting place, and where it ends. */
  leaves: Bar;
  ends: Bar;
}
export interface Picture {
  asked_sps: number;
  delivered_sps: number;
  lost_sps: number;
  levels: LevelBars[];
  layers: LayerBar[];
  /** Where losses meet; null when there are none. */
  meets: Bar | null;
  height: number;
}

/** What the layers took, and what of the loss no layer owns. */
export function losses(flow: Flow): { layer: Layer | "other"; sps: number }[] {
  const asked = flow.levels.reduce((sum, one) => sum + one.asked_sps, 0);
  const lost = flow.levels.reduce((sum, one) => sum + Math.max(0, one.asked_sps - one.delivered_sps), 0);
  const took: { layer: Layer | "other"; sps: number }[] = flow.took.filter(({ sps }) => sps > asked * NOISE);
  const other = lost - took.reduce((sum, { sps }) => sum + sps, 0);
  if (other > asked * 0.02) took.push({ layer: "other", sps: other });
  return took;
}

/** How much room labels need, and how high all that is asked for is, in CSS pixels. */
export interface Room {
  bars_px: number;
  /** At least so much from one level to the next, and from one layer to the next. */
  level_px: number;
  layer_px: number;
}

export function picture(flow: Flow, { bars_px, level_px, layer_px }: Room): Picture {
  const asked_sps = flow.levels.reduce((sum, one) => sum + one.asked_sps, 0);
  const delivered_sps = flow.levels.reduce((sum, one) => sum + one.delivered_sps, 0);
  const took = losses(flow);
  const lost_sps = took.reduce((sum, { sps }) => sum + sps, 0);
  // More may be delivered than was asked for a moment ago.
  const widest = flow.levels.reduce((sum, one) => sum + Math.max(one.asked_sps, one.delivered_sps), 0);
  const thick = (sps: number): number => (sps > 0 ? Math.max(THIN_PX, (sps / widest) * bars_px) : 0);

  let y = 0;
  const levels = flow.levels.map((one): LevelBars => {
    const asked_h = thick(one.asked_sps);
    const delivered_h = thick(one.delivered_sps);
    const tall = Math.max(asked_h, delivered_h);
    const slot = Math.max(tall + GAP_PX, level_px);
    const top = y + (slot - tall) / 2;
    y += slot;
    const lost_h = took.length > 0 && one.asked_sps - one.delivered_sps > asked_sps * NOISE ? Math.max(THIN_PX, asked_h - delivered_h) : 0;
    return { ...one, asked: { y: top, h: asked_h }, delivered: { y: top, h: delivered_h }, lost: { y: top + asked_h - lost_h, h: lost_h }, enters: { y: 0, h: lost_h } };
  });
  if (took.length === 0) return { asked_sps, delivered_sps, lost_sps: 0, levels, layers: [], meets: null, height: y };

  const first = y;
  const heights = took.map(({ sps }) => thick(sps));
  const through = Math.max(levels.reduce((sum, { lost }) => sum + lost.h, 0), THIN_PX);
  const share = through / heights.reduce((sum, h) => sum + h, 0);
  const slots = heights.map((h) => Math.max(h + GAP_PX, layer_px));
  const spread = slots.reduce((sum, slot) => sum + slot, 0);
  // In the middle of what it feeds.
  const meets = { y: first + Math.max(0, (spread - through) / 2), h: through };
  let into = meets.y;
  for (const one of levels) {
    one.enters.y = into;
    into += one.lost.h;
  }
  let out = meets.y;
  const layers = took.map(({ layer, sps }, k): LayerBar => {
    const h = heights[k]!;
    const bar = { layer, sps, leaves: { y: out, h: h * share }, ends: { y: y + (slots[k]! - h) / 2, h } };
    out += h * share;
    y += slots[k]!;
    return bar;
  });
  return { asked_sps, delivered_sps, lost_sps, levels, layers, meets, height: Math.max(y, meets.y + meets.h) };
}

/** A ribbon from one bar to another, as the path of its outline. */
export function ribbon(from_x: number, from: Bar, to_x: number, to: Bar): string {
  const bend = (from_x + to_x) / 2;
  const n = (value: number): string => value.toFixed(1);
  return `M${n(from_x)} ${n(from.y)}C${n(bend)} ${n(from.y)} ${n(bend)} ${n(to.y)} ${n(to_x)} ${n(to.y)}`
    + `L${n(to_x)} ${n(to.y + to.h)}C${n(bend)} ${n(to.y + to.h)} ${n(bend)} ${n(from.y + from.h)} ${n(from_x)} ${n(from.y + from.h)}Z`;
}
