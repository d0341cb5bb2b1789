"""The end of an attempt in a real browser: what is handed in, the receipt, and what is said while it is graded."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from graders.contract import Fault
from tests.e2e.looks import check_with_axe
from tests.web.ending import change_grading, graded, save
from tests.web.portal_world import Served, invited, moment, move_clock, served_portal, started
from web import receipts, submissions
from web.models import Attempt, GradingState
from web.receipts import Signer

pytestmark = pytest.mark.browser

SOON = 20_000  # milliseconds until a page that asks every few seconds has noticed


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, served: Served) -> Iterator[Open]:
    """Opens an address as the candidate of an attempt; no script fails and nobody else is asked for anything."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def open_page(path: str, attempt: Attempt | None = None, *, width: int = 1280, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        contexts.append(context)
        if attempt is not None:
            context.add_cookies([served.cookie(attempt)])
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(served.url) else None)
        page.on("console", lambda message: said.append(message.text) if "CSP" in message.text else None)
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))"
        )
        page.goto(served.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def handed_in(served: Served, attempt: Attempt) -> Attempt:
    move_clock(served.portal, attempt, ends_at=moment(served.portal) - timedelta(minutes=2))
    assert submissions.close(served.portal.database, submissions.desk_of(served.portal), attempt.id) is not None
    return attempt


def ready(served: Served) -> Attempt:
    attempt = started(served.portal)
    save(served.portal, attempt)
    return attempt


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_by_keyboard_alone_the_work_is_handed_in_and_the_receipt_is_taken_home(
    served: Served, open_page: Open, tmp_path: Path, scripts: bool
) -> None:
    attempt = ready(served)
    page = open_page(f"/attempts/{attempt.id}/hand-in", attempt, java_script_enabled=scripts)
    expect(page.get_by_role("heading", level=1)).to_have_text("This is what will be graded")
    button = page.get_by_role("button", name="Hand in 3 files")
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement") if scripts else _has_focus(page, "Hand in"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/receipt?number=1")
    with page.expect_download() as taking:
        page.get_by_role("link", name="Download receipt.json").click()
    file = tmp_path / "receipt.json"
    taking.value.save_as(file)
    body = receipts.verify(file.read_bytes(), Signer(served.portal.receipt_key).public_key)
    expect(page.locator(".code")).to_have_text(body.code)
    page.get_by_role("link", name=f"/receipts/{body.code}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This receipt is valid")


def _has_focus(page: Page, name: str) -> bool:
    return page.locator("button:focus").filter(has_text=name).count() == 1


def test_the_page_tells_how_the_grading_goes_on_without_being_loaded_again(served: Served, open_page: Open) -> None:
    attempt = handed_in(served, ready(served))
    page = open_page(f"/attempts/{attempt.id}/status", attempt)
    page.evaluate("window.stayed = true")
    said, current = page.get_by_role("status"), page.locator("[aria-current=step]")
    expect(said).to_contain_text("in line")
    expect(current).to_have_text("In line")
    at = moment(served.portal)
    change_grading(served.portal, attempt, state=GradingState.SENT, fence=1, lease_until=at, alive_at=at)
    expect(said).to_contain_text("is being graded now", timeout=SOON)
    expect(current).to_have_text("Being graded")
    expect(page.get_by_role("link", name="Read what each criterion earned")).to_be_hidden()
    graded(served.portal, attempt)
    expect(said).to_contain_text("Your work is graded", timeout=SOON)
    expect(page.get_by_role("link", name="Read what each criterion earned")).to_be_visible()
    expect(page.get_by_text("Contest it, and say why")).to_be_visible()
    assert page.evaluate("window.stayed") is True
    assert said.get_attribute("aria-live") == "polite"


def test_while_the_portal_cannot_be_reached_the_page_says_so_and_goes_on(served: Served, open_page: Open) -> None:
    attempt = handed_in(served, ready(served))
    page = open_page(f"/attempts/{attempt.id}/status", attempt)
    page.context.set_offline(True)
    expect(page.get_by_text("This page cannot reach us at the moment.")).to_be_visible(timeout=SOON)
    page.context.set_offline(False)
    expect(page.get_by_text("This page cannot reach us at the moment.")).to_be_hidden(timeout=SOON)


def test_at_zero_an_open_page_gets_its_receipt_by_itself(served: Served, open_page: Open) -> None:
    attempt = ready(served)
    move_clock(served.portal, attempt, ends_at=moment(served.portal) - timedelta(seconds=1))
    page = open_page(f"/attempts/{attempt.id}/status", attempt)
    expect(page.get_by_role("status")).to_contain_text("is being handed in now")
    handed_in(served, attempt)
    expect(page.get_by_role("heading", level=1)).to_have_text("Handed in for you", timeout=SOON)
    expect(page.get_by_role("link", name="Your receipt")).to_be_visible()


def test_without_scripts_the_page_can_be_looked_at_again(served: Served, open_page: Open) -> None:
    attempt = handed_in(served, ready(served))
    page = open_page(f"/attempts/{attempt.id}/status", attempt, java_script_enabled=False)
    expect(page.get_by_role("status")).to_contain_text("in line")
    graded(served.portal, attempt)
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("status")).to_contain_text("Your work is graded")
    page.get_by_role("link", name="Read what each criterion earned").click()
    expect(page.get_by_text("52.5 to 72.5 of 100 points")).to_be_visible()


