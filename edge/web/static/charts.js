// Charts in SVG, drawn for the width that there is. The numbers are also in a table beside each.
import { drawing, element } from "./dom.js";

export const HEIGHT = 180;
const LEFT = 36;
const BOTTOM = 38;
const TOP = 8;

// A round number above the largest value, and its steps: about one for 50 pixels.
function scale(most, height) {
  const rough = Math.max(1, most / Math.max(4, Math.round(height / 50)));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const top = Math.ceil(Math.max(most, 4) / step) * step;
  return { top, steps: Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step) };
}

// Bars by hour. series: [{name, style, values}] beside each other, marks: lines across (the days to compare),
// hours: [{label, open, watched}] with shares 0..1.
export function hourly({ title, hours, series, marks = [] }, width, height = HEIGHT) {
  const all = [...series, ...marks].flatMap((one) => one.values).filter((n) => n !== null);
  const { top, steps } = scale(Math.max(0, ...all), height);
  const step = (width - LEFT) / Math.max(1, hours.length);
  const y = (n) => TOP + (height - TOP - BOTTOM) * (1 - Math.max(0, n) / top);
  const ground = y(0);
  const every = Math.max(1, Math.ceil(36 / step));
  const parts = steps.map((n) => [
    drawing("line", { class: "grid", x1: LEFT, x2: width, y1: y(n), y2: y(n) }),
    drawing("text", { class: "axis", x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, String(n)),
  ]);
  hours.forEach((hour, place) => {
    const x = LEFT + place * step;
    if (hour.open < 1) {
      parts.push(drawing("rect", { class: "shut", x, y: TOP, width: step, height: (ground - TOP) * (1 - hour.open) }));
    }
    series.forEach((one, n) => {
      const value = one.values[place];
      if (value === null) return;
      const wide = (step * 0.76) / series.length;
      const left = x + step * 0.12 + n * wide;
      parts.push(drawing("rect", { class: `bar ${one.style}`, x: left, y: y(value), width: wide, height: ground - y(value) }));
    });
    marks.forEach((mark) => {
      const value = mark.values[place];
      if (value !== null) {
        parts.push(drawing("line", { class: `mark ${mark.style}`, x1: x + step * 0.06, x2: x + step * 0.94, y1: y(value), y2: y(value) }));
      }
    });
    if (hour.watched !== null) {
      parts.push(
        drawing("rect", { class: "unwatched", x: x + 1, y: ground + 5, width: Math.max(1, step - 2), height: 5 }),
        drawing("rect", { class: "watched", x: x + 1, y: ground + 5, width: Math.max(0, (step - 2) * hour.watched), height: 5 }),
      );
    }
    if (place % every === 0) {
      parts.push(drawing("text", { class: "axis", x: x + step / 2, y: height - 8, "text-anchor": "middle" }, hour.label.slice(0, 2)));
    }
  });
  return drawing("svg", { class: "chart", role: "img", viewBox: `0 0 ${width} ${height}`, "aria-label": title }, parts);
}

const thickness = (rows) => (rows > 12 ? 14 : 18); // of a bar; many brackets stand closer
const GAP = 8;

// Of a chart of so many names.
export const heightOf = (rows) => rows * (thickness(rows) + GAP) + 6;

// Bars for names, one below the other. rows: [{name, value}], with marks: [{style, value}],
// whisker: [low, high] and shown, the text in place of the value, where there are any.
export function ranked({ title, rows }, width) {
  const thick = thickness(rows.length);
  const line = thick + GAP;
  const left = Math.min(150, width * 0.36);
  const most = Math.max(1, ...rows.flatMap(
    (row) => [row.value ?? 0, ...(row.whisker ?? []), ...(row.marks ?? []).map((mark) => mark.value ?? 0)]));
  const x = (n) => left + (width - left - 50) * (Math.max(0, n) / most);
  const parts = rows.flatMap((row, place) => {
    const y = place * line + 4;
    const shown = row.shown ?? (row.value === null ? "–" : String(Math.max(0, row.value)));
    return [
      drawing("text", { class: "axis", x: left - 8, y: y + thick / 2 + 4, "text-anchor": "end" }, row.name),
      row.value === null ? null
        : drawing("rect", { class: "bar main", x: left, y, width: Math.max(0, x(row.value) - left), height: thick }),
      row.whisker ? whisker(...row.whisker.map(x), y + thick / 2) : null,
      ...(row.marks ?? []).filter((mark) => mark.value !== null)
        .map((mark) => drawing("line", { class: `mark ${mark.style}`, x1: x(mark.value), x2: x(mark.value), y1: y - 2, y2: y + thick + 2 })),
      drawing("text", { class: "value", x: width - 40, y: y + thick / 2 + 4 }, shown),
    ].flat();
  }).filter(Boolean);
  return drawing("svg", { class: "chart", role: "img", viewBox: `0 0 ${width} ${heightOf(rows.length)}`, "aria-label": title }, parts);
}

// With an edge in the colour of the paper: its own is not seen well on the bar.
function whisker(low, high, y) {
  const d = `M${low} ${y}H${high}M${low} ${y - 4}v8M${high} ${y - 4}v8`;
  return ["edge", "whisker"].map((name) => drawing("path", { class: name, d }));
}

// A line through points [share of the day 0..1, number], with a band of the error around it.
export function course({ title, points, labels }, width) {
  const { top, steps } = scale(Math.max(0, ...points.map((point) => point.value + point.error)), HEIGHT);
  const x = (share) => LEFT + (width - LEFT) * share;
  const y = (n) => TOP + (HEIGHT - TOP - 24) * (1 - Math.max(0, n) / top);
  const path = (value) => points.map((point) => `${x(point.share)} ${y(value(point))}`).join("L");
  const back = points.toReversed().map((point) => `${x(point.share)} ${y(point.value - point.error)}`).join("L");
  const every = Math.max(1, Math.ceil(36 / ((width - LEFT) / labels.length)));
  return drawing("svg", { class: "chart", role: "img", viewBox: `0 0 ${width} ${HEIGHT}`, "aria-label": title },
    steps.map((n) => [
      drawing("line", { class: "grid", x1: LEFT, x2: width, y1: y(n), y2: y(n) }),
      drawing("text", { class: "axis", x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, String(n)),
    ]),
    drawing("path", { class: "band", d: `M${path((point) => point.value + point.error)}L${back}Z` }),
    drawing("path", { class: "course", d: `M${path((point) => point.value)}` }),
    labels.map((label, place) => place % every === 0
      ? drawing("text", { class: "axis", x: x((place + 0.5) / labels.length), y: HEIGHT - 4, "text-anchor": "middle" }, label.slice(0, 2))
      : null).filter(Boolean));
}

// How much of each window of the day was watched. parts: [{from, to, share}] as shares of the day.
export function strip({ title, parts }, width) {
  return drawing("svg", { class: "strip", role: "img", viewBox: `0 0 ${width} 14`, preserveAspectRatio: "none", "aria-label": title },
    drawing("rect", { class: "later", x: 0, y: 0, width, height: 14 }),
    parts.map(({ from, to, share }) => {
      const kind = share > 0.95 ? "watched" : share > 0.05 ? "partly" : "unwatched";
      return drawing("rect", { class: kind, x: from * width, y: 0, width: Math.max(0.5, (to - from) * width), height: 14 });
    }));
}

// What the marks and bars mean.
export function legend(entries) {
  return element("ul", { class: "legend" }, entries.map(({ name, style }) =>
    element("li", {}, element("span", { class: `key ${style}`, "aria-hidden": "true" }), name)));
}
