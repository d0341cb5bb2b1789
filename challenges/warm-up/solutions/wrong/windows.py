def split(text, size, overlap):
    return [text[start : start + size] for start in range(0, len(text), max(1, size - overlap))]  # characters, not words
