"""Wiki pages: section 4.5 of the API reference."""

from __future__ import annotations

from typing import Any

from ..api import BY_ID, Binary, Call, get, text_value
from ..entities import Wiki

LIST = {"projectIdOrKey": text_value, "keyword": text_value}


def pages(call: Call) -> list[Wiki]:
    """Pages of one project or, without ``projectIdOrKey``, of all that the user may read."""
    if "projectIdOrKey" in call.values:
        project = call.find_project(call.values["projectIdOrKey"])
        call.feature(project, "wiki")
        projects = [project]
    else:
        projects = [each for each in call.space.visible_projects(call.user, contents=True) if each.use_wiki]
    word = call.value("keyword", "")
    return [
        wiki for project in projects for wiki in project.wikis.values() if word in wiki.name or word in wiki.content
    ]


@get("/wikis", params=LIST, category="search")
def wikis(call: Call) -> Any:
    return [wiki.list_shape() for wiki in pages(call)]


@get("/wikis/count", params=LIST, category="search")
def wiki_count(call: Call) -> Any:
    return {"count": len(pages(call))}


@get("/wikis/tags", params=LIST)
def wiki_tags(call: Call) -> Any:
    tags = {tag.id: tag for wiki in pages(call) for tag in wiki.tags}
    return list(tags.values())


@get("/wikis/{wiki}")
def wiki(call: Call) -> Any:
    return call.wiki()


@get("/wikis/{wiki}/history", params=BY_ID)
def history(call: Call) -> Any:
    return call.id_window(call.wiki().history, key=lambda version: version.version)


@get("/wikis/{wiki}/attachments")
def attachments(call: Call) -> Any:
    return [each.short_shape() for each in call.wiki().attachments]


@get("/wikis/{wiki}/attachments/{attachment}")
def attachment(call: Call) -> Any:
    found = call.part(call.wiki().attachments, "attachment", "attachment")
    return Binary(found.content(), found.name)


@get("/wikis/{wiki}/sharedFiles")
def shared_files(call: Call) -> Any:
    return list(call.wiki().shared_files)


@get("/wikis/{wiki}/stars")
def stars(call: Call) -> Any:
    return list(call.wiki().stars)
