/**
 * Colours of traces: Okabe and Ito's, told apart by colour-blind eyes, moved in lightness until each
 * stands at 3:1 or more on its background (a test holds them to it).
 */

export type Theme = "dark" | "light" | "contrast";

export const BACKGROUND: Record<Theme, string> = { dark: "#161d23", light: "#ffffff", contrast: "#000000" };

export const SERIES: Record<Theme, readonly string[]> = {
  //      sky        orange     green      purple     yellow     vermilion  blue
  dark: ["#56b4e9", "#e69f00", "#1fb98c", "#d58fb6", "#f0e442", "#f0803c", "#6a9fe0"],
  light: ["#1b7fb8", "#a86f00", "#00805c", "#a8518a", "#857800", "#c05000", "#0072b2"],
  contrast: ["#6ec8ff", "#ffb52e", "#3fe0b0", "#f0aed2", "#f7ee6a", "#ff9a5c", "#8fbcff"],
};

export function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const part = (at: number): number => {
      const c = parseInt(hex.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
  };
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** The lanes of one strip: the series' own colour first, then every second one, so that no two blues meet. */
export function lane_colours(theme: Theme, index: number): string[] {
  const series = SERIES[theme];
  return series.map((_, lane) => series[(index + 2 * lane) % series.length]!);
}

/** What is not drawn on a canvas has these colours, too. */
export function paint_series(root: HTMLElement, theme: Theme): void {
  SERIES[theme].forEach((colour, k) => root.style.setProperty(`--series-${k}`, colour));
}
