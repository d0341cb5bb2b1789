"""A candidate's whole way in a browser, from the link to the feedback, with every process that production has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.portal import portal_of
from benchmarks.rig import QUEUE, Rig, rig
from web.demo import furnish
from web.settings import PROJECT

pytestmark = [pytest.mark.browser, pytest.mark.docker]

PERFECT: Final = PROJECT / "challenges" / "warm-up" / "solutions" / "perfect"
JUDGED_BY_PROGRAMS: Final = 5  # criteria; the other two wait for a person
ROOM: Final = 90_000  # milliseconds: a room is made, the checks run in it, and a report is written down


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Rig]:
    settings = {"ASSAY_CHALLENGES": str(PROJECT / "challenges"), "ASSAY_PORT": "0", "ASSAY_FORMS_READY": "1"}
    with rig(tmp_path / "state", settings) as made:
        made.start(QUEUE, "clock", "recording", "forms-1", "checks-1", "grading-1")
        yield made


def test_from_the_link_to_the_feedback_with_real_workers(browser: Browser, installation: Rig) -> None:
    with installation.served() as url:
        candidate, _ = furnish(portal_of(installation.state), url)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(candidate.rpartition(" ")[2])
        page.get_by_role("button", name="Open").click()
        page.get_by_role("checkbox", name="I have read this and agree.").check()
        page.get_by_role("button", name="Agree", exact=True).click()
        begin(page)
        edit(page, "windows.py", (PERFECT / "windows.py").read_text())
        page.get_by_role("button", name="Run checks").click()
        expect(page.locator("#check-ended")).to_have_text("Passed", timeout=ROOM)
        upload(page)
        page.get_by_role("link", name="Hand in", exact=True).click()
        page.get_by_role("button", name=re.compile(r"^Hand in \d files$")).click()
        expect(page.get_by_role("link", name="Download receipt.json")).to_be_visible()
        page.goto(re.sub(r"/receipt.*", "/status", page.url))
        expect(page.get_by_text("Your work is graded, as far as programs can do it.")).to_be_visible(timeout=ROOM)
        page.get_by_role("link", name="Read what each criterion earned").click()
        expect(page.locator("p").filter(has_text=re.compile(r"^\s*Met\s+(\d+) of \1 points"))).to_have_count(
            JUDGED_BY_PROGRAMS
        )
        page.close()


def begin(page: Page) -> None:
    """The form of this attempt is being made by a worker; the page says so until it is there."""
    start = page.get_by_role("button", name="Start the clock")
    for _ in range(60):
        if start.count() and start.is_enabled():
            break
        page.wait_for_timeout(1000)
        page.reload()
    start.click()
    page.wait_for_url("**/work")
    expect(page.locator("#path")).not_to_be_empty()


def edit(page: Page, name: str, text: str) -> None:
    page.locator(f"#tree [data-path='{name}']").click()
    expect(page.locator("#path")).to_have_text(name)
    page.locator("#desk .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def upload(page: Page) -> None:
    page.locator("#tab-ways").click()
    page.locator("#upload").set_input_files([PERFECT / "evaluate.ipynb", PERFECT / "answer.md"])
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("link", name=re.compile("work", re.IGNORECASE)).first.click()
    expect(page.locator("#path")).not_to_be_empty()
