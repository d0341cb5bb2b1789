"""How the tables came to be what they are: one file in `versions` for each step, in both directions.

`web.database.migrate` takes the steps. `python -m web.migrations "what it does"` drafts the next one from what the
models say; read it, correct it, and let the tests take it up and down on both databases.
"""
