"""From a folder of documents to an index: `run` is all that others need."""

from .pipeline import run

__all__ = ["run"]
