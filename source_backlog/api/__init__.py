"""One request and its answer: how it is sent, held back, tried again, understood and shared among the streams.

Not in here: which objects there are in Backlog, what has changed in them, and how far a stream has come.
"""
