// Run: the public checks over what is saved. Shows where in the line they are, and what they say while they say it.
// That is a stranger's program speaking: it becomes text, and never anything else.

import { sentenceOf } from "./workspace-saving.js";
import { say } from "./workspace-words.js";

const EVERY = 1000;
const SHOWN = 200_000; // signs of output; the newest count
const TERMINAL = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]/g;

export class Checks {
  /** `on.standing()` whenever `running` may have changed, `on.announce(sentence)`. */
  constructor(work, { line, output, ended }, on) {
    this.work = work;
    this.line = line;
    this.output = output;
    this.ended = ended;
    this.on = on;
    this.running = false;
    this.mark = null;
    this.shown = "";
  }

  /** What is saved has been saved before. */
  async run() {
    if (this.running) return;
    this.#begin(say("check asks"));
    try {
      const { answer } = await this.work.post("/checks");
      if (!answer.ok) return this.#stop((await sentenceOf(answer)) || say("check no answer"));
      const seen = await answer.json();
      this.#show(seen);
      await this.#follow(seen.id);
    } catch {
      this.#stop(say("check no answer"));
    }
  }

  /** One that was running when the page was loaded, or that has ended before. */
  async resume(id) {
    if (this.running) return;
    this.#begin("");
    await this.#follow(id, true);
  }

  async #follow(id, quietly = false) {
    for (;;) {
      const seen = await this.#ask(id);
      if (seen) this.#show(seen, quietly);
      if (!this.running) return;
      await new Promise((done) => setTimeout(done, EVERY));
    }
  }

  async #ask(id) {
    try {
      const headers = { Accept: "application/json" };
      if (this.mark) headers["If-None-Match"] = this.mark;
      const answer = await fetch(`${this.work.address}/checks/${id}`, { headers, cache: "no-store" });
      if (answer.status === 404) this.#stop(say("check gone"));
      if (!answer.ok) return null;
      this.mark = answer.headers.get("ETag");
      return await answer.json();
    } catch {
      this.line.textContent = say("check offline");
      return null;
    }
  }

  #begin(sentence) {
    this.running = true;
    this.mark = null;
    this.#print("");
    this.line.textContent = sentence;
    this.ended.hidden = true;
    this.on.standing();
  }

  #stop(sentence) {
    this.running = false;
    this.line.textContent = sentence;
    this.on.standing();
    this.on.announce(sentence);
  }

  #show(seen, quietly = false) {
    this.#print(plain(seen.output));
    this.line.textContent = seen.sentence;
    if (seen.state !== "done" && seen.state !== "failed") return;
    this.running = false;
    this.ended.hidden = seen.state !== "done";
    this.ended.textContent = seen.exit_code === 0 ? say("check passed") : say("check not passed");
    this.ended.className = seen.exit_code === 0 ? "passed" : "not-passed";
    this.on.standing();
    if (!quietly) this.on.announce(`${this.ended.hidden ? "" : this.ended.textContent} ${seen.sentence}`);
  }

  #print(text) {
    if (text === this.shown) return;
    const low = this.output.scrollHeight - this.output.scrollTop - this.output.clientHeight < 40;
    if (text.startsWith(this.shown)) this.output.append(text.slice(this.shown.length));
    else this.output.textContent = text;
    this.shown = text;
    this.output.hidden = text === "";
    if (low) this.output.scrollTop = this.output.scrollHeight;
  }
}

/** Without what terminals would obey. A carriage return overwrites its line there, so only what came last is left. */
export function plain(output) {
  const text = output.replace(TERMINAL, "").replace(/\r\n/g, "\n").replace(/^[^\n]*\r(?!$)/gm, "");
  return text.length > SHOWN ? `${say("check cut")}\n${text.slice(-SHOWN)}` : text;
}
