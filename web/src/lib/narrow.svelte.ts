/** How much room the window has, where a style sheet cannot tell what to leave out. */

const LITTLE = matchMedia("(max-width: 640px)");

class RoomFor {
  /** A phone: one panel, and the shortest list of views. */
  little = $state(LITTLE.matches);

  constructor() {
    LITTLE.addEventListener("change", () => (this.little = LITTLE.matches));
  }
}

export const room_for = new RoomFor();
