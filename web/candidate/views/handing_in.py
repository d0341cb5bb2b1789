"""The end of an attempt and what comes after: handing in, the receipt, how the grading stands, feedback, a contest.

Receipts can be checked here by anybody, so those pages know no cookie and show neither names nor files.
"""

import json
from http import HTTPStatus
from typing import Final

from flask import Response, abort, jsonify, redirect, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from graders.contract import Finding
from web import briefings, contests, feedback, handover, progress, receipts, submissions, work
from web.arrival import arrived_at
from web.attempts import Phase, TooLate, standing
from web.candidate import candidate
from web.candidate.door import visit
from web.database import now
from web.errors import SubmissionRejected
from web.forgery import csrf
from web.gradings import effective, read_manifest, read_rubric
from web.models import Attempt, AttemptKind, ChallengeVersion, Grading, Receipt, Snapshot, Submission
from web.models import Finding as FindingRow
from web.portal import here
from web.receipts import NotValid, Signed, Signer
from web.speech import LOCALES, gettext, speak

Answer = Response | AnyResponse | str | tuple[Response, int] | tuple[str, int]

LONGEST_PASTED: Final = 400_000  # bytes: a receipt of some thousand files. Longer ones are checked at a terminal
FINAL: Final = (Phase.ENDED, Phase.CLOSING)


# --------------------------------------------------------------------------------------------------------- handing in


@candidate.get("/attempts/<attempt_id>/hand-in")
def look_before_handing_in(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        elsewhere = _elsewhere(session, attempt)
        if elsewhere is not None:
            return elsewhere
        return _hand_in_page(session, attempt)


@candidate.post("/attempts/<attempt_id>/hand-in")
def hand_in(attempt_id: str) -> Answer:
    """What is handed in is what the page showed, or nothing."""
    seen, number = _number("snapshot"), _number("submission")
    desk = submissions.desk_of(here())
    with here().database.reading() as session:
        visit(session, attempt_id)
        kept = submissions.keep(session, desk, attempt_id, seen)
    try:
        with here().database.transaction() as session:
            submission = submissions.hand_in(session, desk, kept, number, arrived_at(session))
    except submissions.MovedOn:
        with here().database.reading() as session:
            attempt = session.get_one(Attempt, attempt_id)
            return _hand_in_page(session, attempt, seen=seen), HTTPStatus.CONFLICT
    except TooLate:
        return redirect(f"/attempts/{attempt_id}/status?late=yes", HTTPStatus.SEE_OTHER)
    return redirect(f"/attempts/{attempt_id}/receipt?number={submission.number}", HTTPStatus.SEE_OTHER)


def _number(name: str) -> int:
    given = request.form.get(name, "")
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise SubmissionRejected(gettext("This was not sent by our page. Go back, load the page again, and repeat it."))
    return int(given)


def _elsewhere(session: Session, attempt: Attempt) -> AnyResponse | None:
    """Where to go instead, when there is nothing to hand in at the moment."""
    phase = standing(session, attempt, now(session)).phase
    if phase is Phase.RUNNING:
        return None
    return redirect(f"/attempts/{attempt.id}/status" if phase in FINAL else f"/attempts/{attempt.id}")


def _hand_in_page(session: Session, attempt: Attempt, seen: int | None = None) -> str:
    head = work.head(session, attempt.id)
    if head is None:
        abort(404)
    earlier = submissions.all_of(session, attempt.id)
    return render_template(
        "candidate/hand_in.html",
        attempt=attempt,
        title=_title(session, attempt),
        handover=handover.look(session, attempt, head),
        standing=standing(session, attempt, now(session)),
        number=submissions.next_number(session, attempt.id),
        earlier=earlier[0] if earlier else None,
        difference=_since(session, attempt, head, seen),
        seen=seen,
        spell_size=handover.spell_size,
    )


def _since(session: Session, attempt: Attempt, head: Snapshot, seen: int | None) -> work.Difference | None:
    """What has changed since the page was shown."""
    before = None if seen is None else work.numbered(session, attempt.id, seen)
    return None if before is None else work.compare(before, head)


def _title(session: Session, attempt: Attempt) -> str:
    return read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest)).title


# -------------------------------------------------------------------------------------------------------- the receipt


