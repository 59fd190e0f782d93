"""`python -m source_backlog.sync` does what the console script `backlog-sync` does."""

from source_backlog.sync.command import run

run()
