"""The objects of Backlog, one module per family: which requests they take, and which rows are made of them.

Not in here: how a request is sent (`api`), and how a position is kept, a list paged or the feed read (`changes`).
"""
