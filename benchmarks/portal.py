"""A thousand candidates who work at once, against one view that inserts one row, on the same server in turns.

Some of the candidates press Run. Rooms take processors from whatever runs beside them, so they press it while the bare
view is measured, too.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks import Figure, Progress
from benchmarks.clients import Client, Plan
from benchmarks.rig import PORTAL, QUEUE, Rig, RigBroken, rig
from graders.challenge import read_challenge
from graders.forms import build, form_for
from web import access, attempts, work
from web.candidate.door import COOKIE
from web.challenges import newest
from web.database import now
from web.models import Application, Form, FormState, Person, Role
from web.portal import Portal, assemble, make_secrets
from web.settings import PROJECT, DatabaseSettings, PortalSettings

WARM_UP: Final = PROJECT / "challenges" / "warm-up"
BARE: Final = "bare"


@dataclass(frozen=True, slots=True)
class Sizes:
    candidates: int = 1000
    seconds: float = 60.0  # of candidates who save on their own beat
    every: float = 10.0
    presses: float = 0.05  # share of candidates who press Run
    at_once: int = 32  # clients who find out how much the server can do
    rounds: int = 3
    flat_out: float = 10.0  # seconds of each round


def measure(progress: Progress, sizes: Sizes = Sizes()) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        state = Path(folder) / "state"
        settings = {"ASSAY_CHALLENGES": str(PROJECT / "challenges"), "ASSAY_PORT": "0", "ASSAY_FORMS_READY": "0"}
        with rig(state, settings) as running, rig(Path(folder) / "other", settings) as beside:
            portal = portal_of(state)
            progress(f"{sizes.candidates} candidates start")
            clients = _candidates(running, portal, sizes)
            running.start(QUEUE, "clock", "recording", "checks-1")
            yield from _compare(running, beside, portal, clients, sizes, progress)


def _compare(
    running: Rig, beside: Rig, portal: Portal, clients: list[Client], sizes: Sizes, progress: Progress
) -> Iterator[Figure]:
    bare = [Client("/save", {"Content-Type": "text/plain"}) for _ in clients]
    beside.start(QUEUE)
    with running.served() as ours, beside.served(["-m", "benchmarks.bare"]) as theirs:
        _equip(ours, clients)
        rates: dict[str, list[float]] = {PORTAL: [], BARE: []}
        for turn in range(sizes.rounds + 1):
            progress(f"as many saves as it can do, round {turn} of {sizes.rounds}")
            # Others in each round: whoever saves as fast as this is soon told that it is too often.
            these = slice(turn * sizes.at_once, (turn + 1) * sizes.at_once)
            for name, url, some in ((PORTAL, ours, clients), (BARE, theirs, bare)):
                told = _told(url, some[these], sizes.flat_out, every=0, bare=name == BARE)
                if turn:  # in the first, both are still getting ready
                    rates[name].append(len(told["latencies"]) / told["seconds"])
        tails: dict[str, float] = {}
        before, grown = _memory(running), 0.0
        for name, url, some in ((BARE, theirs, bare), (PORTAL, ours, clients)):
            progress(f"{len(some)} candidates who save every {sizes.every:g} s: {name}")
            with ThreadPoolExecutor() as beside_it:
                # The rooms of checks take the same processors from the bare view as from us.
                pressing = [client for client in clients if client.presses and name == BARE]
                pressed = pressing and beside_it.submit(
                    _told, ours, pressing, sizes.seconds, every=sizes.every, bare=False
                )
                told = _told(url, some, sizes.seconds, every=sizes.every, bare=name == BARE)
                _ = pressed and pressed.result()
            tails[name] = _percentile(told["latencies"], 0.99)
            yield Figure(f"{len(some)} candidates: saves a second, {name}", len(told["latencies"]) / sizes.seconds, "")
            yield Figure(f"{len(some)} candidates: median, {name}", 1000 * median(told["latencies"]), "ms")
            yield Figure(f"{len(some)} candidates: 99 of 100 within, {name}", 1000 * tails[name], "ms")
            for failure in sorted(set(told["failures"])):
                progress(f"a save that failed: {failure}")
            if name == PORTAL:
                grown = _memory(running) / before
                yield Figure("saves that were refused or got no answer", len(told["failures"]), "", 0)
                yield Figure("saves that were acknowledged and are not there", _lost(portal, told["last"]), "", 0)
                yield Figure("checks that were run meanwhile", told["checks"], "")
    yield Figure("flat out: saves a second", median(rates[PORTAL]), "")
    yield Figure("flat out: rows a second of the bare view", median(rates[BARE]), "")
    yield Figure("flat out: bare view / saves", median(rates[BARE]) / median(rates[PORTAL]), "times", 2)
    yield Figure("99 of 100: saves / bare view", tails[PORTAL] / tails[BARE], "times", 10)
    yield Figure("memory of the portal, afterwards / before", grown, "times", 1.15)


# ----------------------------------------------------------------------------------------------------- candidates


def portal_of(state: Path) -> Portal:
    """The verbs in this process, on the same database, store and secrets as the portal's processes."""
    where = DatabaseSettings(_env_file=None, state=state)
    settings = PortalSettings(_env_file=None)
    make_secrets(settings, where)
    return assemble(settings, where)


