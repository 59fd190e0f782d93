"""The dbt package.

A package of Python too, so that it goes into the wheel, where `backlog-sync --report` looks for it.
"""
