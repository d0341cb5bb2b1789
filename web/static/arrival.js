// The page before the start: tells the portal the browser's time zone, and looks whether the files are made by now.

const PAUSE = 5000;
const sheet = document.getElementById("sheet");
const token = document.querySelector('meta[name="csrf-token"]').content;

document.documentElement.classList.add("scripted");

/** What is read there. Tokens of forms, which differ each time, are not. */
function words(element) {
  const copy = element.cloneNode(true);
  for (const unread of copy.querySelectorAll(".unscripted")) unread.remove();
  return copy.textContent.replace(/\s+/g, " ");
}

/** Take what has changed from a fresh copy of this page; the rest of it stays as the reader left it. */
async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.assign(answer.url); // it was started in another window
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-fresh]")) {
    const made = fresh.getElementById(old.id);
    if (!made || words(made) === words(old)) continue;
    const focused = old.contains(document.activeElement);
    const waited = old.dataset.waits === "yes";
    old.dataset.waits = made.dataset.waits ?? "";
    old.replaceChildren(...made.childNodes);
    if (focused) old.querySelector("a, button:enabled")?.focus();
    if (waited) document.getElementById("news").textContent = words(document.getElementById("start-says"));
  }
}

async function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === sheet.dataset.zone) return;
  const answer = await fetch(`/attempts/${sheet.dataset.attempt}/time-zone`, {
    method: "POST",
    headers: { "X-CSRFToken": token },
    body: new URLSearchParams({ zone }),
  });
  if (answer.ok) await refresh();
}

async function watch() {
  while (document.querySelector('[data-waits="yes"]')) {
    await new Promise((done) => setTimeout(done, PAUSE));
    if (!document.hidden) await refresh().catch(() => {}); // without network: later
  }
}

tellZone().catch(() => {});
watch();
