"""Files of strangers as an interviewer sees them, in a real browser: nothing runs, nothing loads, nothing overwhelms.

What is made of a file is looked at twice. First bare, in a page without any policy, where whatever gets through runs:
the HTML itself has to be clean. Then as the portal serves it, where the browser must have nothing to complain of: the
policy is a second wall, and a wall that is touched was needed.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route

from tests.browsers import chromium
from tests.hostile import strangers
from tests.web.portal_world import Served, served_portal, started
from web import inert, work
from web.database import now
from web.inert.notebooks import MOST_BYTES, MOST_CHARACTERS
from web.models import Attempt, Origin

LARGEST: Final = 2 << 20  # characters of a page about a file without pictures, whatever its size: text and its tags
FILES: Final = strangers.corpus()

# What a page holds that nobody allowed, by the browser's own reading of it.
FOREIGN: Final = """() => {
  const tags = new Set(('P H1 H2 H3 H4 H5 H6 HR BR BLOCKQUOTE PRE UL OL LI DIV TABLE THEAD TBODY TR TH TD CAPTION '
    + 'A CODE EM STRONG S SPAN IMG BDI SECTION INS DEL').split(' '));
  const ours = 'http://www.w3.org/1999/xhtml';
  const attributes = new Set('href title rel target src alt class start tabindex colspan dir'.split(' '));
  const found = window.pwned ? ['it ran'] : [];
  for (const element of document.body.querySelectorAll('*')) {
    if (!tags.has(element.tagName) || element.namespaceURI !== ours) found.push(element.tagName);
    for (const { name } of element.attributes) if (!attributes.has(name)) found.push(element.tagName + ' ' + name);
    if (element.href && !['http:', 'https:', 'mailto:'].includes(element.protocol)) found.push(element.href);
    if (element.href && !['noopener', 'noreferrer', 'nofollow', 'ugc'].every(word => element.relList?.contains(word)))
      found.push('rel ' + element.rel);
    if (element.src && !/^data:image\\/(png|jpeg);base64,[A-Za-z0-9+\\/=]*$/.test(element.src)) found.push(element.src);
  }
  return found;
}"""


def png_header(width: int, height: int) -> bytes:
    """A picture of so many pixels in a few kB: all of one colour."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(9_000))))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed) + b"\0\0\0\0IEND\xaeB`\x82"


# --------------------------------------------------------------------------------------------------- without a browser


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 57 << 20])
def test_a_notebook_of_57_mb_is_shown_by_its_beginning(size: int) -> None:
    content = b'{"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "' + b"a" * size + b'"}]}'
    html = inert.show("huge.ipynb", content)
    assert "too large" in html
    assert len(html) < LARGEST


def test_a_notebook_of_a_hundred_thousand_cells_is_bounded() -> None:
    for kind in ("markdown", "code", "raw"):
        cell = {"cell_type": kind, "source": "a"}
        for cells in (20_000, 100_000):
            html = inert.show("many.ipynb", json.dumps({"nbformat": 4, "cells": [cell] * cells}).encode())
            assert "left out" in html or "more parts than can be shown" in html
            assert len(html) < LARGEST


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"cells":[', b'[{"a":['])
def test_a_notebook_of_endless_depth_is_no_recursion(opening: bytes) -> None:
    for content in (opening * 500_000, b'{"nbformat": 4, "cells": [' + opening * 500_000):
        html = inert.show("deep.ipynb", content)
        assert "This is the file as it is." in html
        assert len(html) < LARGEST


def test_outputs_without_end_are_bounded() -> None:
    long = "all work and no play\n" * 200_000
    outputs = [{"output_type": "stream", "text": long}, {"output_type": "error", "traceback": [long] * 5}]
    outputs += [{"output_type": "display_data", "data": {"text/markdown": long, "a" * 100_000: long}}]
    for output in outputs:
        cell = {"cell_type": "code", "source": "1", "outputs": [output] * 2}
        html = inert.show("long.ipynb", json.dumps({"nbformat": 4, "cells": [cell]}).encode()[: MOST_BYTES * 4])
        assert len(html) < LARGEST


def test_all_of_a_notebook_together_is_bounded() -> None:
    cell = {
        "cell_type": "code",
        "source": "<" * 40_000,
        "outputs": [{"output_type": "stream", "text": "&" * 20_000}] * 4,
    }
    html = inert.show("wide.ipynb", json.dumps({"nbformat": 4, "cells": [cell] * 60}).encode())
    assert "left out" in html
    assert html.count("&lt;") + html.count("&amp;") < MOST_CHARACTERS + 1_000


@pytest.mark.parametrize(
    "text",
    [
        *("> " * 10_000 + "a", "- " * 10_000 + "a", "1. " * 10_000 + "a", "a" * 5_000_000, "[" * 90_000, "![" * 45_000),
        *("*a **b " * 14_000, "[a](" * 20_000, "<!--" * 20_000, "`" * 90_000, "|a" * 40_000 + "\n" + "|-" * 40_000),
        *("a|b\n-|-\n" + "|\n" * 40_000, "> " * 19 + "a\n" + "b\n" * 40_000, "&#0;" * 20_000, "[a]: b\n" * 12_000),
        *("\n".join("  " * depth + "- a" for depth in range(300)), "<a " * 30_000, "```\n" * 20_000, "\\" * 90_000),
        *(
            "# " * 45_000,
            "a\u202e" * 45_000,
            "~~a" * 30_000,
            "<http://a.invalid>" * 5_000,
            "\t" * 90_000,
            "\n" * 90_000,
        ),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_markdown_that_keeps_parsers_busy_is_bounded(text: str) -> None:
    """The number of its characters is what bounds the work, and depth what bounds the stack."""
    html = inert.show("busy.md", text.encode())
    assert len(html) < 2 * LARGEST
    assert "a" in html or "left out" in html or len(html) < len(text) * 8 + 1_000


