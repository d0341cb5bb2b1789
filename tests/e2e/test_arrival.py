"""The way in, in a real browser: link, code, and the page before the start; by keyboard, enlarged, without scripts."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise, product

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from tests.e2e.looks import check_with_axe
from tests.web.portal_world import Served, begin, invited, make_form, moment, served_portal
from web import access, attempts
from web.models import Attempt, Letter

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(timezone_id="Europe/Berlin")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Iterator[Page]:
    """Whatever a test does here, no script fails, the page's rules hold, and nobody else is asked for anything."""
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(served.url) else None)
    page.on("console", lambda message: said.append(message.text) if "CSP" in message.text else None)
    page.add_init_script("addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))")
    yield page
    assert said == []


def link_to(served: Served, attempt: Attempt) -> str:
    with served.portal.database.transaction() as session:
        return f"{served.url}/a/{access.new_link(session, served.portal, attempt, 'staff')}"


def inside(context: BrowserContext, served: Served, attempt: Attempt) -> str:
    """Let the browser in, and give the address of the page."""
    context.add_cookies([served.cookie(attempt)])
    return f"{served.url}/attempts/{attempt.id}"


def row(served: Served, attempt: Attempt) -> Attempt:
    with served.portal.database.reading() as session:
        return session.get_one(Attempt, attempt.id)


def code_for(served: Served) -> str:
    with served.portal.database.reading() as session:
        letter = session.scalars(select(Letter).order_by(Letter.created_at.desc())).first()
    assert letter is not None
    return letter.subject[-7:]


# ------------------------------------------------------------------------------------------------------- the journey


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_link_to_the_running_clock(page: Page, served: Served, width: int) -> None:
    attempt = invited(served.portal, multiplier=1.5)
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(link_to(served, attempt))
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Warm-up")
    expect(page.get_by_role("button", name="Start the clock")).to_be_disabled()
    page.get_by_role("link", name="Read the rules and agree").click()
    page.get_by_role("checkbox", name="I have read this and agree.").check()
    page.get_by_role("button", name="Agree", exact=True).click()
    expect(page.get_by_text("You have agreed to the rules")).to_be_in_viewport()  # the next step is where one looks
    page.get_by_role("button", name="Start the clock").click()
    page.wait_for_url("**/work")
    running = row(served, attempt)
    assert running.started_at is not None
    assert running.ends_at == running.started_at + timedelta(minutes=15)


def test_a_second_device_comes_in_with_the_code_from_the_mail(browser: Browser, page: Page, served: Served) -> None:
    attempt = invited(served.portal)
    link = link_to(served, attempt)
    page.goto(link)
    page.get_by_role("button", name="Open").click()
    phone = browser.new_context(viewport={"width": 390, "height": 844})
    other = phone.new_page()
    other.goto(link)
    expect(other.get_by_role("heading", level=1)).to_have_text("This link was opened in another browser")
    other.get_by_role("button", name="Send the code").click()
    expect(other.get_by_label("The code from your e-mail")).to_be_focused()
    other.keyboard.type(code_for(served))
    other.keyboard.press("Enter")
    expect(other.get_by_role("heading", level=1)).to_have_text("Warm-up")
    phone.close()


def test_without_javascript_everything_is_there(browser: Browser, served: Served) -> None:
    attempt = invited(served.portal, closes_at=moment(served.portal) + timedelta(days=5))
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(link_to(served, attempt))
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text("Your browser tells its time zone only with JavaScript.")).to_be_visible()
    page.get_by_role("checkbox", name="I have read this and agree.").check()
    page.get_by_role("button", name="Agree", exact=True).click()
    page.get_by_role("button", name="Start the clock").click()
    page.wait_for_url("**/work")
    assert row(served, attempt).started_at is not None
    context.close()


