"""What tests look at pages with must not fail by what goes on beside it."""

import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

SCRIPTS = 12  # more than a browser asks one server for at a time: the rest wait for a connection


class Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = "".join(f'<script src="/{number}.js"></script>' for number in range(SCRIPTS))
        kind, content = (
            ("text/html", page) if self.path == "/" else ("text/javascript", "window.came = (window.came || 0) + 1")
        )
        if self.path != "/":
            time.sleep(1)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the test has its own words."""


@pytest.fixture
def slow_page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.browser
@pytest.mark.docker
def test_a_network_that_comes_and_goes_does_not_tear_a_page_that_is_loading(browser: Browser, slow_page: str) -> None:
    page = browser.new_page()

    def change_networks() -> None:
        time.sleep(0.5)
        for verb in ("create", "rm"):
            subprocess.run(["docker", "network", verb, "assay-test-comes-and-goes"], check=True, capture_output=True)

    changing = threading.Thread(target=change_networks)
    changing.start()
    page.goto(slow_page)
    changing.join()
    assert page.evaluate("window.came") == SCRIPTS
    page.close()
