// The editor of the workspace, made of CodeMirror. `build.mjs` turns this file into web/static/editor.js.
//
//   Desk        one editor, and the texts that can be laid on it; each keeps its cursor and what can be undone
//   Slip        a small editor that grows with its text, for a cell of a notebook
//   Comparison  two texts side by side that can only be read
//
// Everything is made inside a shadow root. Our policy forbids inline style, so the style sheets that CodeMirror makes
// would have no effect in the page itself; a shadow root adopts them as objects, which the policy allows. The colours
// are the page's own custom properties, which reach into the root.

import { history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { markdown, markdownLanguage } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { MergeView } from "@codemirror/merge";
import { openSearchPanel } from "@codemirror/search";
import { Compartment, EditorState, Prec, Transaction } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup, minimalSetup } from "codemirror";

const LANGUAGES = {
  ipynb: json,
  json,
  markdown: () => markdown({ base: markdownLanguage }),
  md: () => markdown({ base: markdownLanguage }),
  py: python,
  pyi: python,
};

const colours = HighlightStyle.define([
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.keyword, tags.operatorKeyword, tags.self], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.url], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.definition(tags.variableName), tags.function(tags.definition(tags.variableName))], color: "var(--code-defined)" },
  { tag: [tags.className, tags.propertyName], color: "var(--code-defined)" },
  { tag: tags.meta, color: "var(--code-builtin)" },
  { tag: tags.heading, fontWeight: "700" },
  { tag: tags.strong, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strikethrough, textDecoration: "line-through" },
  { tag: tags.link, color: "var(--accent)" },
  { tag: tags.processingInstruction, color: "var(--quiet)" },
]);

const ground = {
  "&": { color: "var(--ink)", backgroundColor: "transparent", fontSize: "0.875rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--ink)", paddingBlock: "0.75rem" },
  ".cm-line": { paddingInline: "0.6rem 1rem" },
  ".cm-cursor, .cm-dropCursor": { borderLeft: "2px solid var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--quiet)", border: "0" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "3.25ch", paddingInline: "0.75rem 0.25rem" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--tint) 60%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, .cm-content ::selection": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--bead) 26%, transparent)" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--bead) 34%, transparent)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in srgb, var(--bead) 62%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent)" },
  "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "color-mix(in srgb, var(--bead) 40%, transparent)" },
  ".cm-foldPlaceholder": { border: "0", backgroundColor: "var(--tint)", color: "var(--quiet)" },
  ".cm-tooltip": { border: "1px solid var(--line)", backgroundColor: "var(--raised)", color: "var(--ink)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--paper)" },
  ".cm-panels": { backgroundColor: "var(--tint)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel.cm-search": { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "0.4rem", padding: "0.6rem 2.75rem 0.6rem 0.75rem", font: "0.9375rem/1.4 var(--sans)" },
  ".cm-panel.cm-search br": { display: "block", width: "100%", content: "''" },
  ".cm-panel.cm-search label": { display: "inline-flex", alignItems: "center", gap: "0.3rem", margin: "0 0.4rem 0 0", fontSize: "0.9375rem" },
  ".cm-panel.cm-search input[type=checkbox]": { width: "1.15rem", height: "1.15rem", margin: "0", accentColor: "var(--accent)" },
  ".cm-textfield": { boxSizing: "border-box", minHeight: "2.25rem", margin: "0", padding: "0.3rem 0.6rem", border: "1px solid var(--quiet)", borderRadius: "3px", backgroundColor: "var(--raised)", color: "inherit", fontSize: "inherit" },
  ".cm-button": { boxSizing: "border-box", minHeight: "2.25rem", margin: "0", padding: "0.3rem 0.8rem", border: "1px solid var(--accent)", borderRadius: "3px", backgroundImage: "none", backgroundColor: "transparent", color: "var(--accent)", fontSize: "inherit", cursor: "pointer" },
  ".cm-button:active": { backgroundImage: "none", backgroundColor: "var(--raised)" },
  ".cm-panel.cm-search [name=close]": { top: "0.5rem", right: "0.5rem", width: "2.25rem", height: "2.25rem", fontSize: "1.25rem", color: "inherit", cursor: "pointer" },
  ".cm-panel :focus-visible": { outline: "3px solid var(--bead)", outlineOffset: "2px" },
};

const whole = EditorView.theme({
  "&": { height: "100%" },
  ".cm-scroller": { overflow: "auto" },
});
const grown = EditorView.theme({ ".cm-content": { minHeight: "2.5rem" } });
const compared = EditorView.theme({
  "&.cm-merge-a .cm-changedLine, &.cm-merge-b .cm-changedLine": { backgroundColor: "var(--change)" },
  "&.cm-merge-a .cm-changedText, &.cm-merge-b .cm-changedText": { background: "var(--change-word)" },
});

/** Tab indents, as everybody expects of an editor; Escape gives it back to the page until something is typed. */
const tabKey = [
  keymap.of([
    { key: "Escape", run: (view) => (view.setTabFocusMode(true), false) },
    indentWithTab,
  ]),
  EditorView.updateListener.of((update) => {
    if (update.docChanged && update.transactions.some((one) => one.isUserEvent("input"))) update.view.setTabFocusMode(false);
  }),
];

function language(name) {
  const ending = name.toLowerCase().split(".").pop();
  const known = Object.hasOwn(LANGUAGES, ending) ? LANGUAGES[ending]() : [];
  return [known, ending === "py" || ending === "pyi" ? indentUnit.of("    ") : []];
}

