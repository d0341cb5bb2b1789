"""The workspace in a real browser, against a real portal: nothing that somebody typed is lost, whatever happens."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from graders.contract import CheckReport
from sandbox import Ending
from tests.web.portal_world import Served, moment, move_clock, served_portal, started
from web import attempts, checks, work
from web.database import now
from web.models import Attempt, Check

pytestmark = pytest.mark.browser

AUTOSAVE: Final = 20_000  # milliseconds: it saves every ten seconds
NOISE: Final = re.compile(
    r"^Failed to load resource: |recipient window.s origin \(.null.\)|^TypeError: Failed to fetch dynamically imported"
)  # Chromium, of answers that are no 2xx; axe; of a part of the workspace that a test kept away
SHADOWED: Final = "document.querySelector('#desk').shadowRoot"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture
def attempt(served: Served) -> Attempt:
    return started(served.portal)


@pytest.fixture
def new_context(browser: Browser, served: Served, attempt: Attempt) -> Iterator[Callable[..., BrowserContext]]:
    """Browsers of the candidate. Their pages break no rule of the policy, throw nothing and ask nobody else."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce"} | options
        )
        context.add_cookies([served.cookie(attempt)])
        context.on("console", lambda message: None if NOISE.search(message.text) else said.append(message.text))
        context.on("weberror", lambda error: said.append(str(error.error)))
        context.on(
            "request", lambda sent: None if sent.url.startswith((served.url, "blob:")) else said.append(sent.url)
        )
        context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.sourceFile))"
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    return new_context()


@pytest.fixture
def page(context: BrowserContext, served: Served, attempt: Attempt) -> Page:
    return opened(context, served, attempt)


def opened(context: BrowserContext, served: Served, attempt: Attempt) -> Page:
    page = context.new_page()
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    expect(page.locator("#path")).not_to_be_empty()
    return page


def choose(page: Page, name: str) -> None:
    page.locator(f"#tree [data-path='{name}']").click()
    expect(page.locator("#path")).to_have_text(name)


