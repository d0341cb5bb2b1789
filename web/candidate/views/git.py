"""`git clone` and `git push` of an attempt, and the password for both."""

import logging
import math
import time
import zlib
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Any, Final

from flask import Response, render_template, request, stream_with_context

from web import checks, work
from web.arrival import arrived_at
from web.attempts import Standing, standing
from web.candidate import candidate
from web.candidate.door import visit
from web.candidate.views.checks import sentence
from web.database import now
from web.errors import Refused, SubmissionRejected
from web.forgery import csrf
from web.git.fetching import fetched, standing_at
from web.git.lines import FLUSH, Unreadable, line, said
from web.git.passwords import NAME, new_password, opens
from web.git.protocol import RECEIVE, UPLOAD, Offered, advertised, read_offered, read_wanted, reported
from web.git.pushing import Outcome, push, refused
from web.git.repository import most_inflated
from web.models import Attempt, Check, CheckState, Snapshot
from web.portal import Portal, here
from web.speech import gettext, ngettext, speak

log = logging.getLogger(__name__)

MOST_ASKED: Final = 1 << 20  # bytes of what a client says that it has
MOST_UNREAD: Final = 64 << 20  # of a push that is too large: read and dropped, so that the sentence why can be heard
MOST_SENT: Final = 160 << 20  # of any push: the largest that a challenge can allow, and what is dropped
BESIDE: Final = 64 << 10  # bytes of a push that are no pack
PIECE: Final = 64 << 10

# A push that waits for its checks has one of our threads. Those for whom there is none left are told where to look.
WATCHING: Final = BoundedSemaphore(2)
WATCH_SECONDS: Final = 20.0  # from its beginning
LAST_SECONDS: Final = 6.0  # of what one request may take: time to say that they have not come to their end
LOOK_SECONDS: Final = 0.5
MOST_SHOWN: Final = 60  # lines of what a check says


@candidate.url_value_preprocessor
def allow_a_pack(endpoint: str | None, values: dict[str, Any] | None) -> None:  # noqa: ARG001
    """Nothing of it is read before the password was seen, and then no more than this attempt's challenge allows."""
    if endpoint == "candidate.git_push":
        request.max_content_length = MOST_SENT


@candidate.get("/git/<attempt_id>.git/info/refs")
def git_refs(attempt_id: str) -> Response:
    service = request.args.get("service", "")
    attempt = _let_in(attempt_id)
    if attempt is None:
        return _ask_for_password()
    if service not in (UPLOAD, RECEIVE):
        return _refuse(403, "Assay speaks git's smart protocol: use a git that is newer than 2010.")
    try:
        commit = standing_at(here().database, attempt_id)
    except SubmissionRejected as error:
        return _refuse(403, str(error))
    return _answer(service, "advertisement", advertised(service, commit))


@candidate.post("/git/<attempt_id>.git/git-upload-pack")
def git_fetch(attempt_id: str) -> Response:
    attempt = _let_in(attempt_id)
    if attempt is None:
        return _ask_for_password()
    if (body := _body(UPLOAD, MOST_ASKED)) is None:
        return _refuse(415, "This is not what git sends.")
    with here().database.reading() as session:
        left = _left(standing(session, attempt, now(session)))
    try:
        pieces = fetched(here().database, attempt_id, read_wanted(body), (left,))
    except Unreadable as error:
        return _answer(UPLOAD, "result", line(f"ERR {error}\n"))
    return _answer(UPLOAD, "result", pieces)


