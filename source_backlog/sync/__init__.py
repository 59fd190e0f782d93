"""The command `backlog-sync`: from Backlog into DuckDB, PostgreSQL or Snowflake, on PyAirbyte, without a platform."""

from source_backlog.sync.command import main

__all__ = ["main"]
