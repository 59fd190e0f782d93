"""The shared files of a project: a tree of directories."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.paging import Unreadable, by_offset
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.values import Row, under

# https://developer.nulab.com/docs/backlog/api/2/get-list-of-shared-files
FILES_PER_PAGE = 1000


@dataclass
class SharedFileRetriever(BacklogRetriever):
    """All files and directories of a project.

    Why: the endpoint lists one directory, and the directories it lists have to be asked for in turn. The ones that
    wait are on a stack of this call, so the depth has no limit and threads do not meet.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The entries of the tree, a directory before what is in it.

        Raises `Unreadable` at the end when a directory was refused: it was deleted or moved after it had been listed,
        or the user has just lost the project.
        """
        project = stream_slice.extra_fields["project"]
        waiting = [""]
        seen = {""}
        complete = True
        while waiting:
            try:
                for entry in self.directory(project["id"], waiting.pop()):
                    inside = f"{entry.get('dir') or '/'}{entry.get('name') or ''}"
                    if entry.get("type") == "directory" and (below := inside.strip("/")) not in seen:
                        seen.add(below)
                        waiting.append(below)
                    yield under(entry, projectId=project["id"], projectKey=project.get("projectKey"), path=inside)
            except Unreadable:
                complete = False
        if not complete:
            raise Unreadable

    def directory(self, project_id: Any, path: str) -> Iterator[Row]:
        """The direct entries of one directory; raises `Unreadable` when refused."""
        url = f"projects/{project_id}/files/metadata/{quote(path)}"
        return by_offset(lambda page: self.requester.get_json(url, page), FILES_PER_PAGE)
