"""What has changed since the last sync, and how far a stream has come: feed, pages, positions, checkpoints.

Not in here: how a request is sent (`api`), and what the rows of a stream look like (`streams`).
"""
