/**
 * What eyes rest on: fixations by dispersion (I-DT, Salvucci and Goldberg 2000), and a heat map of where they were.
 * Places are parts of the view, 0 to 1.
 */

export interface Look {
  t: number;
  x: number;
  y: number;
}
export interface Fixation {
  x: number;
  y: number;
  from_ms: number;
  to_ms: number;
}

/** As far as eyes that rest may wander, as a part of the view; and how long they have to. */
export const DISPERSION = 0.05;
export const LEAST_MS = 100;
/** Longer without a look is a blink or a loss, and ends a fixation. */
const GAP_MS = 150;
export const FIXATIONS_MAX = 200;

export function fixations(looks: readonly Look[]): Fixation[] {
  const found: Fixation[] = [];
  let begin = 0;
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
  const finish = (end: number): void => {
    if (end <= begin) return;
    const [first, last] = [looks[begin]!, looks[end - 1]!];
    if (last.t - first.t < LEAST_MS) return;
    let x = 0, y = 0;
    for (let k = begin; k < end; k++) {
      x += looks[k]!.x;
      y += looks[k]!.y;
    }
    found.push({ x: x / (end - begin), y: y / (end - begin), from_ms: first.t, to_ms: last.t });
  };
  for (let k = 0; k < looks.length; k++) {
    const { t, x, y } = looks[k]!;
    const gap = k > begin && t - looks[k - 1]!.t > GAP_MS;
    const [l, r, u, d] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    if (gap || r - l + (d - u) > DISPERSION) {
      finish(k);
      begin = k;
      left = right = x;
      top = bottom = y;
    } else [left, right, top, bottom] = [l, r, u, d];
  }
  finish(looks.length);
  return found.slice(-FIXATIONS_MAX);
}

/** How long eyes were in each cell, smoothed over its neighbours, as a part of the most: rows from above. */
export function heat(looks: readonly Look[], columns: number, rows: number): Float32Array {
  const cells = new Float32Array(columns * rows);
  for (const { x, y } of looks) {
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) continue;
    const cx = Math.min(columns - 1, Math.floor(x * columns));
    const cy = Math.min(rows - 1, Math.floor(y * rows));
    for (let dy = -3; dy <= 3; dy++) {
      for (let dx = -3; dx <= 3; dx++) {
        const [px, py] = [cx + dx, cy + dy];
        if (px >= 0 && py >= 0 && px < columns && py < rows) cells[py * columns + px]! += Math.exp(-(dx * dx + dy * dy) / 4);
      }
    }
  }
  const most = cells.reduce((high, value) => Math.max(high, value), 0);
  if (most > 0) for (let k = 0; k < cells.length; k++) cells[k]! /= most;
  return cells;
}
