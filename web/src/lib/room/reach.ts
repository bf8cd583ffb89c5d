/** How far back the room's axis goes. */

/** 0: as far as the page holds. */
export const REACHES_S = [0, 60, 600, 3_600, 86_400, 604_800] as const;
export type ReachS = (typeof REACHES_S)[number];

/** Those that go further than the page holds. */
export function reaches_beyond(held_s: number): ReachS[] {
  return REACHES_S.filter((reach) => reach === 0 || reach > held_s);
}

/** The least that has what is so long ago, where the page holds so much; the longest there is when none has. */
export function reach_for(behind_s: number, held_s: number): ReachS {
  // What is held ends between two samples.
  if (behind_s <= held_s + 0.5) return 0;
  return REACHES_S.find((reach) => reach !== 0 && reach >= behind_s) ?? 604_800;
}

/** How far an arrow key goes: a tenth of a second, or where more is shown a hundredth of that. */
export function step_ms_for(window_s: number): number {
  return Math.max(100, window_s > 20 ? window_s * 10 : 0);
}

/** Lines of the grid stand so far apart. */
export function grid_s_for(window_s: number): number {
  return window_s <= 20 ? 1 : window_s <= 60 ? 5 : window_s <= 600 ? 60 : 300;
}
