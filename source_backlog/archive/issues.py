"""The issues of a project: their pages, their list, and the page of the project."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from source_backlog.archive import text
from source_backlog.archive.pages import (
    by_name_and_id,
    common_facts,
    excerpt,
    file_blocks,
    files_of,
    lines,
    markup,
    trail,
)
from source_backlog.archive.site import FACTS_BYTES, ROWS, Project, Section, Site
from source_backlog.archive.tables import Row, day, decoded, list_of, moment, name_of, object_of
from source_backlog.archive.text import Around, Block
from source_backlog.archive.words import FIELDS

AT_ONCE = 500
"""So many issues are in memory together, with their comments."""
NEWEST = 15
LONG_FIELD = 1_000
"""A custom field of more bytes stands below the facts."""
SHORT = 200
"""A value of a change that is longer has blocks of its own."""


def write_issues(site: Site, project: Project) -> None:
    """Write the page of a project, the list of its issues, and the page of each."""
    macros = site.parts
    statuses = {row["id"]: row for row in site.tables.rows("statuses", f"projectid = {project.id}")}
    counts: Counter[tuple[int, str]] = Counter()
    entries: list[str] = []
    newest: list[tuple[str, int, Mapping[str, Any]]] = []
    for issues in _issues(site, project):
        numbers = ", ".join(str(row["id"]) for row in issues)
        comments = _by_issue(site.tables.rows("issue_comments", f"issueid IN ({numbers})"))
        related = _by_issue(site.tables.rows("related_issues", f"issueid IN ({numbers})", order="relatedissueid"))
        for row in issues:
            shown = _shown(site, row)
            _write_issue(site, project, row, shown, comments.get(row["id"], ()), related.get(row["id"], ()))
            entries.append(str(macros.issue_row(shown, "../../")))
            if not shown["gone"]:
                status = object_of(row["status"])
                counts[status.get("id") or 0, str(status.get("name"))] += 1
                newest.append((site.when(row["updated"]), row["id"], shown))
        newest = sorted(newest, key=lambda each: each[:2], reverse=True)[:NEWEST]
    project.issues = len(entries)
    site.folder.written.issues += len(entries)
    heading = Markup('<span class="key">{}</span> {}').format(project.key, site.t("issues"))
    site.list_pages(
        f"{project.folder}/issues.html",
        entries[::-1],
        kind="issues",
        title=f"{project.key} issues",
        heading=heading,
        trail=trail(site, project),
    )
    site.page(
        f"{project.folder}/index.html",
        "project.html",
        title=f"{project.key} {project.name}",
        trail=trail(site, project)[:1],
        project=project,
        statuses=_in_order(counts, statuses),
        newest=[shown for _, _, shown in newest],
        versions=_versions(site, project),
    )


def _in_order(counts: Mapping[tuple[int, str], int], statuses: Mapping[int, Row]) -> list[tuple[Row, int]]:
    """How many issues stand at each status, in the order of the project."""
    order = {key: (statuses.get(key[0], {}).get("displayorder") or 0, key) for key in counts}
    return [
        ({"name": key[1], "color": _color(statuses.get(key[0], {}).get("color"))}, counts[key])
        for key in sorted(counts, key=lambda key: order[key])
    ]


def _versions(site: Site, project: Project) -> list[dict[str, Any]]:
    rows = site.tables.rows("versions", f"projectid = {project.id}")
    rows.sort(key=lambda row: (bool(row["archived"]), day(row["releaseduedate"]) or "9", row["displayorder"] or 0))
    return [
        {
            "name": str(row["name"]),
            "archived": bool(row["archived"]),
            "days": " – ".join(filter(None, (day(row["startdate"]), day(row["releaseduedate"])))),
        }
        for row in rows[:ROWS]
    ]


def _issues(site: Site, project: Project) -> Iterator[list[Row]]:
    """The issues of a project in the order of their numbers, some at a time."""
    ids = [row["id"] for row in site.tables.rows("issues", f"projectid = {project.id}", "keyid", only="id keyid")]
    for first in range(0, len(ids), AT_ONCE):
        part = ids[first : first + AT_ONCE]
        rows = {row["id"]: row for row in site.tables.rows("issues", f"id IN ({', '.join(map(str, part))})")}
        yield [rows[number] for number in part]


def _by_issue(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["issueid"], []).append(row)
    return found


def _shown(site: Site, row: Row) -> dict[str, Any]:
    """An issue as a row of a list."""
    ref = site.refs[row["id"]]
    return {
        "key": ref.key,
        "page": ref.link.page,
        "summary": ref.link.summary or ref.key,
        "status": _badge(row["status"]),
        "assignee": name_of(row["assignee"]),
        "due": day(row["duedate"]),
        "updated": site.when(row["updated"]),
        "gone": site.gone_at("issue", row),
    }


def _badge(value: Any) -> dict[str, str]:
    found = object_of(value)
    return {"name": str(found.get("name") or ""), "color": _color(found.get("color"))}


def _color(value: Any) -> str:
    color = str(value or "")
    return color if text.colored("", color) else ""


def _write_issue(
    site: Site,
    project: Project,
    row: Row,
    shown: Mapping[str, Any],
    comments: Sequence[Row],
    related: Sequence[Row],
) -> None:
    attached = files_of(site, "issue_attachment_files", list_of(row["attachments"]))
    shared = files_of(site, "shared_file_contents", list_of(row["sharedfiles"]))
    around = site.around(project, by_name_and_id(attached))
    described = list(text.cleaned(markup(row["description"], project, around)))
    empty = f'<p class="note">{site.t("no_description")}</p>'
    sections = [Section("description", described or [empty])]
    sections += _links(site, row, related, around)
    fields = list(_custom_fields(row, around))
    short, long = _by_size(fields)
    if long:
        sections.append(Section("custom_fields", long))
    for name, found in (("attachments", attached), ("shared_files", shared)):
        if found:
            sections.append(Section(name, file_blocks(site, found, around)))
    told = list(_comments(site, project, comments, around))
    if not site.tables.has("issue_comments"):
        told = [f'<p class="note">{site.t("no_comments")}</p>']
    if told:
        sections.append(Section("comments", told))
    key, summary = shown["key"], shown["summary"]
    site.pages(
        shown["page"],
        sections,
        title=f"{key} {summary}",
        heading=Markup('<span class="key">{}</span> {}').format(key, summary),
        trail=trail(site, project, "issues", "issues.html"),
        badges=[_badge(row["issuetype"]), shown["status"], _badge(row["priority"])],
        facts=[*_facts(site, row, around), *short],
        gone=shown["gone"],
    )
    texts = [str(row["description"] or ""), *(str(comment["content"] or "") for comment in comments)]
    texts += [Markup(value).striptags() for _, value in fields]
    texts += [file.name for file, _ in (*attached, *shared)]
    site.index.add("issue", f"{key} {summary}", shown["page"], project.key, excerpt(described), texts)


def _facts(site: Site, row: Row, around: Around) -> Iterator[tuple[Any, Any]]:
    parent = site.refs.get(row["parentissueid"] or 0)
    values = {
        "assignee": name_of(row["assignee"]),
        "resolution": name_of(row["resolution"]),
        "parent": Markup(f"{text.issue(parent.key, around)} {escape(parent.link.summary)}") if parent else "",
        "category": _names(row["category"]),
        "milestone": _names(row["milestone"]),
        "version": _names(row["versions"]),
        "start_date": day(row["startdate"]),
        "due_date": day(row["duedate"]),
        "estimated_hours": _number(row["estimatedhours"]),
        "actual_hours": _number(row["actualhours"]),
    }
    yield from ((site.t(name), value) for name, value in values.items() if value)
    yield from common_facts(site, row)


def _names(value: Any) -> str:
    return ", ".join(str(each.get("name")) for each in list_of(value))


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):.12g}"


def _custom_fields(row: Row, around: Around) -> Iterator[tuple[str, Markup]]:
    for field in list_of(row["customfields"]):
        value = _custom_value(field.get("value"))
        other = str(field.get("otherValue") or "")
        shown = ", ".join(part for part in (value, other) if part)
        if shown:
            html = "<br>".join(text.linked(line, around) for line in shown.split("\n"))
            yield str(field.get("name") or field.get("id")), Markup(html)


def _by_size(fields: Iterable[tuple[str, Markup]]) -> tuple[list[tuple[str, Markup]], list[str]]:
    """The custom fields that stand among the facts, and the others, which are long, as blocks."""
    short: list[tuple[str, Markup]] = []
    long: list[str] = []
    room = FACTS_BYTES
    for name, value in fields:
        size = len(value.encode("utf-8", "replace"))
        if size <= min(room, LONG_FIELD):
            short.append((name, value))
            room -= size + 100
        else:
            html = f"<h3>{escape(name)}</h3><p>{value}</p>"
            long.extend(text.cleaned([Block(html, f"{name}\n{value.striptags()}")]))
    return short, long


def _custom_value(value: Any) -> str:
    """The value of a custom field: a text, a number, a day, one choice or several."""
    value = decoded(value) if isinstance(value, str) and value.startswith(("{", "[")) else value
    if isinstance(value, list):
        return ", ".join(_custom_value(each) for each in value)
    if isinstance(value, dict):
        return str(value.get("name") or "")
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str) and len(value) == 20 and value.endswith("T00:00:00Z"):
        return day(value)
    return "" if value is None else str(value)


def _links(site: Site, row: Row, related: Sequence[Row], around: Around) -> Iterator[Section]:
    """Child issues, related issues, and files of other services."""
    children = [site.refs[number] for number in sorted(site.children.get(row["id"], ()))]
    if children:
        yield Section("children", _list(_line(text.issue(ref.key, around), ref.link.summary) for ref in children))
    # Rows of relations that are no more stay in the table; the current ones were read with the issue as it is now.
    current = [each for each in related if moment(each["issueupdated"]) == moment(row["updated"])]
    if current:
        yield Section("related", _list(_related(site, each, around) for each in current))
    links = list_of(row["externalfilelinks"])
    if links:
        named = ((str(each.get("url") or ""), str(each.get("title") or each.get("url") or "")) for each in links)
        yield Section("external_links", _list(text.anchor(url, escape(title), around) for url, title in named))


def _related(site: Site, row: Row, around: Around) -> str:
    ref = site.refs.get(row["relatedissueid"])
    if ref is None:
        return _line(escape(row["relatedissuekey"] or ""), str(row["relatedsummary"] or ""))
    return _line(text.issue(ref.key, around), ref.link.summary)


def _line(link: str, summary: str) -> str:
    return f"{link} {escape(summary)}"


def _list(items: Iterable[str]) -> list[str]:
    return list(text.grouped((f"<li>{item}</li>" for item in items), '<ul class="plain">', "</ul>"))


def _comments(site: Site, project: Project, rows: Sequence[Row], around: Around) -> Iterator[str]:
    """The comments of an issue in the order of time, each with what was changed together with it."""
    macros = site.parts
    for row in rows:
        stars = len(list_of(row["stars"]))
        yield str(macros.comment_head(row["id"], name_of(row["createduser"]), site.when(row["created"]), stars))
        yield from text.cleaned(markup(row["content"], project, around))
        for entry in list_of(row["changelog"]):
            yield from _change(site, entry, around, macros)


def _change(site: Site, entry: Row, around: Around, macros: Any) -> Iterator[str]:
    name = str(entry.get("field") or "")
    is_custom = bool(object_of(entry.get("attributeInfo")).get("id"))
    label = site.t(FIELDS[name]) if name in FIELDS and not is_custom else name
    before, after = str(entry.get("originalValue") or ""), str(entry.get("newValue") or "")
    if name == "notification" and not after:
        return
    if len(before) <= SHORT and len(after) <= SHORT:
        yield str(macros.change(label, lines(before), _after(name, entry, lines(after), around)))
        return
    yield str(Markup('<ul class="changes"><li>{}</li></ul>').format(label))
    for word, value in (("changed_from", before), ("changed_to", after)):
        for block in text.cleaned([Block(f"<pre>{escape(value)}</pre>", value)] if value else []):
            yield f"<details><summary>{site.t(word)}</summary>{block}</details>"


def _after(name: str, entry: Row, after: Markup, around: Around) -> Markup:
    """The new value of a change; the name of a file leads to it, and that of an issue to its page."""
    if name == "attachment":
        found = around.files.get(str(object_of(entry.get("attachmentInfo")).get("id")))
        return Markup(text.file(found, around, str(after))) if found and after else after
    return Markup(text.issue(str(after), around)) if name == "parentIssue" and after else after
