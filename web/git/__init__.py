"""`git clone` and `git push` over HTTP, spoken by ourselves.

    views/git.py ──► protocol   what was asked, and the answer           lines     how both travel
                     fetching   a pack of what the client lacks          packs     reads a stranger's pack, writes ours
                     pushing    a pack becomes a snapshot, or a sentence  objects   commits and trees, strictly
                     repository an attempt's history, in the database    passwords who may come in

No git runs in the portal, and there is no repository on any disk: so there is neither a configuration nor a hook, an
attribute or a filter that a candidate could bring along, every process of the portal can answer, and a save in the
browser and a push meet in the same row. Only what is needed is spoken: one branch, forward, whole histories.
"""
