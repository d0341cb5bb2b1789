// A candidate's work as this tab knows it: what the server has, and what has been changed here since.
//
//   edit ──► kept in this browser ──every 10 s──► POST save ──► 200  the server has it
//                                                          ├──► 409  changed elsewhere too: both are shown
//                                                          └──► no answer: kept, and tried again
//
// An edit knows the digest of the content that it changes. As long as the server has that content, the edit can be saved
// on top of whatever else has changed. When it has another, somebody else has changed the file, perhaps the same person
// in another tab, and a person decides. A text that we sent without hearing what became of it is known to be ours when
// it comes back. Nothing is dropped here before the server has it.

const OUTLIVES = 60_000; // bytes: a browser sends no more than these for a page that was closed meanwhile
const PATIENCE = 30_000; // milliseconds for an answer
const SENT_KEPT = 6;
const FATAL = new Set([401, 403, 404]);

export const MOST_TEXT = 2_000_000; // bytes of a file that is shown in the editor

export class Work {
  /**
   * `on.listed()` after the list of files has changed, `on.replaced(name, text)` when a file of which nothing was
   * changed here is another now (null: it is gone), `on.standing()` when what is said about saving may be another.
   */
  constructor({ attempt, state, shelf, token, on }) {
    this.address = `/attempts/${attempt}`;
    this.shelf = shelf;
    this.token = token;
    this.on = on;
    this.number = state.number;
    this.files = byName(state.files);
    this.texts = new Map(); // name to { text, digest }: as the server has it, of files that were opened
    this.edits = new Map(); // name to { content, digest, sent }; content: a text, { base64 } or null
    this.torn = new Map(); // name to { theirs, digest }
    this.refused = new Map(); // name to a sentence
    this.mark = null; // of the newest state
    this.stands = { saving: false, offline: false, out: false, savedAt: null, why: "" };
    this.busy = Promise.resolve();
  }

  // ------------------------------------------------------------------------------------------------------ reading

  /** All names that there are, with what was made and removed here. */
  names() {
    const names = new Set(this.files.keys());
    for (const [name, edit] of this.edits) edit.content === null ? names.delete(name) : names.add(name);
    for (const name of this.torn.keys()) names.add(name);
    return [...names].sort();
  }

  has(name) {
    return this.names().includes(name);
  }

  /** A text, or { base64 } of what is none. */
  async read(name) {
    const edit = this.edits.get(name);
    if (edit) return edit.content;
    const known = this.texts.get(name);
    if (known) return known.text;
    const { digest } = this.files.get(name);
    const content = await this.#fetch(name);
    if (typeof content === "string" && !this.texts.has(name)) this.texts.set(name, { text: content, digest });
    return content;
  }

  size(name) {
    const edit = this.edits.get(name);
    if (edit) return edit.content === null ? 0 : weigh(edit.content);
    return this.files.get(name)?.size ?? 0;
  }

