"""Where a candidate works: the workspace, what its script asks and saves, uploads, and the history."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Any, BinaryIO, Final, cast

from flask import Response, abort, g, jsonify, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from graders.rubric import Manifest, SubmissionLimits
from web import histories, inert, uploads, work, workspace
from web.archives import most_packed
from web.arrival import arrived_at, has_waited
from web.attempts import Phase, TooLate, standing
from web.candidate import candidate
from web.candidate.door import visit
from web.database import now
from web.errors import SubmissionRejected
from web.models import Attempt, Form, Origin, Snapshot
from web.packing import pack
from web.portal import here
from web.speech import gettext as _

Answer = Response | AnyResponse | str | tuple[Response, int] | tuple[str, int]

NUMBER: Final = "int(max=999999999)"  # of a snapshot; more than the database can count is no number of one
BESIDE: Final = 64 << 10  # bytes of a form that are not its file
AT_ONCE: Final = BoundedSemaphore(4)  # large requests, in one process
PATIENCE_SECONDS: Final = 5.0  # that another one waits

# What may be larger than other requests, and how large.
LARGER: Final[dict[str, Callable[[SubmissionLimits], int]]] = {
    "candidate.save": workspace.most_sent,
    "candidate.upload": lambda limits: most_packed(limits) + BESIDE,
}


@candidate.url_value_preprocessor
def allow_more(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Before anything reads the body, and only to somebody who may work here: strangers send megabytes in vain."""
    most = LARGER.get(endpoint or "")
    fits = request.content_length is not None and request.content_length <= (request.max_content_length or 0)
    if most is None or values is None or fits:
        return
    with here().database.reading() as session:
        attempt = visit(session, values["attempt_id"]).attempt
        allowed = max(request.max_content_length or 0, most(work.manifest_of(session, attempt).submission))
    request.max_content_length = allowed
    if (request.content_length or 0) > allowed:
        return  # it is refused, and needs no place
    # Each of them is held in memory, twice for a moment, by a process that must not run out of it.
    if not AT_ONCE.acquire(timeout=PATIENCE_SECONDS):
        raise ServiceUnavailable
    g.at_once = AT_ONCE


@candidate.teardown_request
def let_the_next_in(_: BaseException | None) -> None:
    if (held := g.pop("at_once", None)) is not None:
        held.release()


