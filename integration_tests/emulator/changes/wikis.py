"""Changes of wiki pages: activities 5 (created), 6 (updated), 7 (deleted)."""

from __future__ import annotations

from collections.abc import Iterable

from ..core import Core
from ..entities import Attachment, SharedFile, Tag, User, Wiki, WikiVersion
from .people import Who
from .projects import Where


class WikiChanges(Core):
    def create_wiki(
        self, project: Where, name: str, content: str = "", *, tags: Iterable[str] = (), by: Who = None
    ) -> Wiki:
        """Activity 5, and version 1 in the page's history."""
        place, actor = self.project(project), self.user(by)
        wiki = Wiki(
            id=self.ids.next("wiki"),
            project=place,
            name=name,
            content=content,
            tags=self._wiki_tags(tags),
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        self.wikis[wiki.id] = place.wikis[wiki.id] = wiki
        place.usage["wiki"] += len(content.encode())
        self._new_version(wiki, actor)
        self.record(place, 5, wiki.activity_content(), actor)
        return wiki

    def update_wiki(
        self,
        wiki: Wiki | int,
        *,
        name: str | None = None,
        content: str | None = None,
        tags: Iterable[str] | None = None,
        by: Who = None,
    ) -> Wiki:
        """Activity 6, a new version, moves ``updated``."""
        page, actor = self.wiki(wiki), self.user(by)
        diff = None if content is None else f"1c1\n<{page.content[:80]}\n---\n>{content[:80]}"
        page.name = page.name if name is None else name
        page.content = page.content if content is None else content
        page.tags = page.tags if tags is None else self._wiki_tags(tags)
        page.updated, page.updated_user = self.clock, actor
        version = self._new_version(page, actor)
        shown = version.version if content is not None else None
        self.record(page.project, 6, page.activity_content(diff=diff, version=shown), actor)
        return page

    def delete_wiki(self, wiki: Wiki | int, *, by: Who = None) -> None:
        """Activity 7 with the last content."""
        page, actor = self.wiki(wiki), self.user(by)
        del self.wikis[page.id], page.project.wikis[page.id]
        for user in self.users.values():
            user.viewed.get("Wiki", {}).pop(page.id, None)
        self.record(page.project, 7, page.activity_content(), actor)

    def attach_file_to_wiki(self, wiki: Wiki | int, name: str, size: int = 1000, *, by: Who = None) -> Attachment:
        """Activity 6 without diff or version; ``updated`` stays, no new version in the history."""
        page, actor = self.wiki(wiki), self.user(by)
        attachment = self._new_attachment("wiki", page.project, name, size, actor)
        page.attachments += (attachment,)
        content = page.activity_content() | {"attachments": [attachment.short_shape()]}
        self.record(page.project, 6, content, actor)
        return attachment

    def remove_wiki_attachment(self, wiki: Wiki | int, attachment: Attachment | int | str) -> None:
        """No stamp, no activity."""
        page = self.wiki(wiki)
        gone = self.one(page.attachments, attachment)
        page.attachments = tuple(each for each in page.attachments if each is not gone)
        page.project.usage["wiki"] -= gone.size

    def link_shared_file_to_wiki(self, wiki: Wiki | int, file: SharedFile | int) -> None:
        """No stamp, no activity."""
        page, linked = self.wiki(wiki), self.shared_file(file)
        if linked not in page.shared_files:
            page.shared_files += (linked,)

    def _wiki_tags(self, names: Iterable[str]) -> tuple[Tag, ...]:
        """Tags are shared by name across the space, so one name has one id."""
        tags = []
        for name in names:
            if name not in self.wiki_tags:
                self.wiki_tags[name] = Tag(self.ids.next("tag"), name)
            tags.append(self.wiki_tags[name])
        return tuple(tags)

    def _new_version(self, page: Wiki, actor: User) -> WikiVersion:
        version = WikiVersion(page.id, len(page.history) + 1, page.name, page.content, actor, self.clock)
        page.history.append(version)
        return version
