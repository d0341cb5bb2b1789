// Keeps in this browser what the server has not got yet, so that neither a crash nor a closed window loses it.
//
// Two tabs may have changed the same file, so each keeps its own. A tab that opens takes over what tabs have left that
// are no more: whoever is still there says so when asked.

const STORE = "edits";
const ANSWER = 250; // milliseconds for other tabs to say that they are there
const PATIENCE = 5_000; // milliseconds for the browser to open what it keeps: some never do, and say nothing

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
    try {
      this.opened = await opened();
    } catch {
      return [];
    }
    this.#tell({ who: this.tab });
    await new Promise((done) => setTimeout(done, this.street ? ANSWER : 0));
    const all = await this.#all();
    return all.filter((edit) => !this.others.has(edit.tab)).sort((one, other) => one.at - other.at);
  }

  /** Of those that were left, under our own name now. */
  async adopt(left) {
    await this.#write((store) => left.forEach((edit) => edit.tab !== this.tab && store.delete(keyOf(edit))));
  }

  keep(name, edit) {
    this.waiting.set(name, { ...edit, attempt: this.attempt, tab: this.tab, name, at: Date.now() });
    this.#flush();
  }

  drop(name) {
    this.waiting.set(name, null);
    this.#flush();
  }

  /** Until what was to be kept is kept. */
  async settled() {
    while (this.writing) await this.writing;
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

  #write(change) {
    return new Promise((done, failed) => {
      const writing = this.opened.transaction(STORE, "readwrite");
      writing.oncomplete = () => done();
      writing.onabort = writing.onerror = () => failed(writing.error);
      change(writing.objectStore(STORE));
      writing.commit?.();
    });
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
    setTimeout(() => failed(new Error("silent")), PATIENCE);
  });
}
