"""The pages of those who work here, in a real browser: by keyboard, on a phone, in both themes, and for a screen
reader."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.looks import check_with_axe
from tests.web.portal_world import Served, invited, moment, move_clock, served_portal, started
from tests.web.staff_world import EMAIL, hire, letters_to, link_in
from tests.web.valkey_server import ValkeyServer
from web import access, attempts, cookies, signing_in
from web.models import Application, Attempt, Person, Right

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class World:
    served: Served
    owner: str
    waiting: Attempt
    running: Attempt

    def token(self, person_id: str) -> str:
        portal = self.served.portal
        with portal.database.transaction() as session:
            return access.new_session(session, portal, "a test", person_id=person_id, lasts=signing_in.SESSION)

    def cookie(self, person_id: str) -> Any:
        return {"name": cookies.STAFF, "value": self.token(person_id), "url": self.served.url}


def name_it(served: Served, attempt: Attempt, name: str) -> None:
    with served.portal.database.transaction() as session:
        application = session.get_one(Application, attempt.application_id)
        session.get_one(Person, application.person_id).name = name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("portal")
    valkey = ValkeyServer(folder / "valkey")
    try:
        with served_portal(folder) as served:
            portal = served.portal
            owner = hire(portal)
            hire(portal, Right.READ_ONLY, "lin@example.org", "Lin Wei")
            running, waiting = started(portal), invited(portal, multiplier=1.5)
            withdrawn, ended = invited(portal), started(portal)
            move_clock(portal, ended, ended_at=moment(portal))
            with portal.database.transaction() as session:
                attempts.withdraw(session, withdrawn.id)
                access.new_link(session, portal, session.get_one(Attempt, running.id), "staff")
                wait = timedelta(minutes=5)
                attempts.add_time(session, running.id, wait, "check 1", "Your check waited in our queue.", "clock")
            for attempt, name in (
                (running, "Ada Okafor"),
                (waiting, "Maximiliane Freifrau von Hohenstein-Wartenberg-Schwarzenfels"),
                (withdrawn, "Bo"),
                (ended, "Chidi Anagonye"),
            ):
                name_it(served, attempt, name)
            yield World(served, owner, waiting, running)
    finally:
        valkey.kill()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, world: World) -> Iterator[Open]:
    """Whatever the test does with it, the page complains of nothing and asks nobody else for anything."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_it(path: str, *, signed_in: bool = True, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
        )
        contexts.append(context)
        if signed_in:
            context.add_cookies([world.cookie(world.owner)])
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(world.served.url + path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [line for line in said if "status of 4" not in line] == []
    assert [url for url in asked if not url.startswith(world.served.url)] == []


PAGES: Final = (
    "/staff/sign-in",
    "/staff/sign-in/cut-off",
    "/staff/attempts",
    "/staff/attempts?find=nobody+of+that+name",
    "/staff/invite",
    "/staff/people",
    "/staff/attempts/{running}",
    "/staff/attempts/{waiting}",
    "/staff/attempts/{running}/work",
)


def address(world: World, page: str) -> str:
    return page.format(running=world.running.id, waiting=world.waiting.id)


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(open_page: Open, world: World, path: str) -> None:
    page = open_page(address(world, path))
    unfold(page)
    check_with_axe(page)


@pytest.mark.parametrize("path", PAGES)
def test_no_width_makes_a_page_scroll_sideways(open_page: Open, world: World, path: str) -> None:
    page = open_page(address(world, path), width=1920)
    unfold(page)
    assert too_wide(page, 320, 390, 640, 768, 1024, 1920) == []


@pytest.mark.parametrize("path", PAGES)
def test_text_of_twice_the_size_still_fits(open_page: Open, world: World, path: str) -> None:
    page = open_page(address(world, path), width=1280)
    unfold(page)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert too_wide(page, 1280, 640) == []


def too_wide(page: Page, *widths: int) -> list[int]:
    """The widths at which it would scroll sideways."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(width)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_what_is_pressed_on_a_phone_is_large_enough(open_page: Open, world: World, path: str) -> None:
    page = open_page(address(world, path), width=390)
    unfold(page)
    small = page.evaluate(
        """[...document.querySelectorAll('main button, main input:not([type=hidden]), main select, main summary')]
           .filter(e => { const r = e.getBoundingClientRect(); return r.height < 24 || r.width < 20; })
           .map(e => e.outerHTML)"""
    )
    assert small == []


def test_by_keyboard_alone_from_the_letter_to_an_invitation(open_page: Open, world: World) -> None:
    portal = world.served.portal
    page = open_page("/staff/sign-in", signed_in=False)
    page.get_by_label("Your e-mail address").focus()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("a letter with a link is on its way")

    page.goto(world.served.url + link_in(letters_to(portal)[-1]))
    page.keyboard.press("Tab")
    walk_to(page, "Sign in")
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/attempts")

    walk_to(page, "Invite somebody")
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/invite")
    for label, said in (("Name", "Eve Moneypenny"), ("E-mail address", "eve@example.org"), ("Role", "Engineer")):
        page.get_by_label(label, exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(said)
        page.keyboard.press("Escape")  # the list of roles
    walk_to(page, "Invite")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eve Moneypenny")
    shown = page.locator(".fresh code").inner_text()
    assert shown.endswith(link_in(letters_to(portal, "eve@example.org")[-1]))
    page.reload()
    expect(page.locator(".fresh")).to_have_count(0)

    walk_to(page, "Sign out")
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/sign-in")
    page.go_back()
    expect(page.get_by_text("Eve Moneypenny")).to_have_count(0)  # nothing of it stayed in the browser


def walk_to(page: Page, name: str) -> None:
    """Tab until the focus is on what is called so."""
    for _ in range(60):
        text = page.evaluate("document.activeElement.textContent.trim()")
        if re.match(rf"{name}\b", text) and page.evaluate("document.activeElement.matches('a, button, summary')"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {name}")


def test_minutes_are_added_and_the_list_shows_them(open_page: Open, world: World) -> None:
    page = open_page(f"/staff/attempts/{world.running.id}")
    page.get_by_text("Add minutes").click()
    page.get_by_label("Minutes").fill("15")
    page.get_by_label("Why, as the candidate reads it").fill("The fire alarm rang.")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".rows").first).to_contain_text("15 minutes The fire alarm rang.")
    page.go_back()
    page.go_forward()
    with world.served.portal.database.reading() as session:
        assert attempts.added(session, world.running.id) == (5 + 15) * 60


def test_a_mistake_is_announced_and_what_was_typed_is_there(open_page: Open) -> None:
    page = open_page("/staff/invite")
    page.get_by_label("Name", exact=True).fill("Ada Okafor")
    page.get_by_label("E-mail address").fill("a@b")
    page.get_by_label("Role").fill("Engineer")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("alert")).to_contain_text("a@b")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ada Okafor")


def test_a_file_of_a_candidate_opens_as_text_that_nothing_runs_in(open_page: Open, world: World) -> None:
    page = open_page(f"/staff/attempts/{world.running.id}/work")
    page.get_by_role("link", name="windows.py", exact=True).click()
    expect(page.locator("body")).to_contain_text("def ")
    assert page.evaluate("origin") == "null"


@pytest.mark.parametrize("path", PAGES)
def test_landmarks_and_headings_tell_the_page(open_page: Open, world: World, path: str) -> None:
    page = open_page(address(world, path))
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=1).count() == 1


def test_time_that_is_left_is_shown_and_a_session_that_ended_leads_to_the_way_in(open_page: Open) -> None:
    page = open_page("/staff/attempts")
    row = page.get_by_role("row").filter(has_text="Ada Okafor")
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("minutes")
    page.context.clear_cookies()
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
