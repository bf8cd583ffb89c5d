/**
 * Draws a graph: edges, glows, nodes, names. Everything is batched by colour, so that two thousand nodes are a
 * few dozen strokes; glows are stamped from one picture for each colour.
 */

import type { Node } from "../graph/model";

export interface Camera {
  /** Of the middle of the picture, in the graph's measure. */
  x: number;
  y: number;
  /** Pixels of the canvas for one of the graph's measure. */
  scale: number;
}

export interface Look {
  ground: string;
  surface: string;
  text: string;
  quiet: string;
  edge: string;
  halo: string;
}

export interface Picture {
  nodes: readonly Node[];
  at: Float32Array;
  camera: Camera;
  width: number;
  height: number;
  ratio: number;
  look: Look;
  colours: readonly string[];
  /** Of each node, which colour; how much it glows (0 to 1); how large it is, in CSS pixels. */
  hue: Uint8Array;
  glow: Float32Array;
  size: Float32Array;
  /** Drawn as a ring and not filled: not the colour alone tells it apart. */
  hollow: Uint8Array;
  /** Where on its way inwards the drop of each sensor is, 0 to 1; NaN: none. */
  drops: Float32Array | null;
  chosen: number;
  /** Much is moved just now: edges are straight, and nothing glows. */
  hasty: boolean;
  /** Names of people are written outwards along their rays, from this radius; null: beside them. */
  rim: number | null;
}

const GLOW_PX = 64;
const stamps = new Map<string, HTMLCanvasElement>();

function stamp(colour: string): HTMLCanvasElement {
  let made = stamps.get(colour);
  if (made !== undefined) return made;
  made = document.createElement("canvas");
  made.width = made.height = GLOW_PX;
  const ctx = made.getContext("2d")!;
  const light = ctx.createRadialGradient(GLOW_PX / 2, GLOW_PX / 2, 0, GLOW_PX / 2, GLOW_PX / 2, GLOW_PX / 2);
  light.addColorStop(0, `${colour}cc`);
  light.addColorStop(0.35, `${colour}55`);
  light.addColorStop(1, `${colour}00`);
  ctx.fillStyle = light;
  ctx.fillRect(0, 0, GLOW_PX, GLOW_PX);
  stamps.set(colour, made);
  return made;
}

export const NAME_PX = 13;
/** So much of a name along a ray is written. */
const NAME_CHARS = 14;

