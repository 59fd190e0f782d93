"""The shared files of a project: a tree of directories."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.paging import by_offset
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.values import Row, under

# https://developer.nulab.com/docs/backlog/api/2/get-list-of-shared-files
FILES_PER_PAGE = 1000


@dataclass
class SharedFileRetriever(BacklogRetriever):
    """All files and directories of a project.

    Why: the endpoint lists one directory, and the directories it lists have to be asked for in turn. The ones that
    wait are on a stack of this call, so the depth has no limit and threads do not meet.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The entries of the tree, a directory before what is in it."""
        project = stream_slice.extra_fields["project"]
        waiting = [""]
        seen = {""}
        while waiting:
            directory = waiting.pop()
            path = f"projects/{project['id']}/files/metadata/{quote(directory)}"
            for entry in by_offset(lambda page, path=path: self.requester.get_json(path, page), FILES_PER_PAGE):  # type: ignore[misc]
                inside = f"{entry.get('dir') or '/'}{entry.get('name') or ''}"
                if entry.get("type") == "directory" and (below := inside.strip("/")) not in seen:
                    seen.add(below)
                    waiting.append(below)
                yield under(entry, projectId=project["id"], projectKey=project.get("projectKey"), path=inside)
