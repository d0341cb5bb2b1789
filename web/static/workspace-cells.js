// The text of a notebook, and where its cells stand in it.
//
// What is not touched keeps its bytes: no outputs are dropped and nothing is laid out anew, so a comparison shows what
// the candidate did and nothing else. For that we look up where in the text each source stands, and replace it there.

/** The notebook's own object and where its cells stand, or null when the text is no notebook of version 4. */
export function read(text) {
  let notebook;
  try {
    notebook = JSON.parse(text);
  } catch {
    return null;
  }
  if (notebook?.nbformat !== 4 || !Array.isArray(notebook.cells)) return null;
  const list = parsed(text, 0).members.get("cells");
  const cells = list.items.map((place, index) => ({ place, of: notebook.cells[index], sourcePlace: place.members?.get("source") }));
  const known = cells.every(({ of, sourcePlace }) => sourcePlace && typeof of.cell_type === "string" && isText(of.source));
  return known ? { notebook, list, cells } : null;
}

const isText = (source) => typeof source === "string" || (Array.isArray(source) && source.every((one) => typeof one === "string"));

export function sourceOf(cell) {
  return typeof cell.of.source === "string" ? cell.of.source : cell.of.source.join("");
}

export function withSource(text, index, source) {
  const cell = read(text).cells[index];
  const { from, to } = cell.sourcePlace;
  return text.slice(0, from) + written(text, cell, source) + text.slice(to);
}

/** As the source was written before: one text or a list of lines, on one line or many. A line that stays is not rewritten. */
function written(text, cell, source) {
  const place = cell.sourcePlace;
  if (place.kind === "text") return JSON.stringify(source);
  const old = new Map(place.items.map((item) => [JSON.parse(text.slice(item.from, item.to)), text.slice(item.from, item.to)]));
  const lines = (source.match(/[^\n]*\n|[^\n]+/g) ?? []).map((line) => old.get(line) ?? JSON.stringify(line));
  if (!lines.length) return "[]";
  const outer = indentation(text, place.from);
  let inner = place.items.length ? text.slice(place.from + 1, place.items[0].from) : null;
  if (inner === null) inner = outer === null ? "" : `${outer} `;
  const last = place.items.length ? text.slice(place.items.at(-1).to, place.to - 1) : (outer ?? "");
  return `[${inner}${lines.join(`,${inner || " "}`)}${last}]`;
}

/** The break and the spaces before the line on which `at` stands; null when something else stands before it there. */
function indentation(text, at) {
  const start = text.lastIndexOf("\n", at);
  return start < 0 ? null : text.slice(start).match(/^\n[ \t]*/)[0];
}

export function withCell(text, after, kind) {
  const { notebook, list, cells } = read(text);
  const made = { cell_type: kind, metadata: {}, source: [] };
  if (kind === "code") Object.assign(made, { execution_count: null, outputs: [] });
  if (notebook.nbformat_minor >= 5) made.id = [...crypto.getRandomValues(new Uint8Array(4))].map((one) => one.toString(16).padStart(2, "0")).join("");
  const sorted = Object.fromEntries(Object.entries(made).sort(([one], [other]) => (one < other ? -1 : 1)));
  const near = cells[Math.max(after, 0)]?.place;
  const before = near ? text.slice(...(after < 0 || cells.length === 1 ? [list.from + 1, cells[0].place.from] : gap(cells))) : "\n  ";
  const margin = before.replace(/^[^\n]*,/, "");
  const put = JSON.stringify(sorted, null, margin.includes("\n") ? 1 : 0).replaceAll("\n", margin.includes("\n") ? margin : "");
  if (!near) return `${text.slice(0, list.from)}[\n  ${put}\n ]${text.slice(list.to)}`;
  if (after < 0) return text.slice(0, near.from) + put + "," + margin + text.slice(near.from);
  return text.slice(0, near.to) + "," + margin + put + text.slice(near.to);
}

const gap = (cells) => [cells[0].place.to, cells[1].place.from];

export function withoutCell(text, index) {
  const { list, cells } = read(text);
  if (cells.length === 1) return `${text.slice(0, list.from)}[]${text.slice(list.to)}`;
  const [from, to] = index ? [cells[index - 1].place.to, cells[index].place.to] : [cells[0].place.from, cells[1].place.from];
  return text.slice(0, from) + text.slice(to);
}

/** Where each value of a JSON text stands. The text has been parsed before, so it is one. */
function parsed(text, start) {
  const from = skip(text, start);
  const open = text[from];
  if (open === '"') return { kind: "text", from, to: endOfText(text, from) };
  if (open !== "{" && open !== "[") {
    const plain = /[^\s,\]}]+/y;
    plain.lastIndex = from;
    plain.exec(text);
    return { kind: "plain", from, to: plain.lastIndex };
  }
  const [members, items] = [new Map(), []];
  const close = open === "{" ? "}" : "]";
  let at = skip(text, from + 1);
  while (text[at] !== close) {
    let name = null;
    if (open === "{") {
      const end = endOfText(text, at);
      name = JSON.parse(text.slice(at, end));
      at = skip(text, end) + 1;
    }
    const value = parsed(text, at);
    if (name === null) items.push(value);
    else members.set(name, value);
    at = skip(text, value.to);
    if (text[at] === ",") at = skip(text, at + 1);
  }
  return { kind: open === "{" ? "object" : "list", from, to: at + 1, members, items };
}

function skip(text, at) {
  const space = /\s*/y;
  space.lastIndex = at;
  space.exec(text);
  return space.lastIndex;
}

function endOfText(text, from) {
  const whole = /"(?:[^"\\]|\\.)*"/y;
  whole.lastIndex = from;
  whole.exec(text);
  return whole.lastIndex;
}
