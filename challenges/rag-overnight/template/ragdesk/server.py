"""The contract over HTTP: POST /ask, POST /admin/reload, GET /healthz.

Questions are answered in threads, so that one that waits for the model holds up no other.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web  # type: ignore[import-not-found, unused-ignore]  # only where it is served

from .desk import BadRequest, Desk

THREADS = 8
MOST_BYTES = 64 * 1024  # of a request


class Server:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._threads = ThreadPoolExecutor(THREADS)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MOST_BYTES)
        application.router.add_post("/ask", self.ask)
        application.router.add_post("/admin/reload", self.reload)
        application.router.add_get("/healthz", self.healthz)
        return application

    async def ask(self, request: web.Request) -> web.Response:
        body = await _body(request)
        try:
            return web.json_response(await self._in_thread(self._desk.ask, body))
        except BadRequest as error:
            return _refusal(400, str(error))
        except Exception as error:  # noqa: BLE001  # a question that fails must not take the others with it
            return _refusal(503, f"{type(error).__name__}: {error}")

    async def reload(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if not isinstance(body.get("index"), str):
            return _refusal(400, "index: must be a folder")
        try:
            return web.json_response(await self._in_thread(self._desk.reload, Path(body["index"])))
        except (OSError, ValueError, KeyError) as error:
            return _refusal(400, f"index: {type(error).__name__}: {error}")

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "documents": self._desk.documents})

    async def _in_thread(self, call: Callable[[Any], dict[str, Any]], argument: object) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, argument)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text=json.dumps({"error": "must be a JSON object"}), content_type="application/json")
    return body


def _refusal(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def serve(desk: Desk, port: int) -> None:
    web.run_app(Server(desk).application(), host="0.0.0.0", port=port, print=None)  # noqa: S104  # of a container
