// Set up: lines and zones drawn on a still, and the configuration that they give.
import { ask, pause } from "./api.js";
import { Canvas } from "./canvas.js";
import { element } from "./dom.js";
import { header } from "./frame.js";
import { drawingOf, freeName, shapesOf, withCorner } from "./shapes.js";
import { TEXTS, text } from "./texts.js";

const ROLES = ["area", "queue", "staff", "ignore"];
const LONG_SIDE = 480;
const model = { size: [LONG_SIDE, 270], roi: [0, 0, 1, 1], still: null, shapes: [], chosen: -1, begun: null, cursor: null };
const found = { cameras: [], camera: null, file: null, still: { state: "none" }, draft: null, asked: 0 };
const main = element("main", { id: "figures" });
const says = element("p", { role: "status", class: "note", id: "says" });
const problem = element("div", { role: "alert", class: "problem", id: "faults" });
const list = element("div", { id: "shapes" });
const config = element("textarea", { id: "text", readonly: true, rows: "12", spellcheck: "false", "aria-label": TEXTS.configuration });
const words = element("ul", { class: "note", id: "words" });
const write = element("button", { type: "button", class: "primary", id: "write", onclick: () => writeFile() }, TEXTS.write);
const preview = element("span", { id: "preview" });
const canvas = new Canvas(model, () => changed(), () => redraw());

function say(message) {
  says.textContent = message;
}

// Everything that is drawn anew where a shape comes, goes or is chosen.
function redraw() {
  const focused = document.activeElement?.id;
  canvas.draw();
  list.replaceChildren(...model.shapes.map(entry), help());
  const again = focused && document.getElementById(focused);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
}

function help() {
  const hint = model.begun ? text("drawHelp", { name: model.begun.more.name }) : TEXTS.moveHelp;
  return element("p", { class: "note", id: "picture-help" }, hint);
}

function field(label, input) {
  return element("label", {}, label, input);
}

function entry(shape, number) {
  const id = `shape-${number}`;
  const set = (key, value) => {
    shape.more[key] = value;
    canvas.draw();
    changed();
  };
  const parts = shape.kind === "line" ? lineParts(shape, id, set) : zoneParts(shape, id, set);
  return element("fieldset", { class: number === model.chosen ? "chosen" : "", onfocusin: () => mark(number) },
    element("legend", {}, text(`${shape.kind}Number`, { number: number + 1 })),
    field(TEXTS.name, element("input", { id: `${id}-name`, value: shape.more.name, maxlength: "64", autocomplete: "off",
      oninput: (event) => set("name", event.target.value) })),
    ...parts,
    element("button", { type: "button", id: `${id}-remove`, onclick: () => remove(number) }, text("remove", { name: shape.more.name })));
}

function mark(number) {
  if (model.begun || model.chosen === number) return;
  model.chosen = number;
  [...list.querySelectorAll("fieldset")].forEach((one, place) => one.classList.toggle("chosen", place === number));
  canvas.draw();
}

function lineParts(shape, id, set) {
  const turn = () => {
    shape.points.reverse();
    canvas.draw();
    changed();
  };
  return [
    element("label", { class: "check" }, element("input", { type: "checkbox", id: `${id}-entrance`, checked: shape.more.entrance === true,
      onchange: (event) => set("entrance", event.target.checked) }), TEXTS.entrance),
    element("button", { type: "button", id: `${id}-turn`, onclick: turn }, TEXTS.turn),
  ];
}

function zoneParts(shape, id, set) {
  const select = element("select", { id: `${id}-role`, onchange: (event) => set("role", event.target.value) },
    ROLES.map((role) => element("option", { value: role, selected: role === shape.more.role }, TEXTS.roles[role])));
  const add = () => {
    shape.points = withCorner(shape.points);
    redraw();
    changed();
  };
  return [field(TEXTS.role, select), element("button", { type: "button", id: `${id}-add`, onclick: add }, TEXTS.addCorner)];
}

function remove(number) {
  if (model.begun) canvas.cancel();
  else model.shapes.splice(number, 1);
  model.chosen = -1;
  redraw();
  changed();
  document.getElementById("new-zone").focus();
}

function begin(kind) {
  if (model.begun) canvas.cancel();
  const more = { name: freeName(kind, model.shapes), ...(kind === "zone" ? { role: "area" } : {}) };
  const shape = { kind, points: [], more };
  model.shapes.push(shape);
  Object.assign(model, { begun: shape, cursor: [0.5, 0.5], chosen: model.shapes.length - 1 });
  redraw();
  canvas.root.focus();
}

// Asks for the configuration of what is drawn; an answer that comes late is left out.
async function changed() {
  const number = (found.asked += 1);
  write.disabled = true;
  await pause(0.2);
  if (number !== found.asked) return;
  const draft = await ask("/api/setup/draft", drawingOf(found.camera, model.shapes));
  if (number !== found.asked) return;
  found.draft = draft;
  config.value = draft.text;
  problem.replaceChildren(...draft.faults.map((fault) => element("p", {}, fault)));
  words.replaceChildren(...draft.words.map((word) => element("li", {}, word)));
  write.disabled = draft.faults.length > 0 || !found.file;
}

