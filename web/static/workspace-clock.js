// The countdown. The clock that counts is the server's; what this computer believes about the time plays no part.
//
// Each answer of the server says what time it is there. From then on `performance.now()` counts, which nobody can set.
// It may stand still while a computer sleeps: then the two clocks here disagree, and the server is asked again.

const TRUSTED = 120_000; // milliseconds for which a quick answer is believed more than a slower one that came later
const SLEPT = 2_000; // milliseconds by which the clocks disagree until we ask
const WARNINGS = [30, 10, 5, 1]; // minutes

export class Clock {
  /** `on.tick(left)` in milliseconds, `on.warn(minutes)`, `on.doubt()` when the server had better be asked. */
  constructor(on) {
    this.on = on;
    this.ends = null;
    this.known = null; // { there, here, spread }
    this.before = null;
    this.warned = null;
    this.looked = { wall: Date.now(), steady: performance.now() };
  }

  /** What the server said, in an answer that was asked for at `asked` and here at `came`, by performance.now(). */
  learn({ now, ends_at: ends }, asked, came, anew = false) {
    this.ends = ends ? Date.parse(ends) : null;
    const spread = came - asked;
    const old = this.known;
    if (anew || !old || spread <= old.spread || came - old.here > TRUSTED) {
      this.known = { there: Date.parse(now), here: (asked + came) / 2, spread };
    }
    this.tick();
  }

  /** The server's time, in milliseconds. */
  now() {
    return this.known ? this.known.there + performance.now() - this.known.here : Date.now();
  }

  left() {
    return this.ends === null ? null : Math.max(0, this.ends - this.now());
  }

  run() {
    this.tick();
    setTimeout(() => this.run(), 1000 - (this.now() % 1000) + 10);
  }

  tick() {
    this.#doubt();
    const left = this.left();
    if (left === null) return;
    const past = WARNINGS.filter((minutes) => left <= minutes * 60_000);
    const nearest = past.at(-1) ?? null;
    if (this.before !== null && nearest !== null && nearest !== this.warned && left > 0 && this.before > nearest * 60_000) {
      this.on.warn(nearest);
    }
    this.warned = nearest;
    this.before = left;
    this.on.tick(left);
  }

  #doubt() {
    const looked = { wall: Date.now(), steady: performance.now() };
    const apart = looked.wall - this.looked.wall - (looked.steady - this.looked.steady);
    this.looked = looked;
    if (Math.abs(apart) > SLEPT) this.on.doubt();
  }
}

/** `1:04:09`, or `4:09` in the last hour. Rounded up: zero is zero. */
export function digits(left) {
  const seconds = Math.ceil(left / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
