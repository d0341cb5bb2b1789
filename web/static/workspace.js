// The workspace: puts its parts together, and says in the head of the page how things stand.
//
//   Work (saving) ◄── Papers (the open file), Tree, Checks          Clock: the countdown
//        └─► Shelf: what this browser keeps                         Beside, Preview: brief, preview, checks, more

import { Beside, Preview } from "./workspace-beside.js";
import { Checks } from "./workspace-checks.js";
import { Clock, digits } from "./workspace-clock.js";
import { askName, askSure, askWhich } from "./workspace-dialogs.js";
import { Notices } from "./workspace-notices.js";
import { Papers } from "./workspace-papers.js";
import { Work } from "./workspace-saving.js";
import { Shelf } from "./workspace-shelf.js";
import { Tree } from "./workspace-tree.js";
import { count, hour, length, say, size } from "./workspace-words.js";

const SAVE_EVERY = 10_000;
const LOOK_EVERY = 10_000;
const LOOK_AGAIN = 4_000; // while nobody answers
const ASK_ANEW = 6; // looks, until the time is asked for even when nothing else has changed
const LAST_SAVE = 3_000; // before the end

const at = (id) => document.getElementById(id);
const state = JSON.parse(at("state").textContent);
const attempt = at("workspace").dataset.attempt;
const token = document.querySelector("meta[name=csrf-token]").content;

const shelf = new Shelf(attempt);
const notices = new Notices(at("notices"));
const told = { phase: state.phase, added: state.added.length, deliverables: state.deliverables, limits: state.limits };
let locked = false;
let lastSaved = false;

const announce = (sentence) => (at("news").textContent = sentence);
const alarm = (sentence) => (at("alarm").textContent = sentence);

// ----------------------------------------------------------------------------------------------------------- parts

const work = new Work({ attempt, state, shelf, token, on: { listed, replaced, standing, told: learn } });
const clock = new Clock({ tick, warn, doubt: () => work.look({ anew: true }) });
const papers = new Papers(work, parts("desk", "cells", "other", "path", "switch"), { save: saveNow, leave: saveSoon, opened });
const tree = new Tree(at("tree"), { open, rename, remove }, mark);
const preview = new Preview(work, at("preview"), at("preview-line"));
const checks = at("run") && new Checks(work, { line: at("check-line"), output: at("check-output"), ended: at("check-ended") }, { standing, announce });
const beside = new Beside(at("workspace"), { shown });

function parts(...ids) {
  return Object.fromEntries(ids.map((id) => [id, at(id)]));
}

// ----------------------------------------------------------------------------------------------------------- files

async function open(name, focus = true) {
  if (!(await papers.open(name))) return notices.show("unread", say("file unread", { name }));
  notices.hide("unread");
  if (!beside.wide) beside.show("editor");
  else if (focus) papers.focus();
}

function opened(name) {
  at("find").hidden = papers.kind !== "desk";
  sessionStorage.setItem(`assay open ${attempt}`, name);
  tree.show(work.names(), name);
  standing();
  shown(beside.view);
}

function listed() {
  const names = work.names();
  tree.show(names, papers.name);
  const missing = told.deliverables.filter((name) => !names.includes(name) && !names.some((one) => one.startsWith(`${name}/`)));
  const taken = names.reduce((sum, name) => sum + work.size(name), 0);
  const totals = count("totals", names.length, { size: size(taken), most: size(told.limits.total_kb * 1024) });
  at("totals").textContent = missing.length ? `${totals}. ${say("missing", { names: missing.join(", ") })}` : totals;
  at("totals").classList.toggle("missing", missing.length > 0);
}

function replaced(name, text) {
  if (text === null) papers.forget(name);
  else papers.replaced(name, text);
  if (text === null && papers.name === null) openFirst();
  listed();
}

function openFirst() {
  const names = work.names();
  const before = sessionStorage.getItem(`assay open ${attempt}`);
  const first = [before, ...told.deliverables].find((name) => names.includes(name)) ?? names[0];
  return first ? open(first, false) : papers.none();
}

function mark(name) {
  if (work.torn.has(name)) return { kind: "torn", words: say("mark torn") };
  if (work.edits.has(name)) return { kind: "changed", words: say("mark changed") };
  if (told.deliverables.includes(name)) return { kind: "wanted", words: say("mark wanted") };
  return null;
}

async function create() {
  const name = await askName({ title: say("new title"), text: say("new text"), name: "", act: say("create"), check: (one) => complaint(one) });
  if (name === null) return;
  work.create(name);
  await open(name);
  await work.save();
  if (work.refused.has(name)) takeBack(name);
}

