// The page of one day.
import { ask, follow, pause, Refused } from "./api.js";
import { course, HEIGHT, heightOf, hourly, legend, ranked, strip } from "./charts.js";
import { element, table } from "./dom.js";
import { header } from "./frame.js";
import { TEXTS, text } from "./texts.js";

const MINUTE = 60_000;
const TALLEST = 480; // pixels of a chart of the hours beside one of many brackets
const shown = { day: "", place: "", about: null, days: [], today: "" };
const main = element("main", { id: "figures" });
const figures = element("div");
const state = element("span", { class: "state", role: "status" });
const twoColumns = matchMedia("(min-width: 60rem)"); // as in style.css

const number = (n) => (n === null || n === undefined ? TEXTS.none : String(Math.max(0, n)));
const percent = (share) => `${Math.round(100 * share)} %`;
const sum = (values) => (values.some((n) => n !== null) ? values.reduce((all, n) => all + (n ?? 0), 0) : null);
const placed = (one) => JSON.stringify([one.camera ?? null, one.zone ?? null]);

function shifted(day, by) {
  const date = new Date(`${day}T12:00:00Z`);
  date.setUTCDate(date.getUTCDate() + by);
  return date.toISOString().slice(0, 10);
}

function clock(moment, timezone) {
  return new Intl.DateTimeFormat(TEXTS.language, {
    hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: timezone,
  }).format(new Date(moment));
}

// The hours of a day, each with what `pick` takes from the message that begins in it.
function byHour(view, messages, pick) {
  return view.hours.map((hour) => {
    const found = messages.find((one) => one.start >= hour.start && one.start < hour.end);
    return found ? pick(found) : null;
  });
}

// The hours of a day by what the clock shows; in autumn an hour is shown twice, and the second one is another.
function labels(view) {
  const seen = new Map();
  return view.hours.map(({ label }) => {
    seen.set(label, (seen.get(label) ?? 0) + 1);
    return `${label} ${seen.get(label)}`;
  });
}

// The values of another day at the hours of this one, by what the clock shows.
function alike(view, other, values) {
  const places = labels(other);
  return labels(view).map((label) => {
    const place = places.indexOf(label);
    return place < 0 ? null : values[place];
  });
}

function agesOf(view) {
  return view.ages.find((age) => placed(age) === shown.place) ?? null;
}

function flowOf(view, period) {
  const camera = JSON.parse(shown.place)[0];
  return view.flow.filter((one) => one.period === period && (camera ? one.camera === camera : one.box));
}

// What is counted in a day or hour that has ended, or so far.
function totalOf(view, pick) {
  const [day] = flowOf(view, "day");
  return day ? pick(day) : sum(flowOf(view, "hour").map(pick));
}

function linesOf(one) {
  const lines = Object.values(one.lines ?? {});
  return {
    entries: one.entries ?? sum(lines.map((line) => line.in)),
    exits: one.exits ?? sum(lines.map((line) => line.out)),
  };
}

function draw() {
  const [view, before, week] = shown.days;
  if (!view.ages.some((age) => placed(age) === shown.place)) shown.place = placed({});
  if (!main.firstChild) main.append(controls.bar, element("p", { class: "note" }, TEXTS.smallCounts), figures);
  controls.show(view);
  const width = Math.max(280, (main.clientWidth || 640) - 66);
  // Beside each other one chart is as tall as the other, as far as it can be read well.
  const tall = twoColumns.matches ? Math.min(TALLEST, heightOf(cellsOf(view).length)) : 0;
  const again = keptOf(figures);
  figures.replaceChildren(
    ...[cards(view, before, week),
      columns(width, (wide) => hoursOfAges(view, before, week, wide, tall), (wide) => ages(view, before, week, wide)),
      corrected(view, width),
      columns(width, (wide) => passages(view, before, week, wide), (wide) => visits(view, before, week, wide)),
      inside(view, width), zones(view), attention(view), groups(view), further(view), cameras(view)].filter(Boolean));
  again();
}