  /** Nobody else's words are taken for a file: a network that wants its guests to sign in answers everything itself. */
  async #fetch(name) {
    const query = new URLSearchParams({ name, number: this.number });
    const { digest } = this.files.get(name);
    const answer = await fetch(`${this.address}/file?${query}`, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE) });
    const mark = answer.headers.get("ETag");
    const ours = answer.headers.get("Content-Type") === "application/octet-stream" && (!mark || mark.includes(digest));
    if (!answer.ok || !ours) throw new Error(`${name}: ${answer.status}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return readable(bytes) ?? { base64: packed(bytes) };
  }

  // ----------------------------------------------------------------------------------------------------- changing

  edit(name, content) {
    const known = this.texts.get(name);
    const old = this.edits.get(name);
    this.refused.delete(name);
    if (old) old.content = content;
    else this.edits.set(name, { content, digest: known?.digest ?? this.files.get(name)?.digest ?? null, sent: [] });
    const edit = this.edits.get(name);
    if (known && known.text === content && known.digest === edit.digest && !edit.sent.length && !this.torn.has(name)) {
      this.#done(name);
    } else {
      this.shelf.keep(name, edit);
    }
    this.on.standing();
  }

  /** New, or in the place of one that was removed. */
  create(name, content = "") {
    this.edit(name, content);
    this.on.listed();
  }

  remove(name) {
    if (this.files.has(name) || this.edits.get(name)?.sent.length) this.edit(name, null);
    else this.#done(name);
    this.on.listed();
  }

  async rename(from, to) {
    const content = await this.read(from);
    this.edit(to, content);
    this.remove(from);
  }

  /** What was kept when this page, or another, was closed. The second of two of one file becomes a file of its own. */
  restore(left) {
    const restored = new Set();
    for (const { name, content, digest, sent } of left) {
      const place = restored.has(name) && content !== null ? this.beside(name) : name;
      if (restored.has(name) && content === null) continue;
      this.edits.set(place, { content, digest: place === name ? digest : null, sent: place === name ? sent : [] });
      restored.add(place);
    }
    for (const name of restored) this.shelf.keep(name, this.edits.get(name));
    return [...restored];
  }

  /** A file that was to be made was refused: as if nobody had asked. */
  takeBack(name, from) {
    this.#done(name);
    if (from) this.#done(from);
    this.on.listed();
    this.on.standing();
  }

  /** A name for mine, when both are kept: `name.mine.py`. */
  beside(name) {
    const [, stem, ending] = name.match(/^(.*?[^/]?)(\.[^./]*)?$/);
    const taken = new Set(this.names());
    for (let turn = 1; ; turn++) {
      const free = `${stem}.mine${turn > 1 ? turn : ""}${ending ?? ""}`;
      if (!taken.has(free)) return free;
    }
  }

  decide(name, choice) {
    const { theirs, digest } = this.torn.get(name);
    const mine = this.edits.get(name).content;
    this.torn.delete(name);
    if (choice === "mine") {
      this.edits.get(name).digest = digest;
      this.edits.get(name).sent = [];
      this.shelf.keep(name, this.edits.get(name));
    } else {
      if (choice === "both" && mine !== null) this.edit(this.beside(name), mine);
      this.#done(name);
      this.#know(name, theirs, digest);
      this.on.replaced(name, theirs);
    }
    this.on.listed();
    this.on.standing();
  }

  // ------------------------------------------------------------------------------------------------------- saving

  /** True when the server has everything that can be saved. Whoever asks meanwhile waits for one more round. */
  save() {
    const turn = this.busy.then(() => this.#send());
    this.busy = turn.catch(() => {}); // one that failed keeps none after it from its turn
    return turn;
  }

  /** The page is about to go: nobody waits for a turn, or to hear what became of it. */
  saveAtOnce() {
    const batch = this.#batch();
    if (batch.length && !this.stands.out) this.#sendBatch(batch);
  }

  get unsaved() {
    return this.edits.size;
  }

  #batch() {
    return [...this.edits]
      .filter(
        ([name, edit]) =>
          !this.torn.has(name) && !this.refused.has(name) && edit.digest === (this.files.get(name)?.digest ?? null),
      )
      .map(([name, edit]) => [name, edit.content]);
  }

  async #send() {
    if (this.stands.out) return false;
    if (this.stands.offline && !(await this.look({ anew: true }))) return false;
    const batch = this.#batch();
    return batch.length ? this.#sendBatch(batch) : this.unsaved === 0;
  }

  async #sendBatch(batch) {
    const body = JSON.stringify({
      base: this.number,
      changes: Object.fromEntries(batch.map(([name, content]) => [name, typeof content === "string" ? { text: content } : content])),
      saved_by: this.shelf.tab,
    });
    for (const [name, content] of batch) this.#sent(name, content);
    this.#stand({ saving: true, why: "" });
    try {
      const { answer, asked, came } = await this.#post(`${this.address}/save`, body);
      return await this.#answered(batch, answer, asked, came);
    } catch {
      this.#stand({ offline: true });
      return false;
    } finally {
      this.#stand({ saving: false });
    }
  }

  async #answered(batch, answer, asked, came) {
    if (answer.ok) {
      const state = await answer.json();
      this.#take(batch, state);
      this.on.told(state, asked, came);
      this.#stand({ offline: false, savedAt: Date.parse(state.now) });
      this.shelf.saved(state.number);
      await this.#settle();
      return this.unsaved === 0;
    }
    if (answer.status === 409) {
      this.#collide(await answer.json());
      await this.#settle();
      return this.#batch().length ? this.#send() : this.unsaved === 0;
    }
    if (answer.status === 410) {
      await this.look({ anew: true });
      return false;
    }
    if (answer.status === 422 || answer.status === 413) return this.#refuse(batch, await sentenceOf(answer));
    if (answer.status === 400 && (await this.look({ anew: true }))) throw new Error("400");
    if (FATAL.has(answer.status)) this.#stand({ out: true });
    else if (answer.status !== 400) throw new Error(String(answer.status));
    return false;
  }

  /** One file that cannot be taken keeps no other from being saved. One that goes away may have come back as it. */
  async #refuse(batch, sentence) {
    if (batch.length === 1) {
      this.refused.set(batch[0][0], sentence);
      this.edits.get(batch[0][0])?.sent.pop();
      this.#stand({ why: sentence });
      return false;
    }
    let all = true;
    for (const one of batch.filter(([, content]) => content !== null)) all = (await this.#sendBatch([one])) && all;
    const gone = batch.filter(([, content]) => content === null);
    return all && (!gone.length || this.#sendBatch(gone));
  }

  #sent(name, content) {
    const edit = this.edits.get(name);
    edit.sent = [...edit.sent, content].slice(-SENT_KEPT);
    this.shelf.keep(name, edit);
  }

  #take(batch, state) {
    this.#list(state);
    for (const [name, content] of batch) {
      const digest = this.files.get(name)?.digest ?? null;
      this.#know(name, content, digest);
      const edit = this.edits.get(name);
      if (!edit) continue;
      edit.digest = digest;
      edit.sent = [];
      if (same(edit.content, content)) this.#done(name);
      else this.shelf.keep(name, edit);
    }
    this.on.listed();
  }

  #collide({ number, conflicts, files }) {
    this.#list({ number, files });
    for (const [name, theirs] of Object.entries(conflicts)) this.#meet(name, theirs?.text ?? theirs);
  }

  /** The server has another content of a file that was changed here. */
  #meet(name, theirs) {
    const edit = this.edits.get(name);
    const digest = this.files.get(name)?.digest ?? null;
    if (!edit) return;
    if (digest === edit.digest) {
      this.torn.delete(name); // it was made what it was before
    } else if (same(edit.content, theirs)) {
      this.torn.delete(name);
      this.#done(name);
      this.#know(name, theirs, digest);
    } else if (edit.sent.some((one) => same(one, theirs))) {
      edit.digest = digest; // we sent it, and did not hear that it arrived
      edit.sent = [];
      this.#know(name, theirs, digest);
      this.shelf.keep(name, edit);
    } else {
      this.torn.set(name, { theirs, digest });
    }
  }

  // ------------------------------------------------------------------------------------------- what others changed

  /** Ask how things stand. False: nobody answers. */
  async look({ anew = false } = {}) {
    const asked = performance.now();
    let answer, state;
    try {
      const headers = { Accept: "application/json" };
      if (this.mark && !anew) headers["If-None-Match"] = this.mark;
      answer = await fetch(`${this.address}/state`, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (answer.status !== 304 && !answer.ok && !FATAL.has(answer.status)) throw new Error(String(answer.status));
      if (answer.ok) state = await answer.json();
    } catch {
      this.#stand({ offline: true });
      return false;
    }
    if (FATAL.has(answer.status)) {
      this.#stand({ out: true });
      return false;
    }
    if (state) {
      const came = performance.now();
      this.mark = answer.headers.get("ETag");
      this.#list(state);
      this.on.told(state, asked, came, anew);
    }
    this.#stand({ offline: false, out: false });
    await this.#settle();
    return true;
  }

  #list({ number, files }) {
    if (number < this.number) return; // an answer that was overtaken by another
    const changed = number !== this.number;
    this.number = number;
    this.files = byName(files);
    if (changed) this.on.listed();
  }

  async #settle() {
    try {
      for (const [name, edit] of this.edits) {
        const digest = this.files.get(name)?.digest ?? null;
        if (digest === (this.torn.get(name)?.digest ?? edit.digest)) continue;
        this.#meet(name, digest === null ? null : await this.#fetch(name));
      }
      for (const [name, known] of this.texts) {
        if (this.edits.has(name)) continue;
        const digest = this.files.get(name)?.digest ?? null;
        if (digest === known.digest) continue;
        const theirs = digest === null ? null : await this.#fetch(name);
        if (this.edits.has(name)) continue; // somebody began to type while we asked; the next round sees both
        this.#know(name, theirs, digest);
        this.on.replaced(name, theirs);
      }
    } catch {
      this.#stand({ offline: true });
    }
    this.on.standing();
  }

  #know(name, content, digest) {
    if (typeof content === "string") this.texts.set(name, { text: content, digest });
    else this.texts.delete(name);
  }

  #done(name) {
    this.edits.delete(name);
    this.refused.delete(name);
    this.shelf.drop(name);
  }

  #stand(changed) {
    Object.assign(this.stands, changed);
    this.on.standing();
  }

  // ------------------------------------------------------------------------------------------------------- asking

  /** A token that is no longer good is fetched anew once: the portal may have been started again. */
  async #post(address, body) {
    const keepalive = new Blob([body]).size < OUTLIVES;
    for (let turn = 0; ; turn++) {
      const asked = performance.now();
      const answer = await fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": this.token },
        body,
        keepalive,
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.status !== 400 || turn) return { answer, asked, came: performance.now() };
      await this.#fetchToken();
    }
  }

  async #fetchToken() {
    const page = await (await fetch(`${this.address}/work`, { cache: "no-store" })).text();
    const found = new DOMParser().parseFromString(page, "text/html").querySelector("meta[name=csrf-token]");
    if (!found) return;
    this.token = found.content;
    for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = this.token;
  }

  post(path, body = "{}") {
    return this.#post(`${this.address}${path}`, body);
  }
}

function byName(files) {
  return new Map(files.map(({ name, size, digest }) => [name, { size, digest }]));
}

export function same(one, other) {
  if (one === null || other === null || typeof one === "string" || typeof other === "string") return one === other;
  return one.base64 === other.base64;
}

/** The text that these bytes are, byte for byte; null when they are none. */
function readable(bytes) {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function packed(bytes) {
  let signs = "";
  for (let at = 0; at < bytes.length; at += 0x8000) signs += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(signs);
}

export function weigh(content) {
  return typeof content === "string" ? new Blob([content]).size : Math.floor((content.base64.length * 3) / 4);
}

/** What a person can be told about an answer that was no good. */
export async function sentenceOf(answer) {
  try {
    const said = await answer.json();
    return said.sentence ?? said.detail ?? "";
  } catch {
    return "";
  }
}
