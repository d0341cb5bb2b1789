"""The portal: the pages that people see. `create_app` puts it together, `web.server` runs it."""

import logging
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Request, Response, abort, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from web import cookies, forgery, inert, limits, speech
from web.attempts import TooLate
from web.candidate import candidate, views  # noqa: F401  the pages join the blueprint when they are imported
from web.database import DatabaseUnavailable
from web.discretion import without_secret
from web.errors import SubmissionRejected
from web.forgery import LastingSessions, csrf
from web.limits import NobodyCounts, TooOften
from web.pages import pages
from web.portal import Portal, here
from web.speech import gettext, marked
from web.staff import staff
from web.staff import views as staff_pages  # noqa: F401  the same
from web.static_files import StaticFiles

__version__: Final = "0.1.0"

log = logging.getLogger(__name__)

AREAS: Final[tuple[Blueprint, ...]] = (candidate, staff)

SECURITY_HEADERS: Final = {
    # Our own files and nothing inline: a sentence of a candidate that slips through as HTML still cannot run.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "frame-src 'self'",  # the preview of a file, which has a policy of its own
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            "accelerometer",
            "autoplay",
            "camera",
            "clipboard-read",
            "display-capture",
            "encrypted-media",
            "fullscreen",
            "geolocation",
            "gyroscope",
            "magnetometer",
            "microphone",
            "midi",
            "payment",
            "picture-in-picture",
            "publickey-credentials-get",
            "screen-wake-lock",
            "usb",
            "xr-spatial-tracking",
        )
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

# What a person reads when a request cannot be answered: what happened, and what to do now.
ERRORS: Final = {
    400: (
        marked("This request cannot be read"),
        marked("Your browser sent something that the portal does not understand."),
    ),
    401: (
        marked("You are signed out"),
        marked("Nothing was changed. Sign in, and do it again: what you had typed is a step back."),
    ),
    403: (
        marked("This is not for you"),
        marked("What you are allowed to do does not reach as far as this page. Ask an owner."),
    ),
    404: (marked("There is no page here"), marked("The address may be mistyped, or the page may have moved.")),
    405: (marked("This page cannot do that"), marked("It can be read, but it does not accept what was sent to it.")),
    413: (
        marked("That is too large"),
        marked("The portal refused it before storing anything. Send something smaller."),
    ),
    414: (marked("This address is too long"), marked("Start again from the first page.")),
    410: (marked("This is over"), marked("The time for it has passed. What was saved before is still there.")),
    422: (marked("That cannot be taken"), marked("Something in it does not fit. Nothing was stored.")),
    429: (marked("That was too often"), marked("Nothing is lost. Wait a minute and try again.")),
    500: (
        marked("This is our fault"),
        marked("Something broke in the portal and was written to its log. Please try again."),
    ),
    503: (
        marked("We cannot answer right now"),
        marked(
            "This is our fault, and it passes. What was saved is safe, and time that we cost you is added to your "
            "clock. Please try again in a minute."
        ),
    ),
}


HSTS: Final = "max-age=31536000"  # a browser that was here once never again asks in the clear, which could be read

FORGED: Final = (
    marked("This page was open for too long, or in another browser"),
    marked(
        "So the portal could not be sure that it was you who sent it, and did nothing. Nothing is lost: go back, load "
        "that page anew, and send it again."
    ),
)


class _Request(Request):
    def _get_file_stream(self, *_: object, **__: object) -> BytesIO:
        """In memory, as what may be sent is bounded: the place for temporary files can be smaller than that."""
        return BytesIO()


FORMS: Final = {"application/x-www-form-urlencoded", "multipart/form-data"}


class _Application(Flask):
    request_class = _Request

    def log_exception(self, exc_info: Any) -> None:
        """Flask's own words would name the address, which can hold a key."""
        log.error("exception on %s %s", request.method, without_secret(request.path), exc_info=exc_info)


