"""The first page as people meet it: in a real browser, in both themes, on a phone, by keyboard, enlarged."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.looks import check_with_axe
from tests.web.portal_process import PortalProcess

pytestmark = pytest.mark.browser

FOCUSED = "() => document.activeElement.getAttribute('href') ?? document.activeElement.tagName"


@pytest.fixture(scope="module")
def portal() -> Iterator[PortalProcess]:
    with PortalProcess() as running:
        yield running


@pytest.fixture
def page(browser: Browser, portal: PortalProcess) -> Iterator[Page]:
    """The first page; whatever the test does with it, it complains of nothing and asks nobody else for anything."""
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script("addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))")
    page.goto(portal.url)
    yield page
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(portal.url)] == []


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_axe_finds_nothing(browser: Browser, portal: PortalProcess, path: str) -> None:
    page = browser.new_page()
    page.goto(portal.url + path)
    check_with_axe(page)
    page.close()


@pytest.mark.parametrize("width", [320, 360, 390, 600, 768, 1024, 1119, 1120, 1280, 1920])
def test_no_width_makes_the_page_scroll_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        """[...document.querySelectorAll('main *, .top *, footer *')]
           .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
    )
    assert beyond == []


@pytest.mark.parametrize("width", [1280, 640])
def test_text_of_twice_the_size_still_fits(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """[...document.querySelectorAll('main p, main li, main dd, main dt, h1, h2, h3')]
           .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map(e => e.outerHTML)"""
    )
    assert cut == []


@pytest.mark.parametrize("width", [1280, 1120, 1024, 640, 390])
def test_no_step_of_the_picture_covers_another(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    covered = page.evaluate(
        """() => {
             const texts = [...document.querySelectorAll('.flow h3, .flow p, .flow dt, .flow dd')];
             const boxes = texts.map(e => { const r = document.createRange(); r.selectNodeContents(e);
                                            return r.getBoundingClientRect(); });
             const pairs = [];
             boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
               if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
                 pairs.push(texts[i].textContent + ' / ' + texts[i + 1 + j].textContent); }));
             return pairs; }"""
    )
    assert covered == []


def test_the_first_tab_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert page.evaluate(FOCUSED) == "#content"
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_tab_visits_every_link_in_the_order_of_the_page(page: Page) -> None:
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    visited = []
    for _ in links:
        page.keyboard.press("Tab")
        visited.append(page.evaluate(FOCUSED))
    assert visited == links


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_can_be_seen_on_every_link(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for _ in range(page.locator("a").count()):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => { const s = getComputedStyle(document.activeElement);
                       return [s.outlineStyle, parseFloat(s.outlineWidth), s.outlineColor]; }"""
        )
        assert outline[0] == "solid"
        assert outline[1] >= 2


def test_a_link_of_the_navigation_goes_to_its_section(page: Page) -> None:
    page.get_by_role("link", name="Five days").click()
    assert page.url.endswith("#days")
    page.wait_for_timeout(1500)  # it scrolls there smoothly
    assert -5 < page.evaluate("document.querySelector('#days').getBoundingClientRect().top") < 100


def test_landmarks_and_headings_tell_the_page(page: Page) -> None:
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("heading", level=2).count() >= 6


def test_nothing_moves_for_those_who_asked_for_stillness(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("document.getAnimations().length") == 0


def test_paper_gets_black_on_white(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    ground, ink = page.evaluate("['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])")
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    assert not page.locator("nav").is_visible()


def test_the_policy_stops_a_script_that_slipped_in(browser: Browser, portal: PortalProcess) -> None:
    page = browser.new_page()
    page.goto(portal.url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    page.close()


def test_no_cookie_is_set_and_nothing_is_remembered(page: Page) -> None:
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
