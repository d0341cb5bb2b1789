def split(text, size, overlap):
    words = text.split(" ")
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size - overlap)]