// Two sections beside each other, where there is room for both and both have something to show.
function columns(width, ...sections) {
  const half = twoColumns.matches ? (width - 46) / 2 : width;
  const made = sections.map((section) => section(half));
  return element("div", { class: "columns" }, made.every(Boolean) ? made : sections.map((section) => section(width)));
}

// What a person has opened, scrolled and reached in the figures; a function that does so again in new ones.
function keptOf(box) {
  const name = (one) => one.getAttribute("aria-label") ?? one.parentElement.dataset.name;
  const found = (wanted) => [...box.querySelectorAll(wanted)];
  const open = new Set(found("details[open]").map((one) => one.dataset.name));
  const scrolled = new Map(found(".scroll").map((one) => [name(one), one.scrollLeft]));
  const focused = found(".scroll:focus, summary:focus").map(name)[0];
  return () => {
    for (const one of found("details")) one.open = open.has(one.dataset.name);
    for (const one of found(".scroll")) one.scrollLeft = scrolled.get(name(one)) ?? 0;
    if (focused) found(".scroll, summary").find((one) => name(one) === focused)?.focus({ preventScroll: true });
  };
}

// They stay while the figures change: what is typed or opened in them would be lost.
const controls = (() => {
  const shift = (by) => choose(shifted(shown.days[0].day, by));
  const day = dayField();
  const before = element("button", { type: "button", id: "before", onclick: () => shift(-1) }, TEXTS.previousDay);
  const after = element("button", { type: "button", id: "after", onclick: () => shift(1) }, TEXTS.nextDay);
  const place = element("select", { id: "place", onchange: () => { shown.place = place.value; draw(); } });
  const bar = element("div", { class: "controls" }, before, element("label", {}, TEXTS.day, day.field), after,
    element("label", {}, TEXTS.place, place));
  const show = (view) => {
    day.show();
    after.disabled = view.day >= shown.today;
    const places = [placed({}), ...view.ages.filter((age) => age.camera).map(placed)];
    if (places.join() !== [...place.options].map((one) => one.value).join()) place.replaceChildren(...places.map(option));
    place.value = shown.place;
  };
  return { bar, show };
})();

function option(place) {
  const [camera, zone] = JSON.parse(place);
  return element("option", { value: place }, camera ? text("cameraAndZone", { camera, zone }) : TEXTS.store);
}

// The day to show: at once where it is picked, and where it is typed when that is done.
function dayField() {
  let typing = false;
  let given = "";
  const show = () => {
    if (field.max !== shown.today) field.max = shown.today;
    if (typing) return;
    given = shown.day || shown.days[0].day;
    if (field.value !== given) field.value = given;
  };
  const done = () => {
    typing = false;
    if (!field.value || field.value === given) return show();
    given = field.value;
    choose(given);
  };
  const field = element("input", { type: "date", id: "day", onblur: done,
    onkeydown: ({ key }) => {
      typing = key !== "Enter";
      if (!typing) done();
    },
    onchange: () => typing || done() });
  return { field, show };
}

function card(name, value, note, lines = []) {
  return element("div", { class: "card" }, element("h2", {}, name), element("div", { class: "big" }, value),
    element("p", {}, note), lines.map((line) => element("p", {}, line)));
}

// What another day had until the same hour, and in all.
function beside(name, view, other, total, hours, reached) {
  if (total === null) return null;
  const all = text("ofAll", { number: number(total) });
  if (!view.is_today || reached < 0) return `${name}: ${all}`;
  const so_far = sum(alike(view, other, hours).slice(0, reached + 1));
  const [, end] = [view.hours[reached].start, view.hours[reached].end];
  return `${name}: ${text("untilNow", { number: number(so_far), time: clock(end, view.timezone) })}, ${all}`;
}

