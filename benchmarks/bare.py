"""What the portal is compared to: the same server, and one view that inserts one row. Run by benchmarks.portal."""

import hashlib
from datetime import UTC, datetime

from flask import Flask, Response, jsonify, request
from sqlalchemy import insert

from web.models import Content
from web.portal import Portal, assemble, make_secrets
from web.server import serve
from web.settings import DatabaseSettings, PortalSettings


def bare_app(portal: Portal) -> Flask:
    app = Flask(__name__)

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.post("/save")
    def save() -> Response:
        body = request.get_data()
        digest = hashlib.sha256(body).hexdigest()
        with portal.database.engine.begin() as connection:
            connection.execute(insert(Content).values(digest=digest, bytes=body))
        return jsonify(digest=digest, at=datetime.now(UTC).isoformat())

    return app


if __name__ == "__main__":
    where, settings = DatabaseSettings(), PortalSettings()
    make_secrets(settings, where)
    serve(assemble(settings, where), make_app=bare_app)
