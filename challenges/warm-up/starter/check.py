"""Tries a few examples: `python3 check.py`. Passing them is a good sign and no proof."""

import sys

from windows import split

EXAMPLES = [
    (("a b c d e", 3, 1), ["a b c", "c d e"]),
    (("a b c d e f", 3, 1), ["a b c", "c d e", "e f"]),
    (("a b", 3, 1), ["a b"]),
    (("the quick brown fox jumps over the lazy dog", 4, 0), ["the quick brown fox", "jumps over the lazy", "dog"]),
    (("", 3, 1), []),
    (("a b c", 3, 3), ValueError),
]


def attempt(arguments):
    try:
        return split(*arguments)
    except ValueError:
        return ValueError
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    passed = 0
    for arguments, wanted in EXAMPLES:
        got = attempt(arguments)
        passed += got == wanted
        print("ok   " if got == wanted else "WRONG", f"split{arguments!r}", "" if got == wanted else f"gave {got!r}")
    print(f"{passed} of {len(EXAMPLES)} examples")
    return passed == len(EXAMPLES)


if __name__ == "__main__":
    sys.exit(not main())