function cards(view, before, week) {
  const age = agesOf(view);
  const compared = (pickTotal, pickHours, reached) => [
    beside(TEXTS.yesterday, view, before, pickTotal(before), pickHours(before), reached),
    beside(TEXTS.lastWeek, view, week, pickTotal(week), pickHours(week), reached),
  ].filter(Boolean);
  const hours = (one) => byHour(one, agesOf(one)?.hours ?? [], (hour) => hour.released);
  const reached = hours(view).findLastIndex((n) => n !== null);
  const flow = (pick) => [(one) => totalOf(one, pick), (one) => byHour(one, flowOf(one, "hour"), pick)];
  const counted = (pick) => byHour(view, flowOf(view, "hour"), pick).findLastIndex((n) => n !== null);
  const found = [
    card(TEXTS.released, number(age?.total?.released ?? null),
      view.is_today ? TEXTS.releasedNote : TEXTS.releasedNoteEnded,
      compared((one) => agesOf(one)?.total?.released ?? null, hours, reached)),
  ];
  for (const [name, note, pick] of [
    [TEXTS.visits, TEXTS.visitsNote, (one) => one.visits],
    [TEXTS.entries, TEXTS.linesNote, (one) => linesOf(one).entries],
    [TEXTS.exits, TEXTS.linesNote, (one) => linesOf(one).exits],
  ]) {
    const total = totalOf(view, pick);
    if (total !== null) found.push(card(name, number(total), note, compared(...flow(pick), counted(pick))));
  }
  const last = view.occupancy.at(-1);
  if (last && shown.place === placed({})) {
    const time = clock(last.end, view.timezone);
    found.push(card(TEXTS.inside, number(last.inside), text("insideNote", { time, error: Math.round(last.error) })));
  }
  return element("div", { class: "cards" }, found);
}

// How many cameras the store's figures of an hour sum: those that tell ages in it.
function camerasIn(view, hour) {
  const within = (figures) => figures.start >= hour.start && figures.start < hour.end;
  const counted = view.ages.filter((age) => age.camera && age.hours.some(within));
  return Math.max(1, new Set(counted.map((age) => age.camera)).size);
}

function hoursShown(view) {
  const found = agesOf(view)?.hours ?? [];
  return view.hours.map((hour) => {
    const length = (new Date(hour.end) - new Date(hour.start)) / 1000;
    const one = found.find((figures) => figures.start >= hour.start && figures.start < hour.end);
    const begun = one ? (new Date(one.end) - new Date(one.start)) / 1000 : length;
    const cameras = JSON.parse(shown.place)[0] ? 1 : camerasIn(view, hour);
    return {
      label: hour.label,
      open: Math.min(1, hour.open_seconds / length),
      watched: one ? Math.min(1, one.covered_seconds / (begun * cameras)) : null,
    };
  });
}

const opened = (share) => (share >= 1 ? TEXTS.open : share <= 0 ? TEXTS.closed : text("partlyOpen", { share: percent(share) }));

// A chart of the hours with a table beside it.
function hoursSection(name, title, view, before, week, series, width, note, tall = HEIGHT) {
  const hours = hoursShown(view);
  const several = series.length > 1;
  const marks = several ? [] : [
    { name: TEXTS.yesterday, style: "before", values: alike(view, before, series[0].of(before)) },
    { name: TEXTS.lastWeek, style: "week", values: alike(view, week, series[0].of(week)) },
  ];
  const there = marks.filter((mark) => mark.values.some((n) => n !== null));
  const drawn = series.map((one) => ({ ...one, values: one.of(view) }));
  if (!there.length && !drawn.some((one) => one.values.some((n) => n !== null))) return null;
  const heads = [TEXTS.hour, ...drawn.map((one) => one.name), ...marks.map((mark) => mark.name), TEXTS.coverage, TEXTS.opening];
  const rows = hours.map((hour, place) => [
    hour.label, ...drawn.map((one) => number(one.values[place])), ...marks.map((mark) => number(mark.values[place])),
    hour.watched === null ? TEXTS.none : percent(hour.watched), opened(hour.open),
  ]);
  return element("section", {}, element("h2", {}, title),
    note ? element("p", { class: "note" }, note) : null,
    hourly({ title, hours, series: drawn, marks }, width, Math.max(HEIGHT, tall)),
    legend([...drawn, ...there, { name: TEXTS.coverage, style: "watched" }, { name: TEXTS.closed, style: "shut" }]),
    element("details", { "data-name": name }, element("summary", {}, TEXTS.table), table(title, heads, rows)));
}

