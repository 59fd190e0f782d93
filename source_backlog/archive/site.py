"""What the pages of an archive share, and the pages about the space."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from source_backlog.archive import text
from source_backlog.archive.folder import PAGE_BYTES, Files, Folder
from source_backlog.archive.search import Index
from source_backlog.archive.tables import COLUMNS, Row, Tables, moment, object_of, zone_of
from source_backlog.archive.text import Around, File, IssueLink
from source_backlog.archive.words import LANGUAGES, WORDS, speaker

HERE = Path(__file__).parent
FACTS_BYTES = 8_000
"""The facts above the sections of a page take no more than about this."""
# What a page may hold beside its frame and the facts.
ROOM = PAGE_BYTES - 2 * FACTS_BYTES
ROWS = 100
"""A list has so many rows per page at most."""
CLOSED = 4
"""The id of the status that ends an issue, in every project."""


class Ref(NamedTuple):
    """An issue as others name it."""

    key: str
    link: IssueLink
    status: Row


class Section(NamedTuple):
    """A part of a page: the name of its heading in `words`, and its blocks, between which a page may be cut."""

    name: str
    blocks: Sequence[str]


@dataclass
class Project:
    """A project, and how much of it is in the archive. `folder` is its place, from the top of the archive.

    It is not visible where the user of the key has not joined it, or not any more.
    """

    id: int
    key: str
    name: str
    rule: str
    is_archived: bool
    is_visible: bool
    has_pages: bool
    folder: str
    wiki_pages: dict[str, str] = field(default_factory=dict)
    issues: int = 0
    wikis: int = 0
    documents: int = 0


class Site:
    """What all pages share: their frame, the links between issues, the files, what is deleted, the search."""

    def __init__(self, tables: Tables, folder: Folder, files: Files) -> None:
        self.tables, self.folder, self.files, self.index = tables, folder, files, Index()
        space = next(iter(tables.rows("space", order="")), {})
        self._space = str(space.get("spacekey") or "")
        self._zone, zone = zone_of(space.get("timezone"))
        language = str(space.get("lang"))
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        self.t = speaker(self.language)
        counted = {name: tables.counted(name) for name in COLUMNS if tables.has(name)}
        self._counted = counted
        newest = [at for _, at in counted.values() if at is not None]
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            t=self.t,
            word=lambda name: WORDS[name][LANGUAGES.index(self.language)],
            near=_near,
            language=self.language,
            site_name=str(space.get("name") or ""),
            zone=zone,
            as_of=self.when(max(newest)) if newest else "–",
            link=lambda key, root: Markup(text.issue(key, Around(root, self.issues))),
            file_link=lambda file, around: Markup(text.file(file, around)),
        )
        self.parts: Any = self._templates.get_template("parts.html").module
        self.issues: dict[str, IssueLink] = {}
        self.refs: dict[int, Ref] = {}
        self.children: dict[int, list[int]] = {}
        deleted = tables.rows("deletions", "reason = 'deleted'", order="deletedat")
        self.gone = {(row["entity"], str(row["entityid"])): row["deletedat"] for row in deleted}

    def around(self, project: Project, files: Mapping[str, File]) -> Around:
        """What a text on a page of an issue, a wiki page or a document of `project` may refer to."""
        return Around("../../../", self.issues, project.wiki_pages, files, self._space)

    def when(self, value: Any) -> str:
        """A point in time in the zone of the space."""
        found = moment(value)
        return f"{found.astimezone(self._zone):%Y-%m-%d %H:%M}" if found else ""

    def gone_at(self, entity: str, row: Row) -> str:
        """When a row was deleted in Backlog; empty if it was not, or has changed since: it came out of the trash."""
        deleted = moment(self.gone.get((entity, str(row["id"]))))
        updated = moment(row.get("updated"))
        return "" if deleted is None or (updated is not None and updated > deleted) else self.when(deleted)

    def know_issues(self, projects: Mapping[int, Project]) -> None:
        """Learn where every issue stands, before the first page is written that may name it.

        Its key is made of the key that the project has now: the rows of issues that have not changed since hold an
        older one, which stays known.
        """
        columns = "id projectid keyid issuekey summary status parentissueid"
        older: dict[str, IssueLink] = {}
        for row in self.tables.rows("issues", only=columns):
            project = projects.get(row["projectid"])
            if project is None:
                continue
            key = f"{project.key}-{row['keyid']}"
            status = object_of(row["status"])
            # Two rows may have the same key where one of them was moved away and the sync does not know yet.
            name = key if key not in self.issues else f"{key}-{row['id']}"
            page = f"{project.folder}/issues/{name}.html"
            link = IssueLink(page, str(row["summary"] or ""), status.get("id") == CLOSED)
            self.issues.setdefault(key, link)
            older.setdefault(str(row["issuekey"]), link)
            self.refs[row["id"]] = Ref(key, link, status)
            if row["parentissueid"] is not None:
                self.children.setdefault(row["parentissueid"], []).append(row["id"])
        self.issues = {**older, **self.issues}

    def page(self, name: str, template: str, **values: Any) -> None:
        """Write a page; `name` is its path from the top of the archive."""
        root = "../" * name.count("/")
        frame = {"root": root, "trail": (), "page": 1, "pages": ()}
        self.folder.put(name, self._templates.get_template(template).render(**frame | values))

    def pages(self, name: str, sections: Sequence[Section], **values: Any) -> None:
        """Write an object's page, and more where it does not fit into one: `name-2.html` and so on."""
        parts = _with_anchors(list(_cut(sections)), name.rpartition("/")[2])
        names = [numbered(name, number) for number in range(1, len(parts) + 1)]
        shown = [each.rpartition("/")[2] for each in names]
        for number, part in enumerate(parts, 1):
            made = [(title, Markup("\n".join(blocks))) for title, blocks in part]
            self.page(names[number - 1], "object.html", sections=made, page=number, pages=shown, **values)

    def list_pages(self, name: str, rows: Sequence[str], **values: Any) -> None:
        """Write the pages of a list."""
        parts = [rows[first : first + ROWS] for first in range(0, len(rows), ROWS)] or [[]]
        fitting = [piece for part in parts for piece in _fitting(part)]
        names = [numbered(name, number) for number in range(1, len(fitting) + 1)]
        shown = [each.rpartition("/")[2] for each in names]
        for number, part in enumerate(fitting, 1):
            self.page(names[number - 1], "list.html", rows=Markup("".join(part)), page=number, pages=shown, **values)

    def frame_pages(self, projects: Iterable[Project]) -> None:
        """Write the pages about the space, the search, and what all pages load."""
        listed = [
            {
                "key": each.key,
                "name": each.name,
                "folder": each.folder,
                "visible": each.is_visible,
                "has_pages": each.has_pages,
                "archived": each.is_archived,
                "counts": (("issues", each.issues), ("wiki", each.wikis), ("documents", each.documents)),
            }
            for each in projects
        ]
        parts = [listed[first : first + ROWS] for first in range(0, len(listed), ROWS)] or [[]]
        names = [numbered("index.html", number) for number in range(1, len(parts) + 1)]
        for number, part in enumerate(parts, 1):
            self.page(names[number - 1], "index.html", title=self._title(), projects=part, page=number, pages=names)
        self.page("search.html", "search.html", title=self._title())
        written = self.folder.written
        facts = [("files_found", f"{written.files:,}"), ("files_missing", f"{written.missing_files:,}")]
        tables = [
            (name, count, self.when(at) if at else "")
            for name in COLUMNS
            for count, at in [self._counted.get(name, (None, None))]
        ]
        named = self.files.are_named
        self.page("about.html", "about.html", title=self._title(), facts=facts, tables=tables, files_are_named=named)
        for name in ("style.css", "app.js", "search.js"):
            self.folder.put(f"assets/{name}", (HERE / "assets" / name).read_text(encoding="utf-8"))
        words = {language: {name: texts[n] for name, texts in WORDS.items()} for n, language in enumerate(LANGUAGES)}
        script = json.dumps(words, ensure_ascii=False, indent=0, sort_keys=True)
        self.folder.put("assets/words.js", f"const WORDS = {script};\n")
        self.index.write(self.folder)

    def _title(self) -> str:
        return " / ".join(WORDS["archive"])


