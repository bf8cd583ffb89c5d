/**
 * People on a circle, each at the phase of their rhythm, as on a clock: a cycle is once around, and whoever is
 * ahead is further on clockwise. The arrow is their mean; the disc is where strangers' arrow stays 95 % of the time.
 */

import { apart } from "./plot";

const FONT = "13px system-ui, sans-serif";
const DOT_PX = 7;
const LABEL_PX = 17;
/** Names are written where there is room for them, numbers elsewhere. */
const NAMES_WIDTH = 440;
const NAME_PX = 126;
const NUMBER_PX = 30;
/** Above and below. */
const ROOM_PX = 28;
/** More than this many are dots without a label. */
export const LABELS_MAX = 24;

export interface Person {
  name: string;
  colour: string;
}

export interface Circle {
  people: readonly Person[];
  /** NaN: not measurable, and not drawn here. */
  phases: ArrayLike<number>;
  /** Of the mean; NaN: none. */
  phase: number;
  R: number;
  null95: number;
  /** Which phase is at the top. */
  top: number;
  words: { ahead: string; behind: string; strangers: string };
  colours: { text: string; quiet: string; line: string; surface: string; accent: string };
}

/** The room beside the circle. */
function side_of(width: number, count: number): number {
  return 22 + (count > LABELS_MAX ? 10 : width >= NAMES_WIDTH ? Math.min(NAME_PX, 0.2 * width) : NUMBER_PX);
}

/** As high as the circle can be wide, within reason. */
export function height_of(width: number, count: number): number {
  return Math.round(Math.min(430, Math.max(230, width - 2 * side_of(width, count) + 2 * ROOM_PX)));
}

/** Where on the circle a phase is: clockwise from `top`. */
export function place(phase: number, top: number): { x: number; y: number } {
  return { x: Math.sin(phase - top), y: -Math.cos(phase - top) };
}

/** As much of a text as there is room for. */
function fitted(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  if (ctx.measureText(text).width <= room) return text;
  let n = text.length - 1;
  while (n > 1 && ctx.measureText(`${text.slice(0, n)}…`).width > room) n--;
  return `${text.slice(0, n).trimEnd()}…`;
}

export function draw_circle(ctx: CanvasRenderingContext2D, width: number, height: number, ratio: number, circle: Circle): void {
  const { people, phases, R, null95, top, colours, words } = circle;
  const labelled = people.length <= LABELS_MAX;
  const named = labelled && width >= NAMES_WIDTH;
  const rad = Math.max(20, Math.min(height / 2 - ROOM_PX, width / 2 - side_of(width, people.length)));
  const [cx, cy] = [width / 2, height / 2];

  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.lineCap = "round";
  const ring = (r: number): void => {
    ctx.beginPath();
    ctx.arc(cx, cy, r, 0, 2 * Math.PI);
  };

  if (null95 > 0) {
    ctx.fillStyle = colours.quiet;
    ctx.globalAlpha = 0.16;
    ring(null95 * rad);
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.quiet;
    ctx.lineWidth = 1.25;
    ctx.setLineDash([4, 4]);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  ctx.strokeStyle = colours.line;
  ctx.lineWidth = 1.5;
  ring(rad);
  ctx.stroke();
  // Quarters of a cycle, as on a clock.
  for (let k = 0; k < 4; k++) {
    const { x, y } = place((k * Math.PI) / 2, top === circle.phase ? 0 : top);
    ctx.beginPath();
    ctx.moveTo(cx + (rad - 6) * x, cy + (rad - 6) * y);
    ctx.lineTo(cx + rad * x, cy + rad * y);
    ctx.stroke();
  }

  if (!Number.isNaN(circle.phase) && top === circle.phase) {
    ctx.fillStyle = colours.quiet;
    ctx.textAlign = "left";
    ctx.fillText(words.behind, 2, 10);
    ctx.textAlign = "right";
    ctx.fillText(words.ahead, width - 2, 10);
  }

  if (R > 0 && !Number.isNaN(circle.phase)) {
    const { x, y } = place(circle.phase, top);
    const [tx, ty] = [cx + R * rad * x, cy + R * rad * y];
    const head = Math.min(13, R * rad);
    ctx.strokeStyle = ctx.fillStyle = colours.accent;
    ctx.lineWidth = 4;
    ctx.beginPath();
    ctx.moveTo(cx, cy);
    ctx.lineTo(tx - head * 0.7 * x, ty - head * 0.7 * y);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(tx, ty);
    ctx.lineTo(tx - head * x - head * 0.55 * y, ty - head * y + head * 0.55 * x);
    ctx.lineTo(tx - head * x + head * 0.55 * y, ty - head * y - head * 0.55 * x);
    ctx.fill();
  }
  ctx.fillStyle = colours.quiet;
  ring(2.5);
  ctx.fill();

  const sides: { k: number; x: number; y: number }[][] = [[], []];
  for (let k = 0; k < people.length; k++) {
    const phase = phases[k] ?? NaN;
    if (Number.isNaN(phase)) continue;
    const { x, y } = place(phase, top);
    sides[x >= 0 ? 1 : 0]!.push({ k, x, y });
  }
  if (labelled) {
    sides.forEach((dots, right) => {
      dots.sort((a, b) => a.y - b.y || a.k - b.k);
      const room = Math.min(LABEL_PX, (height - 40) / Math.max(1, dots.length));
      const ys = apart(dots.map(({ y }) => cy + (rad + 12) * y), room, height - 20);
      const sign = right === 1 ? 1 : -1;
      dots.forEach(({ k, x, y }, i) => {
        const label = ys[i]!;
        // Beside the circle at that height, so that a label is never on it.
        const off = (label - cy) / (rad + 14);
        const lx = cx + sign * (Math.sqrt(Math.max(0, 1 - off * off)) * (rad + 14) + 8);
        ctx.strokeStyle = colours.quiet;
        ctx.globalAlpha = 0.7;
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.moveTo(cx + rad * x, cy + rad * y);
        ctx.lineTo(lx - sign * 2, label);
        ctx.stroke();
        ctx.globalAlpha = 1;
        ctx.fillStyle = colours.text;
        ctx.textAlign = right === 1 ? "left" : "right";
        const text = named ? fitted(ctx, people[k]!.name, right === 1 ? width - lx - 6 : lx - 6) : String(k + 1);
        ctx.fillText(text, lx + sign * 3, label);
      });
    });
  }
  for (const dots of sides) {
    for (const { k, x, y } of dots) {
      ctx.beginPath();
      ctx.arc(cx + rad * x, cy + rad * y, labelled ? DOT_PX : 4, 0, 2 * Math.PI);
      ctx.fillStyle = people[k]!.colour;
      ctx.fill();
      ctx.strokeStyle = colours.surface;
      ctx.lineWidth = 1.5;
      ctx.stroke();
    }
  }
}