/** Along their rays, where each has its room; else every second, or every third. */
function names_at_rim(ctx: CanvasRenderingContext2D, { nodes, at, camera, width, height, ratio, look, chosen }: Picture, rim: number): void {
  const people = nodes.flatMap(({ kind }, k) => (kind === "person" ? [k] : []));
  const apart = (2 * Math.PI * rim * camera.scale) / ratio / Math.max(1, people.length);
  const every = Math.max(1, Math.ceil((NAME_PX + 2) / apart));
  ctx.font = `600 ${NAME_PX * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  people.forEach((k, n) => {
    if (n % every !== 0 && k !== chosen) return;
    const angle = Math.atan2(at[2 * k + 1]!, at[2 * k]!);
    const [x, y] = [width / 2 + (rim * Math.cos(angle) - camera.x) * camera.scale, height / 2 + (rim * Math.sin(angle) - camera.y) * camera.scale];
    if (x < 0 || y < 0 || x > width || y > height) return;
    const left = Math.cos(angle) < 0;
    const { name } = nodes[k]!;
    ctx.save();
    ctx.translate(x, y);
    ctx.rotate(left ? angle + Math.PI : angle);
    ctx.textAlign = left ? "right" : "left";
    ctx.fillStyle = k === chosen ? look.text : look.quiet;
    ctx.fillText(name.length > NAME_CHARS ? `${name.slice(0, NAME_CHARS - 1)}…` : name, 0, 0);
    ctx.restore();
  });
}

/** Over what is there: its ground is another's. */
export function draw_graph(ctx: CanvasRenderingContext2D, picture: Picture): void {
  const { nodes, at, camera, width, height, ratio, look, colours, hue, glow, size, hollow, drops, chosen } = picture;
  // Once for all the passes below.
  const px = new Float32Array(nodes.length);
  const py = new Float32Array(nodes.length);
  for (let k = 0; k < nodes.length; k++) {
    px[k] = width / 2 + (at[2 * k]! - camera.x) * camera.scale;
    py[k] = height / 2 + (at[2 * k + 1]! - camera.y) * camera.scale;
  }
  const x_of = (k: number): number => px[k]!;
  const y_of = (k: number): number => py[k]!;
  const inside = (x: number, y: number, reach: number): boolean => x > -reach && y > -reach && x < width + reach && y < height + reach;

  // Edges, bent towards the middle; the nearer to it, the stronger.
  ctx.lineCap = "round";
  for (const [kind, alpha, line] of [["signal", 0.34, 0.8], ["sensor", 0.5, 1.1], ["person", 0.38, 1.4]] as const) {
    ctx.globalAlpha = alpha;
    ctx.lineWidth = line * ratio;
    for (let colour = 0; colour < colours.length; colour++) {
      let any = false;
      ctx.beginPath();
      for (let k = 0; k < nodes.length; k++) {
        const { kind: is, parent } = nodes[k]!;
        if (is !== kind || parent < 0 || hue[is === "signal" ? parent : k] !== colour) continue;
        const x = px[k]!, y = py[k]!, ux = px[parent]!, uy = py[parent]!;
        if (!inside(x, y, 0) && !inside(ux, uy, 0)) continue;
        any = true;
        ctx.moveTo(x, y);
        if (picture.hasty) {
          ctx.lineTo(ux, uy);
          continue;
        }
        const bend = is === "person" ? 0 : 0.22;
        ctx.quadraticCurveTo(ux + (x - ux) * 0.45 - (y - uy) * bend, uy + (y - uy) * 0.45 + (x - ux) * bend, ux, uy);
      }
      if (!any) continue;
      ctx.strokeStyle = colours[colour]!;
      ctx.stroke();
    }
  }
  ctx.globalAlpha = 1;

  // Glows, one stamp each.
  for (let k = 0; k < nodes.length && !picture.hasty; k++) {
    const bright = glow[k]!;
    if (bright < 0.03) continue;
    const [x, y] = [x_of(k), y_of(k)];
    const reach = (size[k]! * 1.9 + 3 + 4 * bright) * ratio;
    if (!inside(x, y, reach)) continue;
    ctx.globalAlpha = bright;
    ctx.drawImage(stamp(colours[hue[k]!]!), x - reach, y - reach, 2 * reach, 2 * reach);
  }
  ctx.globalAlpha = 1;

  if (drops !== null) {
    for (let colour = 0; colour < colours.length; colour++) {
      ctx.fillStyle = colours[colour]!;
      ctx.beginPath();
      for (let k = 0; k < nodes.length; k++) {
        const along = drops[k]!;
        const { parent } = nodes[k]!;
        if (!(along >= 0) || parent < 0 || hue[k] !== colour) continue;
        const top = nodes[parent]!.parent;
        const [from, to, part] = along < 0.5 || top < 0 ? [k, parent, Math.min(1, along * 2)] : [parent, top, along * 2 - 1];
        const x = x_of(from) + (x_of(to) - x_of(from)) * part;
        const y = y_of(from) + (y_of(to) - y_of(from)) * part;
        if (!inside(x, y, 4)) continue;
        ctx.moveTo(x + 1.8 * ratio, y);
        ctx.arc(x, y, 1.8 * ratio, 0, 2 * Math.PI);
      }
      ctx.globalAlpha = 0.9;
      ctx.fill();
    }
    ctx.globalAlpha = 1;
  }

  // Nodes: filled ones, then rings.
  for (let colour = 0; colour < colours.length; colour++) {
    for (const open of [0, 1]) {
      let any = false;
      ctx.beginPath();
      for (let k = 0; k < nodes.length; k++) {
        if (hue[k] !== colour || hollow[k] !== open || nodes[k]!.kind === "room") continue;
        const x = px[k]!, y = py[k]!;
        const r = size[k]! * ratio;
        if (!inside(x, y, r)) continue;
        any = true;
        ctx.moveTo(x + r, y);
        ctx.arc(x, y, r, 0, 2 * Math.PI);
      }
      if (!any) continue;
      if (open === 0) {
        ctx.fillStyle = colours[colour]!;
        ctx.fill();
      } else {
        ctx.fillStyle = look.surface;
        ctx.fill();
        ctx.strokeStyle = colours[colour]!;
        ctx.lineWidth = 1.6 * ratio;
        ctx.stroke();
      }
    }
  }
  ctx.fillStyle = look.text;
  ctx.beginPath();
  ctx.arc(x_of(0), y_of(0), 5 * ratio, 0, 2 * Math.PI);
  ctx.fill();

  if (picture.rim !== null) names_at_rim(ctx, picture, picture.rim);
  names(ctx, picture, x_of, y_of);

  if (chosen >= 0 && chosen < nodes.length) {
    ctx.strokeStyle = look.text;
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.arc(x_of(chosen), y_of(chosen), (size[chosen]! + 5) * ratio, 0, 2 * Math.PI);
    ctx.stroke();
  }
}

/** As many names as have room: people first, then sensors and signals where one has come near enough. */
function names(ctx: CanvasRenderingContext2D, { nodes, camera, width, height, ratio, look, size, rim }: Picture, x_of: (k: number) => number, y_of: (k: number) => number): void {
  const taken: { x: number; y: number; w: number; h: number }[] = [];
  const near = camera.scale / ratio;
  const people = nodes.reduce((sum, { kind }) => sum + (kind === "person" ? 1 : 0), 0);
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  for (const [kind, font, least] of [["person", `600 ${NAME_PX * ratio}px system-ui, sans-serif`, people * 6], ["sensor", `${12 * ratio}px system-ui, sans-serif`, 640], ["signal", `${12 * ratio}px system-ui, sans-serif`, 1_000]] as const) {
    if (near < least) continue;
    ctx.font = font;
    for (let k = 0; k < nodes.length; k++) {
      const { kind: is, name } = nodes[k]!;
      if (is !== kind || (kind === "person" && rim !== null)) continue;
      const [x, y] = [x_of(k), y_of(k)];
      if (x < -80 || y < -20 || x > width + 80 || y > height + 20) continue;
      const w = ctx.measureText(name).width;
      const gap = (size[k]! + 5) * ratio;
      const box = { x: x + gap, y: y - 9 * ratio, w, h: 18 * ratio };
      if (taken.some((other) => box.x < other.x + other.w && other.x < box.x + box.w && box.y < other.y + other.h && other.y < box.y + box.h)) continue;
      taken.push(box);
      ctx.textAlign = "left";
      ctx.strokeStyle = look.surface;
      ctx.lineWidth = 3.5 * ratio;
      ctx.strokeText(name, box.x, y);
      ctx.fillStyle = kind === "person" ? look.text : look.quiet;
      ctx.fillText(name, box.x, y);
    }
  }
}