def write(page: Page, text: str, *, name: str = "") -> None:
    """At the end of the open file, or of another."""
    if name:
        choose(page, name)
    page.locator("#desk .cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(text)


def save(page: Page) -> None:
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved \d\d:\d\d$"))


def kept(served: Served, attempt: Attempt) -> dict[str, bytes]:
    """What the portal has."""
    with served.portal.database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        return work.files(session, head)


def elsewhere(served: Served, attempt: Attempt, **changes: str | bytes | None) -> None:
    """Another device saves; a file's name is written with an underscore for its dot."""
    made = {
        name.replace("_", ".", 1): change.encode() if isinstance(change, str) else change
        for name, change in changes.items()
    }
    with served.portal.database.transaction() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert isinstance(work.change(session, attempt.id, head.number, made, now(session), "elsewhere"), work.Saved)


def wait_for(page: Page, holds: Callable[[], bool], patience: int = AUTOSAVE) -> None:
    for _ in range(patience // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    assert holds()


# ------------------------------------------------------------------------------------------------------- beginning


@pytest.mark.parametrize(
    "storage",
    [
        "IDBFactory.prototype.open = () => { throw new Error('none') }",
        "IDBFactory.prototype.open = () => ({})",
        "IDBDatabase.prototype.transaction = () => ({ objectStore: () => ({ put() {}, delete() {},"
        " index: () => ({ getAll: () => ({}) }) }) })",
    ],
    ids=["refuses", "never opens", "opens and never answers"],
)
def test_a_browser_whose_storage_does_not_answer_is_good_to_work_in(
    context: BrowserContext, served: Served, attempt: Attempt, storage: str
) -> None:
    context.add_init_script(storage)
    page = opened(context, served, attempt)
    write(page, "# kept by the portal\n", name="windows.py")
    save(page)
    assert kept(served, attempt)["windows.py"].endswith(b"# kept by the portal\n")


def test_a_part_that_did_not_come_is_asked_for_again(context: BrowserContext, served: Served, attempt: Attempt) -> None:
    broken: list[str] = []

    def once(route: Route) -> None:
        if broken:
            route.continue_()
        else:
            broken.append(route.request.url)
            route.abort("connectionreset")

    context.route(re.compile(r"/static/workspace-tree\."), once)
    page = context.new_page()
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    expect(page.locator("#path")).not_to_be_empty()
    assert len(broken) == 1


def test_an_editor_that_cannot_start_says_so_and_leaves_the_other_ways(
    context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    context.route(re.compile(r"/static/workspace-tree\."), lambda route: route.abort("connectionreset"))
    page = context.new_page()
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    expect(page.get_by_role("alert").filter(has_text="The editor could not start.")).to_be_visible()
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Hand in")).to_be_visible()


# ---------------------------------------------------------------------------------------------------------- saving


def test_what_is_typed_is_saved_without_a_further_word(page: Page, served: Served, attempt: Attempt) -> None:
    write(page, "# typed\n", name="windows.py")
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# typed\n"))
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved \d\d:\d\d$"))


def test_leaving_the_editor_saves_at_once(page: Page, served: Served, attempt: Attempt) -> None:
    with page.expect_response(re.compile("/save$"), timeout=5000):
        write(page, "# left\n", name="windows.py")
        page.locator("#tab-brief").click()
    assert kept(served, attempt)["windows.py"].endswith(b"# left\n")


def test_a_page_that_is_closed_has_saved_before_it_is_gone(page: Page, served: Served, attempt: Attempt) -> None:
    write(page, "# last words\n", name="windows.py")
    page.goto(served.url)
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# last words\n"), 5000)


def test_control_s_saves_and_a_screen_reader_hears_it(page: Page, served: Served, attempt: Attempt) -> None:
    write(page, "# told\n", name="windows.py")
    save(page)
    expect(page.locator("#news")).to_have_text("Everything is saved.")
    assert kept(served, attempt)["windows.py"].endswith(b"# told\n")


@pytest.mark.parametrize(
    "content",
    [
        b"one\r\ntwo\r\n",
        b"one\ntwo\r\nthree\rfour\n",
        b"\xef\xbb\xbfwith a mark\n",
        b"no end",
        "Zürich e\u0301 \u2028 🜚\n".encode(),
    ],
    ids=["dos", "mixed", "marked", "endless", "signs"],
)
def test_what_was_not_touched_keeps_its_bytes(
    context: BrowserContext, served: Served, attempt: Attempt, content: bytes
) -> None:
    elsewhere(served, attempt, notes_txt=content)
    page = opened(context, served, attempt)
    choose(page, "notes.txt")
    page.locator("#desk .cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("x")
    save(page)
    after = kept(served, attempt)["notes.txt"]
    assert after.replace(b"x", b"", 1) == content


def test_what_is_no_text_is_not_shown_as_one(context: BrowserContext, served: Served, attempt: Attempt) -> None:
    elsewhere(served, attempt, model_bin=b"\x00\xff\x80")
    page = opened(context, served, attempt)
    choose(page, "model.bin")
    expect(page.locator("#other")).to_contain_text("is no text")
    with page.expect_download() as download:
        page.locator("#other a").click()
    assert Path(download.value.path()).read_bytes() == b"\x00\xff\x80"


def test_one_file_that_is_refused_keeps_no_other_from_being_saved(page: Page, served: Served, attempt: Attempt) -> None:
    choose(page, "answer.md")
    page.locator("#desk .cm-content").click()
    page.keyboard.insert_text("x" * 600_000)
    write(page, "# small\n", name="windows.py")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice")).to_contain_text("answer.md cannot be saved.")
    expect(page.locator(".notice")).to_contain_text("which is the most that can be handed in")
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# small\n"))
    write(page, "", name="answer.md")
    page.keyboard.press("Control+z")
    expect(page.locator(".notice")).to_have_count(0)
    save(page)


# --------------------------------------------------------------------------------------------------------- offline


def test_without_a_connection_work_goes_on_and_is_saved_when_it_is_back(
    page: Page, context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    context.set_offline(True)
    write(page, "# far away\n", name="windows.py")
    expect(page.locator("#kept")).to_have_text("Offline: 1 file kept in this browser")
    expect(page.locator(".notice")).to_contain_text("Go on working")
    elsewhere(served, attempt, answer_md="written elsewhere\n")
    context.set_offline(False)
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved"))
    after = kept(served, attempt)
    assert after["windows.py"].endswith(b"# far away\n")
    assert after["answer.md"] == b"written elsewhere\n"
    expect(page.locator(".notice")).to_have_count(0)


def test_what_was_not_saved_is_there_again_after_a_crash(
    page: Page, context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    context.set_offline(True)
    write(page, "# survived\n", name="windows.py")
    expect(page.locator("#kept")).to_have_text("Offline: 1 file kept in this browser")
    page.wait_for_timeout(300)
    page.close()
    context.set_offline(False)
    again = opened(context, served, attempt)
    expect(again.locator(".notice")).to_contain_text("windows.py")
    wait_for(again, lambda: kept(served, attempt)["windows.py"].endswith(b"# survived\n"))
    choose(again, "windows.py")
    expect(again.locator("#desk .cm-content")).to_contain_text("# survived")


def test_a_save_whose_answer_got_lost_is_no_conflict_with_oneself(page: Page, served: Served, attempt: Attempt) -> None:
    def swallow(route: Route) -> None:
        route.fetch()
        route.abort()

    choose(page, "windows.py")
    page.route("**/save", swallow, times=1)
    write(page, "# one\n")
    page.keyboard.press("Control+s")
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# one\n"))
    write(page, "# two\n")
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# one\n# two\n"))
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved"))
    expect(page.locator(".notice")).to_have_count(0)


def test_a_portal_that_breaks_in_the_middle_of_a_save_is_tried_again(
    page: Page, served: Served, attempt: Attempt
) -> None:
    page.route("**/save", lambda route: route.fulfill(status=502, body="gone"), times=1)
    write(page, "# again\n", name="windows.py")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text("Offline: 1 file kept in this browser")
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# again\n"))


def test_a_browser_that_is_out_says_so_and_forgets_nothing(
    page: Page, context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    context.clear_cookies()
    write(page, "# kept\n", name="windows.py")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text("Signed out: 1 file kept in this browser")
    expect(page.locator(".notice")).to_contain_text("Open the link from your e-mail again")
    context.add_cookies([served.cookie(attempt)])
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# kept\n"))


# -------------------------------------------------------------------------------------------------------- two tabs


def test_a_tab_in_which_nothing_was_typed_takes_over_what_another_saved(
    page: Page, context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    other = opened(context, served, attempt)
    choose(other, "windows.py")
    write(page, "# from the first\n", name="windows.py")
    save(page)
    expect(other.locator("#desk .cm-content")).to_contain_text("# from the first", timeout=AUTOSAVE)
    write(other, "# from the second\n")
    save(other)
    assert kept(served, attempt)["windows.py"].endswith(b"# from the first\n# from the second\n")


def torn(page: Page, served: Served, attempt: Attempt) -> None:
    """The same file was changed here and elsewhere."""
    write(page, "mine\n", name="answer.md")
    elsewhere(served, attempt, answer_md="theirs\n")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text("Conflict: choose")
    expect(page.locator("#alarm")).to_contain_text("answer.md was also changed elsewhere")
    page.get_by_role("button", name="Compare and choose").click()
    compared = page.locator("#dialog-compared .cm-content")
    expect(compared.first).to_contain_text("mine")
    expect(compared.last).to_contain_text("theirs")


def test_of_two_versions_both_can_be_kept(page: Page, served: Served, attempt: Attempt) -> None:
    torn(page, served, attempt)
    page.get_by_role("button", name="Keep both: mine becomes answer.mine.md").click()
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved"))
    after = kept(served, attempt)
    assert after["answer.md"] == b"theirs\n"
    assert after["answer.mine.md"].endswith(b"mine\n")


def test_mine_can_be_kept_and_theirs_stays_in_the_history(page: Page, served: Served, attempt: Attempt) -> None:
    torn(page, served, attempt)
    page.get_by_role("button", name="Keep mine").click()
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved"))
    assert kept(served, attempt)["answer.md"].endswith(b"mine\n")
    with served.portal.database.reading() as session:
        earlier = work.history(session, attempt.id)[1]
        assert work.content(session, earlier, "answer.md") == b"theirs\n"


def test_theirs_can_be_taken_and_undo_brings_mine_back(page: Page, served: Served, attempt: Attempt) -> None:
    torn(page, served, attempt)
    page.get_by_role("button", name="Take the other").click()
    expect(page.locator("#desk .cm-content")).to_have_text("theirs")
    assert kept(served, attempt)["answer.md"] == b"theirs\n"
    page.locator("#desk .cm-content").click()
    page.keyboard.press("Control+z")
    save(page)
    assert kept(served, attempt)["answer.md"].endswith(b"mine\n")


def test_who_decides_later_loses_nothing_and_other_files_are_saved_meanwhile(
    page: Page, context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    torn(page, served, attempt)
    page.keyboard.press("Escape")
    write(page, "# other\n", name="windows.py")
    page.locator("#tab-brief").click()
    wait_for(page, lambda: kept(served, attempt)["windows.py"].endswith(b"# other\n"))
    assert kept(served, attempt)["answer.md"] == b"theirs\n"
    page.close()
    again = opened(context, served, attempt)
    expect(again.locator("#kept")).to_have_text("Conflict: choose")
    again.get_by_role("button", name="Compare and choose").click()
    expect(again.locator("#dialog-compared .cm-content").first).to_contain_text("mine")


def test_a_file_that_was_deleted_elsewhere_while_it_was_changed_here_is_a_choice(
    page: Page, served: Served, attempt: Attempt
) -> None:
    write(page, "mine\n", name="answer.md")
    elsewhere(served, attempt, answer_md=None)
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Compare and choose").click()
    expect(page.locator("#dialog-theirs")).to_have_text("Elsewhere it was deleted")
    page.get_by_role("button", name="Keep mine").click()
    expect(page.locator("#kept")).to_have_text(re.compile(r"^Saved"))
    assert kept(served, attempt)["answer.md"].endswith(b"mine\n")


# ----------------------------------------------------------------------------------------------------------- clock


def seconds_shown(page: Page) -> int:
    parts = (page.locator("#clock").text_content() or "").split(":")
    return sum(int(part) * 60**power for power, part in enumerate(reversed(parts)))


def seconds_left(served: Served, attempt: Attempt) -> float:
    with served.portal.database.reading() as session:
        row = session.get_one(Attempt, attempt.id)
        return attempts.standing(session, row, now(session)).seconds_left


def ends_in(served: Served, attempt: Attempt, seconds: float) -> None:
    move_clock(served.portal, attempt, ends_at=moment(served.portal) + timedelta(seconds=seconds))


@pytest.mark.parametrize("wrong", [-5 * 3600_000, 5 * 3600_000])
def test_a_wrong_clock_on_the_wall_changes_no_countdown(
    new_context: Callable[..., BrowserContext], served: Served, attempt: Attempt, wrong: int
) -> None:
    context = new_context()
    context.add_init_script(f"{{ const right = Date.now; Date.now = () => right() + {wrong} + (window.shift ?? 0); }}")
    page = opened(context, served, attempt)
    assert abs(seconds_shown(page) - seconds_left(served, attempt)) <= 2
    page.evaluate("window.shift = 7200000")
    page.wait_for_timeout(2500)
    assert abs(seconds_shown(page) - seconds_left(served, attempt)) <= 2


def test_a_minute_before_the_end_it_is_said_once(context: BrowserContext, served: Served, attempt: Attempt) -> None:
    ends_in(served, attempt, 64)
    page = opened(context, served, attempt)
    expect(page.locator("#news")).to_be_empty()
    expect(page.locator("#news")).to_contain_text("One minute is left", timeout=10_000)
    expect(page.locator(".notice")).to_contain_text("One minute is left")


def test_time_that_is_added_is_shown_with_its_reason(page: Page, served: Served, attempt: Attempt) -> None:
    with served.portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=5), "staff 1", "The fire alarm rang.", "staff")
    expect(page.locator("#news")).to_contain_text("5 minutes. The fire alarm rang.", timeout=AUTOSAVE)
    expect(page.locator("#added summary")).to_have_text("5 minutes added")
    assert abs(seconds_shown(page) - seconds_left(served, attempt)) <= 2


def test_when_time_is_over_the_last_words_are_saved_and_nothing_can_be_typed(
    context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    ends_in(served, attempt, 7)
    page = opened(context, served, attempt)
    write(page, "# in time\n", name="windows.py")
    expect(page.locator(".notice")).to_contain_text("Your time is over", timeout=15_000)
    expect(page.locator("#alarm")).to_contain_text("Your time is over")
    assert kept(served, attempt)["windows.py"].endswith(b"# in time\n")
    expect(page.locator("#desk .cm-content")).to_have_attribute("contenteditable", "false")
    page.locator("#desk .cm-content").click()
    page.keyboard.type("late")
    expect(page.locator("#desk .cm-content")).not_to_contain_text("late")


def test_what_did_not_reach_us_in_time_can_be_downloaded(
    context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    page = opened(context, served, attempt)
    page.route("**/save", lambda route: route.abort())
    write(page, "# too late\n", name="windows.py")
    ends_in(served, attempt, -1)
    expect(page.locator(".notice").last).to_contain_text("did not reach us in time", timeout=AUTOSAVE)
    with page.expect_download() as download:
        page.locator(".notice a[download]").click()
    assert Path(download.value.path()).read_bytes().endswith(b"# too late\n")
    expect(page.locator("#kept")).to_have_text("1 file was not saved in time")


def test_time_that_is_added_after_the_end_opens_everything_again(page: Page, served: Served, attempt: Attempt) -> None:
    choose(page, "windows.py")
    ends_in(served, attempt, -1)
    expect(page.locator(".notice")).to_contain_text("Your time is over", timeout=AUTOSAVE)
    with served.portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=5), "staff 2", "You asked for it.", "staff")
    expect(page.locator("#desk .cm-content")).to_have_attribute("contenteditable", "true", timeout=AUTOSAVE)
    write(page, "# still here\n")
    save(page)
    assert kept(served, attempt)["windows.py"].endswith(b"# still here\n")


# ----------------------------------------------------------------------------------------------------------- files


def test_a_file_is_made_renamed_and_deleted_by_keyboard_alone(page: Page, served: Served, attempt: Attempt) -> None:
    page.locator("#new").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("tests/test_it.py")
    page.keyboard.press("Enter")
    wait_for(page, lambda: kept(served, attempt).get("tests/test_it.py") == b"")
    page.locator("#tree [tabindex='0']").focus()
    page.keyboard.press("F2")
    page.keyboard.press("Control+a")
    page.keyboard.type("tests/test_that.py")
    page.keyboard.press("Enter")
    wait_for(page, lambda: "tests/test_that.py" in kept(served, attempt))
    assert "tests/test_it.py" not in kept(served, attempt)
    page.locator("#tree [tabindex='0']").focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    wait_for(page, lambda: "tests/test_that.py" not in kept(served, attempt))


def test_the_arrow_keys_walk_the_tree(context: BrowserContext, served: Served, attempt: Attempt) -> None:
    elsewhere(served, attempt, **{"a/b_py": "1\n", "a/c_py": "2\n"})
    page = opened(context, served, attempt)
    page.locator("#tree [tabindex='0']").focus()
    focused = "document.activeElement.dataset.path"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    walked = []
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowDown"):
        walked.append(page.evaluate(focused))
        page.keyboard.press(key)
    walked.append(page.evaluate(focused))
    assert walked == ["a/", "a/b.py", "a/c.py", "a/", "a/", "answer.md"]
    page.keyboard.press("Enter")
    expect(page.locator("#path")).to_have_text("answer.md")


def test_a_name_that_the_portal_refuses_leaves_everything_as_it_was(
    page: Page, served: Served, attempt: Attempt
) -> None:
    before = kept(served, attempt)
    choose(page, "windows.py")
    page.locator("#rename").click()
    page.locator("#dialog-name").fill("__pycache__/windows.py")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("__pycache__/windows.py cannot be saved.")
    expect(page.locator("#path")).to_have_text("windows.py")
    assert kept(served, attempt) == before


@pytest.mark.parametrize("name", ["", "windows.py", "WINDOWS.py", "windows.py/x", "../x", "a//b", "a\\b", "/x"])
def test_a_name_that_cannot_be_is_refused_while_it_is_asked_for(page: Page, name: str) -> None:
    page.locator("#new").click()
    page.locator("#dialog-name").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-complaint")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).not_to_be_visible()


def test_what_is_to_be_handed_in_and_not_there_is_named(page: Page) -> None:
    choose(page, "answer.md")
    page.locator("#delete").click()
    page.locator("#dialog-buttons").get_by_role("button", name="Delete").click()
    expect(page.locator("#totals")).to_contain_text("Still missing: answer.md")


# ------------------------------------------------------------------------------------------------------- notebooks


def test_a_cell_that_is_edited_changes_its_own_lines_and_no_other_byte(
    page: Page, served: Served, attempt: Attempt
) -> None:
    before = kept(served, attempt)["evaluate.ipynb"].decode()
    choose(page, "evaluate.ipynb")
    cell = page.get_by_role("region", name="Cell 3, code").locator(".cm-content")
    cell.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("\nprint(recall)")
    save(page)
    after = kept(served, attempt)["evaluate.ipynb"].decode()
    cells = json.loads(before)["cells"]
    cells[2]["source"][-1] += "\n"
    cells[2]["source"].append("print(recall)")
    assert json.loads(after)["cells"] == cells
    gone, come = set(before.splitlines()) - set(after.splitlines()), set(after.splitlines()) - set(before.splitlines())
    assert (len(gone), len(come)) == (1, 2)


def test_cells_are_added_and_deleted(page: Page, served: Served, attempt: Attempt) -> None:
    before = kept(served, attempt)["evaluate.ipynb"].decode()
    choose(page, "evaluate.ipynb")
    page.get_by_role("region", name="Cell 1, text").get_by_role("button", name="Add code below").click()
    page.keyboard.insert_text("x = 1")
    save(page)
    after = json.loads(kept(served, attempt)["evaluate.ipynb"])
    assert len(after["cells"]) == len(json.loads(before)["cells"]) + 1
    assert after["cells"][1]["source"] == ["x = 1"]
    page.get_by_role("region", name="Cell 2, code").get_by_role("button", name="Delete cell").click()
    save(page)
    assert kept(served, attempt)["evaluate.ipynb"].decode() == before


NOTEBOOK: Final = '{"cells": [%s], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n'


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ('{"cell_type": "code", "source": "a\\nb"}', '{"cell_type": "code", "source": "a\\nc"}'),
        (
            '{"cell_type": "code", "source": ["\\u00e9\\n", "b"]}',
            '{"cell_type": "code", "source": ["\\u00e9\\n", "c"]}',
        ),
        ('{"cell_type": "code", "source": []}', '{"cell_type": "code", "source": ["é\\n", "c"]}'),
        (
            '{\n  "source": [],\n  "cell_type": "code"}',
            '{\n  "source": [\n   "é\\n",\n   "c"\n  ],\n  "cell_type": "code"}',
        ),
    ],
    ids=["text", "escaped", "empty", "empty over lines"],
)
def test_a_source_is_written_as_it_was_written_before(page: Page, cells: str, wanted: str) -> None:
    modules = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    module = next(one for one in modules if "workspace-cells" in one)
    source = "a\nc" if '"a' in cells else "é\nc"
    written = page.evaluate(
        "async ([module, text, source]) => (await import(module)).withSource(text, 0, source)",
        [module, NOTEBOOK % cells, source],
    )
    assert written == NOTEBOOK % wanted


def test_a_notebook_that_is_none_is_shown_as_it_is_written(
    context: BrowserContext, served: Served, attempt: Attempt
) -> None:
    elsewhere(served, attempt, broken_ipynb='{"cells": [')
    page = opened(context, served, attempt)
    choose(page, "broken.ipynb")
    expect(page.locator("#desk .cm-content")).to_contain_text('{"cells": [')
    expect(page.locator("#switch")).to_be_hidden()


# -------------------------------------------------------------------------------------------- brief, preview, checks


def test_the_preview_shows_what_was_typed_a_moment_ago_and_runs_nothing(page: Page) -> None:
    write(page, "\n**bold** <script>parent.ran = 1</script>\n", name="answer.md")
    page.locator("#tab-preview").click()
    shown = page.frame_locator("#preview")
    expect(shown.locator("strong").filter(has_text="bold")).to_be_visible()
    assert page.evaluate("window.ran") is None
    assert page.locator("#preview").get_attribute("sandbox") == "allow-popups allow-popups-to-escape-sandbox"


def test_the_brief_is_there_at_any_time(page: Page) -> None:
    expect(page.locator("#panel-brief")).to_be_visible()
    expect(page.locator("#panel-brief .prose")).not_to_be_empty()


def report(served: Served, attempt: Attempt, **said: Any) -> None:
    """What a worker says of the check that is open."""
    with served.portal.database.transaction() as session:
        row = session.query(Check).filter_by(attempt_id=attempt.id, ended_at=None).one()
        told: dict[str, Any] = {"ending": Ending.EXITED, "exit_code": 0, "seconds": 1.5, "output": ""} | said
        checks.record(session, CheckReport(check=row.id, fence=row.fence, **told))


def test_run_saves_first_and_shows_what_came_of_it_as_text(page: Page, served: Served, attempt: Attempt) -> None:
    write(page, "# run this\n", name="windows.py")
    page.locator("#run").click()
    expect(page.locator("#run")).to_be_disabled()
    expect(page.locator("#check-line")).to_contain_text("about to begin")
    assert kept(served, attempt)["windows.py"].endswith(b"# run this\n")
    report(served, attempt, exit_code=1, output="\x1b[31mred\x1b[0m <img src=x onerror=alert(1)>\n10%\r99%\n")
    expect(page.locator("#check-ended")).to_have_text("Not passed")
    expect(page.locator("#check-output")).to_have_text("red <img src=x onerror=alert(1)>\n99%\n")
    expect(page.locator("#check-line")).to_contain_text("exit code 1 after 1.5 seconds")
    expect(page.locator("#news")).to_contain_text("Not passed")
    expect(page.locator("#run")).to_be_enabled()


def test_checks_that_run_are_found_again_after_a_reload(page: Page, served: Served, attempt: Attempt) -> None:
    page.locator("#run").click()
    expect(page.locator("#check-line")).to_contain_text("about to begin")
    page.reload()
    expect(page.locator("#run")).to_be_disabled()
    report(served, attempt, output="fine\n")
    page.locator("#tab-checks").click()
    expect(page.locator("#check-ended")).to_have_text("Passed")
    expect(page.locator("#check-output")).to_have_text("fine\n")


# ------------------------------------------------------------------------------------------------- reach for everybody


def violations(page: Page, part: str = "body") -> list[tuple[str, str]]:
    found = Axe().run(page, context=part).response["violations"]
    return [(one["id"], f"{node['target']} {node['failureSummary']}") for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_in_any_view(
    new_context: Callable[..., BrowserContext], served: Served, attempt: Attempt, scheme: str, width: int
) -> None:
    page = opened(new_context(color_scheme=scheme, viewport={"width": width, "height": 844}), served, attempt)
    small = width < 1024
    for view in ("files", "editor", "brief", "preview", "checks", "ways"):
        if small:
            page.locator(f"[data-view-of={view}]").click()
        elif view not in ("files", "editor"):
            page.locator(f"#tab-{view}").click()
        assert violations(page) == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    if small:
        page.locator("[data-view-of=files]").click()
    choose(page, "evaluate.ipynb")
    assert violations(page) == []
    if not small:
        torn(page, served, attempt)
        assert violations(page, "#dialog") == []


@pytest.mark.parametrize("width", [1280, 640, 320])
def test_text_of_twice_the_size_still_fits(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tab_indents_and_after_escape_it_leaves(page: Page) -> None:
    choose(page, "windows.py")
    page.locator("#desk .cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    inside = f"{SHADOWED}.activeElement !== null"
    assert page.evaluate(inside)
    expect(page.locator("#desk .cm-line").first).to_have_text(re.compile(r"^    "))
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert not page.evaluate(inside)
    label = page.locator("#desk .cm-content").get_attribute("aria-label")
    assert label == "windows.py. Escape and then Tab leaves the editor."


def test_the_tabs_beside_the_editor_are_walked_with_arrows(page: Page) -> None:
    page.locator("#tab-brief").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel-preview")).to_be_visible()
    expect(page.locator("#tab-preview")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#panel-ways")).to_be_visible()


def test_find_opens_within_the_editor_and_looks_like_ours(page: Page) -> None:
    choose(page, "windows.py")
    page.locator("#find").click()
    field = page.locator("#desk input[name=search]")
    expect(field).to_be_focused()
    page.keyboard.type("split")
    page.keyboard.press("Enter")
    expect(page.locator("#desk .cm-searchMatch-selected")).to_have_text("split")
    assert page.locator("#desk .cm-gutters").evaluate("e => getComputedStyle(e).display") == "flex"


def test_without_a_script_one_can_read_download_upload_and_hand_in(
    new_context: Callable[..., BrowserContext], served: Served, attempt: Attempt
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    expect(page.locator("#plain h1")).to_be_visible()
    expect(page.locator("#workspace")).to_be_hidden()
    expect(page.locator("#brief .prose")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="windows.py").click()
    assert Path(download.value.path()).read_bytes() == kept(served, attempt)["windows.py"]
    page.locator("#upload").set_input_files({"name": "answer.md", "mimeType": "text/plain", "buffer": b"uploaded\n"})
    page.get_by_role("button", name="Upload", exact=True).click()
    assert kept(served, attempt)["answer.md"] == b"uploaded\n"
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    assert page.get_by_role("link", name="Hand in").get_attribute("href") == f"/attempts/{attempt.id}/hand-in"


def test_handing_in_saves_first(page: Page, served: Served, attempt: Attempt) -> None:
    write(page, "# before I go\n", name="windows.py")
    page.locator("#hand-in").click()
    page.wait_for_url("**/hand-in")
    assert kept(served, attempt)["windows.py"].endswith(b"# before I go\n")