@candidate.get("/attempts/<attempt_id>/work")
def workplace(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        seen = visit(session, attempt_id)
        attempt, stands = seen.attempt, standing(session, seen.attempt, seen.at)
        if stands.phase is not Phase.RUNNING:
            begun = attempt.started_at is not None
            return redirect(f"/attempts/{attempt.id}/status" if begun else f"/attempts/{attempt.id}")
        manifest = work.manifest_of(session, attempt)
        brief = session.get_one(Form, attempt.form_id).brief or ""
        state = _told(session, attempt, workspace.look(session, attempt, seen.at))
    return render_template(
        "candidate/work.html",
        attempt=attempt,
        standing=stands,
        manifest=manifest,
        brief=inert.markdown(brief),
        state=state,
    )


@candidate.get("/attempts/<attempt_id>/state")
def state(attempt_id: str) -> Answer:
    """Asked every few seconds by every open page, so that most answers say no more than that nothing has changed."""
    with here().database.reading() as session:
        seen = visit(session, attempt_id)
        found = workspace.look(session, seen.attempt, seen.at)
        if request.if_none_match.contains(found.mark):
            answer = Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            answer = jsonify(_told(session, seen.attempt, found))
    answer.set_etag(found.mark)
    return answer


def _told(session: Session, attempt: Attempt, found: workspace.Now) -> Any:
    """With the files that are there now: what is told is never older than its mark."""
    head = work.head(session, attempt.id)
    listed = workspace.listed(head, work.sizes(session, head)) if head else []
    number = head.number if head else 0
    return workspace.told(replace(found, number=number), listed, work.manifest_of(session, attempt))


@candidate.get("/attempts/<attempt_id>/file")
def file(attempt_id: str) -> Answer:
    """The bytes of one file, which no browser shows as a page: they are a stranger's."""
    name = request.args.get("name", "")
    with here().database.reading() as session:
        snapshot = _wanted(session, visit(session, attempt_id).attempt)
        digest = (snapshot.names or {}).get(name)
        if digest is None:
            abort(404)
        if request.if_none_match.contains(digest):
            answer = Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            answer = Response(work.content(session, snapshot, name), mimetype="application/octet-stream")
            answer.headers["Content-Disposition"] = inert.disposition(name)
    answer.set_etag(digest)
    return answer


def _wanted(session: Session, attempt: Attempt) -> Snapshot:
    """The snapshot that the address names; the newest when it names none."""
    number = request.args.get("number")
    found = work.head(session, attempt.id) if number is None else work.numbered(session, attempt.id, _number(number))
    if found is None:
        abort(404)
    return found


@candidate.get("/attempts/<attempt_id>/bundle.zip")
def bundle(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        snapshot = _wanted(session, attempt)
        files = work.files(session, snapshot)
        brief = session.get_one(Form, attempt.form_id).brief or ""
    answer = Response(pack(files, brief), mimetype="application/zip")
    answer.headers.set("Content-Disposition", "attachment", filename=f"work-{snapshot.number}.zip")
    return answer


@candidate.post("/attempts/<attempt_id>/save")
def save(attempt_id: str) -> Answer:
    """What is sent is read before anybody is kept from writing, and so is whose it is."""
    with here().database.reading() as session:
        seen = visit(session, attempt_id)
        arrived = seen.at - has_waited()
        manifest = work.manifest_of(session, seen.attempt)
        found = workspace.look(session, seen.attempt, seen.at)
    try:
        asked = workspace.read_save(request.get_data(), manifest.submission)
        with here().database.transaction() as session:
            done = work.change(session, attempt_id, asked.base, asked.changes, arrived, asked.saved_by)
    except TooLate as error:
        return jsonify(sentence=_sentence(error)), HTTPStatus.GONE
    except SubmissionRejected as error:
        return jsonify(sentence=_sentence(error)), HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(done, work.Saved):
        listed = workspace.listed(done.snapshot, done.sizes)
        return jsonify(workspace.told(replace(found, number=done.snapshot.number), listed, manifest))
    with here().database.reading() as session:
        theirs = {name: work.content(session, done.head, name) for name in done.names}
        return jsonify(
            number=done.head.number,
            conflicts={name: workspace.carried(content) for name, content in theirs.items()},
            files=workspace.listed(done.head, work.sizes(session, done.head)),
        ), HTTPStatus.CONFLICT


# ---------------------------------------------------------------------------------------------------------- uploads


@candidate.post("/attempts/<attempt_id>/upload")
def upload(attempt_id: str) -> Answer:
    """Read and refused before anything is stored. A request that breaks off in the middle never comes so far."""
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        manifest = work.manifest_of(session, attempt)
        brief = session.get_one(Form, attempt.form_id).brief or ""
        before = work.head(session, attempt.id)
    try:
        files = [uploads.Sent(one.filename or "", cast(BinaryIO, one.stream)) for one in request.files.getlist("file")]
        sent = uploads.read(files, manifest, brief, (before.names if before else None) or {})
        after = _keep(attempt_id, before, sent)
    except SubmissionRejected as error:
        status = HTTPStatus.GONE if isinstance(error, TooLate) else HTTPStatus.UNPROCESSABLE_ENTITY
        return _upload_page(attempt, manifest, before, refused=_sentence(error)), status
    notes = sent.notes if isinstance(sent, uploads.Archive) else ()
    return _upload_page(attempt, manifest, before, after=after, notes=notes)


def _keep(attempt_id: str, before: Snapshot | None, sent: uploads.Archive | uploads.Singles) -> Snapshot:
    with here().database.transaction() as session:
        at = arrived_at(session)
        if isinstance(sent, uploads.Archive):
            return work.save(session, attempt_id, sent.files, Origin.UPLOAD, at)
        done = work.change(session, attempt_id, before.number if before else 0, sent.files, at, origin=Origin.UPLOAD)
    if isinstance(done, work.Conflict):
        names = ", ".join(done.names)
        raise SubmissionRejected(_("Changed in another window in this very moment: %(names)s. Try again.", names=names))
    return done.snapshot


def _upload_page(
    attempt: Attempt,
    manifest: Manifest,
    before: Snapshot | None,
    *,
    after: Snapshot | None = None,
    notes: Sequence[str] = (),
    refused: str = "",
) -> str:
    return render_template(
        "candidate/upload.html",
        attempt=attempt,
        manifest=manifest,
        before=before,
        after=after,
        entry=histories.Entry(after, work.compare(before, after)) if before and after else None,
        missing=[one for one in manifest.deliverables if after and not _delivers(after, one)],
        notes=notes,
        refused=refused,
    )


def _delivers(snapshot: Snapshot, deliverable: str) -> bool:
    asked = deliverable.rstrip("/")
    return any(name == asked or name.startswith(f"{asked}/") for name in snapshot.names or {})


# ---------------------------------------------------------------------------------------------------------- history


@candidate.get("/attempts/<attempt_id>/history")
def history(attempt_id: str) -> Answer:
    chosen = request.args.get("older", ""), request.args.get("newer", "")
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        if all(map(_number, chosen)):
            first, second = sorted(map(_number, chosen))
            return redirect(f"/attempts/{attempt.id}/history/{first}..{second}")
        found = histories.page(session, attempt.id, _number(request.args.get("before", "")) or None)
        may_restore = standing(session, attempt, now(session)).phase is Phase.RUNNING
    return render_template(
        "candidate/history.html",
        attempt=attempt,
        page=found,
        words=histories.words,
        restored=_number(request.args.get("restored", "")),
        may_restore=may_restore,
    )


@candidate.get(f"/attempts/<attempt_id>/history/<{NUMBER}:number>")
def saved_state(attempt_id: str, number: int) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        snapshot, newest = work.numbered(session, attempt.id, number), work.head(session, attempt.id)
        if snapshot is None or newest is None:
            abort(404)
        return render_template(
            "candidate/snapshot.html",
            attempt=attempt,
            snapshot=snapshot,
            newest=newest,
            files=workspace.listed(snapshot, work.sizes(session, snapshot)),
            words=histories.words,
            may_restore=standing(session, attempt, now(session)).phase is Phase.RUNNING,
        )


@candidate.get(f"/attempts/<attempt_id>/history/<{NUMBER}:older>..<{NUMBER}:newer>")
def two_states(attempt_id: str, older: int, newer: int) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        before, after = (work.numbered(session, attempt.id, number) for number in (older, newer))
        if before is None or after is None:
            abort(404)
        found = histories.compared(session, before, after)
    return render_template(
        "candidate/compare.html", attempt=attempt, before=before, after=after, found=found, words=histories.words
    )


@candidate.post(f"/attempts/<attempt_id>/history/<{NUMBER}:number>/restore")
def restore(attempt_id: str, number: int) -> Answer:
    with here().database.reading() as session:
        visit(session, attempt_id)
    with here().database.transaction() as session:
        work.restore(session, attempt_id, number, arrived_at(session))
    return redirect(f"/attempts/{attempt_id}/history?restored={number}", 303)


def _number(said: str) -> int:
    """Of a snapshot, as an address names it; 0 when it names none."""
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else 0


def _sentence(error: SubmissionRejected) -> str:
    """What the reader of archives says begins with what it has read, and that is on the page already."""
    said = str(error).removeprefix("upload: ")
    return f"{said[:1].upper()}{said[1:].rstrip('.')}."