def test_a_grading_is_contested_from_the_feedback_by_keyboard(served: Served, open_page: Open) -> None:
    attempt = handed_in(served, ready(served))
    graded(served.portal, attempt)
    page = open_page(f"/attempts/{attempt.id}/feedback", attempt)
    page.get_by_role("link", name="Contest it").press("Enter")
    page.locator("summary").press("Enter")
    page.get_by_label("What is it about?").select_option("Special cases are right too")
    page.get_by_label("What is wrong, and why?").fill("The brief says nothing about texts of blanks alone.")
    page.get_by_role("button", name="Contest the grading").press("Enter")
    expect(page.get_by_role("heading", name="You contested the grading")).to_be_visible()
    expect(page.get_by_text("About: Special cases are right too")).to_be_visible()
    expect(page.get_by_role("button", name="Contest the grading")).to_have_count(0)


def test_the_public_page_keeps_nothing_and_checks_what_is_uploaded(
    served: Served, open_page: Open, tmp_path: Path
) -> None:
    attempt = handed_in(served, ready(served))
    with served.portal.database.reading() as session:
        signed = submissions.receipt_of(session, submissions.all_of(session, attempt.id)[0])
    assert signed is not None
    file = tmp_path / "receipt.json"
    file.write_text(signed.document())
    page = open_page("/receipts")
    page.get_by_label("By its file, receipt.json").set_input_files(file)
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This receipt is valid")
    expect(page.get_by_text("the clock, when the time was over")).to_be_visible()
    file.write_text(signed.document().replace("T", "t"))
    page.get_by_label("By its file, receipt.json").set_input_files(file)
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This receipt is not valid")
    assert page.context.cookies() == []


# ----------------------------------------------------------------------------------------------- for every pair of eyes


@pytest.fixture(scope="module")
def pages(served: Served) -> dict[str, tuple[str, Attempt | None]]:
    """Each page once, in the states that look different."""
    doubtful = started(served.portal)
    save(served.portal, doubtful, {"windows.py": b"", "notes/" + "a-long-name-" * 12 + ".md": b"x" * 5000})
    waiting, told, failed = (handed_in(served, ready(served)) for _ in range(3))
    graded(served.portal, told)
    change_grading(
        served.portal, failed, state=GradingState.FAILED, finished_at=moment(served.portal),
        fault_of=Fault.OPERATOR, failure="no disk",
    )  # fmt: skip
    with served.portal.database.reading() as session:
        signed = submissions.receipt_of(session, submissions.all_of(session, told.id)[0])
    assert signed is not None
    return {
        "hand-in": (f"/attempts/{doubtful.id}/hand-in", doubtful),
        "receipt": (f"/attempts/{told.id}/receipt", told),
        "waiting": (f"/attempts/{waiting.id}/status", waiting),
        "graded": (f"/attempts/{told.id}/status", told),
        "failed": (f"/attempts/{failed.id}/status", failed),
        "feedback": (f"/attempts/{told.id}/feedback", told),
        "receipts": ("/receipts", None),
        "public receipt": (f"/receipts/{signed.receipt.code}", None),
    }


EVERY = ("hand-in", "receipt", "waiting", "graded", "failed", "feedback", "receipts", "public receipt")


@pytest.mark.parametrize("name", EVERY)
def test_axe_finds_nothing(pages: dict[str, tuple[str, Attempt | None]], open_page: Open, name: str) -> None:
    page = open_page(*pages[name])
    for folded in page.locator("details").all():
        folded.evaluate("details => { details.open = true }")
    check_with_axe(page)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_scrolls_sideways_however_narrow_or_enlarged(
    pages: dict[str, tuple[str, Attempt | None]], open_page: Open, name: str
) -> None:
    page = open_page(*pages[name])
    for width, size in ((320, "100%"), (390, "100%"), (768, "100%"), (1280, "100%"), (640, "200%"), (1280, "200%")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, size)


@pytest.mark.parametrize("name", EVERY)
def test_every_control_is_reached_by_tab_and_its_focus_is_seen(
    pages: dict[str, tuple[str, Attempt | None]], open_page: Open, name: str
) -> None:
    page = open_page(*pages[name])
    seen = "e => e.checkVisibility() && !e.disabled && e.type !== 'hidden'"
    wanted = page.evaluate(
        f"[...document.querySelectorAll('a[href], button, input, select, textarea, summary')].filter({seen}).length"
    )
    reached = set()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => { const e = document.activeElement; const s = getComputedStyle(e);
                     return [...document.querySelectorAll('*')].indexOf(e) + ' ' + s.outlineStyle; }"""
            )
        )
    assert len(reached) == wanted
    assert [one for one in reached if not one.endswith("solid")] == []


def test_before_anything_is_handed_in_there_is_no_status_to_guess(served: Served, open_page: Open) -> None:
    attempt = invited(served.portal)
    page = open_page(f"/attempts/{attempt.id}/status", attempt)
    assert page.url == f"{served.url}/attempts/{attempt.id}"