function hoursOfAges(view, before, week, width, tall) {
  const of = (one) => byHour(one, agesOf(one)?.hours ?? [], (hour) => hour.released);
  const series = [{ name: TEXTS.thisDay, style: "main", of }];
  return hoursSection("hours", TEXTS.byHour, view, before, week, series, width, null, tall)
    ?? element("section", {}, element("h2", {}, TEXTS.byHour), element("p", { class: "soft" }, TEXTS.noMessages));
}

function cellsOf(view) {
  const total = agesOf(view)?.total;
  if (!total) return [];
  return [
    ...Object.entries(total.counts).map(([cell, n]) => [text("years", { bracket: cell }), n]),
    ...Object.entries(total.groups ?? {}).map(([cell, n]) => [text("years", { bracket: cell }), n]),
    [TEXTS.unclassified, total.unclassified],
    ...(total.other === null ? [] : [[TEXTS.other, total.other]]),
  ];
}

function ages(view, before, week, width) {
  const found = cellsOf(view);
  if (!found.length) return null;
  const others = [["before", TEXTS.yesterday, new Map(cellsOf(before))], ["week", TEXTS.lastWeek, new Map(cellsOf(week))]];
  const rows = found.map(([name, value]) => ({
    name, value, marks: others.map(([style, , cells]) => ({ style, value: cells.get(name) ?? null })),
  }));
  return element("section", {}, element("h2", {}, TEXTS.byAge),
    ranked({ title: TEXTS.byAge, rows }, width),
    legend([{ name: TEXTS.thisDay, style: "main" },
      ...others.filter(([, , cells]) => cells.size).map(([style, name]) => ({ style, name }))]),
    element("details", { "data-name": "ages" }, element("summary", {}, TEXTS.table),
      table(TEXTS.byAge, [TEXTS.age, TEXTS.thisDay, TEXTS.yesterday, TEXTS.lastWeek],
        rows.map((row) => [row.name, number(row.value), ...row.marks.map((mark) => number(mark.value))])),
      hoursByAge(view)));
}

// The corrected shares of the brackets, with the interval of each as a whisker.
function corrected(view, width) {
  const found = agesOf(view)?.corrected;
  if (!found) return null;
  if (!found.shares) {
    return element("section", {}, element("h2", {}, TEXTS.corrected),
      element("p", { class: "soft" }, text("noShares", { reason: found.reason })));
  }
  const rows = Object.entries(found.shares).map(([bracket, { share, low, high }]) => ({
    name: text("years", { bracket }), value: 100 * share, shown: percent(share), whisker: [100 * low, 100 * high], low, high,
  }));
  return element("section", {}, element("h2", {}, TEXTS.corrected),
    element("p", { class: "note" }, text("correctedNote", { visits: found.visits, level: percent(found.level) })),
    ranked({ title: TEXTS.corrected, rows }, width),
    element("details", { "data-name": "corrected" }, element("summary", {}, TEXTS.table),
      table(TEXTS.corrected, [TEXTS.age, TEXTS.share, TEXTS.low, TEXTS.high],
        rows.map((row) => [row.name, row.shown, percent(row.low), percent(row.high)]))));
}

