// What the workspace says, in the candidate's language: the page brings all of it, in an element that is no script.

const words = JSON.parse(document.getElementById("words").textContent);
const locale = document.documentElement.lang || "en";

export const phrases = words.editor;

/** `say("saved", { time })`: the sentence of that name, with what stands in braces filled in. */
export function say(name, values = {}) {
  return filled(words.say[name] ?? name, values);
}

/** One or many: each language has a form for one, and a form for all other numbers. */
export function count(name, number, values = {}) {
  const [one, many] = words.count[name];
  return filled(number === 1 ? one : many, { number: new Intl.NumberFormat(locale).format(number), ...values });
}

/** In the kilobytes of 1,024 bytes in which a challenge sets its limits. */
export function size(bytes) {
  if (bytes < 1024) return count("bytes", bytes);
  const [amount, unit] = bytes < 1 << 20 ? [bytes / 1024, "kB"] : [bytes / (1 << 20), "MB"];
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: amount < 10 ? 1 : 0 }).format(amount)} ${unit}`;
}

/** A moment of the server's, as a clock on the wall of whoever reads shows it. */
export function hour(moment) {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false }).format(moment);
}

export function length(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 1 ? count("seconds", Math.round(seconds)) : count("minutes", minutes);
}

function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
