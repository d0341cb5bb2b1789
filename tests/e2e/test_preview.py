"""The preview of a file in a real browser: in both themes, on a phone, enlarged, and within the page that frames it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.web.portal_world import Served, served_portal, started
from tests.web.test_inert import png
from web import work
from web.database import now
from web.models import Attempt, Origin
from web.settings import PROJECT

pytestmark = pytest.mark.browser

WIDE: Final = "column " * 40
CELLS: Final[list[dict[str, Any]]] = [
    {"cell_type": "markdown", "source": f"# Title\n\n*why* [a](https://example.org) `code` {'x' * 300}\n\n> said\n"},
    {"cell_type": "markdown", "source": f"|{'a|' * 30}\n|{'-|' * 30}\n|{'word|' * 30}\n\n<!-- hidden -->"},
    {
        "cell_type": "code",
        "source": "import json\n\n@cache\ndef f(x: int) -> str:\n    return 'a' + str(1)  # why \u202e\n",
        "execution_count": 1,
        "outputs": [
            {"output_type": "stream", "name": "stderr", "text": WIDE},
            {"output_type": "execute_result", "data": {"text/plain": WIDE, "text/html": "<b>"}},
            {"output_type": "display_data", "data": {"image/png": base64.b64encode(png()).decode()}},
            {"output_type": "error", "traceback": [WIDE]},
        ],
    },
]
STATIC: Final = PROJECT / "web" / "static"
FILES: Final = {
    "answer.md": (PROJECT / "challenges" / "warm-up" / "brief.md").read_bytes(),
    "evaluate.ipynb": json.dumps({"nbformat": 4, "cells": CELLS}).encode(),
    "windows.py": Path(__file__).read_bytes(),
    "model.bin": b"\0" * 5_000,
    "plot.png": png(),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture(scope="module")
def attempt(served: Served) -> Attempt:
    attempt = started(served.portal)
    with served.portal.database.transaction() as session:
        work.save(session, attempt.id, FILES, Origin.UPLOAD, now(session))
    return attempt


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, served: Served, attempt: Attempt) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param)
    context.add_cookies([served.cookie(attempt)])
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    yield context.new_page()
    context.close()
    assert said == []


def show(page: Page, served: Served, attempt: Attempt, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{served.url}/attempts/{attempt.id}/preview?name={name}")


@pytest.mark.parametrize("name", FILES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    page: Page, served: Served, attempt: Attempt, name: str
) -> None:
    for width in (1280, 390):
        show(page, served, attempt, name, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # axe brings a script, which this page does not allow: so it looks at a copy of what the browser made of it
        styles = "".join((STATIC / f"{sheet}.css").read_text() for sheet in ("assay", "inert", "preview"))
        copy = page.context.new_page()
        copy.set_viewport_size({"width": width, "height": 900})
        copy.set_content(page.content().replace("</head>", f"<style>{styles}</style></head>"))
        found = Axe().run(copy)
        copy.close()
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", ["answer.md", "evaluate.ipynb", "windows.py"])
def test_text_of_twice_the_size_still_fits(page: Page, served: Served, attempt: Attempt, name: str) -> None:
    show(page, served, attempt, name, 640)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


def test_the_workspace_frames_it(page: Page, served: Served, attempt: Attempt) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{served.url}/attempts/{attempt.id}/work")
    page.get_by_role("treeitem", name="answer.md").click()
    page.get_by_role("tab", name="Preview").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Warm-up")).to_be_visible()
