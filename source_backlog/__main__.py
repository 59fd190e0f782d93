"""`python -m source_backlog` does what the console script `source-backlog` does."""

from source_backlog.run import run

run()
