"""The catalogues: what stands in the source in English, and what it is in other languages.

de/LC_MESSAGES/assay.po is for people, the .mo beside it for `web.speech`. `python -m web.locale` brings both up to
date with the source and names what has no translation yet. That needs Babel, which only developers have.
"""
