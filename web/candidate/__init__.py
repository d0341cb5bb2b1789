"""What candidates see: from the link in their mail to the receipt for what they handed in."""

from flask import Blueprint

__all__ = ["candidate"]

candidate = Blueprint("candidate", __name__, template_folder="templates")
