"""The shared files of a project: a tree of directories."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from source_backlog.changes.paging import Unreadable, by_offset
from source_backlog.streams.finder import Finder
from source_backlog.values import Row, under

# The English page allows 1 to 100, the Japanese one 1 to 1000; a server that gives less than was asked for would end
# the list: https://developer.nulab.com/docs/backlog/api/2/get-list-of-shared-files
FILES_PER_PAGE = 100


class SharedFiles(Finder):
    """All files and directories of a project, whether they have changed or not.

    Why: the endpoint lists one directory, and the directories it lists have to be asked for in turn. The ones that
    wait are on a stack, so the depth has no limit.
    """

    dated = False

    def changed(self) -> Iterator[Row]:
        """The entries of the tree, a directory before what is in it.

        Raises `Unreadable` at the end when a directory was refused: it was deleted or moved after it had been listed,
        or the user has just lost the project.
        """
        waiting = [""]
        seen = {""}
        complete = True
        while waiting:
            try:
                for entry in self.directory(waiting.pop()):
                    inside = f"{entry.get('dir') or '/'}{entry.get('name') or ''}"
                    if entry.get("type") == "directory" and (below := inside.strip("/")) not in seen:
                        seen.add(below)
                        waiting.append(below)
                    columns: dict[str, Any] = {"projectKey": self.project.get("projectKey"), "path": inside}
                    yield under(entry, projectId=self.project_id, **columns)
            except Unreadable:
                complete = False
        if not complete:
            raise Unreadable

    def has(self, owner: Row) -> bool:
        """Whether its directory still shows the file."""
        return self._lists(str(owner.get("dir") or "").strip("/"), "id", owner["id"])

    def _lists(self, path: str, column: str, value: Any) -> bool:
        try:
            return any(entry.get(column) == value for entry in self.directory(path, anew=True))
        except Unreadable:
            above, _, name = path.rpartition("/")
            if not path or self._lists(above, "name", name):
                raise
            # The directory is gone, too.
            return False

    def directory(self, path: str, *, anew: bool = False) -> Iterator[Row]:
        """The direct entries of one directory, asked `anew` or as it was; raises `Unreadable` when refused."""
        url = f"projects/{self.project_id}/files/metadata/{quote(path)}"
        look = partial(self.backlog.look, url)
        return by_offset(look if anew else partial(self.backlog.get, url), FILES_PER_PAGE, anew=look)
