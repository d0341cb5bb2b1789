"""What those see who work here: candidates' attempts, and who else works here."""

from flask import Blueprint, Response

__all__ = ["staff"]

staff = Blueprint("staff", __name__, template_folder="templates", url_prefix="/staff")


@staff.after_request
def keep_nothing(response: Response) -> Response:
    """Names and links: nothing of it stays in a browser whose owner has signed out."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response