function hoursByAge(view) {
  const age = agesOf(view);
  const cells = Object.keys(age.total.counts);
  const rows = age.hours.map((hour) => [
    clock(hour.start, view.timezone), ...cells.map((cell) => number(hour.counts[cell])), number(hour.unclassified),
  ]);
  return table(`${TEXTS.byAge}, ${TEXTS.byHour}`, [TEXTS.hour, ...cells.map((cell) => text("years", { bracket: cell })), TEXTS.unclassified], rows);
}

function passages(view, before, week, width) {
  const series = [["lineIn", "main", "entries"], ["lineOut", "second", "exits"]].map(([name, style, key]) => ({
    name: TEXTS[name], style, of: (one) => byHour(one, flowOf(one, "hour"), (hour) => linesOf(hour)[key]),
  }));
  return hoursSection("passages", TEXTS.inAndOut, view, before, week, series, width, TEXTS.noise);
}

function visits(view, before, week, width) {
  const of = (one) => byHour(one, flowOf(one, "hour"), (hour) => hour.visits);
  const series = [{ name: TEXTS.thisDay, style: "main", of }];
  return hoursSection("visits", TEXTS.visitsByHour, view, before, week, series, width, TEXTS.noise);
}

function inside(view, width) {
  if (view.occupancy.length < 2 || shown.place !== placed({})) return null;
  const [start, end] = [new Date(view.hours[0].start), new Date(view.hours.at(-1).end)];
  const points = view.occupancy.map((one) => ({
    share: (new Date(one.end) - start) / (end - start), value: one.inside, error: one.error,
  }));
  const rows = view.occupancy.map((one) => [clock(one.end, view.timezone), number(one.inside), String(Math.round(one.error))]);
  return element("section", {}, element("h2", {}, TEXTS.occupancy), element("p", { class: "note" }, TEXTS.occupancyNote),
    course({ title: TEXTS.occupancy, points, labels: view.hours.map((hour) => hour.label) }, width),
    element("details", { "data-name": "inside" }, element("summary", {}, TEXTS.table),
      table(TEXTS.occupancy, [TEXTS.hour, TEXTS.inside, "±"], rows)));
}

// The newest day or the sum of the hours of one zone: [camera, zone, figures].
function zonesOf(view) {
  const camera = JSON.parse(shown.place)[0];
  const found = new Map();
  for (const one of view.flow.filter((flow) => flow.zones && (!camera || flow.camera === camera))) {
    for (const [zone, figures] of Object.entries(one.zones)) {
      const key = JSON.stringify([one.camera, zone]);
      const known = found.get(key) ?? { day: null, hours: [] };
      if (one.period === "day") known.day = figures;
      else known.hours.push(figures);
      found.set(key, known);
    }
  }
  return [...found].map(([key, { day, hours }]) => [...JSON.parse(key), day ? [day] : hours]);
}

// What the cameras of this place have of a measure: of the day, or of its hours so far. [[camera, figures]]
function ofCameras(view, measure) {
  const camera = JSON.parse(shown.place)[0];
  return view.cameras.filter((one) => !camera || one.name === camera).map((one) => {
    const found = view.flow.filter((flow) => flow.camera === one.name && flow[measure]);
    const day = found.filter((flow) => flow.period === "day");
    return [one.name, (day.length ? day : found).map((flow) => flow[measure])];
  }).filter(([, figures]) => figures.length);
}

function measured(title, heads, rows) {
  if (!rows.length) return null;
  return element("section", {}, element("h2", {}, title), element("p", { class: "note" }, TEXTS.noise), table(title, heads, rows));
}

function attention(view) {
  const found = ofCameras(view, "attention");
  const seconds = found.at(0)?.[1].at(-1).min_seconds;
  return measured(TEXTS.attention, [TEXTS.camera, text("watchers", { seconds }), TEXTS.lookTime],
    found.map(([camera, figures]) =>
      [camera, number(sum(figures.map((one) => one.watchers))), steps(figures.map((one) => one.time))]));
}

