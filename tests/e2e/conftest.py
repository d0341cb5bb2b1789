"""What holds for every test in a browser."""

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """A page on a busy machine takes its time; a test that passes waits no longer for it."""
    expect.set_options(timeout=20_000)
