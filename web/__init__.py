"""The portal: the pages that people see. `create_app` puts it together, `web.server` runs it."""

import logging
from pathlib import Path
from typing import Final

from flask import Blueprint, Flask, Response, abort, jsonify, render_template, request
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from web import speech
from web.attempts import TooLate
from web.candidate import candidate, views  # noqa: F401  the pages join the blueprint when they are imported
from web.database import DatabaseUnavailable
from web.errors import SubmissionRejected
from web.forgery import csrf
from web.pages import pages
from web.portal import Portal
from web.static_files import StaticFiles

__version__: Final = "0.1.0"

log = logging.getLogger(__name__)

AREAS: Final[tuple[Blueprint, ...]] = (candidate,)

SECURITY_HEADERS: Final = {
    # Our own files and nothing inline: a sentence of a candidate that slips through as HTML still cannot run.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
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
    400: ("This request cannot be read", "Your browser sent something that the portal does not understand."),
    404: ("There is no page here", "The address may be mistyped, or the page may have moved."),
    405: ("This page cannot do that", "It can be read, but it does not accept what was sent to it."),
    413: ("That is too large", "The portal refused it before storing anything. Send something smaller."),
    414: ("This address is too long", "Start again from the first page."),
    410: ("This is over", "The time for it has passed. What was saved before is still there."),
    422: ("That cannot be taken", "Something in it does not fit. Nothing was stored."),
    500: ("This is our fault", "Something broke in the portal and was written to its log. Please try again."),
    503: (
        "We cannot answer right now",
        "This is our fault, and it passes. What was saved is safe, and time that we cost you is added to your clock. "
        "Please try again in a minute.",
    ),
}


def create_app(portal: Portal) -> Flask:
    """Neither database nor queue has to answer for this: what needs one of them says so when it is asked."""
    settings = portal.settings
    app = Flask(__name__, static_folder=None)
    app.extensions["assay"] = portal
    app.config.update(
        VERSION=__version__,
        MAX_CONTENT_LENGTH=settings.web_request_kb * 1024,
        SECRET_KEY=portal.session_secret,
        SESSION_COOKIE_NAME="assay",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        WTF_CSRF_TIME_LIMIT=None,  # a page stays open for as long as a challenge takes
        WTF_CSRF_SSL_STRICT=False,  # our pages send no Referer to elsewhere, and some browsers none at all
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    static = StaticFiles(Path(app.root_path) / "static")
    app.jinja_env.globals.update(static=static.address, version=__version__)
    speech.arm(app)
    app.add_url_rule("/static/<name>", "static", static.answer)
    app.register_blueprint(pages)
    for area in AREAS:
        app.register_blueprint(area)
    if portal.trees is not None:
        app.register_blueprint(portal.trees)
    csrf.init_app(app)

    app.before_request(_refuse)
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


def _error_page(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    title, advice = ERRORS.get(status, (error.name, "The portal cannot answer this request."))
    page = _sentence(status, title, advice)
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


def _sentence(status: int, title: str, advice: str) -> Response:
    """An answer that says what happened, to a person or to a script."""
    if _prefers_json():
        page = jsonify(type="about:blank", status=status, title=title, detail=advice)
        page.status_code, page.mimetype = status, "application/problem+json"
    else:
        page = Response(render_template("error.html", status=status, title=title, advice=advice), status)
    page.headers["Vary"] = "Accept"
    page.headers["Cache-Control"] = "no-store"
    return page


def _prefers_json() -> bool:
    kinds = ("text/html", "application/json", "application/problem+json")
    return (
        request.path in ("/healthz", "/readyz") or (request.accept_mimetypes.best_match(kinds) or kinds[0]) != kinds[0]
    )


def _complete(response: Response) -> Response:
    """Add what every answer has: rules for the browser, and for its cache."""
    response.headers.extend(SECURITY_HEADERS)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache"  # keep it, and ask each time whether it is still good
    if response.status_code == 200 and not response.cache_control.no_store:
        response.add_etag()
        response.make_conditional(request)
    return response
