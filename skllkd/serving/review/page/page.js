"use strict";
// The page of a review. Texts are set as text, never as HTML, and nothing is loaded from
// elsewhere.

const FILTER_FROM = 10; // classes from which they are filtered by typing
const VIEWS = ["label", "results", "try"];
let state = null;
let busy = false;
let nSteps = 0;
let chosenFor; // key of the text
let chosen = new Set(); // places of the classes of the text, where it may have several

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A name that keeps its direction to itself, beside words of another.
const named = (name, tag = "bdi") => element(tag, { dir: "auto" }, name);
// On a touch screen, a field that has the focus opens the keyboard over the page.
const opensKeyboard = () => matchMedia("(pointer: coarse)").matches;

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(0)}\u00a0%`);
const texts = (n) => (n === 1 ? "1 text" : `${n.toLocaleString("en")} texts`);

// ---- The server

async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: start `skllkd review` again. What was answered is saved.");
  }
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  const detail = typeof content.detail === "string" ? content.detail : `the server refused (${response.status})`;
  const problem = new Error(detail);
  problem.status = response.status;
  throw problem;
}

function showProblem(message) {
  $("problem").textContent = message;
  $("problem").hidden = !message;
}

// Runs one step at a time, so that a key held down answers one text.
async function step(path, body, said) {
  if (busy) return;
  busy = true;
  try {
    state = await call(path, body);
    showProblem("");
    showState(state.note || "");
    nSteps += 1; // the same words twice are read aloud only if something differs
    $("status").textContent = `${said} ${$("count").textContent}${nSteps % 2 ? "" : "\u00a0"}`;
  } catch (problem) {
    showProblem(problem.message);
    if (problem.status === 409) {
      state = await call("state").catch(() => state);
      showState("");
    }
  } finally {
    busy = false;
  }
}

// ---- Label

function answer(gold) {
  if (!state.asked) return;
  const name = gold === null ? "unsure" : Array.isArray(gold) ? inWordsOf(gold) : state.classes[gold].name;
  step("answer", { key: state.asked.key, gold, note: $("note").value }, `Saved: ${name}.`);
}

// ---- Several classes a text: keys and clicks choose classes, Enter answers

const NONE = "none of them";
const inWordsOf = (places) => places.map((place) => state.classes[place].name).join(", ") || NONE;
const chosenInOrder = () => [...chosen].sort((a, b) => a - b);
const save = () => answer(chosenInOrder());
const choose = (place) => (state.multilabel ? toggle(place) : answer(place));

function toggle(place) {
  if (!state.asked) return;
  if (!chosen.delete(place)) chosen.add(place);
  if ($("filter").value) {
    $("filter").value = "";
    showClasses();
  }
  showChosen();
  const { name } = state.classes[place];
  $("status").textContent = `${name} ${chosen.has(place) ? "chosen" : "not chosen"}: ${inWordsOf(chosenInOrder())}`;
}

function showChosen() {
  for (const button of $("classes").children) {
    button.setAttribute("aria-pressed", chosen.has(Number(button.dataset.place)));
  }
  $("save-label").textContent = `Answer: ${inWordsOf(chosenInOrder())}`;
}

// Whether Enter answers: not where it presses another button or follows a link.
function saves(field) {
  return state.multilabel && !field.closest(".actions, a, #note") && !($("filter") === field && field.value.trim());
}

const skip = () => state.asked && step("skip", { key: state.asked.key }, "Skipped.");
const undo = () => step("undo", {}, "Taken back.");

function showState(note) {
  const { asked, progress } = state;
  $("file").textContent = state.file;
  $("text").textContent = asked ? asked.text : "";
  $("text").scrollTop = 0;
  $("text").hidden = !asked;
  $("finished").hidden = Boolean(asked);
  $("save").hidden = !state.multilabel;
  if (asked?.key !== chosenFor) [chosen, chosenFor] = [new Set(), asked?.key];
  for (const button of [$("save"), $("unsure"), $("skip")]) button.disabled = !asked;
  $("note").value = note;
  $("filter").value = "";
  showProgress(progress, asked);
  showAccuracy();
  showLast();
  showClasses();
  if (usesFilter() && !opensKeyboard() && document.activeElement !== $("note")) $("filter").focus();
}

function showProgress(progress, asked) {
  const inSample = progress.n_sample_asked < progress.n_sample;
  const [n, of] = inSample
    ? [progress.n_sample_asked, progress.n_sample]
    : [progress.n_answered + progress.n_unsure, progress.n_texts];
  $("count").textContent = inSample ? `${n} of ${of} in the random sample` : `${n} of ${texts(of)}`;
  const parts = {
    random: "drawn at random, for an honest accuracy",
    disagreement: "student, teacher and refined label disagree",
    "label issue": "student and teacher are sure, and contradict each other",
    rest: "no sign of an error",
  };
  const extra = [
    progress.n_unsure ? `${progress.n_unsure} unsure` : "",
    progress.n_skipped ? `${progress.n_skipped} skipped, asked again at the end` : "",
  ].filter(Boolean);
  $("part").textContent = [asked && !inSample ? parts[asked.part] : "", ...extra].filter(Boolean).join(" · ");
  $("done").style.width = `${(100 * n) / of}%`;
  const bar = $("bar");
  bar.setAttribute("aria-valuenow", n);
  bar.setAttribute("aria-valuemax", of);
}

function range(found) {
  const line = element("div", { class: "range", "aria-hidden": "true" });
  if (found.share === null) return line;
  const between = element("div", { class: "between" });
  between.style.left = `${100 * found.low}%`;
  between.style.width = `${100 * (found.high - found.low)}%`;
  const at = element("div", { class: "at" });
  at.style.left = `${100 * found.share}%`;
  line.append(between, at);
  return line;
}

const inWords = (found) =>
  found.share === null ? "–" : `${percent(found.share)} (${percent(found.low).slice(0, -2)} to ${percent(found.high)})`;

function showAccuracy() {
  const rows = Object.entries(state.accuracy).map(([judge, found]) =>
    element("div", { class: "judge" }, element("span", {}, judge), element("span", {}, inWords(found)), range(found)));
  $("accuracy").replaceChildren(...rows);
  const n = state.accuracy.student.n_texts;
  const { n_sample: size, n_sample_asked: asked } = state.progress;
  const complete = size && asked === size ? " The sample is complete: further answers improve the next fit." : "";
  $("accuracy-about").textContent = n
    ? `Of ${texts(n)} drawn at random, with 95\u00a0% intervals.${complete}`
    : "Known after the first answer.";
}

function views(said, gold) {
  return Object.entries(said).flatMap(([judge, view]) => {
    const kind = gold === null ? "" : view.name === gold ? "right" : "wrong";
    const mark = { right: " ✓", wrong: " ✗", "": "" }[kind];
    const shown = element("dd", {}, element("span", { class: kind }, named(view.name), mark), ` ${percent(view.p)}`);
    return [element("dt", {}, judge), shown];
  });
}

function showLast() {
  const last = state.last;
  $("last-answer").hidden = !last;
  if (!last) return;
  $("last-text").textContent = last.text;
  const own = [element("dt", {}, "you"), element("dd", {}, named(last.gold ?? "unsure"))];
  $("last-said").replaceChildren(...own, ...views(last.said, last.gold));
}

const usesFilter = () => state.classes.length >= FILTER_FROM;

// Places of the classes that match what was typed: those that begin with it first.
function matching() {
  const typed = $("filter").value.trim().toLocaleLowerCase();
  const places = state.classes.map((_, place) => place);
  if (!typed) return places;
  const name = (place) => state.classes[place].name.toLocaleLowerCase();
  const about = (place) => state.classes[place].description.toLocaleLowerCase();
  const begins = places.filter((place) => name(place).startsWith(typed));
  const has = places.filter((place) => !begins.includes(place) && name(place).includes(typed));
  const tells = places.filter((place) => ![...begins, ...has].includes(place) && about(place).includes(typed));
  return [...begins, ...has, ...tells];
}

// Whether a digit goes on with the name of a class, rather than choosing one by number.
function goesOn(digit) {
  const typed = $("filter").value.toLocaleLowerCase() + digit;
  return typed !== digit && state.classes.some(({ name }) => name.toLocaleLowerCase().includes(typed));
}

function showClasses() {
  $("filter-label").hidden = !usesFilter();
  const typed = $("filter").value.trim() !== "";
  const buttons = matching().map((place, i) => {
    const { name, description } = state.classes[place];
    const label = element("span", {}, named(name));
    if (description) label.append(element("small", {}, description));
    const button = element("button", { type: "button", class: typed && i === 0 ? "first" : "" });
    if (i < 9) button.append(element("kbd", { "aria-hidden": "true" }, String(i + 1)));
    button.append(label);
    button.disabled = !state.asked;
    button.dataset.place = place;
    button.addEventListener("click", () => choose(place));
    return button;
  });
  $("classes").replaceChildren(...buttons);
  if (state.multilabel) showChosen();
}

const COMMANDS = {
  u: () => answer(null),
  s: skip,
  z: undo,
  n: () => $("note").focus(),
};

// Keys that scroll a long text, in pixels, wherever the focus is.
const SCROLL = { ArrowDown: 60, ArrowUp: -60, PageDown: 300, PageUp: -300 };

function scrolls(event, field) {
  const text = $("text");
  return event.key in SCROLL && ![$("note"), text].includes(field) && text.scrollHeight > text.clientHeight;
}

function onKey(event) {
  if ($("label").hidden || !state || event.isComposing || event.ctrlKey || event.metaKey) return;
  const field = document.activeElement;
  const isFilter = field === $("filter"), isTyping = field === $("note") || isFilter;
  const key = event.key.toLocaleLowerCase();
  const command = COMMANDS[event.altKey ? event.code.replace("Key", "").toLowerCase() : key];
  const done = (action) => { event.preventDefault(); action(); };
  if (event.key === "Escape" && isTyping) {
    done(() => field.blur());
  } else if (event.key === "Enter" && field === $("note")) {
    done(() => { field.blur(); if (usesFilter()) $("filter").focus(); });
  } else if (event.key === "Enter" && isFilter && $("filter").value.trim()) {
    done(() => matching().length && choose(matching()[0]));
  } else if (event.key === "Enter" && saves(field)) {
    if (!event.repeat) done(save);
  } else if (event.altKey) {
    if (command) done(command);
  } else if (scrolls(event, field)) {
    done(() => $("text").scrollBy({ top: SCROLL[event.key] }));
  } else if (/^[1-9]$/.test(key) && field !== $("note") && !(isFilter && goesOn(key))) {
    const place = matching()[Number(key) - 1];
    if (place !== undefined && !event.repeat) done(() => choose(place));
  } else if (!isTyping && command && !event.repeat) {
    done(command);
  } else if (!isTyping && key === "/" && usesFilter()) {
    done(() => $("filter").focus());
  }
}

// ---- Results

function table(caption, head, rows) {
  const made = element("table", {}, element("caption", {}, caption));
  made.append(element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))));
  made.append(element("tbody", {}, ...rows));
  return element("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, made);
}

function accuracyTable(found) {
  const rows = Object.entries(found.accuracy).map(([judge, of]) =>
    element("tr", {}, element("th", { scope: "row" }, judge), element("td", {}, inWords(of)),
      element("td", {}, range(of)), element("td", { class: "number" }, String(of.n_texts))));
  const whole = isOfTags(found) ? ": texts of which all classes are right" : "";
  return table(`Accuracy on the random sample, with 95 % intervals${whole}`, ["", "accuracy", "", "texts"], rows);
}

const isOfTags = (found) => Object.keys(found.tags).length > 0;

function f1Table(found) {
  const score = (value, interval) =>
    value === null ? "–" : `${value.toFixed(2)} (${interval.map((end) => end.toFixed(2)).join(" to ")})`;
  const rows = Object.entries(found.tags).map(([judge, of]) =>
    element("tr", {}, element("th", { scope: "row" }, judge), element("td", {}, score(of.micro_f1, of.micro_interval)),
      element("td", {}, score(of.macro_f1, of.macro_interval))));
  return table("F1 scores on the random sample, with 95 % intervals", ["", "micro-F1", "macro-F1"], rows);
}

const FEW = 20; // classes that are shown even if no answer has them

function classTable(found) {
  const judges = Object.keys(found.accuracy);
  const shown = found.by_class.filter((row) => found.by_class.length <= FEW || row.student.n_texts);
  const rows = shown.map((row) => element("tr", {}, element("th", { scope: "row" }, row.name),
    element("td", { class: "number" }, String(row.student.n_texts)),
    ...judges.map((judge) => element("td", {}, inWords(row[judge])))));
  const caption = isOfTags(found)
    ? "Accuracy on the random sample of each class, as a question of yes or no"
    : "Accuracy on the random sample by your class";
  return table(caption, ["class", "texts", ...judges], rows);
}

function confusionTable(found) {
  const names = found.by_class.map((row) => row.name);
  const counts = found.confusion.student;
  const places = names.map((_, k) => k);
  const occurs = (k) => places.some((j) => counts[k][j] || counts[j][k]);
  const shown = names.length <= FEW ? places : places.filter(occurs);
  const cell = (k, j) => {
    const kind = !counts[k][j] ? "" : k === j ? "same" : "other";
    return element("td", { class: `number ${kind}` }, counts[k][j] ? String(counts[k][j]) : "·");
  };
  const rows = shown.map((k) =>
    element("tr", {}, element("th", { scope: "row" }, names[k]), ...shown.map((j) => cell(k, j))));
  return table("Your class (rows) and the student's (columns), all answers: those after the random sample are the difficult texts",
    ["", ...shown.map((k) => names[k])], rows);
}

function confusions(found) {
  return Object.entries(found.confused).filter(([, pairs]) => pairs.length).flatMap(([judge, pairs]) => [
    element("h3", {}, `Confused by the ${judge}`),
    ...pairs.slice(0, judge === "student" ? 5 : 3).flatMap((pair) => [
      element("p", {}, named(pair.gold, "strong"), " taken for ", named(pair.said, "strong"), `: ${texts(pair.n_texts)}`),
      ...pair.examples.map((text) => element("blockquote", { dir: "auto" }, text)),
    ]),
  ]);
}

async function showResults() {
  const found = await call("results");
  const { progress } = found;
  const undecided = found.n_undecided
    ? [element("p", {}, `Unsure in the sample, and left out: ${texts(found.n_undecided)}. The accuracy is that of the texts you could decide.`)]
    : [];
  $("results-content").replaceChildren(
    element("p", {}, `${progress.n_answered} answers, ${progress.n_unsure} unsure, saved in `, element("code", {}, found.file), "."),
    accuracyTable(found),
    ...(isOfTags(found) ? [f1Table(found)] : []),
    ...undecided,
    element("p", {}, found.comparison),
    element("h3", {}, "Fit again with these answers"),
    element("p", {}, "The student learns the answers, and they weigh the evidence for all other labels:"),
    element("pre", { tabindex: "0" }, found.command),
    element("h3", {}, "By class"),
    classTable(found),
    ...(isOfTags(found) ? [] : [element("h3", {}, "Confusion"), confusionTable(found)]),
    ...confusions(found),
  );
}

// ---- Try a text

function source(found) {
  const { threshold, confidence } = found;
  if (threshold === null) return "";
  if (threshold > 1) return "The cascade answers nothing itself: no threshold reaches its target.";
  const answers = confidence >= threshold;
  return `The threshold of the cascade is ${threshold.toFixed(3)}: the student ${answers ? "answers" : "does not answer, and the teacher is asked"}.`;
}

async function tryText(event) {
  event.preventDefault();
  $("try-result").replaceChildren(element("p", { class: "quiet" }, "Reading; the first time, all texts of the review are read as well."));
  try {
    const found = await call("try", { text: $("try-text").value });
    const bars = found.proba.slice(0, 10).flatMap(({ name, p }) => {
      const bar = element("div", { class: "bar", "aria-hidden": "true" }, element("div"));
      bar.firstChild.style.width = `${100 * p}%`;
      return [named(name, "span"), bar, element("span", {}, `${(100 * p).toFixed(1)} %`)];
    });
    const near = found.nearest.flatMap(({ text, likeness, gold, said }) => {
      const you = gold === null ? [] : [element("dt", {}, "you"), element("dd", {}, named(gold))];
      const labels = [...you, ...views(said, gold)];
      const shown = labels.length ? labels : [element("dt", {}, "to be labelled in the random sample")];
      return [element("blockquote", { dir: "auto" }, text),
        element("dl", {}, element("dt", {}, "likeness"), element("dd", {}, likeness.toFixed(2)), ...shown)];
    });
    $("try-result").replaceChildren(
      element("h3", {}, "Probabilities"), element("div", { class: "proba" }, ...bars),
      element("p", {}, source(found)),
      element("h3", {}, "The nearest texts of the review"), element("div", { class: "near" }, ...near));
    showProblem("");
  } catch (problem) {
    $("try-result").replaceChildren();
    showProblem(problem.message);
  }
}

// ---- Views

async function showView() {
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : "label";
  for (const name of VIEWS) {
    $(name).hidden = name !== view;
    const link = document.querySelector(`nav a[data-view="${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    state = await call("state");
    $("model").textContent = state.model;
    if (view === "results") await showResults();
    if (view === "label") showState($("note").value);
  } catch (problem) {
    showProblem(problem.message);
  }
}

$("save").addEventListener("click", save);
$("unsure").addEventListener("click", () => answer(null));
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("filter").addEventListener("input", showClasses);
$("try-form").addEventListener("submit", tryText);
$("try-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) tryText(event);
});
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", showView);
showView();
