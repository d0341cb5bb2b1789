"""Forms: how many are kept ready, who is asked to make them, and what happens when nobody can."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from graders.challenge import read_challenge
from graders.contract import Failure, Fault, FormReport, FormRequest
from graders.forming import FormingWorker
from graders.settings import GradersSettings
from graders.versions import Versions
from tests.web.portal_world import WARM_UP, begin, invited, make_portal, moment, started
from tests.web.valkey_server import ValkeyServer
from tests.web.world import SETTINGS
from web import attempts, forms, relay
from web.attempts import Phase, standing
from web.bell import Sign
from web.database import Database, now
from web.forms import AT_ONCE, LONGEST_PAUSE, Pool, Row, due, pause
from web.gradings import Outcome
from web.models import Attempt, AuditEvent, ChallengeVersion, Form, FormState
from web.portal import Portal
from web.queue import Doorbell, Kind, Line, alive_key, excuse, formed, read_report
from web.workers import recorder

SECOND: Final = timedelta(seconds=1)
BUNDLE: Final = "b" * 64


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    """With the queue at hand."""
    return make_portal(database, tmp_path, Doorbell(valkey.connect()))


@pytest.fixture
def line(valkey: ValkeyServer) -> Line:
    return Line(Kind.FORMS, valkey.connect())


class Settled(Pool):
    """A clock that has been watching for a while, and looks at the pool in every turn."""

    def __init__(self, portal: Portal, ready: int = 2, token: str = "") -> None:
        self.time = 0.0
        super().__init__(portal.database, portal.bell, ready, lambda _: token, monotonic=lambda: self.time)
        self._watching_since = -relay.SETTLING_SECONDS

    def turn(self) -> relay.Turn:
        self.time += 1
        return super().turn()


def all_forms(portal: Portal, state: FormState | None = None) -> list[Form]:
    with portal.database.reading() as session:
        found = session.scalars(select(Form).order_by(Form.created_at, Form.id)).all()
    return [form for form in found if state is None or form.state is state]


def requests(line: Line) -> list[FormRequest]:
    found = []
    for _ in range(line.count):
        message = line.take()
        found.append(FormRequest.from_json(message.text))
        line.erase(message.id)
    return found


def made(request: FormRequest, **more: Any) -> FormReport:
    told: dict[str, Any] = {"bundle": BUNDLE, "brief": "Count.", "signature": "s"}
    return FormReport(form=request.form, fence=request.fence, **(told | more))


def failed(request: FormRequest, fault: Fault) -> FormReport:
    failure = Failure(fault_of=fault, message="generator.py:2: ZeroDivisionError\0")
    return FormReport(form=request.form, fence=request.fence, failure=failure)


def unfit(request: FormRequest) -> FormReport:
    return FormReport(form=request.form, fence=request.fence, unfit="gate 4: a repair costs points\0")


def record(portal: Portal, report: FormReport) -> Outcome:
    with portal.database.transaction() as session:
        return forms.record(session, report).outcome


def asked_ago(portal: Portal, form_id: str, ago: timedelta) -> None:
    with portal.database.transaction() as session:
        session.get_one(Form, form_id).asked_at = now(session) - ago


# ---------------------------------------------------------------------------------------------------------- the pool


def test_some_forms_are_made_before_anybody_needs_one(portal: Portal, line: Line) -> None:
    pool = Settled(portal)
    assert pool.turn().sent == 2
    asked = requests(line)
    assert len({request.reference for request in asked}) == 2
    assert {(request.challenge, request.fence) for request in asked} == {("warm-up", 1)}
    for request in asked:
        assert record(portal, made(request)) is Outcome.DONE
    assert {form.state for form in all_forms(portal)} == {FormState.POOL}
    assert pool.turn().sent == 0
    assert len(all_forms(portal)) == 2


def test_what_somebody_takes_is_made_anew(portal: Portal, line: Line) -> None:
    pool = Settled(portal)
    pool.turn()
    for request in requests(line):
        record(portal, made(request))
    attempt = invited(portal, made=False)
    assert attempt.form_id in {form.id for form in all_forms(portal, FormState.ISSUED)}
    assert pool.turn().sent == 1
    assert len(all_forms(portal, FormState.POOL)) == 1


def test_none_are_made_when_none_are_wanted(portal: Portal) -> None:
    assert Settled(portal, ready=0).turn() == relay.Turn()
    assert all_forms(portal) == []


def test_only_of_the_newest_version(portal: Portal) -> None:
    with portal.database.transaction() as session:
        old = session.scalars(select(ChallengeVersion)).one()
        session.add(
            ChallengeVersion(
                digest="c" * 64, slug=old.slug, version="9.0.0", manifest=old.manifest, rubric=old.rubric, brief="",
                starter=old.starter, published_at=old.published_at + SECOND,
            )
        )  # fmt: skip
    Settled(portal).turn()
    assert {form.challenge_digest for form in all_forms(portal)} == {"c" * 64}


def test_two_clocks_make_no_more_than_one(portal: Portal, line: Line) -> None:
    one, other = Settled(portal), Settled(portal)
    one.turn(), other.turn(), one.turn()
    assert len(all_forms(portal)) == 2
    assert line.count == 2


def test_a_queue_that_is_away_is_rung_when_it_is_back(portal: Portal, valkey: ValkeyServer) -> None:
    pool = Settled(portal)
    valkey.kill()
    assert pool.turn().queue_away
    assert [form.asked_at for form in all_forms(portal, FormState.MAKING)] == [None, None]
    valkey.start()
    assert pool.turn().sent == 2
    assert Line(Kind.FORMS, valkey.connect()).count == 2


# ----------------------------------------------------------------------------------------------------- for an attempt


def test_an_attempt_that_waits_for_its_form_can_start_when_it_is_made(portal: Portal, line: Line) -> None:
    attempt = invited(portal, made=False)
    assert Settled(portal, ready=0).turn().sent == 1
    (request,) = requests(line)
    assert request.form == attempt.form_id
    assert record(portal, made(request)) is Outcome.DONE
    (form,) = all_forms(portal)
    assert (form.state, form.bundle, form.brief, form.signature) == (FormState.ISSUED, BUNDLE, "Count.", "s")
    with portal.database.transaction() as session:
        attempts.start(session, attempt.id, now(session))


def test_who_waits_comes_before_the_pool(portal: Portal) -> None:
    with portal.database.transaction() as session:
        forms.fill(session, 3, now(session))
    attempt = invited(portal, made=False)
    with portal.database.reading() as session:
        assert forms.making(session)[0].id == attempt.form_id


def test_the_worker_makes_what_the_grader_will_make_again(portal: Portal, valkey: ValkeyServer, tmp_path: Path) -> None:
    """From the clock's request to the candidate's first snapshot, with the real generator and a real queue."""
    settings = GradersSettings(
        state=tmp_path, store=str(portal.store.folder), versions="", portal_url="", instance_secret=SecretStr("s" * 40)
    )
    Versions(settings.versions_folder).keep(read_challenge(WARM_UP))
    attempt = invited(portal, made=False)
    Settled(portal, ready=0).turn()
    formed(FormingWorker(settings).perform, valkey.connect())(Line(Kind.FORMS, valkey.connect()).take().text)
    report = read_report(Line(Kind.RECORDING, valkey.connect()).take().text)
    assert isinstance(report, FormReport)
    assert record(portal, report) is Outcome.DONE
    running = begin(portal, attempt)
    with portal.database.reading() as session:
        assert standing(session, session.get_one(Attempt, running.id), now(session)).phase is Phase.RUNNING
        brief = session.get_one(Form, attempt.form_id).brief
    assert brief is not None
    assert "a cutoff, here " in brief


# ---------------------------------------------------------------------------------------------------- what goes wrong


def test_a_form_is_recorded_once(portal: Portal, line: Line) -> None:
    Settled(portal, ready=1).turn()
    (request,) = requests(line)
    assert record(portal, made(request)) is Outcome.DONE
    assert record(portal, made(request, bundle="c" * 64)) is Outcome.LATE
    assert record(portal, failed(request, Fault.AUTHOR)) is Outcome.LATE
    assert record(portal, made(request.model_copy(update={"form": "nowhere"}))) is Outcome.LATE
    assert [form.bundle for form in all_forms(portal)] == [BUNDLE]


def test_an_older_try_that_succeeds_is_as_good_and_one_that_fails_says_nothing(portal: Portal, line: Line) -> None:
    pool = Settled(portal, ready=1)
    pool.turn()
    (request,) = requests(line)
    asked_ago(portal, request.form, 10 * SECOND)
    assert pool.turn().sent == 1
    assert record(portal, failed(request, Fault.OPERATOR)) is Outcome.LATE
    assert record(portal, made(request)) is Outcome.DONE


def test_our_own_fault_is_tried_again_ever_more_slowly(portal: Portal, line: Line) -> None:
    pool = Settled(portal, ready=1)
    for fence in (1, 2, 3):
        assert pool.turn().sent == 1
        (request,) = requests(line)
        assert request.fence == fence
        assert record(portal, failed(request, Fault.OPERATOR)) is Outcome.AGAIN
        assert pool.turn().sent == 0
        asked_ago(portal, request.form, pause(fence) - 2 * SECOND)
        assert pool.turn().sent == 0
        asked_ago(portal, request.form, pause(fence))
    (form,) = all_forms(portal)
    assert (form.state, form.failure) == (FormState.MAKING, "generator.py:2: ZeroDivisionError\ufffd")
    assert [pause(fence).total_seconds() for fence in (1, 2, 3, 99)] == [5, 10, 20, LONGEST_PAUSE.total_seconds()]


def test_the_authors_fault_is_told_and_not_tried_all_day(portal: Portal, line: Line) -> None:
    pool = Settled(portal, ready=1)
    pool.turn()
    (request,) = requests(line)
    assert record(portal, failed(request, Fault.AUTHOR)) is Outcome.FAILED
    (form,) = all_forms(portal)
    assert (form.state, form.failure) == (FormState.FAILED, "generator.py:2: ZeroDivisionError\ufffd")
    with portal.database.reading() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "form.failed")).one()
    assert (event.subject_id, event.actor) == (form.id, "recording worker")
    assert pool.turn().sent == 0
    asked_ago(portal, form.id, 61 * SECOND)
    assert pool.turn().sent == 1  # another seed, after a minute
    (second,) = requests(line)
    record(portal, failed(second, Fault.AUTHOR))
    asked_ago(portal, second.form, 61 * SECOND)
    assert pool.turn().sent == 0
    asked_ago(portal, form.id, 130 * SECOND)
    asked_ago(portal, second.form, 121 * SECOND)
    assert pool.turn().sent == 1  # the next one after two


def test_who_waits_for_a_form_that_cannot_be_made_gets_another(portal: Portal, line: Line) -> None:
    attempt = invited(portal, made=False)
    pool = Settled(portal, ready=0)
    seen = set()
    for _ in range(forms.OTHERS + 1):
        pool.turn()
        (request,) = requests(line)
        seen.add(request.form)
        record(portal, failed(request, Fault.AUTHOR))
    assert len(seen) == forms.OTHERS + 1
    assert pool.turn().sent == 0  # by then it is no matter of the seed
    with portal.database.reading() as session:
        assert session.get_one(Form, session.get_one(Attempt, attempt.id).form_id).state is FormState.FAILED


def test_who_waits_gets_one_of_the_pool_when_there_is_one(portal: Portal, line: Line) -> None:
    attempt = invited(portal, made=False)
    pool = Settled(portal, ready=1)
    pool.turn()
    mine, free = sorted(requests(line), key=lambda request: request.form != attempt.form_id)
    record(portal, made(free))
    record(portal, failed(mine, Fault.AUTHOR))
    with portal.database.reading() as session:
        form = session.get_one(Form, session.get_one(Attempt, attempt.id).form_id)
    assert (form.id, form.state, form.bundle) == (free.form, FormState.ISSUED, BUNDLE)


def test_nobody_who_works_is_given_another_form(portal: Portal) -> None:
    attempt = started(portal)
    with portal.database.transaction() as session:
        session.get_one(Form, attempt.form_id).state = FormState.MAKING
    request = FormRequest(
        form=attempt.form_id, fence=1, challenge="warm-up", challenge_digest=attempt.challenge_digest, reference="r"
    )
    with portal.database.transaction() as session:
        session.get_one(Form, attempt.form_id).fence = 1
    record(portal, failed(request, Fault.AUTHOR))
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).form_id == attempt.form_id


# -------------------------------------------------------------------------------------------------------- unfit forms


def calibration_of(portal: Portal, form_id: str) -> str | None:
    with portal.database.reading() as session:
        return session.scalar(select(Form.calibration).where(Form.id == form_id))


def test_what_was_found_out_about_a_form_is_kept_beside_it(portal: Portal, line: Line) -> None:
    Settled(portal).turn()
    one, other = requests(line)
    record(portal, made(one, calibration='{"hardest": "q7"}'))
    record(portal, made(other))
    assert (calibration_of(portal, one.form), calibration_of(portal, other.form)) == ('{"hardest": "q7"}', None)


def test_an_unfit_form_is_nobodys_fault_and_another_is_made_at_once(
    portal: Portal, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Settled(portal, ready=1)
    pool.turn()
    (request,) = requests(line)
    recorder(portal.database, SETTINGS)(unfit(request).to_json())
    (form,) = all_forms(portal)
    assert (form.state, form.failure, form.bundle) == (FormState.UNFIT, "gate 4: a repair costs points\ufffd", None)
    with portal.database.reading() as session:
        (event,) = session.scalars(select(AuditEvent).where(AuditEvent.subject_id == form.id))
    assert (event.action, event.details["message"]) == ("form.unfit", form.failure)
    assert [one.levelname for one in caplog.records if form.id in one.message] in ([], ["INFO"])
    assert pool.turn().sent == 1
    assert record(portal, unfit(request)) is Outcome.LATE


def test_who_waits_for_an_unfit_form_gets_another(portal: Portal, line: Line) -> None:
    attempt = invited(portal, made=False)
    pool = Settled(portal, ready=0)
    for _ in range(forms.OTHERS + 2):
        pool.turn()
        (request,) = requests(line)
        assert record(portal, unfit(request)) is Outcome.DONE
    pool.turn()
    (request,) = requests(line)
    record(portal, made(request))
    with portal.database.reading() as session:
        form = session.get_one(Form, session.get_one(Attempt, attempt.id).form_id)
    assert (form.id, form.state, form.bundle) == (request.form, FormState.ISSUED, BUNDLE)
    with portal.database.reading() as session:
        changes = session.scalars(select(AuditEvent).where(AuditEvent.action == "attempt.form_changed")).all()
    assert len(changes) == forms.OTHERS + 2


def test_who_waits_for_an_unfit_form_gets_one_of_the_pool(portal: Portal, line: Line) -> None:
    attempt = invited(portal, made=False)
    Settled(portal, ready=1).turn()
    mine, free = sorted(requests(line), key=lambda request: request.form != attempt.form_id)
    record(portal, made(free))
    record(portal, unfit(mine))
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).form_id == free.form


def test_many_unfit_forms_in_a_row_are_their_authors_to_mend(portal: Portal, line: Line) -> None:
    pool = Settled(portal, ready=1)

    def next_one() -> FormRequest:
        assert pool.turn().sent == 1
        (request,) = requests(line)
        return request

    for _ in range(5):
        assert record(portal, unfit(next_one())) is Outcome.DONE
    fit = next_one()
    assert record(portal, made(fit)) is Outcome.DONE  # from here on it is counted anew
    with portal.database.transaction() as session:
        session.get_one(Form, fit.form).state = FormState.RETIRED
    for _ in range(forms.UNFIT_IN_A_ROW - 1):
        assert record(portal, unfit(next_one())) is Outcome.DONE
    last = next_one()
    assert record(portal, unfit(last)) is Outcome.FAILED
    with portal.database.reading() as session:
        failed = session.get_one(Form, last.form)
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "form.failed")).one()
    assert failed.state is FormState.FAILED
    assert failed.failure == (
        "generator.py: 20 forms in a row were unfit, the last because of gate 4: a repair costs points\ufffd"
    )
    assert event.subject_id == failed.id
    assert pool.turn().sent == 0  # as after a generator that fails
    asked_ago(portal, failed.id, 61 * SECOND)
    assert record(portal, unfit(next_one())) is Outcome.FAILED


def test_a_worker_that_the_kernel_killed_is_an_operators_failure_of_the_form() -> None:
    request = FormRequest(form="f", fence=2, challenge="sums", challenge_digest="a" * 64, reference="r")
    report = excuse(request.to_json(), "worker: MemoryError")
    assert isinstance(report, FormReport)
    assert (report.form, report.fence, report.failure) == (
        "f", 2, Failure(fault_of=Fault.OPERATOR, message="worker: MemoryError")
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------- who is asked when


def test_each_sign_has_its_answer(portal: Portal) -> None:
    at = moment(portal)
    fresh = Row("fresh", 0, None)
    busy = [Row(sign.value, 1, at - 100 * SECOND) for sign in (Sign.QUEUED, Sign.ALIVE, Sign.REPORTED)]
    lost, died = Row("lost", 1, at - 6 * SECOND), Row("died", 1, at - 6 * SECOND)
    young = Row("young", 1, at - SECOND)
    signs = {row.name: Sign(row.id) for row in busy} | {died.name: Sign.DIED}
    rows = [*busy, lost, died, young, fresh]
    assert due(rows, signs, at) == [lost, died, fresh]
    assert due(rows, signs, at, settled=False) == [fresh]


def test_a_form_that_somebody_waits_for_is_made_before_those_in_the_line(portal: Portal, line: Line) -> None:
    pool = Settled(portal, ready=3)
    pool.turn()
    attempt = invited(portal, made=False)
    with portal.database.transaction() as session:  # as if the one that it took had been there for a while
        fresh = Form(challenge_digest=attempt.challenge_digest, reference="fresh", state=FormState.MAKING,
                     created_at=now(session))  # fmt: skip
        session.add(fresh)
        session.flush()
        session.get_one(Attempt, attempt.id).form_id = fresh.id
    pool.turn()
    assert requests(line)[0].reference == "fresh"


def test_no_more_are_asked_for_than_workers_can_be_expected_to_make(portal: Portal, line: Line) -> None:
    Settled(portal, ready=3 * AT_ONCE).turn()
    assert line.count == AT_ONCE
    rows = [Row(str(number), 1, moment(portal)) for number in range(AT_ONCE)] + [Row("one more", 0, None)]
    assert due(rows, {row.name: Sign.ALIVE for row in rows[:-1]}, moment(portal)) == []


def test_a_form_that_a_worker_is_at_is_left_alone(portal: Portal, valkey: ValkeyServer, line: Line) -> None:
    pool = Settled(portal, ready=1)
    pool.turn()
    (form,) = all_forms(portal)
    line.erase(line.take().id)
    valkey.connect().set(alive_key(f"form-{form.id}-1"), "somebody")
    asked_ago(portal, form.id, 100 * SECOND)
    assert pool.turn().sent == 0
    valkey.connect().delete(alive_key(f"form-{form.id}-1"))
    assert pool.turn().sent == 1


def test_a_worker_elsewhere_gets_a_token(portal: Portal, line: Line) -> None:
    Settled(portal, ready=1, token="opens").turn()
    (request,) = requests(line)
    assert request.token == "opens"
