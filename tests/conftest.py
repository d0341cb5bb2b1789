"""What holds for every test: nothing is skipped in silence, and nothing talks to the outside unasked."""

import ipaddress
import sys
from collections.abc import Generator
from typing import Any, Final

import pytest

# A test with one of these marks starts programs that may use the network; all others stay on this machine.
MAY_GO_OUT: Final = {"docker", "installer"}

_kept_inside: list[str] = []  # the test that runs now, when it must stay inside


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="A skipped test is a failed one. `assay test` says so.")


def pytest_configure() -> None:
    sys.addaudithook(_refuse_the_outside)


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
    if not MAY_GO_OUT & {mark.name for mark in item.iter_markers()}:
        _kept_inside.append(item.nodeid)
    try:
        return (yield)
    finally:
        _kept_inside.clear()


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
