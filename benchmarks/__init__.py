"""Measurements of the connector beside a bare loop and dlt. See docs/performance.md."""
