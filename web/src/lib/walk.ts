/** Where an arrow key goes in a grid of `count` cells, `columns` wide; null when it is no such key. */
export function walk(key: string, at: number, count: number, columns: number): number | null {
  const last = count - 1;
  switch (key) {
    case "ArrowRight": return Math.min(last, at + 1);
    case "ArrowLeft": return Math.max(0, at - 1);
    case "ArrowDown": return at + columns <= last ? at + columns : at;
    case "ArrowUp": return at - columns >= 0 ? at - columns : at;
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}

/** Where rows run from right to left, the left arrow leads on. */
export function towards(key: string): string {
  if (document.documentElement.dir !== "rtl") return key;
  return key === "ArrowLeft" ? "ArrowRight" : key === "ArrowRight" ? "ArrowLeft" : key;
}
