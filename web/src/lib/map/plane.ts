/**
 * Places on earth on a flat picture: near each other, so a plane that touches the earth in their middle is true to
 * a thousandth within a hundred kilometres. Nobody is asked for tiles.
 */

const EARTH_M = 6_371_008.8;
const RAD = Math.PI / 180;

export interface Plane {
  latitude: number;
  longitude: number;
}
export interface Place {
  latitude: number;
  longitude: number;
}

/** Which lanes of a stream are the latitude and the longitude; null when it has none. */
export function lanes_of(names: readonly string[]): { latitude: number; longitude: number } | null {
  const find = (...wanted: string[]): number => names.findIndex((name) => wanted.includes((name.split(".").at(-1) ?? "").toLowerCase()));
  const latitude = find("latitude", "lat");
  const longitude = find("longitude", "lng", "lon", "long");
  return latitude < 0 || longitude < 0 ? null : { latitude, longitude };
}

export function is_place({ latitude, longitude }: Place): boolean {
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;
}

/** The middle of all that is known; null when nothing is. */
export function plane_of(places: readonly Place[]): Plane | null {
  const known = places.filter(is_place);
  if (known.length === 0) return null;
  const mean = (of: (place: Place) => number): number => known.reduce((sum, place) => sum + of(place), 0) / known.length;
  return { latitude: mean((place) => place.latitude), longitude: mean((place) => place.longitude) };
}

/** Metres east and south of the plane's middle: as a picture has them. */
export function metres(plane: Plane, latitude: number, longitude: number): [x: number, y: number] {
  let east = longitude - plane.longitude;
  if (east > 180) east -= 360;
  else if (east < -180) east += 360;
  return [EARTH_M * RAD * east * Math.cos(RAD * plane.latitude), -EARTH_M * RAD * (latitude - plane.latitude)];
}

/** The round length whose bar is at most `most` long: 1, 2 or 5 times a power of ten. */
export function bar_of(metres_per_px: number, most_px: number): { metres: number; px: number } {
  const most = metres_per_px * most_px;
  const power = 10 ** Math.floor(Math.log10(Math.max(1e-6, most)));
  const round = power * [5, 2, 1].find((one) => one * power <= most * 1.000_001)!;
  return { metres: round, px: round / metres_per_px };
}

/** A view that holds all of them with a margin, and never closer than a hundred metres. */
export function fit_of(points: readonly (readonly [number, number])[], width: number, height: number): { x: number; y: number; metres_per_px: number } {
  if (points.length === 0) return { x: 0, y: 0, metres_per_px: 1 };
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const metres_per_px = Math.max((right - left) / Math.max(1, width * 0.72), (bottom - top) / Math.max(1, height * 0.66), 100 / Math.max(1, width));
  return { x: (left + right) / 2, y: (top + bottom) / 2, metres_per_px };
}
