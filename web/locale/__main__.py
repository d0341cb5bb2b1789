"""`python -m web.locale`: write the catalogues anew, and say what has no translation."""

import sys

from web.locale.catalogues import TRANSLATED, untranslated, update


def main() -> int:
    missing = 0
    for locale in TRANSLATED:
        for sentence in untranslated(update(locale)):
            missing += 1
            sys.stdout.write(f"{locale}: no translation: {sentence!r}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
