"""Airbyte source connector for Nulab Backlog."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_backlog.source import SourceBacklog

__all__ = ["SourceBacklog"]


def __getattr__(name: str) -> Any:
    """The source, imported when it is asked for: the CDK takes seconds, which the first words of a command have not."""
    if name == "SourceBacklog":
        from source_backlog.source import SourceBacklog

        return SourceBacklog
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
