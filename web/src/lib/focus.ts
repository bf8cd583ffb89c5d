/** What held the keyboard's focus may go away by being used; then the focus goes to what it stood in. */

/**
 * For an element whose parts come and go. Of the ancestors that are marked `data-focus-home`, the nearest
 * still there takes the focus, on its first heading or button.
 */
export function keep_focus(root: HTMLElement): () => void {
  let last: Element | null = null;
  let homes: HTMLElement[] = [];
  const seen = (event: FocusEvent): void => {
    last = event.target instanceof Element ? event.target : null;
    homes = [];
    for (let at = last?.closest<HTMLElement>("[data-focus-home]"); at; at = at.parentElement?.closest<HTMLElement>("[data-focus-home]")) homes.push(at);
  };
  const changed = new MutationObserver(() => {
    if (last === null || last.isConnected || document.activeElement !== document.body) return;
    last = null;
    for (const home of homes) {
      const next = home.isConnected ? home.querySelector<HTMLElement>("h3[tabindex], button") : null;
      if (next !== null) return next.focus();
    }
  });
  root.addEventListener("focusin", seen);
  changed.observe(root, { childList: true, subtree: true });
  return () => {
    root.removeEventListener("focusin", seen);
    changed.disconnect();
  };
}
