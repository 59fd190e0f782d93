"""Wiki pages and documents, and what they share with issues: files, people, comments."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markupsafe import Markup, escape

from source_backlog.archive import markdown, notation, prose, text
from source_backlog.archive.site import Project, Section, Site
from source_backlog.archive.tables import Row, list_of, name_of
from source_backlog.archive.text import Around, Block, File

_ENDS = re.compile(r"</(?:li|td|th|p|h\d)>|<br>")
EXCERPT = 140
"""So many characters of a text are shown among the results of a search."""


def markup(content: Any, project: Project, around: Around) -> list[Block]:
    """The blocks of a text that was written by the rule of its project."""
    if not content:
        return []
    render = markdown.render if project.rule == "markdown" else notation.render
    return render(str(content), around)


def excerpt(blocks: Iterable[str]) -> str:
    """How a text begins, without its form and its contents."""
    found = ""
    for block in blocks:
        if len(found) >= EXCERPT:
            break
        if not block.startswith('<ul class="contents">'):
            apart = _ENDS.sub(r"\g<0> ", block[: EXCERPT * 20].rpartition("<")[0] or block)
            found += f" {Markup(apart).striptags()}"
    return found.strip()[:EXCERPT]


def files_of(site: Site, stream: str, rows: Iterable[Row]) -> list[tuple[File, Row]]:
    """The files of an object, with their rows."""
    found = [(site.files.find(stream, row), row) for row in rows]
    for file, _ in found:
        if file.address is None:
            site.folder.written.missing_files += 1
        else:
            site.folder.written.files += 1
    return found


def by_name_and_id(found: Sequence[tuple[File, Row]]) -> dict[str, File]:
    """The files of an object as its text names them; of two with the same name the last."""
    names = {file.name: file for file, _ in found}
    return names | {str(row["id"]): file for file, row in found if row.get("id") is not None}


def file_blocks(site: Site, found: Iterable[tuple[File, Row]], around: Around) -> list[str]:
    """The list of files."""
    make = site.parts.file_item
    items = (str(make(file, size(row.get("size")), name_of(row.get("createdUser")), around)) for file, row in found)
    return list(text.grouped(items, '<ul class="files">', "</ul>"))


def size(given: Any) -> str:
    """Bytes as a person reads them."""
    if not isinstance(given, int):
        return ""
    number = float(given)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def who_and_when(site: Site, user: Any, at: Any) -> str:
    """Who did something, and when; of a user who no longer exists only when."""
    return " ".join(part for part in (name_of(user), site.when(at)) if part)


def tags(row: Row) -> str:
    """The tags of a wiki page or document."""
    return ", ".join(str(tag.get("name")) for tag in list_of(row["tags"]))


def common_facts(site: Site, row: Row) -> list[tuple[Any, Any]]:
    """Who wrote something, who changed it, its tags and stars."""
    facts = [
        ("created", who_and_when(site, row["createduser"], row["created"])),
        ("updated", who_and_when(site, row["updateduser"], row["updated"])),
        ("tags", tags(row) if "tags" in row else ""),
        ("stars", len(list_of(row.get("stars"))) or ""),
    ]
    return [(site.t(name), value) for name, value in facts if value]


def trail(site: Site, project: Project, name: str = "", page: str = "") -> list[tuple[Any, str]]:
    """The way from the top of the archive to a page."""
    steps: list[tuple[Any, str]] = [(site.t("projects"), "index.html"), (project.key, f"{project.folder}/index.html")]
    return [*steps, (site.t(name), f"{project.folder}/{page}")] if name else steps


def write_wikis(site: Site, project: Project) -> None:
    """Write the wiki pages of a project and their list, and note where each stands."""
    rows = site.tables.rows("wikis", f"projectid = {project.id}")
    rows.sort(key=lambda row: (str(row["name"]), row["id"]))
    for row in rows:
        project.wiki_pages[str(row["name"])] = f"{project.folder}/wiki/{row['id']}.html"
    project.wikis = len(rows)
    way = trail(site, project, "wiki", "wiki.html")
    entries = []
    for row in rows:
        name, page, gone = str(row["name"]), f"{project.folder}/wiki/{row['id']}.html", site.gone_at("wiki", row)
        attached = files_of(site, "wiki_attachment_files", list_of(row["attachments"]))
        shared = files_of(site, "shared_file_contents", list_of(row["sharedfiles"]))
        around = site.around(project, by_name_and_id(attached))
        body = list(text.cleaned(markup(row["content"], project, around)))
        sections = [Section("", body)]
        sections += _file_sections(site, attached, shared, around)
        facts = common_facts(site, row)
        site.pages(page, sections, title=name, heading=name, trail=way, badges=(), facts=facts, gone=gone)
        site.index.add("wiki_page", name, page, project.key, excerpt(body), [str(row["content"] or ""), tags(row)])
        entries.append(_entry(site, name, f"wiki/{row['id']}.html", name.count("/"), gone))
    if rows:
        _write_list(site, project, "wiki", "wiki.html", entries)


def write_documents(site: Site, project: Project) -> None:
    """Write the documents of a project and their tree."""
    rows = {str(row["id"]): row for row in site.tables.rows("documents", f"projectid = {project.id}", order="")}
    project.documents = len(rows)
    comments = _document_comments(site, project)
    way = trail(site, project, "documents", "documents.html")
    entries = []
    for identifier, depth, trashed in _tree(site, project, rows):
        row = rows[identifier]
        title = " ".join(str(part) for part in (row["emoji"], row["title"]) if part)
        page, gone = f"{project.folder}/{_page_of(identifier)}", site.gone_at("document", row)
        attached = files_of(site, "document_attachment_files", list_of(row["attachments"]))
        around = site.around(project, by_name_and_id(attached))
        body = list(text.cleaned(prose.render(row["json"], str(row["plain"] or ""), around)))
        sections = [Section("", body), *_file_sections(site, attached, [], around)]
        told = list(_comment_blocks(site, comments.get(identifier, ()), around))
        if told:
            sections.append(Section("comments_of_document", told))
        facts = common_facts(site, row)
        badges = [{"name": site.t("trashed"), "color": ""}] if trashed else []
        site.pages(page, sections, title=title, heading=title, trail=way, badges=badges, facts=facts, gone=gone)
        said = [str(each["plain"] or "") for each in comments.get(identifier, ())]
        site.index.add("document", title, page, project.key, excerpt(body), [str(row["plain"] or ""), tags(row), *said])
        entries.append(_entry(site, title, _page_of(identifier), depth, gone))
    if rows:
        _write_list(site, project, "documents", "documents.html", entries)


def _page_of(document: str) -> str:
    # Ids are hexadecimal digits; whatever else comes must not lead out of the folder.
    return f"documents/{re.sub('[^A-Za-z0-9_]', '_', document)}.html"


def _file_sections(
    site: Site, attached: Sequence[tuple[File, Row]], shared: Sequence[tuple[File, Row]], around: Around
) -> Iterator[Section]:
    for name, found in (("attachments", attached), ("shared_files", shared)):
        if found:
            yield Section(name, file_blocks(site, found, around))


def _entry(site: Site, name: str, page: str, depth: int, gone: str) -> str:
    mark = Markup(' <span class="badge gone">{}</span>').format(site.t("deleted")) if gone else ""
    row = Markup('<li style="padding-left:{}em"><a href="{}">{}</a>{}</li>\n')
    return str(row.format(min(depth, 10) * 1.4, page, name, mark))


def _write_list(site: Site, project: Project, name: str, page: str, entries: Sequence[str]) -> None:
    site.folder.written.wikis += len(entries) if name == "wiki" else 0
    site.folder.written.documents += len(entries) if name == "documents" else 0
    heading = Markup('<span class="key">{}</span> {}').format(project.key, site.t(name))
    title = f"{project.key} {name}"
    site.list_pages(
        f"{project.folder}/{page}", entries, kind=name, title=title, heading=heading, trail=trail(site, project)
    )


def _tree(site: Site, project: Project, rows: dict[str, Row]) -> Iterator[tuple[str, int, bool]]:
    """The documents in the order of their tree, with their depth and whether they are in the trash.

    What the tree does not know, because the two tables were read at different times, comes at its end.
    """
    nodes = site.tables.rows("document_tree", f"projectid = {project.id}", order="position")
    below: dict[str, list[Row]] = {}
    for node in sorted(nodes, key=lambda node: (bool(node["trashed"]), node["position"] or 0, str(node["id"]))):
        below.setdefault(str(node["parentid"] or ""), []).append(node)
    left = dict.fromkeys(sorted(rows, key=lambda each: (str(rows[each]["title"]), each)))
    waiting = list(reversed(below.get("", ())))
    while waiting:
        node = waiting.pop()
        identifier = str(node["id"])
        if identifier in left:
            del left[identifier]
            yield identifier, int(node["depth"] or 0), bool(node["trashed"])
        waiting.extend(reversed(below.pop(identifier, [])))
    yield from ((identifier, 0, False) for identifier in left)


def _document_comments(site: Site, project: Project) -> dict[str, list[Row]]:
    """Document -> its comments in the order of time, each with its replies behind it."""
    rows = site.tables.rows(
        "document_comments",
        f"documentid IN (SELECT id FROM {site.tables.name('documents')} WHERE projectid = {project.id})"
        if site.tables.has("documents")
        else "1 = 0",
        order="",
    )
    rows.sort(key=lambda row: (site.when(row["created"]), str(row["id"])))
    begun = {str(row["id"]): site.when(row["created"]) for row in rows}
    rows.sort(key=lambda row: begun.get(str(row["commentid"] or row["id"]), ""))
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["documentid"]), []).append(row)
    return found


def _comment_blocks(site: Site, rows: Iterable[Row], around: Around) -> Iterator[str]:
    macros = site.parts
    for row in rows:
        entity = "document_comment_reply" if row["commentid"] else "document_comment"
        gone = bool(site.gone_at(entity, row))
        who, at = name_of(row["createduser"]), site.when(row["created"])
        yield str(macros.comment_head(row["id"], who, at, 0, bool(row["commentid"]), gone))
        yield from text.cleaned(prose.render(row["content"], str(row["plain"] or ""), around))


def lines(given: str) -> Markup:
    """A text with its lines, without any notation."""
    return Markup("<br>").join(escape(line) for line in given.split("\n"))