def _candidates(running: Rig, portal: Portal, sizes: Sizes) -> list[Client]:
    """Each with an attempt that runs: on one form, because making a thousand is not what is measured."""
    challenge = read_challenge(WARM_UP)
    form, bundle = build(challenge, form_for(challenge.slug, challenge.manifest.version, "benchmark", b"s" * 32))
    tree = running.store.put(bundle.files)
    clients = []
    with portal.database.transaction() as session:
        at = now(session)
        version = newest(session, challenge.slug)
        if version is None:
            raise RigBroken("warm-up: is not published")
        role = Role(title="Engineer", created_at=at)
        session.add(role)
        session.flush()
        for number in range(sizes.candidates):
            person = Person(name=f"Candidate {number}", email=f"{number}@example.org", created_at=at)
            session.add(person)
            session.flush()
            application = Application(person_id=person.id, role_id=role.id, created_at=at)
            session.add(application)
            session.flush()
            attempt = attempts.invite(session, application, version, "benchmark")
            made = session.get_one(Form, attempt.form_id)
            made.state, made.bundle, made.brief, made.signature = (
                FormState.ISSUED, tree, bundle.brief, form.signature,
            )  # fmt: skip
            session.flush()
            work.begin(session, attempts.start(session, attempt.id, now(session)), bundle.files)
            token = access.new_session(session, portal, "benchmark", attempt_id=attempt.id)
            presses = number % round(1 / sizes.presses) == 0  # spread over the beat, as people are
            clients.append(Client(f"/attempts/{attempt.id}/save", {"Cookie": f"{COOKIE}={token}"}, 1, presses))
    return clients


def _equip(url: str, clients: Sequence[Client]) -> None:
    """As a browser does: the page has the token that forms must carry, and a cookie that goes with it."""
    for client in clients:
        page = urllib.request.Request(url + client.path.replace("/save", "/work"), headers=client.headers)
        with urllib.request.urlopen(page, timeout=30) as answer:
            found = re.search(r'name="csrf-token" content="([^"]+)"', answer.read().decode())
            if found is None:
                raise RigBroken("the workspace's page has no csrf-token")
            cookies = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie") or []]
        cookie = "; ".join([client.headers["Cookie"], *cookies])
        client.headers = {"Cookie": cookie, "X-CSRFToken": found[1], "Content-Type": "application/json"}


def _told(url: str, clients: Sequence[Client], seconds: float, *, every: float, bare: bool) -> dict[str, Any]:
    """What the clients, which run in a process of their own, tell afterwards."""
    address = urlsplit(url)
    plan = Plan(
        str(address.hostname), address.port or 80, list(clients), seconds, every, bare, "" if bare else "/checks"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks.clients"],
        input=json.dumps(asdict(plan)), capture_output=True, text=True, check=False, cwd=PROJECT,
    )  # fmt: skip
    if done.returncode:
        raise RigBroken(f"clients: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    for client in clients:
        client.number = told["numbers"].get(client.path, client.number)
    if not told["latencies"]:
        raise RigBroken(f"clients: no save went well: {told['failures'][:3]}")
    return told


# ---------------------------------------------------------------------------------------------------------- counting


def _lost(portal: Portal, last: dict[str, str]) -> int:
    """Candidates whose newest snapshot does not hold what was acknowledged last."""
    lost = 0
    with portal.database.reading() as session:
        for path, digest in last.items():
            newest_of = work.head(session, path.split("/")[2])
            lost += newest_of is None or (newest_of.names or {}).get("windows.py") != digest
    return lost


def _memory(running: Rig) -> float:
    """Kilobytes of the portal's processes that are theirs alone, or their share of what they have in common."""
    total = 0
    for process in [running.pid(PORTAL), *running.children(PORTAL)]:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return float(total)


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
