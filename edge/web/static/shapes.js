// Lines and zones as data: points are [x, y] as fractions of the whole picture, as in the configuration.
export const FEWEST = { line: 2, zone: 3 };
export const MOST = { line: 2, zone: 32 };

const within = (n) => Math.min(1, Math.max(0, n));
export const rounded = ([x, y]) => [within(x), within(y)].map((n) => Math.round(n * 1000) / 1000);

export function shapesOf(camera) {
  const lines = camera.lines.map(({ from, to, ...more }) => ({ kind: "line", points: [from, to], more }));
  const zones = camera.zones.map(({ polygon, ...more }) => ({ kind: "zone", points: polygon, more }));
  return [...lines, ...zones].map((shape) => ({ ...shape, points: shape.points.map((point) => [...point]) }));
}

export function drawingOf(camera, shapes) {
  const of = (kind) => shapes.filter((shape) => shape.kind === kind && shape.points.length >= FEWEST[kind]);
  return {
    camera: camera.name,
    lines: of("line").map(({ points: [from, to], more }) => ({ ...more, from, to })),
    zones: of("zone").map(({ points, more }) => ({ ...more, polygon: points })),
  };
}

export function freeName(stem, shapes) {
  const taken = new Set(shapes.map((shape) => shape.more.name));
  for (let number = 1; ; number += 1) {
    if (!taken.has(`${stem}-${number}`)) return `${stem}-${number}`;
  }
}

// A point in the middle of the longest side.
export function withCorner(points) {
  const sides = points.map((point, place) => [point, points[(place + 1) % points.length]]);
  const lengths = sides.map(([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]));
  const place = lengths.indexOf(Math.max(...lengths));
  const [a, b] = sides[place];
  return [...points.slice(0, place + 1), rounded([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]), ...points.slice(place + 1)];
}

// The arrow to the side that is "in": to the right of from -> to, in the picture's own proportions.
export function arrowOf([from, to], [width, height], length) {
  const [a, b] = [from, to].map(([x, y]) => [x * width, y * height]);
  const side = [a[1] - b[1], b[0] - a[0]];
  const size = Math.hypot(...side) || 1;
  const [x, y] = side.map((n) => (n / size) * length);
  const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const tip = [middle[0] + x, middle[1] + y];
  const wing = (turn) => [tip[0] - (x - turn * y) * 0.3, tip[1] - (y + turn * x) * 0.3];
  return { middle, tip, wings: [wing(1), wing(-1)] };
}
