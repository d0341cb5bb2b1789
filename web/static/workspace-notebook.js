// A notebook as a list of cells that can be written in.

import { Slip } from "./editor.js";
import { read, sourceOf, withCell, withSource, withoutCell } from "./workspace-cells.js";
import { phrases, say } from "./workspace-words.js";

export class Cells {
  /** `on.change(text)`, `on.save()`, `on.leave()`. */
  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.slips = [];
    this.text = "";
    this.locked = false;
  }

  show(text, focused = -1) {
    this.text = text;
    this.close();
    const { cells } = read(text);
    this.host.append(...cells.map((cell, index) => this.#cell(cell, index)));
    if (!cells.length) this.host.append(this.#buttons(-1));
    this.slips[focused]?.focus();
  }

  close() {
    this.slips.forEach((slip) => slip.close());
    this.slips = [];
    this.host.replaceChildren();
  }

  setLocked(locked) {
    this.locked = locked;
    this.slips.forEach((slip) => slip.setLocked(locked));
    this.host.querySelectorAll("button").forEach((button) => (button.disabled = locked));
  }

  #cell(cell, index) {
    const kind = cell.of.cell_type;
    const label = say(kind === "code" ? "cell code" : kind === "markdown" ? "cell markdown" : "cell raw", { number: index + 1 });
    const section = document.createElement("section");
    section.className = `cell of-${kind}`;
    section.setAttribute("aria-label", label);
    const title = document.createElement("p");
    title.className = "label";
    title.textContent = label;
    const place = document.createElement("div");
    place.className = "slip-host";
    section.append(title, place, this.#buttons(index));
    const slip = new Slip(place, {
      name: kind === "code" ? "cell.py" : "cell.md",
      text: sourceOf(cell),
      locked: this.locked,
      label: say("editor label", { name: label }),
      words: phrases,
      on: { ...this.on, change: (source) => this.#changed(withSource(this.text, index, source)) },
    });
    this.slips.push(slip);
    return section;
  }

  #buttons(index) {
    const row = document.createElement("p");
    row.className = "cell-buttons";
    const add = (kind) => () => this.#rebuilt(withCell(this.text, index, kind), index + 1);
    row.append(button(say("add code"), add("code")), button(say("add markdown"), add("markdown")));
    if (index >= 0) row.append(button(say("delete cell"), () => this.#rebuilt(withoutCell(this.text, index), Math.max(0, index - 1))));
    row.querySelectorAll("button").forEach((one) => (one.disabled = this.locked));
    return row;
  }

  #changed(text) {
    this.text = text;
    this.on.change(text);
  }

  #rebuilt(text, focused) {
    this.#changed(text);
    this.show(text, focused);
  }
}

function button(words, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "word";
  made.textContent = words;
  made.addEventListener("click", press);
  return made;
}
