"""What candidates see: from the link in their mail to the receipt for what they handed in."""

from flask import Blueprint, Response

__all__ = ["candidate"]

candidate = Blueprint("candidate", __name__, template_folder="templates")


@candidate.after_request
def keep_to_oneself(response: Response) -> Response:
    """Pages of one person are for no cache that others share. The browser may keep one, and asks whether it is good."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
