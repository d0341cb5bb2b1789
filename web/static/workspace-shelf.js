// Keeps in this browser what the server has not got yet, so that neither a crash nor a closed window loses it.
//
// Two tabs may have changed the same file, so each keeps its own. A tab that opens takes over what tabs have left that
// are no more: whoever is still there says so when asked.

const STORE = "edits";
const ANSWER = 250; // milliseconds for other tabs to say that they are there
const PATIENCE = 5_000; // milliseconds for the browser's storage to answer: some never do, and say nothing

export class Shelf {
  constructor(attempt) {
    this.attempt = attempt;
    this.tab = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.opened = null;
    this.waiting = new Map(); // name to what is to be kept of it; null: nothing
    this.writing = null;
    this.others = new Set();
    this.onSaved = () => {};
    this.street = "BroadcastChannel" in window ? new BroadcastChannel(`assay ${attempt}`) : null;
    this.street?.addEventListener("message", (said) => this.#heard(said.data));
  }

  /** Whether this browser keeps anything at all. */
  get keeps() {
    return this.opened !== null;
  }

  /** Gives what tabs have left that are no more, the newest last; from here on it is ours. */
  async open() {
    let all;
    try {
      this.opened = await inTime(opened());
      this.#tell({ who: this.tab });
      await new Promise((done) => setTimeout(done, this.street ? ANSWER : 0));
      all = await inTime(this.#all());
    } catch {
      this.opened = null; // work goes on, and is told that this browser keeps nothing
      return [];
    }
    return all.filter((edit) => !this.others.has(edit.tab)).sort((one, other) => one.at - other.at);
  }

  /** Of those that were left, under our own name now. */
  async adopt(left) {
    if (!left.length) return;
    await this.#write((store) => left.forEach((edit) => edit.tab !== this.tab && store.delete(keyOf(edit)))).catch(() => {});
  }

  keep(name, edit) {
    this.waiting.set(name, { ...edit, attempt: this.attempt, tab: this.tab, name, at: Date.now() });
    this.#flush();
  }

  drop(name) {
    this.waiting.set(name, null);
    this.#flush();
  }

  saved(number) {
    this.#tell({ saved: number });
  }

  #flush() {
    if (this.opened === null || this.writing) return;
    const now = this.waiting;
    this.waiting = new Map();
    this.writing = this.#write((store) => {
      for (const [name, edit] of now) edit ? store.put(edit) : store.delete([this.attempt, this.tab, name]);
    })
      .catch(() => {}) // a full disk: what is on the screen is still saved to the server
      .finally(() => {
        this.writing = null;
        if (this.waiting.size) this.#flush();
      });
  }

  async #write(change) {
    const writing = this.opened.transaction(STORE, "readwrite");
    const written = new Promise((done, failed) => {
      writing.oncomplete = () => done();
      writing.onabort = writing.onerror = () => failed(writing.error);
    });
    change(writing.objectStore(STORE));
    writing.commit?.();
    await inTime(written, () => (this.opened = null)); // what does not answer keeps nothing
  }

  #all() {
    return new Promise((done, failed) => {
      const asked = this.opened.transaction(STORE).objectStore(STORE).index("attempt").getAll(this.attempt);
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    });
  }

  #tell(word) {
    this.street?.postMessage(word);
  }

  #heard(word) {
    if (word.who) this.#tell({ here: this.tab });
    if (word.here) this.others.add(word.here);
    if (word.saved) this.onSaved(word.saved);
  }
}

const keyOf = (edit) => [edit.attempt, edit.tab, edit.name];

function opened() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open("assay", 1);
    asked.onupgradeneeded = () => {
      const store = asked.result.createObjectStore(STORE, { keyPath: ["attempt", "tab", "name"] });
      store.createIndex("attempt", "attempt");
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = asked.onblocked = () => failed(asked.error);
  });
}

function inTime(promised, late = () => {}) {
  let timer;
  const silence = new Promise((_, failed) => {
    timer = setTimeout(() => {
      late();
      failed(new Error("silent"));
    }, PATIENCE);
  });
  return Promise.race([promised, silence]).finally(() => clearTimeout(timer));
}
