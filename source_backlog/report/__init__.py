"""One page to look at, made of the tables of the dbt package in `models/`."""

from source_backlog.report.page import write

__all__ = ["write"]
