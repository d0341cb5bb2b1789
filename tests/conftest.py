"""What holds for every test: nothing is skipped in silence, nothing talks to the outside unasked, and what has to be
alone on the machine is."""

import fcntl
import ipaddress
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

# A test with one of these marks starts programs that may use the network; all others stay on this machine.
MAY_GO_OUT: Final = {"docker", "installer"}

_kept_inside: list[str] = []  # the test that runs now, when it must stay inside


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="A skipped test is a failed one. `assay test` says so.")


def pytest_configure() -> None:
    sys.addaudithook(_refuse_the_outside)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A job that a script put into the background ignores Ctrl-C, and so would all programs that tests interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    marks = {mark.name for mark in item.iter_markers()}
    if not MAY_GO_OUT & marks:
        _kept_inside.append(item.nodeid)
    try:
        with _turn(item.config, alone="alone" in marks):
            return (yield)
    finally:
        _kept_inside.clear()


@contextmanager
def _turn(config: pytest.Config, *, alone: bool) -> Iterator[None]:
    """When pytest has several processes, a test that is marked `alone` waits for the others, and they for it.

    It stands in the door meanwhile: those who come after it would otherwise keep the room busy for ever. Any two files
    that are there serve as door and room.
    """
    if not hasattr(config, "workerinput"):
        yield
        return
    with Path(__file__).open("rb") as door, (Path(__file__).parent / "__init__.py").open("rb") as room:
        fcntl.flock(door, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(door, fcntl.LOCK_UN)
        yield


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _kept_inside and not _is_inside(arguments[1]):
        raise RuntimeError(f"{_kept_inside[0]}: connects to {arguments[1]!r}; only marked tests may leave this machine")


def _is_inside(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # the path of a unix socket
    host = str(address[0])
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
