"""Shows a candidate a file of their own work as others will see it: as a document in which nothing runs."""

from flask import Response, abort, request

from web import work
from web.candidate import candidate
from web.candidate.door import visit
from web.portal import here
from web.preview import framed

__all__: list[str] = []


@candidate.get("/attempts/<attempt_id>/preview")
def preview(attempt_id: str) -> Response:
    """`name` is the file's; `number` the snapshot's, the newest without; `as=text` shows what it is made of."""
    name, number = request.args.get("name", ""), request.args.get("number", "")
    with here().database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        if number:
            known = number.isascii() and number.isdecimal() and len(number) < 10
            snapshot = work.numbered(session, attempt.id, int(number)) if known else None
        else:
            snapshot = work.head(session, attempt.id)
        content = work.content(session, snapshot, name) if snapshot else None
        if snapshot is None or content is None:
            abort(404)
        shown = snapshot
        return framed(
            name,
            content,
            lambda beside: work.content(session, shown, beside),
            as_text=request.args.get("as") == "text",
        )
