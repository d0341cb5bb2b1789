"""The browser in which tests look at pages."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from web.machine import find_chromium


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None, "Chromium is not here: `./assay test` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()
