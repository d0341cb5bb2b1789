// Messages above the editor. Each has a key and is there once; it stays until it is no longer true or is closed.

import { say } from "./workspace-words.js";

export class Notices {
  constructor(place) {
    this.place = place;
    this.shown = new Map();
  }

  show(key, words, { close = false, act = null, link = null, downloads = [], before = "", alarm = null } = {}) {
    const mark = JSON.stringify([words, link, downloads.map(({ name }) => name)]);
    const old = this.shown.get(key);
    if (old?.mark === mark) return;
    const notice = document.createElement("div");
    notice.className = "notice";
    notice.append(paragraph(words, link));
    if (act) notice.append(button(act.words, "quiet", act.press));
    if (downloads.length) notice.append(listOf(downloads, before));
    if (close) {
      const cross = button("×", "close", () => this.hide(key));
      cross.setAttribute("aria-label", say("dismiss"));
      notice.append(cross);
    }
    if (old) old.notice.replaceWith(notice);
    else this.place.append(notice);
    this.shown.set(key, { notice, mark });
    alarm?.(words);
  }

  hide(key) {
    this.shown.get(key)?.notice.remove();
    this.shown.delete(key);
  }

  toggle(key, wanted, words) {
    if (wanted) this.show(key, words());
    else this.hide(key);
  }

  /** Of those whose key begins so, leave what is still true. */
  only(beginning, isTrue) {
    for (const key of [...this.shown.keys()]) {
      if (key.startsWith(beginning) && !isTrue(key.slice(beginning.length))) this.hide(key);
    }
  }
}

function paragraph(words, link) {
  const made = document.createElement("p");
  made.textContent = words;
  if (link) made.append(" ", Object.assign(document.createElement("a"), { href: link.href, textContent: link.words }));
  return made;
}

function listOf(downloads, before) {
  const made = document.createElement("div");
  made.append(paragraph(before, null));
  for (const { name, content } of downloads) {
    const bytes = typeof content === "string" ? content : Uint8Array.from(atob(content.base64), (sign) => sign.charCodeAt(0));
    const link = document.createElement("a");
    Object.assign(link, { href: URL.createObjectURL(new Blob([bytes])), download: name.split("/").pop(), textContent: name });
    made.append(link, " ");
  }
  return made;
}

function button(words, kind, press) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", className: kind, textContent: words });
  made.addEventListener("click", press);
  return made;
}