@candidate.post("/git/<attempt_id>.git/git-receive-pack")
def git_push(attempt_id: str) -> Response:
    """The answer begins with what became of the push. Whatever happens while the checks run, that has been said."""
    attempt = _let_in(attempt_id)
    if attempt is None:
        return _ask_for_password()
    portal = here()
    until = time.monotonic() + min(WATCH_SECONDS, portal.settings.web_request_seconds - LAST_SECONDS)
    with portal.database.reading() as session:
        manifest = work.manifest_of(session, attempt)
    most = most_inflated(manifest.submission) + BESIDE
    if (body := _body(RECEIVE, most + 1)) is None:
        return _refuse(415, "This is not what git sends.")
    try:
        offered = read_offered(body)
    except Unreadable as error:
        return _answer(RECEIVE, "result", line(f"ERR {error}\n"))
    if not offered.moves:
        return _answer(RECEIVE, "result", b"")  # git tries out first whether it may send something large
    if len(body) > most:
        outcome = refused(
            offered,
            "too large",
            gettext(
                "This push is larger than %(most)s kB. Leave out what others wrote, such as installed packages, also "
                "in the commits before the last. `git reset --soft origin/main` and a new commit leave out all but "
                "the last. Nothing was saved; what was saved before is still there.",
                most=f"{most >> 10:,}",
            ),
        )
    else:
        outcome = push(portal.database, attempt_id, offered, manifest, arrived_at)
    told = _told(portal, attempt, offered, outcome, until if manifest.check else 0)
    return _answer(RECEIVE, "result", stream_with_context(told))


# ----------------------------------------------------------------------------------------------- what a push is told


def _told(portal: Portal, attempt: Attempt, offered: Offered, outcome: Outcome, until: float) -> Iterator[bytes]:
    """`until`: as long as the checks are watched; 0 when there are none."""
    report = reported(offered, outcome.unpacked, outcome.fates)
    if not offered.voices:
        yield report
        return
    yield b"".join(map(said, _sentences(portal, attempt, outcome)))
    yield report
    if outcome.snapshot is not None and outcome.changed and until:
        yield from map(said, _checked(portal, attempt, outcome.snapshot, until))
    yield FLUSH


def _sentences(portal: Portal, attempt: Attempt, outcome: Outcome) -> Iterator[str]:
    if outcome.sentence:
        yield outcome.sentence
    snapshot = outcome.snapshot
    if snapshot is None:
        return
    if outcome.changed:
        size = gettext("%(kb)s kB", kb=f"{math.ceil(snapshot.bytes / 1024):,}")
        yield ngettext(
            "Received snapshot %(number)s: %(num)s file, %(size)s.",
            "Received snapshot %(number)s: %(num)s files, %(size)s.",
            snapshot.files,
            number=snapshot.number,
            size=size,
        )
    else:
        yield gettext("Received. The files are those of snapshot %(number)s, as before.", number=snapshot.number)
    if outcome.missing:
        yield gettext("Not there yet, and to be handed in: %(names)s.", names=", ".join(outcome.missing))
    with portal.database.reading() as session:
        yield _left(standing(session, session.get_one(Attempt, attempt.id), now(session)))


