"""Where a candidate works: the workspace, what its script asks and saves, uploads, and the history."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, jsonify, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from graders.rubric import SubmissionLimits
from web import work, workspace
from web.archives import most_packed
from web.arrival import arrived_at
from web.attempts import Phase, TooLate, standing
from web.candidate import candidate
from web.candidate.door import visit
from web.database import now
from web.errors import SubmissionRejected
from web.models import Attempt, Form, Snapshot
from web.packing import pack
from web.portal import here

Answer = Response | AnyResponse | str | tuple[Response, int] | tuple[str, int]

BESIDE: Final = 64 << 10  # bytes of a form that are not its file

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
        request.max_content_length = max(
            request.max_content_length or 0, most(work.manifest_of(session, attempt).submission)
        )


@candidate.get("/attempts/<attempt_id>/work")
def workplace(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        stands = standing(session, attempt, now(session))
        if stands.phase is not Phase.RUNNING:
            begun = attempt.started_at is not None
            return redirect(f"/attempts/{attempt.id}/status" if begun else f"/attempts/{attempt.id}")
        manifest = work.manifest_of(session, attempt)
        brief = session.get_one(Form, attempt.form_id).brief or ""
        state = _told(session, attempt, _newest(session, attempt))
    return render_template(
        "candidate/work.html", attempt=attempt, standing=stands, manifest=manifest, brief=brief, state=state
    )


@candidate.get("/attempts/<attempt_id>/state")
def state(attempt_id: str) -> Answer:
    """Asked every few seconds by every open page, so that most answers say no more than that nothing has changed."""
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        found = workspace.look(session, attempt, now(session))
        if request.if_none_match.contains(found.mark):
            answer = Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            answer = jsonify(_told(session, attempt, _newest(session, attempt)))
    answer.set_etag(found.mark)
    return answer


def _told(session: Session, attempt: Attempt, saved: work.Saved | None) -> Any:
    """About this saved work, whatever has been saved in another tab since."""
    found = workspace.look(session, attempt, now(session))
    listed = workspace.listed(saved.snapshot, saved.sizes) if saved else []
    number = saved.snapshot.number if saved else 0
    return workspace.told(replace(found, number=number), listed, work.manifest_of(session, attempt))


def _newest(session: Session, attempt: Attempt) -> work.Saved | None:
    head = work.head(session, attempt.id)
    return work.Saved(head, work.sizes(session, head)) if head else None


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
            answer.headers.set("Content-Disposition", "attachment", filename=name.rpartition("/")[2])
    answer.set_etag(digest)
    return answer


def _wanted(session: Session, attempt: Attempt) -> Snapshot:
    """The snapshot that the address names; the newest when it names none."""
    number = request.args.get("number")
    if number is None:
        found = work.head(session, attempt.id)
    else:
        found = work.numbered(session, attempt.id, int(number)) if number.isdecimal() and len(number) < 10 else None
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
        attempt = visit(session, attempt_id).attempt
        limits = work.manifest_of(session, attempt).submission
    try:
        asked = workspace.read_save(request.get_data(), limits)
        with here().database.transaction() as session:
            done = work.change(session, attempt_id, asked.base, asked.changes, arrived_at(session), asked.saved_by)
    except TooLate as error:
        return jsonify(sentence=str(error)), HTTPStatus.GONE
    except SubmissionRejected as error:
        return jsonify(sentence=str(error)), HTTPStatus.UNPROCESSABLE_ENTITY
    with here().database.reading() as session:
        attempt = session.get_one(Attempt, attempt_id)
        if isinstance(done, work.Saved):
            return jsonify(_told(session, attempt, done))
        theirs = {name: work.content(session, done.head, name) for name in done.names}
        return jsonify(
            number=done.head.number,
            conflicts={name: workspace.carried(content) for name, content in theirs.items()},
            files=workspace.listed(done.head, work.sizes(session, done.head)),
        ), HTTPStatus.CONFLICT
