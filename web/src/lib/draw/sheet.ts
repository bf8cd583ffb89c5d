/**
 * A graph that is only moved is not drawn again: what was drawn, with some room around it, is put where it belongs by
 * now. It is drawn anew where that room ends, and now and then, for what has become of it meanwhile.
 */

import { draw_graph, type Camera, type Look, type Picture } from "./graph";

/** Room at each side, in parts of the picture. */
const MARGIN = 0.15;
/** What is put is no older than this. */
const STALE_MS = 500;

/** Where a sheet that was drawn with one camera lies under another, in pixels; null: it does not cover the picture. */
export function offset_of(drawn: Camera, camera: Camera, width: number, height: number): { x: number; y: number } | null {
  if (drawn.scale !== camera.scale) return null;
  const [x, y] = [(drawn.x - camera.x) * camera.scale, (drawn.y - camera.y) * camera.scale];
  return Math.abs(x) <= margin_of(width) && Math.abs(y) <= margin_of(height) ? { x, y } : null;
}
const margin_of = (side: number): number => Math.floor(side * MARGIN);

function canvas_of(width: number, height: number): CanvasRenderingContext2D {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d")!;
}

export class Sheet {
  private readonly ctx: CanvasRenderingContext2D;
  private readonly width: number;
  private readonly height: number;
  private readonly ground: HTMLCanvasElement;
  private sheet: CanvasRenderingContext2D | null = null;
  private drawn: Camera | null = null;
  private drawn_ms = -Infinity;

  constructor(ctx: CanvasRenderingContext2D, look: Look) {
    this.ctx = ctx;
    this.width = ctx.canvas.width;
    this.height = ctx.canvas.height;
    const ground = canvas_of(this.width, this.height);
    const light = ground.createRadialGradient(this.width / 2, this.height / 2, 0, this.width / 2, this.height / 2, Math.max(this.width, this.height) * 0.62);
    light.addColorStop(0, look.halo);
    light.addColorStop(1, look.surface);
    ground.fillStyle = light;
    ground.fillRect(0, 0, this.width, this.height);
    this.ground = ground.canvas;
  }

  /** As it is. */
  draw(picture: Picture): void {
    this.drawn = null;
    this.ctx.drawImage(this.ground, 0, 0);
    draw_graph(this.ctx, picture);
  }

  /** Nothing has changed but what it is looked at from. */
  move(picture: Picture, now_ms: number): void {
    const { width, height, camera } = picture;
    let offset = this.drawn === null || now_ms - this.drawn_ms > STALE_MS ? null : offset_of(this.drawn, camera, width, height);
    const [left, top] = [margin_of(width), margin_of(height)];
    this.sheet ??= canvas_of(width + 2 * left, height + 2 * top);
    if (offset === null) {
      const { canvas } = this.sheet;
      this.sheet.clearRect(0, 0, canvas.width, canvas.height);
      draw_graph(this.sheet, { ...picture, width: canvas.width, height: canvas.height });
      this.drawn = { ...camera };
      this.drawn_ms = now_ms;
      offset = { x: 0, y: 0 };
    }
    this.ctx.drawImage(this.ground, 0, 0);
    this.ctx.drawImage(this.sheet.canvas, Math.round(offset.x) - left, Math.round(offset.y) - top);
  }
}