def test_the_whole_way_goes_by_keyboard(page: Page, served: Served) -> None:
    attempt = invited(served.portal)
    page.goto(link_to(served, attempt))

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                "(e => e.innerText || e.closest('label')?.innerText || e.value || '')(document.activeElement)"
            )
            if name in seen:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline == "solid", f"{name}: the focus cannot be seen"
                return
        raise AssertionError(f"{name}: no tab leads there")

    tab_to("Open")
    page.keyboard.press("Enter")
    page.wait_for_url("**/attempts/*")
    tab_to("I have read this and agree.")
    page.keyboard.press("Space")
    tab_to("Agree")
    page.keyboard.press("Enter")
    page.wait_for_url("**#start")
    tab_to("Start the clock")
    page.keyboard.press("Enter")
    page.wait_for_url("**/work")


def test_the_order_of_the_focus_is_the_order_of_the_page(context: BrowserContext, page: Page, served: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(inside(context, served, invited(served.portal)))
    page.wait_for_load_state("networkidle")
    heights = []
    for _ in range(
        page.locator("main a, main button:enabled, main input:not([type=hidden]), main summary").count() + 3
    ):
        page.keyboard.press("Tab")
        if page.evaluate("document.querySelector('main').contains(document.activeElement)"):
            heights.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
    assert len(heights) >= 6
    assert heights == sorted(heights)


# --------------------------------------------------------------------------------------------------- what scripts do


def test_times_are_told_in_the_browsers_own_zone(context: BrowserContext, page: Page, served: Served) -> None:
    attempt = invited(
        served.portal, closes_at=moment(served.portal).replace(month=7, day=1, hour=10, minute=0, year=2030)
    )
    page.goto(inside(context, served, attempt))
    expect(page.locator("#start")).to_contain_text("12:00 CEST")
    expect(page.locator("#window")).to_contain_text("12:00 CEST")
    assert row(served, attempt).time_zone == "Europe/Berlin"
    told: list[str] = []
    page.on("request", lambda asked: told.append(asked.url) if "time-zone" in asked.url else None)
    page.reload()
    page.wait_for_load_state("networkidle")
    assert told == []  # once is enough


def test_the_page_learns_by_itself_that_the_files_are_made(context: BrowserContext, page: Page, served: Served) -> None:
    attempt = invited(served.portal, made=False)
    page.goto(inside(context, served, attempt))
    page.get_by_role("checkbox", name="I have read this and agree.").check()
    page.get_by_role("button", name="Agree", exact=True).click()
    expect(page.locator("#start")).to_contain_text("Your files are being made")
    expect(page.get_by_role("button", name="Start the clock")).to_be_disabled()
    make_form(served.portal, attempt.form_id)
    expect(page.get_by_role("button", name="Start the clock")).to_be_enabled(timeout=20_000)
    expect(page.locator("#news")).to_contain_text("It runs from the moment you press this")  # and says so aloud
    page.get_by_role("button", name="Start the clock").click()
    page.wait_for_url("**/work")


def test_while_it_waits_nothing_that_somebody_typed_or_ticked_is_lost(
    context: BrowserContext, page: Page, served: Served
) -> None:
    attempt = invited(served.portal, made=False)
    page.goto(inside(context, served, attempt))
    box = page.get_by_role("checkbox", name="I have read this and agree.")
    box.check()
    box.focus()
    make_form(served.portal, attempt.form_id)
    expect(page.locator("#start")).to_contain_text("First read the rules", timeout=20_000)
    expect(box).to_be_checked()
    expect(box).to_be_focused()


def test_a_start_in_another_window_leads_this_one_on(context: BrowserContext, page: Page, served: Served) -> None:
    attempt = invited(served.portal, made=False)
    page.goto(inside(context, served, attempt))
    expect(page.locator("#start")).to_contain_text("Your files are being made")
    make_form(served.portal, attempt.form_id)
    begin(served.portal, attempt)
    page.wait_for_url("**/work", timeout=20_000)


def test_practice_and_back_and_withdrawing_and_signing_out(context: BrowserContext, page: Page, served: Served) -> None:
    attempt = invited(served.portal)
    home = inside(context, served, attempt)
    page.goto(home)
    page.get_by_role("button", name="Practise first").click()
    expect(page.get_by_text("Practice: it counts for nothing")).to_be_visible()
    page.get_by_role("link", name="Back to the attempt that counts").click()
    expect(page.get_by_role("button", name="Go on practising")).to_be_visible()
    page.get_by_text("I do not want to take part").click()
    page.get_by_role("checkbox", name="I am sure.").check()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have withdrawn")
    other = invited(served.portal)
    page.goto(inside(context, served, other))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This browser is signed out")
    assert [one["name"] for one in context.cookies() if one["name"] == "assay_candidate"] == []
    assert page.goto(f"{served.url}/attempts/{other.id}").status == 404  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------ accessibility


@pytest.fixture(scope="module")
def places(served: Served) -> dict[str, tuple[Attempt, str]]:
    """Pages to look at: whose they are, and where."""
    portal = served.portal
    fresh, slow, agreed, gone = (invited(portal, made=made, multiplier=1.5) for made in (True, False, True, True))
    link, claimed = link_to(served, fresh), link_to(served, agreed)
    with portal.database.transaction() as session:
        access.enter(session, portal, claimed.rpartition("/")[2], "a browser")
        attempts.add_time(
            session, fresh.id, timedelta(minutes=5), "staff", "Your connection was slow last time.", "staff"
        )
        attempts.withdraw(session, gone.id)
    nobody = invited(portal, contact="")
    return {
        "link": (nobody, link),
        "code": (nobody, claimed),
        "cut": (nobody, f"{served.url}/a/x"),
        "before": (fresh, f"{served.url}/attempts/{fresh.id}"),
        "making": (slow, f"{served.url}/attempts/{slow.id}"),
        "withdrawn": (gone, f"{served.url}/attempts/{gone.id}"),
    }


PLACES = ["link", "code", "cut", "before", "making", "withdrawn"]


@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing(
    browser: Browser, served: Served, places: dict[str, tuple[Attempt, str]], place: str
) -> None:
    attempt, address = places[place]
    context = browser.new_context()
    context.add_cookies([served.cookie(attempt)])
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.wait_for_load_state("networkidle")
    check_with_axe(page)
    context.close()


@pytest.mark.parametrize("place", PLACES)
def test_no_page_scrolls_sideways_even_enlarged(
    context: BrowserContext, page: Page, served: Served, places: dict[str, tuple[Attempt, str]], place: str
) -> None:
    attempt, address = places[place]
    context.add_cookies([served.cookie(attempt)])
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for width, size in product((320, 390, 640, 1024, 1280), ("100%", "200%")):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
        beyond = page.evaluate(
            """[...document.querySelectorAll('body *:not(.hidden):not(.skip)')]
               .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))"""
        )
        assert beyond == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_pressed_is_large_enough_for_a_thumb(
    context: BrowserContext, page: Page, served: Served, places: dict[str, tuple[Attempt, str]]
) -> None:
    attempt, address = places["before"]
    context.add_cookies([served.cookie(attempt)])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    sizes = page.evaluate(
        """[...document.querySelectorAll('button, summary, label.tick')]
           .map(e => [e.innerText, e.getBoundingClientRect().height])"""
    )
    assert len(sizes) >= 5
    assert [name for name, height in sizes if height < 24] == []


def test_headings_and_landmarks_tell_the_page(
    context: BrowserContext, page: Page, served: Served, places: dict[str, tuple[Attempt, str]]
) -> None:
    attempt, address = places["before"]
    context.add_cookies([served.cookie(attempt)])
    page.goto(address)
    for role in ("banner", "main", "contentinfo", "complementary"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert all(after <= before + 1 for before, after in pairwise(levels))
