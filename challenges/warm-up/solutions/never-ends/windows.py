def split(text, size, overlap):
    while True:
        pass