@pytest.mark.parametrize(
    "text", ["\n" * 400_000, " " * 400_000, "(" * 39_999, "/*" * 19_999, '"""' * 13_333, "a=" * 20_000]
)
@pytest.mark.parametrize("name", ["a.py", "a.json", "a.yaml", "a.toml", "a.sh", "a.sql", "a.ini"])
def test_sources_that_keep_lexers_busy_are_bounded(name: str, text: str) -> None:
    assert len(inert.show(name, text.encode())) < LARGEST


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plot.png", png_header(20_000, 20_000)),
        ("plot.png", png_header(2**31 - 1, 2**31 - 1)),
        ("plot.jpg", b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 8, 8, 65_535, 65_535, 0) + b"\xff\xd9"),
        ("bomb.gif", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0" * 100),
        ("bomb.png", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0" * 100),
        ("page.html", b"\x89PNG\r\n\x1a\n<script>window.pwned=1</script>"),
        ("a.pdf", b"%PDF-1.7\0<script>window.pwned=1</script>"),
        ("a.docm", b"PK\x03\x04\0\0macro"),
    ],
)
def test_no_picture_is_given_to_a_browser_that_could_not_bear_it(name: str, content: bytes) -> None:
    html = inert.show(name, content)
    assert "<img" not in html
    assert "data:" not in html
    assert "left-out" in html or "&lt;script&gt;" in html


def test_what_a_terminal_would_obey_is_gone_from_what_a_cell_printed() -> None:
    spoof = (
        "score: 3\x1b[2K\x1b[1A\x1b[31mscore: 100\x1b[0m\x1b]0;pwned\x07\x9b31m\x1bP+q\x1b\\\n[INFO] graded\x08\x08\n"
    )
    cell = {"cell_type": "code", "source": spoof, "outputs": [{"output_type": "stream", "text": spoof}]}
    html = inert.show("spoof.ipynb", json.dumps({"nbformat": 4, "cells": [cell]}).encode())
    assert not any(sign in html for sign in "\x1b\x07\x08\x9b")
    assert "score: 3" in html


# ------------------------------------------------------------------------------------------------------ in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture(scope="module")
def attempt(served: Served) -> Attempt:
    return started(served.portal)


@pytest.fixture
def asked() -> list[str]:
    """What the page asked for, and what the browser said about it."""
    return []


@pytest.fixture
def context(browser: Browser, served: Served, attempt: Attempt, asked: list[str]) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.add_cookies([served.cookie(attempt)])
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda message: asked.append(f"console: {message.text}"))
    context.on("page", lambda page: page.on("pageerror", lambda error: asked.append(str(error))))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def bare(page: Page, html: str) -> list[str]:
    """What of this HTML nobody allowed, where nothing keeps it from running."""
    page.set_content(f"<!doctype html><title>a</title><body>{html}</body>", wait_until="load")
    found: list[str] = page.evaluate(FOREIGN)
    return found


@pytest.mark.browser
def test_an_attack_is_noticed_where_it_succeeds(page: Page, asked: list[str]) -> None:
    """Otherwise the tests below would prove nothing."""
    seen = {html: bare(page, html) for html in strangers.HTML[:12]}
    assert "it ran" in seen[strangers.HTML[1]]
    assert all(seen.values())
    bare(page, f"<img src='{strangers.BEACON}'>")
    assert strangers.BEACON in asked


