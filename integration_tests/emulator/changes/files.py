"""Changes of shared files: each file added, updated or deleted leaves activity 8, 9 or 10; directories leave none."""

from __future__ import annotations

from ..core import Core
from ..entities import Issue, Project, SharedFile
from .people import Who
from .projects import Where


class FileChanges(Core):
    def create_directory(self, project: Where, path: str, *, by: Who = None) -> SharedFile:
        """A directory such as ``/設計/図面`` and those above it. No activity."""
        place, actor = self.project(project), self.user(by)
        made, above = None, "/"
        for name in path.strip("/").split("/"):
            made = place.paths.get(above + name)
            if made is None:
                made = SharedFile(
                    id=self.ids.next("shared_file"),
                    project_id=place.id,
                    type="directory",
                    dir=above,
                    name=name,
                    size=None,
                    created_user=actor,
                    created=self.clock,
                    updated_user=None,
                    updated=self.clock,
                )
                place.files[made.id] = place.paths[made.path] = made
            above += name + "/"
        if made is None:
            raise ValueError("a directory needs a name")
        return made

    def add_shared_file(self, project: Where, path: str, size: int = 1000, *, by: Who = None) -> SharedFile:
        """A file such as ``/設計/図面/構成図.png``, with the directories above it: activity 8."""
        place, actor = self.project(project), self.user(by)
        directory, _, name = path.strip("/").rpartition("/")
        if directory:
            self.create_directory(place, directory, by=actor)
        where = f"/{directory}/" if directory else "/"
        if where + name in place.paths:
            raise ValueError(f"{path} exists")
        file = SharedFile(
            id=self.ids.next("shared_file"),
            project_id=place.id,
            type="file",
            dir=where,
            name=name,
            size=size,
            created_user=actor,
            created=self.clock,
            updated_user=None,
            updated=self.clock,
        )
        place.files[file.id] = place.paths[file.path] = file
        place.usage["file"] += size
        self.record(place, 8, file.activity_content(), actor)
        return file

    def update_shared_file(
        self, file: SharedFile | int, *, size: int | None = None, name: str | None = None, by: Who = None
    ) -> SharedFile:
        """New content or a new name: activity 9, moves the file's ``updated``."""
        found, actor = self.shared_file(file), self.user(by)
        place = self.projects[found.project_id]
        if size is not None:
            place.usage["file"] += size - (found.size or 0)
            found.size = size
        if name is not None and found.dir + name not in place.paths:
            del place.paths[found.path]
            found.name = name
            place.paths[found.path] = found
        found.updated, found.updated_user = self.clock, actor
        self._forget_linked(place, found)
        self.record(place, 9, found.activity_content(), actor)
        return found

    def delete_shared_file(self, file: SharedFile | int, *, by: Who = None) -> None:
        """Activity 10. A directory goes with everything below it: one activity 10 for each file."""
        found, actor = self.shared_file(file), self.user(by)
        place = self.projects[found.project_id]
        gone = [found]
        if found.type == "directory":
            inside = found.path + "/"
            gone += [each for each in place.files.values() if each.dir.startswith(inside)]
        for each in gone:
            del place.files[each.id], place.paths[each.path]
            if each.type == "file":
                place.usage["file"] -= each.size or 0
                self._forget_linked(place, each, remove=True)
                self.record(place, 10, each.activity_content(), actor)

    def _forget_linked(self, place: Project, file: SharedFile, *, remove: bool = False) -> None:
        for holder in (*place.issues, *place.wikis.values()):
            if file in holder.shared_files:
                if remove:
                    holder.shared_files = tuple(each for each in holder.shared_files if each is not file)
                if isinstance(holder, Issue):
                    holder.forget()