def create_app(portal: Portal) -> Flask:
    """Neither database nor queue has to answer for this: what needs one of them says so when it is asked."""
    settings = portal.settings
    secure = settings.public_url.startswith("https://")
    app = _Application(__name__, static_folder=None)
    app.session_interface = LastingSessions()
    app.extensions["assay"] = portal
    app.config.update(
        VERSION=__version__,
        MAX_CONTENT_LENGTH=settings.web_request_kb * 1024,
        SECRET_KEY=portal.session_secret,
        SESSION_COOKIE_NAME=cookies.name_of("assay", secure=secure),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        WTF_CSRF_TIME_LIMIT=None,  # a page stays open for as long as a challenge takes
        WTF_CSRF_SSL_STRICT=False,  # our pages send no Referer to elsewhere, and some browsers none at all
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    static = StaticFiles(Path(app.root_path) / "static")
    app.jinja_env.globals.update(static=static.address, version=__version__)
    app.jinja_env.filters.update(legible=inert.legible, file_name=inert.name)
    speech.arm(app)
    app.add_url_rule("/static/<name>", "static", static.answer)
    app.register_blueprint(pages)
    for area in AREAS:
        app.register_blueprint(area)
    if portal.trees is not None:
        app.register_blueprint(portal.trees)

    limits.arm(app)
    app.before_request(_refuse)
    csrf.init_app(app)  # after these: it reads the body
    app.before_request(_refuse_zeros)
    app.register_error_handler(HTTPException, _error_page)
    app.register_error_handler(SubmissionRejected, _rejected)
    app.register_error_handler(DatabaseUnavailable, _away)
    app.after_request(_complete)
    return app


def _refuse() -> None:
    if isinstance(request.routing_exception, RequestRedirect):
        abort(404)  # a redirect that mends the address would be built from the client's own Host header
    # Flask looks at the length when a body is read; an address that reads none would take everything.
    limit = request.max_content_length
    if limit is not None and (request.content_length or 0) > limit:
        abort(413)


def _refuse_zeros() -> None:
    """No name, id or sentence has one, and PostgreSQL takes none: asked for such a text it raises an error of ours."""
    if "\0" in request.path:
        abort(404)
    said = [*request.args.values(), *(request.form.values() if request.mimetype in FORMS else ())]
    if any("\0" in one for one in said):
        abort(400)


def _error_page(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    title, advice = ERRORS.get(status, (error.name, marked("The portal cannot answer this request.")))
    if isinstance(error, TooOften | NobodyCounts):
        advice = str(error.description)
    typed: list[str] = []
    if isinstance(error, CSRFError):
        (title, advice), typed = FORGED, forgery.typed()
    page = _sentence(status, title, advice, typed)
    for name, value in error.get_headers():
        page.headers.setdefault(name, value)  # Allow, when the method was the mistake
    return page


def _rejected(error: SubmissionRejected) -> Response:
    """What a candidate sent cannot be taken; the error is the sentence that says why."""
    status = 410 if isinstance(error, TooLate) else 422
    return _sentence(status, ERRORS[status][0], str(error))


def _away(error: DatabaseUnavailable) -> Response:
    log.error("cannot answer: %s", error)
    page = _sentence(503, *ERRORS[503])
    page.headers["Retry-After"] = "10"
    return page


def _sentence(status: int, title: str, advice: str, typed: Sequence[str] = ()) -> Response:
    """An answer that says what happened, to a person or to a script. `typed` is what they would have to type again."""
    title, advice = gettext(title), gettext(advice)  # what was translated already stays as it is
    if _prefers_json():
        page = jsonify(type="about:blank", status=status, title=title, detail=advice)
        page.status_code, page.mimetype = status, "application/problem+json"
    else:
        page = Response(render_template("error.html", status=status, title=title, advice=advice, typed=typed), status)
    page.headers["Vary"] = "Accept"
    page.headers["Cache-Control"] = "no-store"
    return page


def _prefers_json() -> bool:
    kinds = ("text/html", "application/json", "application/problem+json")
    return (
        request.path in ("/healthz", "/readyz") or (request.accept_mimetypes.best_match(kinds) or kinds[0]) != kinds[0]
    )


def _complete(response: Response) -> Response:
    """Add what every answer has: rules for the browser, unless it brought stricter ones, and for its cache."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if here().settings.public_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = HSTS
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache"  # keep it, and ask each time whether it is still good
    if response.status_code == 200 and request.method in ("GET", "HEAD") and not response.cache_control.no_store:
        response.add_etag()
        response.make_conditional(request)
    return response
