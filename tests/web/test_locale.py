"""What candidates are told in their own language: every sentence has a translation, and it is the one that is said."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from babel.messages.catalog import Catalog, Message
from flask.testing import FlaskClient

from tests.web.portal_world import candidate_client, invited, make_portal, started
from web import attempts
from web.database import Database
from web.locale.catalogues import SOURCE, TRANSLATED, compiled, extracted, read, untranslated
from web.models import Attempt, ChallengeVersion
from web.portal import Portal
from web.speech import FOLDER, LOCALES, format_points, speaking

VALUES: Final = re.compile(r"%\([a-z_]+\)[sd]|\{[a-z]+\}|%%|\$|`[^`]*`|</?[a-z]+[^>]*>")


@pytest.fixture(params=TRANSLATED)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    return read(request.param)


def sentences(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def forms(said: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said or ())


def test_every_sentence_of_the_source_is_in_the_catalogue_and_no_other(catalogue: Catalog) -> None:
    wanted, there = ({forms(message.id) for message in sentences(one)} for one in (extracted(), catalogue))
    assert len(wanted) > 500
    assert sorted(wanted ^ there) == [], "run `python -m web.locale`"


def test_every_sentence_has_a_translation(catalogue: Catalog) -> None:
    assert untranslated(catalogue) == []


def test_what_is_served_is_what_people_wrote(catalogue: Catalog) -> None:
    served = FOLDER / str(catalogue.locale) / "LC_MESSAGES" / "assay.mo"
    assert served.read_bytes() == compiled(catalogue), "run `python -m web.locale`"


def test_a_translation_has_the_same_values_and_commands(catalogue: Catalog) -> None:
    for message in sentences(catalogue):
        for wanted, said in zip(forms(message.id), forms(message.string), strict=True):
            assert sorted(VALUES.findall(wanted)) == sorted(VALUES.findall(said)), message.id


def test_a_translation_ends_as_its_sentence_does(catalogue: Catalog) -> None:
    for message in sentences(catalogue):
        for wanted, said in zip(forms(message.id), forms(message.string), strict=True):
            assert (wanted[:1].isspace(), wanted[-1:].isspace()) == (said[:1].isspace(), said[-1:].isspace()), wanted
            assert (wanted[-1] in ".:?") == (said[-1] in ".:?"), wanted


def test_no_sentence_is_put_together_before_it_is_looked_up() -> None:
    """An f-string is never found in a catalogue, and nobody would notice."""
    found = [
        f"{path.relative_to(SOURCE)}:{call.lineno}"
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in ("_", "gettext", "ngettext")
        and call.args
        and isinstance(call.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert found == []


# ------------------------------------------------------------------------------------------------ as candidates see it


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


@pytest.fixture
def attempt(portal: Portal) -> Attempt:
    return invited(portal)


@pytest.fixture
def candidate(portal: Portal, attempt: Attempt) -> FlaskClient:
    return candidate_client(portal, attempt)


def test_a_candidate_is_spoken_to_in_the_language_of_the_invitation(portal: Portal) -> None:
    german = invited(portal, locale="de")
    page = candidate_client(portal, german).get(f"/attempts/{german.id}").text
    assert '<html lang="de">' in page
    assert "Bevor Sie beginnen" in page
    assert "Before you start" not in page


def test_every_language_is_offered_by_its_own_name_on_each_page(portal: Portal) -> None:
    running = started(portal)
    client = candidate_client(portal, running)
    for path in ("hand-in", "history", "history/1"):
        page = client.get(f"/attempts/{running.id}/{path}").text
        assert f'<input type="hidden" name="back" value="/attempts/{running.id}/{path}">' in page
        for locale, name in LOCALES.items():
            assert (f'value="{locale}" lang="{locale}">{name}</button>' in page) == (locale != "en")


def test_a_candidate_chooses_another_language_and_stays_on_the_page(portal: Portal) -> None:
    running = started(portal)
    client = candidate_client(portal, running)
    page = f"/attempts/{running.id}/history"
    answer = client.post(f"/attempts/{running.id}/locale", data={"locale": "de", "back": page})
    assert (answer.status_code, answer.location) == (303, page)
    assert "Verlauf Ihrer Arbeit" in client.get(page).text
    client.post(f"/attempts/{running.id}/locale", data={"locale": "en"})
    assert "History of your work" in client.get(page).text


def test_practice_is_in_the_language_that_was_chosen_before_and_after(
    portal: Portal, attempt: Attempt, candidate: FlaskClient
) -> None:
    with portal.database.transaction() as session:
        mine = session.get_one(Attempt, attempt.id)
        practice = attempts.practise(session, mine, session.get_one(ChallengeVersion, mine.challenge_digest)).id
    candidate.post(f"/attempts/{practice}/locale", data={"locale": "de"})
    with portal.database.reading() as session:
        assert {session.get_one(Attempt, one).locale for one in (attempt.id, practice)} == {"de"}


@pytest.mark.parametrize("locale", ["", "xx", "DE", "../de", "en\0", "de" * 1_000])
def test_a_language_that_there_is_not_changes_nothing(
    portal: Portal, attempt: Attempt, candidate: FlaskClient, locale: str
) -> None:
    assert candidate.post(f"/attempts/{attempt.id}/locale", data={"locale": locale}).status_code == 400
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).locale == "en"


@pytest.mark.parametrize(
    "back",
    ["https://elsewhere.invalid/", "//elsewhere.invalid", "/attempts/{id}/../../a", "/attempts/{id}//x", "/staff", "",
     "/attempts/{id}\r\nX: y", "/attempts/{id}?a", "\\\\elsewhere.invalid", "/attempts/{id}x"],
)  # fmt: skip
def test_nobody_is_led_away_from_their_attempt(attempt: Attempt, candidate: FlaskClient, back: str) -> None:
    given = {"locale": "de", "back": back.format(id=attempt.id)}
    answer = candidate.post(f"/attempts/{attempt.id}/locale", data=given)
    assert answer.location == f"/attempts/{attempt.id}"


def test_nobody_chooses_for_somebody_else(portal: Portal, attempt: Attempt) -> None:
    other = candidate_client(portal, invited(portal))
    assert other.post(f"/attempts/{attempt.id}/locale", data={"locale": "de"}).status_code == 404
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).locale == "en"


def test_a_preview_says_in_the_same_language_what_it_leaves_out(portal: Portal) -> None:
    running = started(portal, locale="de")
    client = candidate_client(portal, running)
    client.post(f"/attempts/{running.id}/save", json={"base": 1, "changes": {"a.bin": {"base64": "AAAA"}}})
    assert "Binär, 3 Bytes." in client.get(f"/attempts/{running.id}/preview?name=a.bin").text


def test_points_are_written_as_the_reader_writes_numbers() -> None:
    with speaking("de"):
        assert format_points(52.5, 72.5) == "52,5 bis 72,5"
        assert format_points(20) == "20"
    with speaking("en"):
        assert format_points(52.5, 72.5) == "52.5 to 72.5"
        assert format_points(12.345678) == "12.35"
