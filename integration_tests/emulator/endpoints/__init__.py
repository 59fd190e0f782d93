"""The GET endpoints of the API, one module per family. Importing the package registers them all."""

from . import documents, git, issues, people, projects, space, wikis

__all__ = ["documents", "git", "issues", "people", "projects", "space", "wikis"]
