"""Right for every text, but it trusts its caller: no size and no overlap is refused."""


def split(text, size, overlap):
    words = text.split()
    windows = []
    start = 0
    while start < len(words):
        windows.append(" ".join(words[start : start + size]))
        if start + size >= len(words):
            break
        start += max(1, size - overlap)
    return windows
