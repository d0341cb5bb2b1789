// The file that is open: in the editor, as cells when it is a notebook, or as a word about why it is not shown.

import { Desk } from "./editor.js";
import { read } from "./workspace-cells.js";
import { Cells } from "./workspace-notebook.js";
import { MOST_TEXT } from "./workspace-saving.js";
import { phrases, say, size } from "./workspace-words.js";

export class Papers {
  /** `parts`: desk, cells, other, path, switch. `on.save()`, `on.leave()`, `on.opened(name)`. */
  constructor(work, parts, on) {
    this.work = work;
    this.parts = parts;
    this.on = on;
    this.name = null;
    this.kind = "none";
    this.plainly = new Set(); // notebooks that are shown as they are written
    this.locked = false;
    const label = (name) => say("editor label", { name });
    this.desk = new Desk(parts.desk, { on: { change: (name) => this.#typed(name), save: on.save, leave: on.leave }, words: phrases, label });
    this.cells = new Cells(parts.cells, { change: (text) => this.work.edit(this.name, text), save: on.save, leave: on.leave });
    parts.switch.addEventListener("click", () => this.#turn());
    this.#lay("none");
  }

  /** False when it cannot be fetched now. */
  async open(name) {
    let content;
    try {
      content = await this.work.read(name);
    } catch {
      return false;
    }
    this.name = name;
    this.parts.path.textContent = name;
    if (content === null) this.#say(say("file removed"));
    else if (typeof content !== "string") this.#say(say("file not text", { size: size(this.work.size(name)) }), true);
    else if (content.length > MOST_TEXT) this.#say(say("file large", { size: size(this.work.size(name)) }), true);
    else this.#show(name, content);
    this.on.opened(name);
    return true;
  }

  #show(name, text) {
    const cells = this.#isNotebook(name) && read(text) !== null;
    this.parts.switch.hidden = !cells;
    this.parts.switch.textContent = this.plainly.has(name) ? say("show cells") : say("show json");
    if (cells && !this.plainly.has(name)) {
      this.cells.show(text);
      return this.#lay("cells");
    }
    if (!this.desk.has(name)) this.desk.open(name, text);
    this.desk.show(name);
    return this.#lay("desk");
  }

  /** Its content is another now, and nothing that was typed here is lost by it. */
  replaced(name, text) {
    if (this.desk.has(name)) {
      if (typeof text === "string") this.desk.replace(name, text);
      else this.desk.forget(name);
    }
    if (name === this.name && (this.kind !== "desk" || typeof text !== "string")) this.open(name);
  }

  forget(name) {
    this.desk.forget(name);
    this.plainly.delete(name);
    if (name === this.name) this.name = null;
  }

  none() {
    this.name = null;
    this.parts.path.textContent = "";
    this.#say(say("no files"));
  }

  focus() {
    if (this.kind === "desk") this.desk.focus();
    else this.parts[this.kind]?.querySelector("button, a")?.focus();
  }

  search() {
    if (this.kind === "desk") this.desk.search();
  }

  setLocked(locked) {
    if (locked === this.locked) return;
    this.locked = locked;
    this.desk.setLocked(locked);
    this.cells.setLocked(locked);
  }

  #typed(name) {
    this.work.edit(name, this.desk.text(name));
  }

  async #turn() {
    const name = this.name;
    if (this.plainly.delete(name)) this.desk.forget(name);
    else this.plainly.add(name);
    await this.open(name);
  }

  #isNotebook(name) {
    return name.toLowerCase().endsWith(".ipynb");
  }

  #say(words, download = false) {
    this.parts.switch.hidden = true;
    const text = document.createElement("p");
    text.textContent = words;
    this.parts.other.replaceChildren(text);
    if (download && this.work.files.has(this.name)) {
      const link = document.createElement("a");
      link.href = `${this.work.address}/file?${new URLSearchParams({ name: this.name })}`;
      link.textContent = say("download");
      this.parts.other.append(link);
    }
    this.#lay("other");
  }

  #lay(kind) {
    if (this.kind === "cells" && kind !== "cells") this.cells.close();
    this.kind = kind;
    for (const one of ["desk", "cells", "other"]) this.parts[one].hidden = one !== kind;
  }
}
