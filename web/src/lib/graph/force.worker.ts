/** Lets a graph settle by forces, away from the page; says where everything is a few times on the way. */

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type SimulationNodeDatum } from "d3-force";

export interface ToForce {
  /** Which graph it is; an answer to an older one comes too late. */
  run: number;
  /** x and y of each, to begin with; and each one's parent, or -1. */
  at: Float32Array<ArrayBuffer>;
  parents: Int32Array<ArrayBuffer>;
}
export interface FromForce {
  run: number;
  at: Float32Array<ArrayBuffer>;
  settled: boolean;
}

const STEPS = 300;
const STEPS_SAID = 6;
const SCALE = 1_000;

const scope = self as unknown as { postMessage(message: FromForce, transfer: Transferable[]): void; onmessage: ((event: MessageEvent<ToForce>) => void) | null };
let newest = 0;

scope.onmessage = ({ data: { run, at, parents } }) => {
  newest = run;
  const nodes: SimulationNodeDatum[] = Array.from(parents, (_, k) => ({ x: at[2 * k]! * SCALE, y: at[2 * k + 1]! * SCALE }));
  const links = Array.from(parents, (parent, k) => ({ source: k, target: parent })).filter(({ target }) => target >= 0);
  const simulation = forceSimulation(nodes)
    .force("link", forceLink(links).distance(26).strength(0.9))
    .force("charge", forceManyBody().strength(-46).distanceMax(420).theta(1.1))
    .force("collide", forceCollide(7))
    .force("x", forceX(0).strength(0.035))
    .force("y", forceY(0).strength(0.035))
    .stop();
  let step = 0;
  const go = (): void => {
    if (run !== newest) return;
    for (let k = 0; k < STEPS_SAID; k++, step++) simulation.tick();
    const now = new Float32Array(nodes.length * 2);
    let far = 1e-6;
    for (const { x = 0, y = 0 } of nodes) far = Math.max(far, Math.hypot(x, y));
    nodes.forEach(({ x = 0, y = 0 }, k) => {
      now[2 * k] = (0.95 * x) / far;
      now[2 * k + 1] = (0.95 * y) / far;
    });
    const settled = step >= STEPS;
    scope.postMessage({ run, at: now, settled }, [now.buffer]);
    // Between two rounds a newer graph is heard of.
    if (!settled) setTimeout(go, 0);
  };
  go();
};
