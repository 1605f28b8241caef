// Audit: a person counts visitors on a masked live picture; then the box shows its own number.
import { ask, pause } from "./api.js";
import { element, table } from "./dom.js";
import { header } from "./frame.js";
import { TEXTS, text } from "./texts.js";

const EVERY = 0.5;
const MOST = 999;
const found = { cameras: [], round: { state: "none" }, mine: 0, shown: -1, drawn: null };
const main = element("main", { id: "figures" });
const says = element("p", { role: "status", class: "note", id: "says" });
const problem = element("p", { role: "alert", class: "problem", id: "fault" });
const live = element("img", { id: "live", class: "live", alt: TEXTS.livePicture, hidden: true });
const timer = element("p", { class: "note", id: "timer" });
const steps = element("div", { id: "steps" });
const results = element("div", { id: "results" });
const number = element("output", { id: "number", class: "big" });

const button = (id, label, action, more = {}) => element("button", { type: "button", id, onclick: action, ...more }, label);

function count(by) {
  found.mine = Math.min(Math.max(found.mine + by, 0), MOST);
  number.textContent = String(found.mine);
}

// What the person can do now.
function stepsOf({ state }) {
  if (state === "counting") {
    return [
      element("div", { class: "controls" }, number,
        button("one", TEXTS.oneVisitor, () => count(1), { class: "primary large" }), button("less", TEXTS.oneLess, () => count(-1))),
      element("div", { class: "controls" }, button("end", TEXTS.endRound, () => act("end")), button("drop", TEXTS.dropRound, () => act("drop"))),
    ];
  }
  if (state === "asked") {
    const mine = element("input", { id: "mine", type: "number", min: "0", max: String(MOST), value: String(found.mine), inputmode: "numeric" });
    return [
      element("form", { class: "controls", onsubmit: (event) => { event.preventDefault(); act("count", { seen: mine.valueAsNumber }); } },
        element("label", {}, TEXTS.yourCount, mine), element("button", { id: "compare", class: "primary" }, TEXTS.compare),
        button("drop", TEXTS.dropRound, () => act("drop"))),
    ];
  }
  const cameras = element("select", { id: "camera" },
    found.cameras.map(({ camera }) => element("option", { value: camera, selected: camera === found.round.camera }, camera)));
  const begin = () => {
    count(-found.mine);
    return act("begin", { camera: cameras.value });
  };
  return [element("div", { class: "controls" }, element("label", {}, TEXTS.camera, cameras), button("begin", TEXTS.beginRound, begin, { class: "primary" }))];
}

function wordsOf({ state, seen, counted, reason }) {
  if (state === "counting") return TEXTS.roundRuns;
  if (state === "asked") return seen === null ? TEXTS.askedRound : TEXTS.comparingRound;
  if (state === "done") return text("comparedRound", { seen, counted });
  return state === "failed" ? reason : "";
}

const FIRST = { counting: "one", asked: "mine", done: "begin" };

function draw() {
  const { state, seen, pictures } = found.round;
  const drawn = `${state} ${seen}`;
  if (drawn !== found.drawn) {
    const moves = found.drawn !== null;
    found.drawn = drawn;
    steps.replaceChildren(...(state === "asked" && seen !== null ? [] : stepsOf(found.round)));
    says.textContent = wordsOf(found.round);
    if (moves) document.getElementById(FIRST[state])?.focus();
  }
  timer.textContent = state === "counting" ? text("roundTime", found.round) : "";
  live.hidden = state !== "counting" || !pictures;
  if (!live.hidden && pictures !== found.shown) {
    found.shown = pictures;
    live.src = `/api/audit/picture?number=${pictures}`;
  }
}

async function act(what, body = {}) {
  problem.textContent = "";
  try {
    found.round = await ask(`/api/audit/${what}`, body);
  } catch (error) {
    problem.textContent = error.message;
  }
  draw();
}

async function publish(camera) {
  try {
    showResults(await ask("/api/audit/publish", { camera }));
    says.textContent = text("publishedAudit", { camera });
  } catch (error) {
    problem.textContent = error.message;
  }
}

const perCent = (share) => `${share > 0 ? "+" : ""}${share} %`;

function errorOf({ error, level, reason, rounds }) {
  if (!error) return rounds ? reason : TEXTS.none;
  const ends = { low: perCent(error.low), high: perCent(error.high), level: Math.round(100 * level) };
  return `${perCent(error.share)} (${text("errorInterval", ends)})`;
}

function showResults({ cameras }) {
  found.cameras = cameras;
  const rows = cameras.map(({ camera, sums, since, last }) => [
    camera, String(sums.rounds), errorOf(sums), String(since.rounds),
    last ? text("lastAudit", last) : TEXTS.none,
    since.is_enough ? button(`publish-${camera}`, TEXTS.publishAudit, () => publish(camera)) : "",
  ]);
  const heads = [TEXTS.camera, TEXTS.rounds, TEXTS.boxError, TEXTS.newRounds, TEXTS.inStatus, TEXTS.result];
  const made = table(TEXTS.auditTable, heads, rows);
  made.classList.add("cameras", "audits");
  results.replaceChildren(made);
}

async function watch() {
  for (;;) {
    await pause(found.round.state === "counting" ? EVERY : 1);
    if (["none", "done", "failed"].includes(found.round.state)) continue;
    found.round = await ask("/api/audit/round").catch(() => found.round);
    draw();
    if (found.round.state === "done") showResults(await ask("/api/audit"));
    if (found.round.state === "none") says.textContent = TEXTS.droppedRound;
  }
}

async function start() {
  const about = await ask("/api/page");
  document.documentElement.lang = TEXTS.language;
  document.title = `${TEXTS.audit} · ${about.site}`;
  document.body.append(
    element("a", { class: "skip", href: "#figures" }, TEXTS.skip), header(about, "audit"), main, element("footer"));
  showResults(await ask("/api/audit"));
  found.round = await ask("/api/audit/round");
  count(0);
  main.append(
    element("section", {},
      element("h2", {}, TEXTS.auditTitle), element("p", { class: "note" }, TEXTS.auditNote), element("p", { class: "note" }, TEXTS.liveNote),
      says, problem, live, timer, steps),
    element("section", {}, element("h2", {}, TEXTS.audits), results, element("p", { class: "note" }, TEXTS.publishNote)));
  draw();
  addEventListener("pagehide", () => {
    const { state, seen } = found.round;
    if (state !== "counting" && !(state === "asked" && seen === null)) return;
    fetch("/api/audit/drop", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}", keepalive: true });
  });
  watch();
}

start();
