"""Cuts texts into overlapping windows of words."""


def split(text: str, size: int, overlap: int) -> list[str]:
    if size < 1 or not 0 <= overlap < size:
        raise ValueError(f"size {size}, overlap {overlap}: need size >= 1 and 0 <= overlap < size")
    words = text.split()
    step = size - overlap
    # A window that starts within the last `overlap` words would lie in the one before it.
    starts = range(0, max(len(words) - overlap, min(len(words), 1)), step)
    return [" ".join(words[start : start + size]) for start in starts]