/** CodeMirror joins lines by one sign. So a text of mixed breaks keeps its carriage returns as signs within the lines. */
function lineBreak(text) {
  const all = text.match(/\r\n|\r|\n/g) ?? [];
  return all.length && all.every((one) => one === "\r\n") ? "\r\n" : "\n";
}

function rootIn(host) {
  return host.shadowRoot ?? host.attachShadow({ mode: "open" });
}

function dressed(words) {
  return [
    EditorView.theme(ground, { dark: matchMedia("(prefers-color-scheme: dark)").matches }),
    syntaxHighlighting(colours),
    EditorState.phrases.of(words),
  ];
}

function texture(words) {
  return [tabKey, dressed(words)];
}

/** The least that turns one text into the other, so that a cursor elsewhere stays where it is. */
function difference(state, wanted) {
  const doc = state.toText(wanted);
  const before = state.doc.toString();
  const after = doc.toString();
  let from = 0;
  while (from < before.length && from < after.length && before[from] === after[from]) from++;
  let end = 0;
  const most = Math.min(before.length, after.length) - from;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { from, to: before.length - end, insert: doc.slice(from, after.length - end) };
}

export class Desk {
  /** `on.change(name)`, `on.save()`, `on.leave()` are called; `words` are the phrases and `label(name)`. */
  constructor(host, { on, words, label }) {
    this.on = on;
    this.words = words;
    this.label = label;
    this.states = new Map();
    this.name = null;
    this.locked = false;
    this.lock = new Compartment();
    this.quietly = false;
    const root = rootIn(host);
    this.view = new EditorView({ root, parent: root, state: EditorState.create({}) });
  }

  has(name) {
    return this.states.has(name) || this.name === name;
  }

  open(name, text) {
    const state = EditorState.create({
      doc: text,
      extensions: [
        EditorState.lineSeparator.of(lineBreak(text)),
        Prec.high(keymap.of([{ key: "Mod-s", run: () => (this.on.save(), true), preventDefault: true }])),
        texture(this.words),
        basicSetup,
        whole,
        language(name),
        this.lock.of(this.#locked()),
        EditorView.contentAttributes.of({ "aria-label": this.label(name), spellcheck: "false", tabindex: "0" }),
        EditorView.domEventHandlers({ blur: () => this.on.leave() }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !this.quietly) this.on.change(this.name);
        }),
      ],
    });
    this.#keep(name, state);
  }

  show(name) {
    if (this.name === name) return;
    this.#putAside();
    this.name = name;
    this.view.setState(this.states.get(name));
    this.view.dispatch({ effects: this.lock.reconfigure(this.#locked()) });
  }

  text(name) {
    return this.#state(name).sliceDoc();
  }

  /** Lay another text in its place. It can be undone like anything that was typed. */
  replace(name, text) {
    const state = this.#state(name);
    if (lineBreak(text) !== state.lineBreak && /\r|\n/.test(text)) {
      this.open(name, text);
      return;
    }
    const change = { changes: difference(state, text), annotations: Transaction.userEvent.of("replace") };
    if (name === this.name) {
      this.quietly = true;
      this.view.dispatch(change);
      this.quietly = false;
    } else {
      this.states.set(name, state.update(change).state);
    }
  }

  forget(name) {
    this.states.delete(name);
    if (this.name === name) this.name = null;
  }

  setLocked(locked) {
    this.locked = locked;
    if (this.name !== null) this.view.dispatch({ effects: this.lock.reconfigure(this.#locked()) });
  }

  search() {
    openSearchPanel(this.view);
  }

  focus() {
    this.view.focus();
  }

  #locked() {
    return this.locked ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [];
  }

  #state(name) {
    return name === this.name ? this.view.state : this.states.get(name);
  }

  #putAside() {
    if (this.name !== null) this.states.set(this.name, this.view.state);
  }

  #keep(name, state) {
    if (name === this.name) this.view.setState(state);
    else this.states.set(name, state);
  }
}

export class Slip {
  constructor(host, { name, text, locked, label, words, on }) {
    const root = rootIn(host);
    this.lock = new Compartment();
    this.view = new EditorView({
      root,
      parent: root,
      doc: text,
      extensions: [
        EditorState.lineSeparator.of("\n"),
        Prec.high(keymap.of([{ key: "Mod-s", run: () => (on.save(), true), preventDefault: true }])),
        texture(words),
        minimalSetup,
        history(),
        keymap.of(historyKeymap),
        grown,
        EditorView.lineWrapping,
        language(name),
        this.lock.of(EditorState.readOnly.of(locked)),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
        EditorView.domEventHandlers({ blur: () => on.leave() }),
        EditorView.updateListener.of((update) => update.docChanged && on.change(update.state.sliceDoc())),
      ],
    });
  }

  setLocked(locked) {
    this.view.dispatch({ effects: this.lock.reconfigure(EditorState.readOnly.of(locked)) });
  }

  focus() {
    this.view.focus();
  }

  close() {
    this.view.destroy();
  }
}

export class Comparison {
  constructor(host, { name, left, right, labels, words }) {
    const root = rootIn(host);
    root.replaceChildren();
    const side = (doc, label) => ({
      doc,
      extensions: [
        dressed(words),
        compared,
        EditorView.lineWrapping,
        language(name),
        EditorState.readOnly.of(true),
        EditorView.editable.of(false),
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      ],
    });
    this.view = new MergeView({
      root,
      parent: root,
      a: side(left, labels[0]),
      b: side(right, labels[1]),
      gutter: false,
      collapseUnchanged: { margin: 3, minSize: 6 },
    });
  }

  close() {
    this.view.destroy();
  }
}
