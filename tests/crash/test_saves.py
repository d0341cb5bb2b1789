"""SIGKILL for a portal while candidates save: what was acknowledged is there, and nothing is there in part or twice."""

import hashlib
import http.client
import json
import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.web.portal_process import PortalProcess
from tests.web.portal_world import Served, served_portal, session_token, started
from web import work
from web.candidate.door import COOKIE
from web.models import Attempt

pytestmark = pytest.mark.crash

CANDIDATES: Final = 6
KILLS: Final = 4
NAME: Final = "windows.py"


@dataclass
class Candidate:
    """A browser that saves as fast as it is answered. What it got no answer to, it sends again, as ours does."""

    attempt: Attempt
    headers: dict[str, str] = field(default_factory=dict)
    base: int = 1
    turn: int = 0
    sent: bytes = b""  # and not answered
    acknowledged: list[tuple[int, bytes]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def come_in(self, served: Served) -> None:
        cookie = f"{COOKIE}={session_token(served.portal, self.attempt)}"
        connection = http.client.HTTPConnection("127.0.0.1", served.process.port, timeout=30)
        connection.request("GET", f"/attempts/{self.attempt.id}/work", headers={"Cookie": cookie})
        answer = connection.getresponse()
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.read().decode())
        assert found, "the page has no token"
        cookies = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie") or []]
        self.headers = {"Cookie": "; ".join([cookie, *cookies]), "X-CSRFToken": found[1]}
        connection.close()

    def work(self, port: int, over: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while not over.is_set():
                if not self.sent:
                    self.turn += 1
                    self.sent = f"# version {self.turn} of {self.attempt.id}\n".encode() * 200
                self._save(connection)
        except (OSError, http.client.HTTPException):
            return  # killed: `sent` stays
        finally:
            connection.close()

    def _save(self, connection: http.client.HTTPConnection) -> None:
        body = json.dumps({"base": self.base, "changes": {NAME: {"text": self.sent.decode()}}, "saved_by": "one"})
        connection.request(
            "POST", f"/attempts/{self.attempt.id}/save", body, self.headers | {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        told = answer.read()
        if answer.status == 429:  # as fast as this saves nobody
            time.sleep(1)
        elif answer.status != 200:
            self.refused.append(f"{answer.status}: {told[:300]!r}")
            self.sent = b""
        else:
            self.base = json.loads(told)["number"]
            self.acknowledged.append((self.base, self.sent))
            self.sent = b""


def test_a_portal_that_is_killed_while_people_save_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with served_portal(tmp_path) as served:
        candidates = [Candidate(started(served.portal)) for _ in range(CANDIDATES)]
        for candidate in candidates:
            candidate.come_in(served)
        process = served.process
        for kill in range(KILLS + 1):
            let_work(process, candidates, 0.5 + 0.21 * kill, killed=kill < KILLS)
            if kill < KILLS:
                process = PortalProcess(state=tmp_path)
        process.stop()
        for candidate in candidates:
            assert candidate.refused == []
            assert len(candidate.acknowledged) > KILLS
            look_at(served, candidate)


def let_work(process: PortalProcess, candidates: list[Candidate], seconds: float, *, killed: bool) -> None:
    over = threading.Event()
    threads = [threading.Thread(target=candidate.work, args=(process.port, over)) for candidate in candidates]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    if killed:
        os.killpg(process.process.pid, signal.SIGKILL)
        process.process.communicate()
    over.set()
    for thread in threads:
        thread.join(60)


def look_at(served: Served, candidate: Candidate) -> None:
    with served.portal.database.reading() as session:
        history = work.history(session, candidate.attempt.id, 10_000)[::-1]
        assert [one.number for one in history] == list(range(1, len(history) + 1))
        contents = [work.files(session, one)[NAME] for one in history]
    for number, content in candidate.acknowledged:
        assert contents[number - 1] == content
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    assert len(set(digests)) == len(digests), "something was saved twice"
    lost = {number for number, _ in candidate.acknowledged} ^ set(range(2, len(history) + 1))
    assert lost <= {len(history)}, "something is there that nobody was told of"  # the last may be on its way
