// The files as a tree that arrow keys walk: Enter opens, F2 renames, Delete deletes.

export class Tree {
  /** `on.open(name)`, `on.rename(name)`, `on.remove(name)`; `marks(name)` says in a word what is to be seen of a file. */
  constructor(list, on, marks) {
    this.list = list;
    this.on = on;
    this.marks = marks;
    this.shut = new Set();
    this.names = [];
    this.chosen = null;
    this.current = null; // the row that Tab comes to
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("click", (event) => this.#press(event.target.closest("[role=treeitem]")));
  }

  /** Rows that stay are changed in place: one that is replaced between press and release would never be clicked. */
  show(names, chosen = this.chosen) {
    const focused = this.list.contains(document.activeElement);
    if (chosen !== this.chosen) this.current = chosen;
    this.names = names;
    this.chosen = chosen;
    const rows = this.#rows();
    if (!rows.some((row) => row.path === this.current)) this.current = chosen ?? rows[0]?.path ?? null;
    const old = new Map([...this.list.children].map((item) => [item.dataset.path, item]));
    const items = rows.map((row) => this.#dressed(old.get(row.path) ?? this.#item(row), row));
    if (items.length !== old.size || items.some((item, index) => item !== this.list.children[index])) {
      this.list.replaceChildren(...items);
      if (focused) this.#itemOf(this.current)?.focus();
    }
  }

  focus() {
    this.#itemOf(this.current)?.focus();
  }

  #rows() {
    const rows = [];
    const seen = new Set();
    for (const name of this.names) {
      const parts = name.split("/");
      let hidden = false;
      for (let depth = 1; depth < parts.length; depth++) {
        const folder = `${parts.slice(0, depth).join("/")}/`;
        if (!hidden && !seen.has(folder)) rows.push({ path: folder, label: parts[depth - 1], level: depth, folder: true });
        seen.add(folder);
        hidden ||= this.shut.has(folder);
      }
      if (!hidden) rows.push({ path: name, label: parts.at(-1), level: parts.length, folder: false });
    }
    return rows;
  }

  #item({ path, label, level }) {
    const item = document.createElement("li");
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", level);
    item.dataset.path = path;
    item.dataset.level = Math.min(level, 6);
    const text = document.createElement("bdi");
    text.textContent = label;
    item.append(text);
    return item;
  }

  #dressed(item, { path, folder }) {
    item.tabIndex = path === this.current ? 0 : -1;
    if (folder) {
      item.setAttribute("aria-expanded", !this.shut.has(path));
      return item;
    }
    item.setAttribute("aria-selected", path === this.chosen);
    const mark = this.marks(path);
    if ((item.dataset.mark ?? "") === (mark?.kind ?? "")) return item;
    item.dataset.mark = mark?.kind ?? "";
    item.querySelector("span")?.remove();
    if (!mark) return item;
    const sign = document.createElement("span");
    sign.className = `mark-${mark.kind}`;
    sign.title = sign.ariaLabel = mark.words;
    sign.setAttribute("role", "img");
    item.append(sign);
    return item;
  }

  #itemOf(path) {
    return [...this.list.children].find((item) => item.dataset.path === path);
  }

  #press(item) {
    if (!item) return;
    this.#walk(item, false);
    if (item.dataset.path.endsWith("/")) this.#fold(item.dataset.path);
    else this.on.open(item.dataset.path);
  }

  #fold(path, shut = !this.shut.has(path)) {
    if (shut) this.shut.add(path);
    else this.shut.delete(path);
    this.show(this.names);
  }

  #walk(item, focus = true) {
    if (!item) return;
    this.list.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
    item.tabIndex = 0;
    this.current = item.dataset.path;
    if (focus) item.focus();
  }

  #key(event) {
    const item = event.target.closest("[role=treeitem]");
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const path = item.dataset.path;
    const folder = path.endsWith("/");
    const keys = {
      ArrowDown: () => this.#walk(item.nextElementSibling),
      ArrowUp: () => this.#walk(item.previousElementSibling),
      Home: () => this.#walk(this.list.firstElementChild),
      End: () => this.#walk(this.list.lastElementChild),
      ArrowRight: () => folder && (this.shut.has(path) ? this.#fold(path, false) : this.#walk(item.nextElementSibling)),
      ArrowLeft: () => (folder && !this.shut.has(path) ? this.#fold(path, true) : this.#walk(this.#itemOf(path.replace(/[^/]+\/?$/, "")))),
      Enter: () => this.#press(item),
      " ": () => this.#press(item),
      F2: () => !folder && this.on.rename(path),
      Delete: () => !folder && this.on.remove(path),
    };
    const act = keys[event.key] ?? (event.key.length === 1 ? () => this.#jump(item, event.key) : null);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #jump(item, letter) {
    const items = [...this.list.children];
    const at = items.indexOf(item) + 1;
    const next = [...items.slice(at), ...items.slice(0, at)];
    this.#walk(next.find((one) => one.textContent.toLowerCase().startsWith(letter.toLowerCase())));
  }
}