def _left(stands: Standing) -> str:
    if stands.ends_at is None:
        return gettext("The clock has not started.")
    if not stands.seconds_left:
        return gettext("The time is over.")
    if stands.seconds_left < 120:
        return ngettext("%(num)s second left.", "%(num)s seconds left.", int(stands.seconds_left))
    return ngettext("%(num)s minute left.", "%(num)s minutes left.", int(stands.seconds_left // 60))


def _checked(portal: Portal, attempt: Attempt, snapshot: Snapshot, until: float) -> Iterator[str]:
    """What the public checks say about it, if that is known soon."""
    address = f"{portal.address}/attempts/{attempt.id}/work"
    if not WATCHING.acquire(blocking=False):
        yield gettext("To run the public checks, press Run: %(address)s", address=address)
        return
    try:
        with portal.database.reading() as session:
            arrived = arrived_at(session)
        check = checks.ask(portal.database, portal.store, attempt.id, arrived)
        if check.tree != snapshot.tree:
            yield gettext("The public checks still run over other saved work: %(address)s", address=address)
            return
        if not checks.ring(portal.database, portal.bell, check, portal.token_for):
            yield gettext("The public checks run as soon as they can. See here: %(address)s", address=address)
            return
        yield gettext("The public checks:")
        yield from _watched(portal, check, address, until)
    except SubmissionRejected as error:  # the time came to its end in this moment
        yield str(error)
    finally:
        WATCHING.release()


def _watched(portal: Portal, check: Check, address: str, until: float) -> Iterator[str]:
    """Its lines as they come, and how it ended."""
    shown, place = 0, 1
    while True:
        with portal.database.reading() as session:
            seen = checks.look(session, portal.bell, session.get_one(Check, check.id))
        ended = seen.state in (CheckState.DONE, CheckState.FAILED)
        lines = seen.output.splitlines(keepends=True)
        complete = lines if ended or not lines or lines[-1].endswith("\n") else lines[:-1]
        yield from (each.rstrip() for each in complete[shown:MOST_SHOWN])
        shown = max(shown, len(complete))
        if seen.position is not None and seen.position != place:
            place = seen.position
            yield sentence(seen)
        if ended:
            if shown > MOST_SHOWN:
                yield gettext("All of it is here: %(address)s", address=address)
            yield sentence(seen)
            return
        if time.monotonic() > until:
            yield gettext("They have not come to their end yet. See them here: %(address)s", address=address)
            return
        time.sleep(LOOK_SECONDS)


# ------------------------------------------------------------------------------------------------- who, and what with


def _let_in(attempt_id: str) -> Attempt | None:
    """The attempt, if the password that git sent opens it."""
    shown = request.authorization
    password = (shown.password or "") if shown is not None and shown.type == "basic" else ""
    with here().database.reading() as session:
        attempt = opens(session, here(), attempt_id, password) if password else None
    if attempt is not None:
        speak(attempt.locale)
    return attempt


def _ask_for_password() -> Response:
    """The same for a wrong password and for an attempt that is not there: nobody learns which attempts there are."""
    answer = _refuse(401, "Git needs the password of this attempt: make one on the page of the workspace.")
    answer.headers["WWW-Authenticate"] = 'Basic realm="Assay", charset="UTF-8"'
    return answer


def _body(service: str, most: int) -> bytes | None:
    """No more of it than `most`; None when it is not what git sends.

    A form of another site can send neither this type nor this password, so none of it is a forgery.
    """
    if request.mimetype != f"application/x-{service}-request":
        return None
    coding = request.headers.get("Content-Encoding", "identity")
    if coding not in ("identity", "gzip", "x-gzip"):
        return None
    pieces, kept, dropped = [], 0, 0
    while kept < most and (piece := request.stream.read(min(PIECE, most - kept))):
        pieces.append(piece)
        kept += len(piece)
    while kept == most and dropped < MOST_UNREAD and (piece := request.stream.read(PIECE)):
        dropped += len(piece)
    return b"".join(pieces) if coding == "identity" else _gunzipped(b"".join(pieces), most)


def _gunzipped(packed: bytes, most: int) -> bytes | None:
    inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = inflating.decompress(packed, most)
    except zlib.error:
        return None
    return body if inflating.eof or len(body) == most else None


def _answer(service: str, kind: str, content: bytes | Iterator[bytes]) -> Response:
    answer = Response(content, mimetype=f"application/x-{service}-{kind}")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _refuse(status: int, sentence: str) -> Response:
    """Plain text is what git shows to the person in front of it."""
    answer = Response(f"{sentence}\n", status, mimetype="text/plain")
    answer.headers["Cache-Control"] = "no-store"
    return answer


csrf.exempt(git_fetch)
csrf.exempt(git_push)


# ---------------------------------------------------------------------------------------------------- the password


@candidate.post("/attempts/<attempt_id>/git-password")
def git_password(attempt_id: str) -> Response:
    """The one page that shows it. Asked for again, there is a new one, and the one before opens nothing."""
    with here().database.transaction() as session:
        attempt = visit(session, attempt_id).attempt
        slug = work.manifest_of(session, attempt).title
        try:
            password = new_password(session, here(), attempt_id)
        except Refused as error:
            raise SubmissionRejected(str(error)) from None
    scheme, _, host = here().address.partition("://")
    page = render_template(
        "candidate/git.html",
        attempt=attempt,
        password=password,
        name=NAME,
        folder="-".join("".join(sign if sign.isalnum() else " " for sign in slug.lower()).split()) or "work",
        address=f"{scheme}://{NAME}@{host}/git/{attempt.id}.git",
    )
    answer = Response(page)
    answer.headers["Cache-Control"] = "no-store"
    return answer
