"""How often somebody may ask: counted for each address and each attempt, before anything else is done for a request.

LIMITS is the whole list, by the address that is asked. What matters is counted in Redis, for all processes together;
what a workspace asks all day is counted by each process for itself, so that a save costs no word to anybody. While
Redis is away each process counts what it sees, except for what lets staff in: that stays shut, because whoever can
keep Redis away could then guess as often as there are processes. Codes of candidates are counted in the database too
(web.access), so they stay good.
"""

import hashlib
import ipaddress
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Final, cast

from flask import Flask, current_app, request
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from web import cookies
from web.bell import QueueUnavailable
from web.portal import here
from web.speech import gettext, ngettext

__all__ = ["LIMITS", "By", "Limit", "NobodyCounts", "TooOften", "arm", "client_address", "shape", "spend"]

LOOK_AGAIN_SECONDS: Final = 5.0  # until a Redis that was away is asked again: each try may take as long
MOST_KEPT: Final = 50_000  # counters of one process; an attacker with many addresses gets no more of our memory


class By(StrEnum):
    ADDRESS = "address"
    ATTEMPT = "attempt"  # and the browser's own secret: whoever knows no more than an id uses up nobody's turns


@dataclass(frozen=True)
class Limit:
    name: str
    most: int
    seconds: int
    by: By = By.ADDRESS
    shared: bool = True  # counted for all processes together
    closed: bool = False  # nobody passes while nobody can count


QUARTER: Final = 900

# People share addresses: a campus, or an office with one way out. So what is counted by address is generous wherever
# something else, a signature or a count in the database, keeps guessers out.
ASKING: Final = Limit("sign-in letter", 10, QUARTER, closed=True)
SIGNING_IN: Final = Limit("sign-in", 40, QUARTER, closed=True)
LINK: Final = Limit("link", 600, 60)
CODE: Final = Limit("code letter", 30, QUARTER)
WITH_CODE: Final = Limit("code", 60, QUARTER)
SAVE: Final = Limit("save", 240, 60, By.ATTEMPT, shared=False)
STATE: Final = Limit("state", 600, 60, By.ATTEMPT, shared=False)
UPLOAD: Final = Limit("upload", 30, 60, By.ATTEMPT)
PREVIEW: Final = Limit("preview", 120, 60, By.ATTEMPT, shared=False)  # setting a text takes us a moment
CHECK: Final = Limit("check", 30, 60, By.ATTEMPT)
HAND_IN: Final = Limit("hand-in", 30, 60, By.ATTEMPT)
PASSWORD: Final = Limit("git password", 20, QUARTER, By.ATTEMPT)
GIT: Final = Limit("git", 240, 60, By.ATTEMPT, shared=False)
GIT_ADDRESS: Final = Limit("git address", 1200, 60)
VERIFY: Final = Limit("receipt", 120, 60)

# By method and address, in which <> stands for whatever changes.
LIMITS: Final[Mapping[tuple[str, str], tuple[Limit, ...]]] = {
    ("POST", "/staff/sign-in"): (ASKING,),
    ("GET", "/staff/sign-in/<>"): (SIGNING_IN,),
    ("POST", "/staff/sign-in/<>"): (SIGNING_IN,),
    ("GET", "/staff/sign-in/openid"): (SIGNING_IN,),
    ("GET", "/staff/sign-in/openid/back"): (SIGNING_IN,),
    ("GET", "/a/<>"): (LINK,),
    ("POST", "/a/<>"): (LINK,),
    ("POST", "/a/<>/code"): (CODE,),
    ("POST", "/a/<>/with-code"): (WITH_CODE,),
    ("GET", "/attempts/<>/state"): (STATE,),
    ("POST", "/attempts/<>/save"): (SAVE,),
    ("POST", "/attempts/<>/upload"): (UPLOAD,),
    ("GET", "/attempts/<>/preview"): (PREVIEW,),
    ("POST", "/attempts/<>/checks"): (CHECK,),
    ("POST", "/attempts/<>/hand-in"): (HAND_IN,),
    ("POST", "/attempts/<>/git-password"): (PASSWORD,),
    ("POST", "/receipts"): (VERIFY,),
    ("GET", "/receipts/<>"): (VERIFY,),
}
BELOW: Final = {"/git/": (GIT_ADDRESS, GIT)}  # whatever begins with this, by any method


class TooOften(TooManyRequests):
    """Asked too often. It says how long to wait, and that nothing was lost."""

    def __init__(self, seconds: int) -> None:
        wait = (
            ngettext("%(num)s second", "%(num)s seconds", seconds)
            if seconds < 120
            else ngettext("%(num)s minute", "%(num)s minutes", math.ceil(seconds / 60))
        )
        said = gettext(
            "This was asked for more often than anybody needs to, from your network or about this attempt. Nothing is "
            "lost. Wait %(wait)s and try again.",
            wait=wait,
        )
        super().__init__(said, retry_after=seconds)