function groups(view) {
  return measured(TEXTS.groups, [TEXTS.camera, TEXTS.several, TEXTS.groupSizes],
    ofCameras(view, "groups").map(([camera, figures]) => {
      const { sizes } = figures.at(-1);
      const items = sizes.map((size, place) => {
        const label = text(place === sizes.length - 1 ? "sizeOrMore" : "size", { number: size });
        return element("li", {}, `${label}: ${number(sum(figures.map((one) => one.groups[place] ?? null)))}`);
      });
      return [camera, number(sum(figures.map((one) => one.several))), element("ul", { class: "plain" }, items)];
    }));
}

function steps(histograms) {
  const found = histograms.filter(Boolean);
  if (!found.length) return TEXTS.withheld;
  const { bounds } = found.at(-1);
  return element("ul", { class: "plain" }, bounds.map((from, place) => {
    const to = bounds[place + 1];
    const label = to === undefined ? text("secondsOrMore", { from }) : text("seconds", { from, to });
    const same = found.filter((one) => one.bounds.length === bounds.length);
    return element("li", {}, `${label}: ${number(sum(same.map((one) => one.visits[place])))}`);
  }));
}

function zones(view) {
  const rows = zonesOf(view).map(([camera, zone, figures]) => {
    const queues = figures.map((one) => one.queue).filter(Boolean);
    const last = queues.at(-1);
    return [
      text("zoneOf", { zone, camera }), number(sum(figures.map((one) => one.entries))),
      steps(figures.map((one) => one.dwell)),
      last?.mean_length == null ? TEXTS.none : text("persons", { number: `${last.mean_length.toFixed(1)} ± ${(last.error ?? 0).toFixed(1)}` }),
      queues.length ? steps(queues.map((one) => one.waiting)) : TEXTS.none,
    ];
  });
  if (!rows.length) return null;
  const heads = [TEXTS.zone, TEXTS.zoneVisits, TEXTS.dwell, TEXTS.queue, TEXTS.waiting];
  return element("section", {}, element("h2", {}, TEXTS.zones), element("p", { class: "note" }, TEXTS.noise), table(TEXTS.zones, heads, rows));
}

const KNOWN = new Set(["site", "box", "camera", "period", "start", "end", "seconds", "visits", "lines", "lines_epsilon",
  "lines_since", "entries", "exits", "occupancy", "zones", "attention", "groups", "quantities", "coverage", "privacy"]);

function numbers(value, path) {
  if (typeof value === "number") return [[path.join(" "), value]];
  if (value === null || typeof value !== "object") return [];
  if (Array.isArray(value.bounds)) return value.bounds.map((from, place) => [[...path, `${from}+`].join(" "), value.visits[place]]);
  return Object.entries(value).flatMap(([name, part]) =>
    ["epsilon", "error", "bounds"].includes(name) ? [] : numbers(part, [...path, name.replaceAll("_", " ")]));
}

// Measures of messages that are newer than this page: their numbers as they are.
function further(view) {
  const day = flowOf(view, "day");
  const totals = new Map();
  for (const one of day.length ? day : flowOf(view, "hour")) {
    for (const [key, value] of Object.entries(one).filter(([name]) => !KNOWN.has(name))) {
      for (const [name, n] of numbers(value, [key.replaceAll("_", " ")])) totals.set(name, (totals.get(name) ?? 0) + n);
    }
  }
  if (!totals.size) return null;
  return element("section", {}, element("h2", {}, TEXTS.further), element("p", { class: "note" }, TEXTS.noise),
    table(TEXTS.further, [TEXTS.measure, TEXTS.number], [...totals].map(([name, n]) => [name, number(n)])));
}

