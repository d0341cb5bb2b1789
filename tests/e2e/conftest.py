"""What holds for every test in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browsers import chromium


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """A page on a busy machine takes its time; a test that passes waits no longer for it."""
    expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