class NobodyCounts(ServiceUnavailable):
    """Redis is away, and this stays shut until it is back."""

    def __init__(self) -> None:
        super().__init__(
            gettext("Nobody can sign in for the moment. This is our fault, and it passes. Try again in a minute."),
            retry_after=30,
        )


# -------------------------------------------------------------------------------------------------------- counting


@dataclass
class _Counter:
    """Of one process. A window is a stretch of the clock, such as 10:15 to 10:30, so that none has to be looked up."""

    clock: Callable[[], float] = time.time
    patience: Callable[[], float] = time.monotonic
    away_until: float = -math.inf
    counted: dict[str, int] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    held: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, limit: Limit, who: str) -> None:
        """Raises TooOften, or NobodyCounts."""
        at = self.clock()
        window = math.floor(at / limit.seconds)
        key = f"{limit.name}:{who}:{window}"
        used = self._together(limit, key) if limit.shared else None
        if used is None:
            if limit.shared and limit.closed:
                raise NobodyCounts
            used = self._alone(key, (window + 1) * limit.seconds, at)
        if used > limit.most:
            raise TooOften(max(1, math.ceil((window + 1) * limit.seconds - at)))

    def _together(self, limit: Limit, key: str) -> int | None:
        """None while Redis is away, which is asked no more than every few seconds: it may be slow to say nothing."""
        if self.patience() < self.away_until:
            return None
        try:
            return here().bell.count(key, limit.seconds)
        except QueueUnavailable:
            self.away_until = self.patience() + LOOK_AGAIN_SECONDS
            return None

    def _alone(self, key: str, ends: float, at: float) -> int:
        with self.held:
            if len(self.counted) >= MOST_KEPT:
                self._forget(at)
            self.counted[key] = self.counted.get(key, 0) + 1
            self.ends[key] = ends
            return self.counted[key]

    def _forget(self, at: float) -> None:
        """What is over; and all of it, when so many are under way that somebody makes them on purpose."""
        over = [key for key, end in self.ends.items() if end <= at]
        for key in over if len(over) > MOST_KEPT // 10 else list(self.ends):
            del self.counted[key], self.ends[key]


def spend(limit: Limit, who: str) -> None:
    """For what is not in LIMITS because it depends on more than the address. Raises TooOften, or NobodyCounts."""
    _counter().spend(limit, _short(who))


def _counter() -> _Counter:
    return cast(_Counter, current_app.extensions["assay limits"])


def arm(app: Flask) -> None:
    """First of all that happens to a request: what is too much is refused before its body is read."""
    app.extensions["assay limits"] = _Counter()
    app.before_request(_look)


def _look() -> None:
    if request.url_rule is None:
        return
    rule = shape(request.url_rule.rule)
    method = "GET" if request.method == "HEAD" else request.method
    found = LIMITS.get((method, rule), ())
    for start, limits in BELOW.items():
        found = limits if rule.startswith(start) else found
    for limit in found:
        _counter().spend(limit, client_address() if limit.by is By.ADDRESS else _attempt())


@cache
def shape(rule: str) -> str:
    """`/attempts/<attempt_id>/save` as LIMITS has it."""
    return re.sub(r"<[^<>]+>", "<>", rule)


# ------------------------------------------------------------------------------------------------------ whom to count


def client_address() -> str:
    """Whose request this is: the peer's address, or what a proxy of ours says about whom it asks for.

    Of X-Forwarded-For only the end was written by our proxies; what stands before it is the client's own invention.
    Of IPv6 a whole /64 belongs to one customer, who would otherwise have as many addresses as seconds of life.
    """
    proxies = _networks(here().settings.proxies)
    peer = request.remote_addr or ""
    if not _within(peer, proxies):
        return _customer(peer)
    for said in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        found = said.strip()
        if not _is_address(found):
            break
        peer = found
        if not _within(found, proxies):
            break
    return _customer(peer)


def _networks(proxies: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(one.strip(), strict=False) for one in proxies.split(",") if one.strip()]


def _is_address(said: str) -> bool:
    try:
        ipaddress.ip_address(said)
    except ValueError:
        return False
    return True


def _within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return _is_address(address) and any(_plain(address) in network for network in networks)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address)
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def _customer(address: str) -> str:
    if not _is_address(address):
        return "nobody"  # a unix socket, or a peer that is gone
    found = _plain(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


def _attempt() -> str:
    """The attempt of this address as this browser, or this git, asks for it."""
    told = request.authorization
    secret = told.password if told is not None and told.password else cookies.read(cookies.CANDIDATE)
    named = next(iter((request.view_args or {}).values()), "")
    return _short(f"{named}|{secret}")


def _short(said: str) -> str:
    """Of fixed length, and no secret any more: it becomes a key in Redis."""
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]
