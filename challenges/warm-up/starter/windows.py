"""Cuts texts into overlapping windows of words. The brief says how; `python3 check.py` tries some examples."""


def split(text: str, size: int, overlap: int) -> list[str]:
    raise NotImplementedError("this is yours to write")