async function writeFile() {
  write.disabled = true;
  const drawn = drawingOf(found.camera, model.shapes);
  try {
    const { path } = await ask("/api/setup/write", { ...drawn, version: found.camera.version });
    say(text("written", { path }));
    say(await taken(drawn) ? text("inForce", { path }) : text("notInForce", { path }));
  } catch (error) {
    problem.replaceChildren(element("p", {}, error.message));
  }
  write.disabled = false;
}

// Whether the daemon has taken over what was written, within half a minute.
async function taken({ camera, lines, zones }) {
  const own = found.cameras.find((one) => one.name === camera);
  const names = (one) => JSON.stringify([one.lines, one.zones].map((list) => list.map((shape) => [shape.name, shape.polygon ?? [shape.from, shape.to]])));
  for (let tries = 0; tries < 60; tries += 1) {
    const view = await ask("/api/setup");
    const now = view.cameras.find((one) => one.name === camera);
    if (now) own.version = now.version;
    if (now && names(now) === names({ lines, zones })) return true;
    if (view.rejected) return false;
    await pause(0.5);
  }
  return false;
}

async function copy() {
  config.select();
  await navigator.clipboard?.writeText(config.value).catch(() => document.execCommand("copy"));
  say(TEXTS.copied);
}

// The still: asked for, waited for, and ended.
async function makeStill() {
  try {
    found.still = await ask("/api/setup/still", { camera: found.camera.name });
  } catch (error) {
    say(error.message);
  }
  showStill();
}

async function endStill() {
  await ask("/api/setup/still/end", {});
  found.still = { state: "none" };
  showStill();
}

function showStill() {
  const { state, camera, number, size } = found.still;
  const mine = camera === found.camera?.name;
  model.still = state === "ready" && mine ? `/api/setup/picture?number=${number}` : null;
  if (model.still) model.size = wholeSize(size, model.roi);
  const running = state === "making" || state === "ready";
  const key = `${state} ${running}`;
  if (preview.dataset.state !== key) {
    preview.dataset.state = key;
    preview.replaceChildren(
      element("button", { type: "button", id: "still", onclick: running ? endStill : makeStill }, running ? TEXTS.endStill : TEXTS.makeStill));
  }
  if (state === "making") say(text("making", found.still));
  else if (state === "ready") say(TEXTS.stillReady);
  else if (state === "failed") say(found.still.reason);
  canvas.draw();
}

// The still shows the camera's region; lines and zones are fractions of the whole picture.
function wholeSize([width, height], [left, top, right, bottom]) {
  const whole = [width / (right - left), height / (bottom - top)];
  const scale = LONG_SIDE / Math.max(...whole);
  return whole.map((n) => Math.round(n * scale));
}

async function watchStill() {
  for (;;) {
    await pause(found.still.state === "making" ? 1 : 5);
    if (found.still.state === "none") continue;
    const before = found.still.state;
    found.still = await ask("/api/setup/still").catch(() => found.still);
    if (before === "ready" && found.still.state === "none") say(TEXTS.stillGone);
    showStill();
  }
}

function choose(name) {
  found.camera = found.cameras.find((camera) => camera.name === name);
  Object.assign(model, { shapes: shapesOf(found.camera), roi: found.camera.roi, chosen: -1, begun: null, cursor: null });
  showStill();
  redraw();
  changed();
}

function page() {
  const cameras = element("select", { id: "camera", onchange: (event) => choose(event.target.value) },
    found.cameras.map((camera) => element("option", { value: camera.name }, camera.name)));
  const button = (id, label, action) => element("button", { type: "button", id, onclick: action }, label);
  return [
    element("section", {},
      element("h2", {}, TEXTS.setupTitle),
      element("p", { class: "note" }, TEXTS.stillNote),
      element("div", { class: "controls" }, field(TEXTS.camera, cameras), preview,
        button("new-zone", TEXTS.newZone, () => begin("zone")), button("new-line", TEXTS.newLine, () => begin("line")),
        button("finish", TEXTS.finish, () => canvas.finish())),
      says,
      element("div", { class: "drawing" }, canvas.root, list)),
    element("section", {},
      element("h2", {}, TEXTS.configuration), problem, words, config,
      element("div", { class: "controls" }, button("copy", TEXTS.copy, copy), write,
        element("a", { href: "/check" }, TEXTS.check)),
      element("p", { class: "note" }, found.file ? text("writeNote", { file: found.file }) : TEXTS.noFile)),
  ];
}

async function start() {
  const about = await ask("/api/page");
  document.documentElement.lang = TEXTS.language;
  document.title = `${TEXTS.setup} · ${about.site}`;
  Object.assign(found, await ask("/api/setup"));
  found.still = await ask("/api/setup/still");
  document.body.append(
    element("a", { class: "skip", href: "#figures" }, TEXTS.skip), header(about, "setup"), main, element("footer"));
  main.append(...page());
  choose(found.cameras[0].name);
  addEventListener("pagehide", () => fetch("/api/setup/still/end", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: "{}", keepalive: true,
  }));
  watchStill();
}

start();
