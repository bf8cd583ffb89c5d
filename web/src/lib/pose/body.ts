/** A body as a camera sees it: the 33 landmarks of MediaPipe's pose model, and what can be said of how it stands. */

/** Left before right where there are two. */
export const JOINTS = 33;
/** Which are joined: the face's outline, trunk, arms with hands, legs with feet. */
export const BONES: readonly (readonly [number, number])[] = [
  [7, 3], [3, 1], [1, 0], [0, 4], [4, 6], [6, 8], [9, 10],
  [11, 12], [11, 23], [12, 24], [23, 24],
  [11, 13], [13, 15], [15, 17], [15, 19], [15, 21], [17, 19],
  [12, 14], [14, 16], [16, 18], [16, 20], [16, 22], [18, 20],
  [23, 25], [25, 27], [27, 29], [27, 31], [29, 31],
  [24, 26], [26, 28], [28, 30], [28, 32], [30, 32],
];
/** Those that are told in words and figures. */
export const TOLD = { nose: 0, left_shoulder: 11, right_shoulder: 12, left_wrist: 15, right_wrist: 16, left_hip: 23, right_hip: 24, left_ankle: 27, right_ankle: 28 } as const;
export type Told = keyof typeof TOLD;
/** Less certain than this a joint is a guess. */
export const CERTAIN = 0.5;

/** Where in a stream's cells x, y and visibility of each joint are; -1: nowhere. */
export interface Cells {
  x: Int16Array;
  y: Int16Array;
  v: Int16Array;
}

/** By the names of the cells, as `landmarks.12.x`; null when they are not a body's. */
export function cells_of(names: readonly string[]): Cells | null {
  const cells: Cells = { x: new Int16Array(JOINTS).fill(-1), y: new Int16Array(JOINTS).fill(-1), v: new Int16Array(JOINTS).fill(-1) };
  names.forEach((name, cell) => {
    const found = /^landmarks\.(\d+)\.(x|y|v|visibility)$/.exec(name);
    const joint = Number(found?.[1]);
    if (found === null || joint >= JOINTS) return;
    cells[found[2] === "visibility" ? "v" : (found[2] as "x" | "y" | "v")][joint] = cell;
  });
  return cells.x.every((cell) => cell >= 0) && cells.y.every((cell) => cell >= 0) ? cells : null;
}

/** One moment: 0, 0 is the picture's upper left, 1, 1 its lower right. NaN where a joint is not known. */
export interface Pose {
  x: Float32Array;
  y: Float32Array;
  /** How certain each joint is, 0 to 1. */
  v: Float32Array;
}

export function pose_of(cells: Cells, at: (cell: number) => number): Pose {
  const read = (of: Int16Array, absent: number): Float32Array => Float32Array.from(of, (cell) => (cell < 0 ? absent : at(cell)));
  return { x: read(cells.x, NaN), y: read(cells.y, NaN), v: read(cells.v, 1) };
}

export type Stance = "upright" | "lying" | "unknown";
export type Hands = "none" | "left" | "right" | "both" | "unknown";

/** Whether the trunk stands, and which hands are above their shoulders. */
export function stance_of({ x, y, v }: Pose): { stance: Stance; hands: Hands } {
  const known = (...joints: number[]): boolean => joints.every((joint) => v[joint]! >= CERTAIN && Number.isFinite(x[joint]! + y[joint]!));
  const { left_shoulder, right_shoulder, left_wrist, right_wrist, left_hip, right_hip } = TOLD;
  const middle = (of: Float32Array, a: number, b: number): number => (of[a]! + of[b]!) / 2;
  const stance: Stance = !known(left_shoulder, right_shoulder, left_hip, right_hip)
    ? "unknown"
    : Math.abs(middle(y, left_hip, right_hip) - middle(y, left_shoulder, right_shoulder)) >= Math.abs(middle(x, left_hip, right_hip) - middle(x, left_shoulder, right_shoulder)) ? "upright" : "lying";
  if (!known(left_shoulder, right_shoulder, left_wrist, right_wrist)) return { stance, hands: "unknown" };
  const [left, right] = [y[left_wrist]! < y[left_shoulder]!, y[right_wrist]! < y[right_shoulder]!];
  return { stance, hands: left && right ? "both" : left ? "left" : right ? "right" : "none" };
}

export interface Box {
  x: number;
  y: number;
  side: number;
}

/** Squares for so many bodies in a place, as large as they can be, row by row, each with `head` above it. */
export function boxes(count: number, width: number, height: number, pad: number, head: number): Box[] {
  if (count === 0 || width <= 0 || height <= 0) return [];
  let best = { columns: 1, side: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const side = Math.min(width / columns - 2 * pad, height / Math.ceil(count / columns) - 2 * pad - head);
    if (side > best.side) best = { columns, side };
  }
  const { columns, side } = best;
  if (side <= 0) return [];
  const [cell_w, cell_h] = [width / columns, height / Math.ceil(count / columns)];
  return Array.from({ length: count }, (_, k) => ({
    x: (k % columns) * cell_w + (cell_w - side) / 2, y: Math.floor(k / columns) * cell_h + head + (cell_h - head - side) / 2, side,
  }));
}
