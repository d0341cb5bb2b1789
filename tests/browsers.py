"""The browser in which tests look at pages."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from tests import without_netlink
from web.machine import find_chromium


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None, "Chromium is not here: `./assay test` installs it"
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        wrapper = Path(folder, "chromium")
        wrapper.write_text(
            f'#!/bin/sh\nexec {shlex.join([sys.executable, without_netlink.__file__, str(program)])} "$@"\n'
        )
        wrapper.chmod(0o755)
        browser = playwright.chromium.launch(executable_path=wrapper)
        yield browser
        browser.close()
