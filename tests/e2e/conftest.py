"""What holds for every test in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from web.machine import find_chromium


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """A page on a busy machine takes its time; a test that passes waits no longer for it."""
    expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None, "Chromium is not here: `./assay test` installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program)
        yield chromium
        chromium.close()