async function rename(from = papers.name) {
  if (from === null || locked) return;
  const to = await askName({ title: say("rename title", { name: from }), name: from, act: say("rename"), check: (one) => (one === from ? "" : complaint(one, from)) });
  if (to === null || to === from) return;
  try {
    await work.rename(from, to);
  } catch {
    return notices.show("unread", say("file unread", { name: from }));
  }
  papers.forget(from);
  await open(to);
  await work.save();
  if (work.refused.has(to)) takeBack(to, from);
}

function takeBack(name, from) {
  notices.show(`refused ${name}`, say("refused notice", { name, why: work.refused.get(name) }), { close: true });
  work.takeBack(name, from);
  papers.forget(name);
  from ? open(from) : openFirst();
}

async function remove(name = papers.name) {
  if (name === null || locked) return;
  if (!(await askSure({ title: say("delete title", { name }), text: say("delete text"), act: say("delete") }))) return;
  work.remove(name);
  papers.forget(name);
  await openFirst();
  tree.focus();
  work.save();
}

/** What is wrong with a name. The portal knows more; this is what can be said at once. */
function complaint(name, instead = null) {
  const names = work.names().filter((one) => one !== instead);
  const odd = name.split("/").some((part) => !part || part === "." || part === ".." || part.length > 120);
  if (!name) return say("name empty");
  if (odd || /[\\\p{C}:*?"<>|]/u.test(name)) return say("name odd");
  if (names.includes(name)) return say("name taken");
  if (names.some((one) => one.toLowerCase() === name.toLowerCase())) return say("name case");
  if (names.some((one) => one.startsWith(`${name}/`) || name.startsWith(`${one}/`))) return say("name folder");
  return "";
}

async function choose(name = [...work.torn.keys()][0]) {
  const mine = work.edits.get(name).content;
  const { theirs } = work.torn.get(name);
  const choice = await askWhich({ name, mine, theirs, beside: work.beside(name) });
  if (choice === null || !work.torn.has(name)) return;
  work.decide(name, choice);
  if (work.torn.size === 0) alarm("");
  await work.save();
}

// ---------------------------------------------------------------------------------------------------------- saving

async function saveNow() {
  if (work.torn.size && !locked) return choose();
  const all = locked ? work.unsaved === 0 : await work.save();
  if (all) announce(say("all saved"));
  return all;
}

function saveSoon() {
  if (!locked && work.unsaved) work.save();
}

async function run() {
  beside.show("checks");
  if (!(await work.save())) {
    at("check-line").textContent = say("run unsaved");
    return announce(say("run unsaved"));
  }
  return checks.run();
}

/** In the head of the page, in a word or two; what needs more words has a notice. */
function standing() {
  const { saving, offline, out, savedAt, why } = work.stands;
  const many = work.unsaved;
  const [kind, words] = locked && many
    ? ["torn", count("late", many)]
    : out
      ? ["offline", count("out", many)]
      : work.torn.size
        ? ["torn", say("conflict")]
        : offline
          ? ["offline", many ? count(shelf.keeps ? "kept" : "not kept", many) : say("offline")]
          : work.refused.size
            ? ["torn", say("refused")]
            : saving
              ? ["saving", say("saving")]
              : many
                ? ["unsaved", say("unsaved")]
                : ["saved", savedAt ? say("saved", { time: hour(savedAt) }) : say("saved before")];
  const kept = at("kept");
  if (kept.textContent !== words) kept.textContent = words;
  kept.dataset.kind = kind;
  kept.title = kind === "torn" ? "" : say("save now");
  notices.toggle("out", out, () => say("out notice"));
  notices.toggle("offline", offline && !out, () => say(shelf.keeps ? "offline notice" : "offline lost"));
  for (const name of work.torn.keys()) {
    notices.show(`torn ${name}`, say("torn notice", { name }), { act: { words: say("torn act"), press: () => choose(name) }, alarm });
  }
  notices.only("torn ", (name) => work.torn.has(name));
  for (const [name, sentence] of work.refused) notices.show(`refused ${name}`, say("refused notice", { name, why: sentence || why }), { alarm });
  notices.only("refused ", (name) => work.refused.has(name) || !work.has(name));
  if (checks) {
    at("run").disabled = locked || checks.running;
    at("run").textContent = checks.running ? say("runs") : say("run");
  }
  tree.show(work.names(), papers.name);
  if (!saving && beside.view === "preview") preview.show(papers.name);
}

// ----------------------------------------------------------------------------------------------------------- clock

function tick(left) {
  at("clock").textContent = digits(left);
  at("clock").dataset.near = left <= 60_000 ? "1" : left <= 600_000 ? "10" : "";
  if (left > 0 && left <= LAST_SAVE && !lastSaved) saveSoon();
  lastSaved = left <= LAST_SAVE;
  const over = left <= 0 || told.phase !== "running";
  if (over !== locked) lock(over);
}

function warn(minutes) {
  const words = count("warn", minutes);
  notices.show("time", words, { close: true });
  announce(words);
}

function lock(over) {
  locked = over;
  papers.setLocked(over);
  for (const id of ["new", "rename", "delete", "run"]) if (at(id)) at(id).disabled = over;
  if (over) {
    notices.hide("time");
    work.look({ anew: true });
  }
  ended();
  standing();
}

function ended() {
  if (!locked) {
    notices.hide("over");
    return;
  }
  const words = say(told.phase === "ended" || told.phase === "withdrawn" ? "handed in" : "time over");
  const downloads = [...work.edits].filter(([, edit]) => edit.content !== null).map(([name, edit]) => ({ name, content: edit.content }));
  notices.show("over", words, { link: { words: say("see status"), href: `${work.address}/status` }, downloads, before: say("unsent"), alarm });
}

/** Of any answer that tells the state. */
function learn(state, asked, came, anew) {
  const late = told.phase !== state.phase;
  Object.assign(told, { phase: state.phase, deliverables: state.deliverables, limits: state.limits });
  if (state.added.length > told.added) {
    for (const { why, seconds } of state.added.slice(told.added)) {
      const words = say("added", { time: length(seconds), why });
      notices.show("added", words, { close: true });
      announce(words);
    }
  }
  told.added = state.added.length;
  showAdded(state.added);
  clock.learn(state, asked, came, anew);
  if (late) ended();
  if (checks && state.check && ["waiting", "running"].includes(state.check.state)) checks.resume(state.check.id);
}

function showAdded(added) {
  at("added").hidden = added.length === 0;
  if (!added.length) return;
  const sum = added.reduce((all, { seconds }) => all + seconds, 0);
  at("added").querySelector("summary").textContent = say("added sum", { time: length(sum) });
  at("added").querySelector("ul").replaceChildren(
    ...added.map(({ why, seconds }) => Object.assign(document.createElement("li"), { textContent: `${length(seconds)}: ${why}` })),
  );
}

// ----------------------------------------------------------------------------------------------------------- begin

async function shown(view) {
  if (view !== "preview") return;
  preview.show(papers.name);
  if (!locked && work.unsaved) await work.save();
}

let looks = 0;
async function look() {
  const hadUnsaved = work.unsaved;
  const was = work.stands.offline;
  const here = await work.look({ anew: was || ++looks % ASK_ANEW === 0 });
  if (here && was && !locked && (await work.save()) && hadUnsaved) announce(say("back"));
  setTimeout(look, here ? LOOK_EVERY : LOOK_AGAIN);
}

function listen() {
  at("new").addEventListener("click", create);
  at("rename").addEventListener("click", () => rename());
  at("delete").addEventListener("click", () => remove());
  at("find").addEventListener("click", () => papers.search());
  at("run")?.addEventListener("click", run);
  at("kept").addEventListener("click", saveNow);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
    event.preventDefault(); // within the editor it has been dealt with
    saveNow();
  });
  addEventListener("online", () => work.look({ anew: true }).then(saveSoon));
  addEventListener("offline", () => work.look());
  addEventListener("blur", saveSoon);
  addEventListener("pagehide", () => !locked && work.saveAtOnce());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") saveSoon();
    else work.look({ anew: true });
  });
  addEventListener("beforeunload", (event) => {
    if (work.unsaved && !shelf.keeps && !locked) event.preventDefault();
  });
  for (const leaving of [at("hand-in"), ...document.querySelectorAll("#ways form, #ways a")]) {
    leaving.addEventListener(leaving.tagName === "FORM" ? "submit" : "click", leaveSaved);
  }
  shelf.onSaved = () => work.look();
}

/** Whatever looks at the saved work from elsewhere, sees all of it. */
async function leaveSaved(event) {
  if (locked || !work.unsaved || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const going = event.currentTarget;
  if (!(await saveNow())) return;
  if (going.tagName === "FORM") going.submit();
  else location.assign(going.href);
}

async function begin() {
  const left = await shelf.open();
  const names = work.restore(left);
  await shelf.adopt(left);
  if (names.length) notices.show("restored", say("restored", { names: names.join(", ") }), { close: true });
  document.documentElement.classList.add("working");
  at("panel-brief").append(at("brief"));
  at("panel-ways").append(at("ways"));
  at("plain").hidden = true;
  for (const id of ["workspace", "kept", "run"]) if (at(id)) at(id).hidden = false;
  listen();
  listed();
  learn(state, performance.now(), performance.now(), false);
  clock.run();
  await work.look({ anew: true });
  await openFirst();
  if (checks && state.check && !checks.running) checks.resume(state.check.id);
  if (work.unsaved) saveSoon();
  setTimeout(look, LOOK_EVERY);
  setInterval(saveSoon, SAVE_EVERY);
  standing();
}

export const begun = begin();
