/** What the cells of a payload are called, and the payload's JSON again from its cells. */

const CELL = "\u0001";

/** `{"x":\u0001,"y":\u0001}` -> `["x", "y"]`; a bare number -> `[""]`. */
export function cell_names(shape: string, width: number): string[] {
  let k = 0;
  const names: string[] = new Array<string>(width).fill("");
  let tree: unknown;
  try {
    tree = JSON.parse(shape.replaceAll(CELL, () => `{"\\u0001":${k++}}`));
  } catch {
    return names;
  }
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    const cell = (node as Record<string, unknown>)[CELL];
    if (typeof cell === "number") {
      if (cell < width) names[cell] = path;
      return;
    }
    for (const [key, child] of Object.entries(node)) walk(child, path === "" ? key : `${path}.${key}`);
  };
  walk(tree, "");
  return names;
}

/** Floating-point cells print as the shortest number that is the same f64; a missing one is null. */
export function payload_text(shape: string, cells: ArrayLike<number>, at: number): string {
  let k = at;
  return shape.replaceAll(CELL, () => {
    const cell = cells[k++];
    return cell === undefined || Number.isNaN(cell) ? "null" : String(cell);
  });
}
