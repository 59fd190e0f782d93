"""Changes of documents and their comments: activities 36 to 46, 48 and 49."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from ..core import Core
from ..entities import Attachment, Document, DocumentComment, DocumentReply, Notification, Project, Tag, User
from .people import Who
from .projects import Where


class DocumentChanges(Core):
    def create_document(
        self,
        project: Where,
        title: str,
        plain: str = "",
        *,
        parent: Document | str | None = None,
        emoji: str | None = None,
        tags: Iterable[str] = (),
        by: Who = None,
    ) -> Document:
        """Activity 36."""
        place, actor = self.project(project), self.user(by)
        document = self._new_document(place, title, plain, actor)
        document.parent = None if parent is None else self.document(parent)
        document.emoji, document.tags = emoji, self._document_tags(tags)
        self.record(place, 36, _content(document), actor)
        return document

    def bulk_create_documents(self, project: Where, titles: Iterable[str], *, by: Who = None) -> list[Document]:
        """Several documents at once: one activity 48 and no activity 36."""
        place, actor = self.project(project), self.user(by)
        documents = [self._new_document(place, title, "", actor) for title in titles]
        self.record(place, 48, {"documents": [_content(document) for document in documents]}, actor)
        return documents

    def update_document(
        self,
        document: Document | str,
        *,
        title: str | None = None,
        plain: str | None = None,
        emoji: str | None = None,
        tags: Iterable[str] | None = None,
        by: Who = None,
    ) -> Document:
        """Moves ``updated``. A new title leaves activity 38, new text activity 39, emoji and tags none."""
        page, actor = self.document(document), self.user(by)
        if title is not None:
            page.title = title
            self.record(page.project, 38, _content(page), actor)
        if plain is not None:
            page.project.usage["document"] += len(plain.encode()) - len(page.plain.encode())
            page.plain, page.json = plain, prose(plain)
            self.record(page.project, 39, _content(page), actor)
        page.emoji = emoji or page.emoji
        page.tags = page.tags if tags is None else self._document_tags(tags)
        page.updated, page.updated_user = self.clock, actor
        return page

    def move_document(self, document: Document | str, parent: Document | str | None) -> Document:
        """Elsewhere in the tree. No stamp, no activity."""
        page = self.document(document)
        above = page.parent = None if parent is None else self.document(parent)
        while above is not None:
            if above is page:
                page.parent = None
                raise ValueError("a document cannot be its own ancestor")
            above = above.parent
        return page

    def trash_document(self, document: Document | str, *, by: Who = None) -> None:
        """Into the trash with everything below it: one activity 37 for each; their ``updated`` stays."""
        page, actor = self.document(document), self.user(by)
        for each in self._with_descendants(page):
            if each.status_id == 1:
                each.status_id = 2
                self.record(each.project, 37, _content(each), actor)

    def restore_document(self, document: Document | str, *, by: Who = None) -> None:
        """Back from the trash, to the top of the tree if its parent is still there. Moves ``updated``; no activity."""
        page = self.document(document)
        page.status_id = 1
        if page.parent is not None and page.parent.status_id != 1:
            page.parent = None
        page.updated, page.updated_user = self.clock, self.user(by)

    def delete_document(self, document: Document | str, *, by: Who = None) -> None:
        """For ever, with everything below it; passes through the trash first (activity 37)."""
        page = self.document(document)
        self.trash_document(page, by=by)
        for each in self._with_descendants(page):
            del self.documents[each.id], each.project.documents[each.id]

    def attach_file_to_document(
        self, document: Document | str, name: str, size: int = 1000, *, by: Who = None
    ) -> Attachment:
        """Moves ``updated``; activity 46."""
        page, actor = self.document(document), self.user(by)
        attachment = self._new_attachment("document", page.project, name, size, actor)
        page.attachments += (attachment,)
        page.updated, page.updated_user = self.clock, actor
        content = _content(page) | {"attachments": [attachment.short_shape()]}
        self.record(page.project, 46, content, actor)
        return attachment

    # --- comments: the document's own ``updated`` stays ---

    def comment_document(self, document: Document | str, plain: str, *, by: Who = None) -> DocumentComment:
        """Activity 40."""
        page, actor = self.document(document), self.user(by)
        comment = DocumentComment(
            id=self.ids.hexadecimal(self.clock),
            document=page,
            plain=plain,
            content=prose(plain),
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        page.comments.append(comment)
        told = self._tell(page.created_user, 14, actor, page, document_comment=comment)
        self.record(page.project, 40, _comment_content(comment), actor, notifications=told)
        return comment

    def edit_document_comment(self, comment: DocumentComment, plain: str, *, by: Who = None) -> DocumentComment:
        """Moves the comment's ``updated``; activity 41."""
        actor = self.user(by)
        comment.plain, comment.content = plain, prose(plain)
        comment.updated, comment.updated_user = self.clock, actor
        self.record(comment.document.project, 41, _comment_content(comment), actor)
        return comment

    def delete_document_comment(self, comment: DocumentComment, *, by: Who = None) -> None:
        """With its replies: activity 42 (see ``Quirks.document_comment_deletion_ids``)."""
        page = comment.document
        page.comments.remove(comment)
        content = _comment_content(comment) if self.quirks.document_comment_deletion_ids else _content(page)
        self.record(page.project, 42, content, self.user(by))

    def reply_to_document_comment(self, comment: DocumentComment, plain: str, *, by: Who = None) -> DocumentReply:
        """Activity 43; the comment's own ``updated`` stays."""
        actor = self.user(by)
        reply = DocumentReply(
            id=self.ids.hexadecimal(self.clock),
            comment=comment,
            plain=plain,
            content=prose(plain),
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        comment.replies.append(reply)
        page = comment.document
        told = self._tell(comment.created_user, 15, actor, page, document_comment=comment, document_reply=reply)
        self.record(page.project, 43, _reply_content(reply), actor, notifications=told)
        return reply

    def edit_document_reply(self, reply: DocumentReply, plain: str, *, by: Who = None) -> DocumentReply:
        """Moves the reply's ``updated``; activity 44."""
        actor = self.user(by)
        reply.plain, reply.content = plain, prose(plain)
        reply.updated, reply.updated_user = self.clock, actor
        self.record(reply.comment.document.project, 44, _reply_content(reply), actor)
        return reply

    def delete_document_reply(self, reply: DocumentReply, *, by: Who = None) -> None:
        """Activity 45 (see ``Quirks.document_comment_deletion_ids``)."""
        page = reply.comment.document
        reply.comment.replies.remove(reply)
        content = _reply_content(reply) if self.quirks.document_comment_deletion_ids else _content(page)
        self.record(page.project, 45, content, self.user(by))

    def mention_in_document(self, document: Document | str, user: Who, *, by: Who = None) -> None:
        """Activity 49 and a notification."""
        page, person, actor = self.document(document), self.user(user), self.user(by)
        told = self.notify(person, 17, actor, page.project, document=page)
        self.record(page.project, 49, _content(page), actor, notifications=(told,))

    # --- inner workings ---

    def _tell(
        self, person: User | None, reason: int, actor: User, page: Document, **about: Any
    ) -> tuple[Notification, ...]:
        if person is None or person is actor:
            return ()
        return (self.notify(person, reason, actor, page.project, document=page, **about),)

    def _new_document(self, place: Project, title: str, plain: str, actor: User) -> Document:
        document = Document(
            id=self.ids.hexadecimal(self.clock),
            project=place,
            title=title,
            plain=plain,
            json=prose(plain),
            emoji=None,
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        self.documents[document.id] = place.documents[document.id] = document
        place.usage["document"] += len(plain.encode())
        return document

    def _with_descendants(self, page: Document) -> list[Document]:
        found = [page]
        for each in found:
            found += [other for other in page.project.documents.values() if other.parent is each]
        return found

    def _document_tags(self, names: Iterable[str]) -> tuple[Tag, ...]:
        tags = []
        for name in names:
            if name not in self.document_tags:
                self.document_tags[name] = Tag(self.ids.next("tag"), name)
            tags.append(self.document_tags[name])
        return tuple(tags)


def prose(plain: str) -> str:
    """Plain text as ProseMirror JSON; an empty document is ``{}``."""
    if not plain:
        return "{}"
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}]} if line else {"type": "paragraph"}
        for line in plain.split("\n")
    ]
    return orjson.dumps({"type": "doc", "content": paragraphs}).decode()


def _content(document: Document) -> dict[str, Any]:
    return {"id": document.id, "title": document.title}


def _comment_content(comment: DocumentComment) -> dict[str, Any]:
    return _content(comment.document) | {"comment": {"id": comment.id, "content": comment.plain}}


def _reply_content(reply: DocumentReply) -> dict[str, Any]:
    return _comment_content(reply.comment) | {"reply": {"id": reply.id, "content": reply.plain}}