function cameras(view) {
  const [start, end] = [new Date(view.hours[0].start), new Date(view.hours.at(-1).end)];
  const share = (moment) => (moment - start) / (end - start);
  const rows = view.cameras.map((camera) => {
    const parts = camera.coverage.map(([from, seconds, covered]) => {
      const begin = new Date(from);
      return { from: share(begin), to: share(new Date(+begin + seconds * 1000)), share: seconds ? covered / seconds : 0 };
    });
    const mean = parts.length ? percent(parts.reduce((all, part) => all + part.share, 0) / parts.length) : TEXTS.none;
    const named = TEXTS.states[camera.state] ?? TEXTS.unknownState;
    return [
      camera.name, camera.reason ? `${named}: ${camera.reason}` : named,
      camera.since ? clock(camera.since, view.timezone) : TEXTS.none,
      mean, strip({ title: text("stripOf", { camera: camera.name, share: mean }), parts }, 400),
    ];
  });
  const made = table(TEXTS.cameras, [TEXTS.camera, TEXTS.state, TEXTS.since, TEXTS.coverage, TEXTS.strip], rows);
  made.classList.add("cameras");
  return element("section", {}, element("h2", {}, TEXTS.cameras), made);
}

function connected(well) {
  const [view] = shown.days;
  const wanted = !shown.day || view?.day === shown.day;
  const stopped = view?.status?.state === "offline";
  const old = view?.is_today && Date.now() + view.skew > Date.parse(view.live_until);
  const since = () => (view.last ? text("oldData", { time: clock(view.last, view.timezone) }) : TEXTS.noMessages);
  const message = !well || !wanted ? TEXTS.notLive : stopped ? TEXTS.noDaemon : old ? since() : TEXTS.live;
  state.classList.toggle("lost", !well || !wanted || stopped || old);
  if (state.textContent !== message) state.textContent = message;
}

// A day as the box tells it. skew: how far the box's clock is ahead of this one, in milliseconds.
async function dayOf(day) {
  const view = await ask(`/api/day?day=${day}`);
  return { ...view, skew: Date.parse(view.now) - Date.now() };
}

// Reads the shown day again; those beside it have ended.
async function refresh() {
  const [view, ...others] = shown.days;
  const again = await dayOf(view.day);
  if (shown.days[0] !== view) return; // another day was chosen meanwhile
  shown.days = [again, ...others];
  draw();
}

async function load() {
  const about = await ask("/api/page");
  shown.today = about.today;
  const day = shown.day || about.today;
  const days = await Promise.all([day, shifted(day, -1), shifted(day, -7)].map(dayOf));
  if (shown.day && shown.day !== day) return; // another one was chosen meanwhile
  shown.days = days;
  draw();
  connected(true);
}

// Shows the day that a person chose: asks until the box tells it, refuses it, or another one is chosen.
async function choose(day) {
  const before = shown.day;
  shown.day = day;
  while (shown.day === day && shown.days[0].day !== day) {
    try {
      await load();
    } catch (error) {
      if (shown.day !== day) return; // another one was chosen meanwhile
      if (error instanceof Refused && error.status < 500) {
        shown.day = before && shown.days[0].day; // "" follows today
        draw();
      } else {
        connected(false);
        await pause(1);
      }
    }
  }
}

async function start() {
  const about = await ask("/api/page");
  document.documentElement.lang = TEXTS.language;
  document.title = `${about.site} · ${TEXTS.title}`;
  shown.place = placed({});
  document.body.append(
    element("a", { class: "skip", href: "#figures" }, TEXTS.skip), header(about, "today", state), main, element("footer"));
  let width = main.clientWidth;
  new ResizeObserver(() => {
    if (main.clientWidth !== width && shown.days.length) {
      width = main.clientWidth;
      draw();
    }
  }).observe(main);
  setInterval(() => shown.days.length && !shown.day && load().catch(() => connected(false)), 15 * MINUTE);
  follow(() => (shown.days.length ? refresh() : load()), connected);
}

start();
