// The picture with lines and zones, in SVG: points are dragged with mouse or finger, or moved with arrow keys.
import { drawing } from "./dom.js";
import { FEWEST, MOST, arrowOf, rounded } from "./shapes.js";
import { TEXTS, text } from "./texts.js";

const STEP = 0.01;
const FINE = 0.001;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// model: {size, roi, still, shapes, chosen, begun, cursor}; changed(): after each change of a shape.
export class Canvas {
  constructor(model, changed, redraw) {
    Object.assign(this, { model, changed, redraw });
    this.root = drawing("svg", {
      class: "picture", tabindex: "0", role: "application", id: "picture", "aria-label": TEXTS.picture,
      "aria-describedby": "picture-help",
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.drag(event),
      onpointerup: () => this.drop(), onpointercancel: () => this.drop(), onkeydown: (event) => this.key(event),
    });
    this.held = null;
  }

  get scale() {
    return this.model.size;
  }

  pixels([x, y]) {
    return [x * this.scale[0], y * this.scale[1]];
  }

  pointAt(event) {
    const box = this.root.getBoundingClientRect();
    return rounded([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  }

  draw() {
    const { size, roi, still, shapes, begun, cursor } = this.model;
    const focused = this.root.contains(document.activeElement) ? document.activeElement.id : null;
    this.root.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    const [left, top] = this.pixels(roi.slice(0, 2));
    const [right, bottom] = this.pixels(roi.slice(2));
    const place = { x: left, y: top, width: right - left, height: bottom - top };
    this.root.replaceChildren(
      drawing("rect", { class: "ground", width: size[0], height: size[1] }),
      ...(still ? [drawing("image", { href: still, preserveAspectRatio: "none", ...place })] : []),
      ...this.grid(),
      ...shapes.flatMap((shape, number) => this.shape(shape, number)),
      ...(begun && cursor ? [this.cross(cursor)] : []),
    );
    if (focused) (document.getElementById(focused) ?? this.root).focus({ preventScroll: true });
  }

  grid() {
    const [width, height] = this.scale;
    return [0.25, 0.5, 0.75].flatMap((share) => [
      drawing("line", { class: "help", x1: share * width, x2: share * width, y1: 0, y2: height }),
      drawing("line", { class: "help", x1: 0, x2: width, y1: share * height, y2: share * height }),
    ]);
  }

  cross(cursor) {
    const [x, y] = this.pixels(cursor);
    return drawing("path", { class: "cross", d: `M${x - 12} ${y}h24M${x} ${y - 12}v24` });
  }

  shape(shape, number) {
    const { kind, points, more } = shape;
    const chosen = number === this.model.chosen;
    const places = points.map((point) => this.pixels(point).join(","));
    const closed = kind === "zone" && shape !== this.model.begun;
    const style = `shape ${kind} ${kind === "zone" ? more.role : ""} ${chosen ? "chosen" : ""}`;
    const outline = drawing(closed ? "polygon" : "polyline", { class: style, points: places.join(" ") });
    const border = drawing(closed ? "polygon" : "polyline", { class: `border ${kind}`, points: places.join(" ") });
    const [x, y] = points.length ? this.pixels(points[0]) : [0, 0];
    const label = drawing("text", { class: "name", x: x + 9, y: y - 9 }, more.name);
    const arrow = kind === "line" && points.length === 2 ? [this.arrow(points, style)] : [];
    const corners = points.map((point, corner) => this.corner(shape, number, point, corner));
    return [border, outline, ...arrow, ...(points.length ? [label] : []), ...corners];
  }

  arrow(points, style) {
    const { middle, tip, wings } = arrowOf(points, this.scale, Math.max(...this.scale) / 12);
    const [one, other] = wings;
    return drawing("path", { class: `arrow ${style}`, d: `M${middle}L${tip}M${one}L${tip}L${other}` });
  }

  corner(shape, number, point, corner) {
    const [cx, cy] = this.pixels(point);
    const [x, y] = point.map((n) => Math.round(n * 1000) / 10);
    return drawing("circle", {
      class: "corner", id: `corner-${number}-${corner}`, cx, cy, r: 7, tabindex: "0", role: "button",
      "aria-label": text("corner", { number: corner + 1, name: shape.more.name, x, y }),
      onpointerdown: (event) => this.hold(event, shape, number, corner),
      onfocus: () => this.choose(number),
      onkeydown: (event) => this.move(event, shape, corner),
    });
  }

  choose(number) {
    if (this.model.chosen !== number && !this.model.begun) {
      this.model.chosen = number;
      this.redraw();
    }
  }

  hold(event, shape, number, corner) {
    if (this.model.begun) {
      if (corner === 0 && shape === this.model.begun && shape.points.length >= FEWEST[shape.kind]) {
        event.stopPropagation();
        this.finish();
      }
      return;
    }
    event.stopPropagation();
    event.preventDefault();
    this.held = { shape, corner };
    this.root.setPointerCapture(event.pointerId);
    this.model.chosen = number;
    document.getElementById(`corner-${number}-${corner}`).focus({ preventScroll: true });
  }

  drag(event) {
    if (!this.held) return;
    this.held.shape.points[this.held.corner] = this.pointAt(event);
    this.draw();
  }

  drop() {
    if (!this.held) return;
    this.held = null;
    this.changed();
  }

  move(event, shape, corner) {
    const by = MOVES[event.key];
    if (this.model.begun) return;
    if (by) {
      const step = event.shiftKey ? FINE : STEP;
      shape.points[corner] = rounded(shape.points[corner].map((n, axis) => n + by[axis] * step));
    } else if (event.key === "Delete" && shape.points.length > FEWEST[shape.kind]) {
      shape.points.splice(corner, 1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.draw();
    this.changed();
  }

  // A new shape is begun: presses and the keyboard's cross set its corners.
  press(event) {
    if (!this.model.begun) return;
    event.preventDefault();
    this.root.focus({ preventScroll: true });
    this.add(this.pointAt(event));
  }

  key(event) {
    const { begun, cursor } = this.model;
    if (!begun) return;
    const by = MOVES[event.key];
    if (by) {
      const step = event.shiftKey ? FINE : STEP;
      this.model.cursor = rounded(cursor.map((n, axis) => n + by[axis] * step));
      this.draw();
    } else if (event.key === " ") this.add(this.model.cursor);
    else if (event.key === "Enter") this.finish();
    else if (event.key === "Escape") this.cancel();
    else if (event.key === "Backspace") {
      begun.points.pop();
      this.draw();
    } else return;
    event.preventDefault();
  }

  add(point) {
    const { begun } = this.model;
    if (begun.points.length < MOST[begun.kind]) begun.points.push(point);
    this.model.cursor = point;
    if (begun.points.length === MOST[begun.kind]) this.finish();
    else this.draw();
  }

  finish() {
    const { begun } = this.model;
    if (!begun || begun.points.length < FEWEST[begun.kind]) return;
    Object.assign(this.model, { begun: null, cursor: null });
    this.changed();
    this.redraw();
  }

  cancel() {
    const { begun, shapes } = this.model;
    if (!begun) return;
    shapes.splice(shapes.indexOf(begun), 1);
    Object.assign(this.model, { begun: null, cursor: null, chosen: -1 });
    this.redraw();
  }
}
