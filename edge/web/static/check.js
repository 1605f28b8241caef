// The results of `instore-edge check`, run in the daemon when somebody asks.
import { ask, pause } from "./api.js";
import { element, table } from "./dom.js";
import { header } from "./frame.js";
import { TEXTS } from "./texts.js";

const main = element("main", { id: "figures" });
const says = element("p", { role: "status", class: "note" });
const results = element("div", { id: "results" });
const run = element("button", { type: "button", class: "primary", id: "run", onclick: () => begin() }, TEXTS.runCheck);

function draw({ runs, verdicts }) {
  run.disabled = runs;
  says.textContent = runs ? TEXTS.checkRuns : verdicts.length ? TEXTS.checkEnded : "";
  const rows = verdicts.map(({ what, status, detail }) => [what, element("span", { class: `verdict ${status}` }, TEXTS.verdicts[status]), detail]);
  const made = table(TEXTS.check, [TEXTS.what, TEXTS.result, TEXTS.detail], rows);
  made.classList.add("cameras");
  results.replaceChildren(...(rows.length ? [made] : []));
}

async function begin() {
  await ask("/api/setup/check", {});
  await follow();
}

async function follow() {
  for (;;) {
    const found = await ask("/api/setup/check");
    draw(found);
    if (!found.runs) return;
    await pause(1);
  }
}

async function start() {
  const about = await ask("/api/page");
  document.documentElement.lang = TEXTS.language;
  document.title = `${TEXTS.check} · ${about.site}`;
  document.body.append(
    element("a", { class: "skip", href: "#figures" }, TEXTS.skip), header(about, "check"), main, element("footer"));
  main.append(element("section", {}, element("h2", {}, TEXTS.check), element("p", { class: "note" }, TEXTS.checkNote),
    element("div", { class: "controls" }, run), says, results));
  await follow();
}

start();
