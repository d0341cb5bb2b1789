// The page after handing in: asks now and then how the grading stands, and says so where it changes. Nothing is
// reloaded under somebody who reads or writes; what becomes possible is shown.

const SOON = 2000;
const LATEST = 15000;
const stands = document.getElementById("stands");
const away = document.getElementById("away");
const PLACES = { closing: -1, nothing: -1, waiting: 1, again: 2, grading: 2, failed: 2, graded: 4 };

/** Which step of the way it is, for eyes and for screen readers. */
function mark(step) {
  stands.dataset.step = step;
  stands.querySelectorAll(".way li").forEach((each, place) => {
    each.classList.toggle("done", place < PLACES[step]);
    if (place === PLACES[step]) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
  });
}

function say(id, words) {
  const place = document.getElementById(id);
  if (place.textContent !== words) place.textContent = words; // the same again would be read aloud again
}

function show(told) {
  if (String(told.submission ?? "") !== stands.dataset.submission) return location.reload(); // the clock handed it in
  mark(told.step);
  say("sentence", told.sentence);
  say("more", told.more);
  if (told.feedback) document.getElementById("feedback")?.removeAttribute("hidden");
  if (told.final) document.getElementById("contest").removeAttribute("hidden");
  return undefined;
}

async function ask() {
  const answer = await fetch(`/attempts/${stands.dataset.attempt}/status.json`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function watch() {
  let pause = SOON;
  for (;;) {
    await new Promise((done) => setTimeout(done, pause));
    if (document.hidden) continue;
    try {
      const before = stands.dataset.step;
      const told = await ask();
      away.hidden = true;
      show(told);
      pause = told.step === before ? Math.min(LATEST, pause * 1.3) : SOON;
      if (told.step === "graded" || told.step === "nothing") return;
    } catch {
      away.hidden = false;
      pause = Math.min(LATEST, pause * 1.5);
    }
  }
}

watch();
