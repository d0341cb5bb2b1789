"""A page in each of the four ways in which people see it: on a desk and on a phone, by day and by night."""

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page


def check_with_axe(page: Page) -> None:
    """Axe finds nothing to complain of. What is folded has been unfolded by then, or is not looked at."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
            found = Axe().run(page)
            assert found.violations_count == 0, f"{width} pixels, {scheme}: {found.generate_report()}"