@pytest.mark.browser
def test_what_is_made_of_a_file_is_clean_by_itself(page: Page, asked: list[str]) -> None:
    for name, content in FILES:
        html = inert.name(name) + inert.show(name, content)
        assert bare(page, html) == [], (name, content)
        loaded = [url for url in asked if not url.startswith("data:image/")]
        assert loaded == [], (name, content)


@pytest.mark.browser
def test_changes_between_two_files_are_clean_by_themselves(page: Page, asked: list[str]) -> None:
    for attack in (*strangers.HTML, *strangers.MARKDOWN):
        assert bare(page, inert.diff(b"before\n" + attack.encode(), attack.encode(), attack)) == [], attack
    assert asked == []


@pytest.mark.browser
def test_a_brief_is_clean_by_itself(page: Page, asked: list[str]) -> None:
    for attack in (*strangers.HTML, *strangers.MARKDOWN):
        assert bare(page, inert.markdown(attack)) == [], attack
    assert asked == []


@pytest.mark.browser
def test_a_click_on_any_link_runs_nothing(page: Page) -> None:
    for attack in strangers.MARKDOWN:
        bare(page, inert.markdown(attack))
        for link in page.locator("a").all():
            link.dispatch_event("click")
            link.dispatch_event("mouseover")
        assert page.evaluate("window.pwned") is None, attack


def keep(served: Served, attempt: Attempt, files: dict[str, bytes]) -> None:
    with served.portal.database.transaction() as session:
        work.save(session, attempt.id, files, Origin.UPLOAD, now(session))


@pytest.mark.browser
def test_a_preview_gives_its_policy_nothing_to_do(
    served: Served, attempt: Attempt, page: Page, asked: list[str]
) -> None:
    attacks = (*strangers.HTML, *strangers.MARKDOWN)
    files: dict[str, bytes] = {}
    for start in range(0, len(attacks), 8):
        some = attacks[start : start + 8]
        files[f"{start}.ipynb"] = json.dumps(strangers.notebook_of(*some)).encode()
        files |= {f"{start}.md": some[0].encode(), f"{start}.html": some[1].encode()}
    keep(served, attempt, files)
    for name in files:
        page.goto(f"{served.url}/attempts/{attempt.id}/preview?name={name}")
        assert page.locator("h1").inner_text() == name
        assert page.locator("section").count() > 5 or not name.endswith("ipynb")
    elsewhere = [
        url for url in asked if not url.startswith((f"{served.url}/", "data:image/png;base64,", "data:image/jpeg"))
    ]
    assert elsewhere == []


@pytest.mark.browser
def test_a_hostile_name_is_read_as_a_name(served: Served, attempt: Attempt, page: Page, asked: list[str]) -> None:
    keep(served, attempt, dict.fromkeys(strangers.NAMES, b"a"))
    for name in strangers.NAMES:
        page.goto(f"{served.url}/attempts/{attempt.id}/preview?name={quote(name)}")
        assert page.locator("h1").inner_text() == inert.legible(name)
        assert page.title() == inert.legible(name)
    assert [url for url in asked if not url.startswith(served.url)] == []


@pytest.mark.browser
def test_should_something_run_after_all_it_has_no_cookie_and_reaches_nobody(
    served: Served, attempt: Attempt, context: BrowserContext, asked: list[str]
) -> None:
    """The second wall alone: the answer is given attacks for a body on its way to the browser."""
    keep(served, attempt, {"a.txt": b"a"})
    page = context.new_page()

    def infect(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("</main>", "".join(strangers.HTML) + "</main>")
        route.fulfill(response=answer, body=body)

    page.route("**/preview?*", infect)
    page.goto(f"{served.url}/attempts/{attempt.id}/preview?name=a.txt")
    page.wait_for_load_state()
    assert "window.pwned" in page.content()
    assert page.evaluate("[window.pwned, window.origin]") == [None, "null"]
    assert not [url for url in asked if url.startswith("http://elsewhere.invalid")]
    assert [line for line in asked if line.startswith("console: ")]  # the browser says what it refused


@pytest.mark.browser
def test_a_download_is_saved_and_never_shown(served: Served, attempt: Attempt, page: Page) -> None:
    """A file that is a page, a picture and a program at once, asked for as any of these."""
    polyglot = png_header(1, 1) + b"<html><script>window.pwned=1</script></html>"
    keep(served, attempt, {"page.html": polyglot, "image.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>"})
    for name in ("page.html", "image.svg"):
        with page.expect_download() as download, pytest.raises(Error, match="Download is starting"):
            page.goto(f"{served.url}/attempts/{attempt.id}/file?name={name}")
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).stat().st_size > 0
    assert page.evaluate("window.pwned") is None
