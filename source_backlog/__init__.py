"""Airbyte source connector for Nulab Backlog."""

from source_backlog.source import SourceBacklog

__all__ = ["SourceBacklog"]
