// What lies beside the editor: brief, preview, checks, and the other ways to work. On a small screen one thing at a time.

import { say } from "./workspace-words.js";

const WIDE = matchMedia("(min-width: 64rem)");
const ARRIVES = 5_000; // milliseconds until we believe that a frame that says nothing will say nothing

export class Beside {
  /** `on.shown(view)` after another came to the front. */
  constructor(workspace, on) {
    this.workspace = workspace;
    this.on = on;
    this.tabs = [...workspace.querySelectorAll("[role=tab]")];
    this.switches = [...workspace.querySelectorAll("[data-view-of]")];
    for (const tab of this.tabs) tab.addEventListener("click", () => this.show(tab.dataset.view));
    for (const one of this.switches) one.addEventListener("click", () => this.show(one.dataset.viewOf));
    workspace.querySelector("[role=tablist]").addEventListener("keydown", (event) => this.#key(event));
    this.show("brief");
    if (!WIDE.matches) this.show("editor");
  }

  get wide() {
    return WIDE.matches;
  }

  /** On a small screen also "files" and "editor", which a large one always shows. */
  show(view) {
    this.workspace.dataset.view = view;
    for (const one of this.switches) one.setAttribute("aria-pressed", one.dataset.viewOf === view);
    if (this.tabs.some((tab) => tab.dataset.view === view)) {
      this.view = view;
      for (const tab of this.tabs) {
        const chosen = tab.dataset.view === view;
        tab.setAttribute("aria-selected", chosen);
        tab.tabIndex = chosen ? 0 : -1;
        document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
      }
    }
    this.on.shown(view);
  }

  #key(event) {
    const at = this.tabs.indexOf(event.target.closest("[role=tab]"));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = this.tabs[(to + this.tabs.length) % this.tabs.length];
    this.show(next.dataset.view);
    next.focus();
  }
}

/**
 * The open file as others will see it, in a frame that may do nothing. What it shows is what was saved.
 *
 * One address after the other: a browser that is sent to a second one while it is on its way may arrive at neither.
 */
export class Preview {
  constructor(work, frame, line) {
    this.work = work;
    this.frame = frame;
    this.line = line;
    this.shown = "";
    this.wanted = null; // { mark, name, address }
    this.underWay = null;
    frame.addEventListener("load", () => this.#arrived());
  }

  show(name) {
    const saved = name !== null && this.work.files.get(name);
    this.line.textContent = !saved ? say("preview nothing") : this.work.edits.has(name) ? say("preview older") : "";
    this.line.hidden = this.line.textContent === "";
    this.frame.hidden = !saved;
    if (!saved) return;
    const address = `${this.work.address}/preview?${new URLSearchParams({ name, number: this.work.number })}`;
    this.wanted = { mark: `${name} ${saved.digest}`, name, address };
    this.#go();
  }

  #go() {
    if (this.underWay !== null || this.wanted.mark === this.shown) return;
    this.shown = this.wanted.mark;
    this.underWay = setTimeout(() => this.#arrived(), ARRIVES);
    this.frame.title = say("preview title", { name: this.wanted.name });
    this.frame.contentWindow.location.replace(this.wanted.address); // not `src`: "back" should leave the page
  }

  #arrived() {
    clearTimeout(this.underWay);
    this.underWay = null;
    if (this.wanted) this.#go();
  }
}
