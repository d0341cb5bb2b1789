// What the workspace asks of a person: a name, whether they are sure, which of two versions.

import { Comparison } from "./editor.js";
import { phrases, say } from "./workspace-words.js";

const dialog = document.getElementById("dialog");
const parts = Object.fromEntries(
  ["title", "text", "entry", "label", "name", "complaint", "comparison", "mine", "theirs", "compared", "buttons"].map((part) => [part, document.getElementById(`dialog-${part}`)]),
);

/** A name that `check` has no complaint about; null when they would rather not. */
export function askName({ title, text = "", name, act, check }) {
  return ask({
    title,
    text,
    prepare() {
      parts.entry.hidden = false;
      parts.name.value = name;
      const end = name.lastIndexOf(".");
      const start = name.lastIndexOf("/") + 1;
      return () => {
        parts.name.focus();
        parts.name.setSelectionRange(start, end > start ? end : name.length);
      };
    },
    choices: [{ words: act, kind: "press", gives: () => parts.name.value.trim() }],
    check,
  });
}

export async function askSure({ title, text, act }) {
  return (await ask({ title, text, choices: [{ words: act, kind: "press", gives: () => true }] })) ?? false;
}

/** "mine", "theirs" or "both"; null when they decide later. */
export function askWhich({ name, mine, theirs, beside }) {
  let shown = null;
  const choices = [
    { words: mine === null ? say("choose delete") : say("choose mine"), kind: "quiet", gives: () => "mine" },
    { words: theirs === null ? say("choose gone") : say("choose theirs"), kind: "quiet", gives: () => "theirs" },
  ];
  if (mine !== null && theirs !== null) choices.push({ words: say("choose both", { name: beside }), kind: "press", gives: () => "both" });
  return ask({
    title: say("torn title", { name }),
    text: say("torn text"),
    large: true,
    prepare() {
      parts.comparison.hidden = false;
      parts.mine.textContent = mine === null ? say("mine deleted") : say("mine");
      parts.theirs.textContent = theirs === null ? say("theirs deleted") : say("theirs");
      const sides = [mine, theirs].map((side) => (side === null ? "" : typeof side === "string" ? side : say("not text")));
      parts.compared.replaceChildren(document.createElement("div"));
      shown = new Comparison(parts.compared.firstChild, {
        name, left: sides[0], right: sides[1], labels: [parts.mine.textContent, parts.theirs.textContent], words: phrases,
      });
      return () => parts.buttons.querySelector("button").focus();
    },
    choices,
    later: say("decide later"),
    done: () => shown?.close(),
  });
}

function ask({ title, text, choices, later = say("cancel"), large = false, prepare, check = () => "", done = () => {} }) {
  if (dialog.open) dialog.close();
  parts.title.textContent = title;
  parts.text.textContent = text;
  parts.text.hidden = !text;
  parts.entry.hidden = parts.comparison.hidden = true;
  parts.complaint.textContent = "";
  dialog.classList.toggle("large", large);
  const opener = document.activeElement;
  const begin = prepare?.();
  return new Promise((answer) => {
    let given = null;
    const choose = (choice) => {
      const value = choice.gives();
      const complaint = check(value);
      parts.complaint.textContent = complaint;
      if (complaint) return;
      given = value;
      dialog.close();
    };
    const made = choices.map((choice, index) => button(choice.words, choice.kind, index ? "button" : "submit", index ? () => choose(choice) : null));
    parts.buttons.replaceChildren(...made, button(later, "word", "button", () => dialog.close()));
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      choose(choices[0]);
    };
    dialog.onclose = () => {
      done();
      opener?.focus?.();
      answer(given);
    };
    dialog.showModal();
    begin?.();
  });
}

function button(words, kind, type, press) {
  const made = document.createElement("button");
  Object.assign(made, { type, className: kind, textContent: words });
  if (press) made.addEventListener("click", press);
  return made;
}
