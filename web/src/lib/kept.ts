/** What this browser keeps for the page. A browser that keeps nothing is no fault: the page then begins anew each time. */

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** `null` forgets it. */
export function keep(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Full, or not allowed.
  }
}

/** One of many of a kind, whose names begin alike: beyond `most` of them, the first by name make room. */
export function keep_among(key: string, value: string, prefix: string, most: number): void {
  keep(key, null);
  try {
    const others = Object.keys(localStorage).filter((one) => one.startsWith(prefix));
    for (const one of others.slice(0, Math.max(0, others.length + 1 - most))) localStorage.removeItem(one);
  } catch {
    return;
  }
  keep(key, value);
}