@candidate.get("/attempts/<attempt_id>/receipt")
def receipt(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        submission = _wanted(session, attempt)
        if submission is None:
            return redirect(f"/attempts/{attempt.id}/status")
        signed = submissions.receipt_of(session, submission)
        if signed is None:
            abort(404)
        snapshot = session.get_one(Snapshot, submission.snapshot_id)
        sizes = work.sizes(session, snapshot) if snapshot.names is not None else {}
        return render_template(
            "candidate/receipt.html",
            attempt=attempt,
            title=_title(session, attempt),
            submission=submission,
            newest=submissions.all_of(session, attempt.id)[0],
            signed=signed,
            sizes=sizes,
            by_mail=submissions.goes_by_mail(attempt),
            address=here().address,
            spell_size=handover.spell_size,
        )


@candidate.get("/attempts/<attempt_id>/receipt.json")
def receipt_file(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        submission = _wanted(session, attempt)
        signed = None if submission is None else submissions.receipt_of(session, submission)
    if signed is None:
        abort(404)
    answer = Response(signed.document(), mimetype="application/json")
    answer.headers.set("Content-Disposition", "attachment", filename=submissions.ATTACHED)
    return answer


def _wanted(session: Session, attempt: Attempt) -> Submission | None:
    """The submission that the address names; the newest when it names none; None when there is none at all."""
    given = request.args.get("number")
    every = submissions.all_of(session, attempt.id)
    if given is None:
        return every[0] if every else None
    found = next((one for one in every if str(one.number) == given), None)
    return found or abort(404)


# --------------------------------------------------------------------------------------------------------- the status


@candidate.get("/attempts/<attempt_id>/status")
def status(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        phase = standing(session, attempt, now(session)).phase
        every = submissions.all_of(session, attempt.id)
        if phase is Phase.RUNNING and not every:
            return redirect(f"/attempts/{attempt.id}/work")
        if phase not in (*FINAL, Phase.RUNNING):
            return redirect(f"/attempts/{attempt.id}")
        return _status_page(session, attempt, phase, every)


def _status_page(
    session: Session, attempt: Attempt, phase: Phase, every: list[Submission], *, complaint: str = "", said: str = ""
) -> str:
    newest = every[0] if every else None
    rubric = read_rubric(session.get_one(ChallengeVersion, attempt.challenge_digest))
    contested = contests.of(session, newest) if newest else None
    return render_template(
        "candidate/status.html",
        attempt=attempt,
        title=_title(session, attempt),
        phase=phase.value,
        real=briefings.real_of(session, attempt) if attempt.kind is AttemptKind.PRACTICE else None,
        progress=progress.look(session, newest, is_ended=phase is Phase.ENDED),
        submission=newest,
        earlier=every[1:],
        signed=submissions.receipt_of(session, newest) if newest else None,
        is_late=request.args.get("late") == "yes",
        contested=contested,
        contested_title=rubric.criteria[contested.criterion].title if contested and contested.criterion else "",
        criteria=_named(session, attempt, newest),
        complaint=complaint,
        said=said,
        limits=(contests.LEAST, contests.MOST),
    )


def _named(session: Session, attempt: Attempt, submission: Submission | None) -> list[tuple[str, str]]:
    """Criteria that a contest may be about: those that the candidate has read about, and no others."""
    told = _feedback(session, attempt, submission) if submission else None
    return [(row.key, row.title) for part in told.parts for row in part.rows] if told else []


@candidate.get("/attempts/<attempt_id>/status.json")
def status_document(attempt_id: str) -> Answer:
    """What the page asks again and again. The answer has an ETag, so most of the time it says that nothing changed."""
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        every = submissions.all_of(session, attempt.id)
        newest = every[0] if every else None
        phase = standing(session, attempt, now(session)).phase
        if newest is None and phase not in FINAL:
            abort(404)
        found = progress.look(session, newest, is_ended=phase is Phase.ENDED)
    return jsonify(
        step=found.step,
        sentence=found.sentence,
        more=found.more,
        submission=newest.number if newest else None,
        final=found.is_final,
        feedback=found.step is progress.Step.GRADED and attempt.feedback,
    )


# ----------------------------------------------------------------------------------------------- feedback, and contest


@candidate.get("/attempts/<attempt_id>/feedback")
def show_feedback(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        submission = _wanted(session, attempt)
        told = _feedback(session, attempt, submission) if submission else None
        if told is None or submission is None:
            return redirect(f"/attempts/{attempt.id}/status")
        return render_template(
            "candidate/feedback.html",
            attempt=attempt,
            title=_title(session, attempt),
            submission=submission,
            feedback=told,
            is_newest=submission.number == submissions.all_of(session, attempt.id)[0].number,
            contested=contests.of(session, submission),
        )


def _feedback(session: Session, attempt: Attempt, submission: Submission) -> feedback.Feedback | None:
    """None while nothing is graded, and when the employer does not want it to be shown."""
    grading = effective(session, submission.id) if attempt.feedback else None
    if grading is None:
        return None
    version = session.get_one(ChallengeVersion, grading.challenge_digest)
    findings = _findings(session, grading)
    snapshot = session.get_one(Snapshot, submission.snapshot_id)
    quoted = {piece.file for finding in findings for piece in finding.evidence if piece.file}
    own = quoted & (snapshot.names or {}).keys()
    files = {name: work.content(session, snapshot, name) for name in own}
    return feedback.tell(read_manifest(version), read_rubric(version), findings, files)


def _findings(session: Session, grading: Grading) -> list[Finding]:
    rows = session.scalars(select(FindingRow).where(FindingRow.grading_id == grading.id).order_by(FindingRow.position))
    return [
        Finding.model_validate_json(
            json.dumps(
                {"criterion": row.criterion, "credit": row.credit, "reason": row.reason, "evidence": row.evidence}
            )
        )
        for row in rows
    ]


@candidate.post("/attempts/<attempt_id>/contest")
def contest(attempt_id: str) -> Answer:
    try:
        with here().database.transaction() as session:
            _contest(session, visit(session, attempt_id).attempt)
    except SubmissionRejected as error:
        with here().database.reading() as session:
            return _not_contested(session, session.get_one(Attempt, attempt_id), str(error))
    return redirect(f"/attempts/{attempt_id}/status#contest", HTTPStatus.SEE_OTHER)


def _contest(session: Session, attempt: Attempt) -> None:
    every = submissions.all_of(session, attempt.id)
    if not every or not progress.look(session, every[0]).is_final:
        raise SubmissionRejected(gettext("There is nothing to contest yet: it is still being graded."))
    contests.contest(
        session,
        attempt,
        every[0],
        request.form.get("reason", ""),
        request.form.get("criterion", ""),
        criteria=dict(_named(session, attempt, every[0])),
        address=here().address,
    )


def _not_contested(session: Session, attempt: Attempt, complaint: str) -> Answer:
    """The page again, with what was written still in it."""
    every, phase = submissions.all_of(session, attempt.id), standing(session, attempt, now(session)).phase
    if not every:
        return redirect(f"/attempts/{attempt.id}", HTTPStatus.SEE_OTHER)
    said = request.form.get("reason", "")[: 2 * contests.MOST]
    page = _status_page(session, attempt, phase, every, complaint=complaint, said=said)
    return page, HTTPStatus.UNPROCESSABLE_ENTITY


# ------------------------------------------------------------------------------------- receipts, checked by anybody


@candidate.get("/receipts/key")
def receipt_key() -> Answer:
    signer = Signer(here().receipt_key)
    answer = jsonify(algorithm="Ed25519", key_id=signer.key_id, public_key=signer.public_key)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@candidate.get("/receipts")
def check_receipts() -> Answer:
    code = request.args.get("code", "")
    if code:
        return redirect(f"/receipts/{receipts.normal(code)[:40] or '-'}")
    return _public_page()


@candidate.post("/receipts")
@csrf.exempt  # type: ignore[untyped-decorator]  # it changes nothing, so that nobody can be made to do something by it
def check_receipt() -> Answer:
    uploaded = request.files.get("file")
    pasted = request.form.get("receipt", "")
    text = uploaded.read(LONGEST_PASTED + 1) if uploaded and uploaded.filename else pasted.encode()
    if not text.strip():
        return _public_page(
            complaint=_speaking("Paste a receipt, or choose its file.")
        ), HTTPStatus.UNPROCESSABLE_ENTITY
    signer = Signer(here().receipt_key)
    try:
        body = receipts.verify(text, signer.public_key)
    except NotValid as error:
        known = _known(text)
        if known is None:
            return _public_page(reason=str(error), pasted=pasted), HTTPStatus.UNPROCESSABLE_ENTITY
        return _public_page(signed=known, is_of_earlier_key=True)
    return _public_page(signed=Signed(receipt=body, signature=""))


def _speaking(sentence: str) -> str:
    speak(request.accept_languages.best_match(LOCALES) or "en")
    return gettext(sentence)


def _known(text: bytes) -> Signed | None:
    """A receipt that an earlier key of ours signed: nobody can check it with ours, but these very bytes are kept."""
    try:
        signed = receipts.read(text)
    except NotValid:
        return None
    with here().database.reading() as session:
        row = session.scalar(select(Receipt).where(Receipt.code == signed.receipt.code))
    same = row is not None and row.body == signed.receipt.spelled() and row.signature == signed.signature
    return signed if same else None


@candidate.get("/receipts/<code>")
def public_receipt(code: str) -> Answer:
    """By a code that nobody guesses."""
    with here().database.reading() as session:
        signed = submissions.by_code(session, code[:100])
    if signed is None:
        return _public_page(unknown=code[:40]), HTTPStatus.NOT_FOUND
    return _public_page(signed=signed, is_by_code=True)


def _public_page(
    *,
    signed: Signed | None = None,
    is_by_code: bool = False,
    is_of_earlier_key: bool = False,
    reason: str = "",
    unknown: str = "",
    complaint: str = "",
    pasted: str = "",
) -> str:
    speak(request.accept_languages.best_match(LOCALES) or "en")
    signer = Signer(here().receipt_key)
    return render_template(
        "candidate/public_receipt.html",
        said=signed.receipt if signed else None,
        is_by_code=is_by_code,
        is_of_earlier_key=is_of_earlier_key,
        reason=reason,
        unknown=unknown,
        complaint=complaint,
        pasted=pasted,
        key=signer.public_key,
        key_id=signer.key_id,
        address=here().address,
    )
