"""The index on disk and in memory: passages, their vectors, two arms, and what the re-ranker knows of them."""
