"""The things a Backlog space is made of, and the JSON that the API shows for each of them.

Every class keeps plain Python values (epoch seconds for moments, ``yyyy-MM-dd`` text for calendar days, references for
other objects) and knows one thing only: its own API shape. ``shape()`` gives a dictionary whose nested objects may be
pre-serialised ``orjson.Fragment``s; ``dump()`` gives the JSON bytes. What an action changes besides the object itself
is decided in ``core.py`` and ``changes/``.

The modules stand on each other: base, people, files, projects; then issues, wikis, documents, git; then notices,
activities.

A space of 100,000 issues holds several hundred thousand of these objects, so all classes have slots, empty lists are
the shared empty tuple, and the bytes of an issue are kept until something inside them changes.
"""

from .activities import Activity
from .base import HOST, Attachment, Entity, Named, Shared, Tag, compact, day, file_bytes, fragment_of, shapes, stamp
from .documents import Document, DocumentComment, DocumentReply
from .files import SharedFile
from .git import PULL_REQUEST_STATUSES, PullRequest, PullRequestComment, Repository
from .issues import Change, Comment, ExternalLink, Issue
from .notices import Notification, Watching
from .people import Star, Team, User
from .projects import USAGE_KINDS, Category, CustomField, CustomItem, IssueType, Project, Status, Version, Webhook
from .wikis import Wiki, WikiVersion

__all__ = [
    "HOST",
    "PULL_REQUEST_STATUSES",
    "USAGE_KINDS",
    "Activity",
    "Attachment",
    "Category",
    "Change",
    "Comment",
    "CustomField",
    "CustomItem",
    "Document",
    "DocumentComment",
    "DocumentReply",
    "Entity",
    "ExternalLink",
    "Issue",
    "IssueType",
    "Named",
    "Notification",
    "Project",
    "PullRequest",
    "PullRequestComment",
    "Repository",
    "Shared",
    "SharedFile",
    "Star",
    "Status",
    "Tag",
    "Team",
    "User",
    "Version",
    "Watching",
    "Webhook",
    "Wiki",
    "WikiVersion",
    "compact",
    "day",
    "file_bytes",
    "fragment_of",
    "shapes",
    "stamp",
]
