"""The command `backlog-sync`: from Backlog into a database or files, on dlt, without a platform."""

from source_backlog.sync.command import main, run

__all__ = ["main", "run"]