def numbered(name: str, number: int) -> str:
    """The name of a page of several."""
    return name if number == 1 else f"{name.removesuffix('.html')}-{number}.html"


def _near(page: int, names: Sequence[str]) -> list[tuple[int, str | None]]:
    """The pages that one of a list links to: the first, the last, those beside it; None where some are left out."""
    shown = sorted({1, len(names), *range(max(1, page - 3), min(len(names), page + 3) + 1)})
    links: list[tuple[int, str | None]] = []
    for number in shown:
        if links and number > links[-1][0] + 1:
            links.append((number - 1, None))
        links.append((number, names[number - 1]))
    return links


def _cut(sections: Sequence[Section]) -> Iterator[list[Section]]:
    """The sections of each page, none of which is too large."""
    page: list[Section] = []
    room = ROOM
    for name, blocks in sections:
        part: list[str] = []
        for block in blocks:
            size = len(block.encode("utf-8", "replace"))
            if size > room and (part or page):
                yield [*page, Section(name, part)] if part else page
                page, part, room = [], [], ROOM
            part.append(block)
            room -= size
        if part:
            page.append(Section(name, part))
    yield page


def _with_anchors(parts: list[list[Section]], name: str) -> list[list[Section]]:
    """The same, with links to headings that have come to stand on another page leading there."""
    if len(parts) == 1:
        return parts
    places = {
        anchor: number
        for number, part in enumerate(parts, 1)
        for section in part
        for block in section.blocks
        for anchor in re.findall(r'<h[2-6] id="(s\d+)"', block)
    }

    def moved(block: str, number: int) -> str:
        def led(found: re.Match[str]) -> str:
            there = places.get(found.group(1), number)
            return found.group() if there == number else f'href="{numbered(name, there)}#{found.group(1)}"'

        return re.sub(r'href="#(s\d+)"', led, block)

    return [
        [Section(section.name, [moved(block, number) for block in section.blocks]) for section in part]
        for number, part in enumerate(parts, 1)
    ]


def _fitting(rows: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    room = ROOM
    for row in rows:
        size = len(row.encode("utf-8", "replace"))
        if size > room and part:
            yield part
            part, room = [], ROOM
        part.append(row)
        room -= size
    yield part
