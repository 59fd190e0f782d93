"""Write docs/erd.md and erd/source.dbml, the warehouse tables, from the schemas, the manifest and docs/streams.md.

Run `python docs/make_erd.py` after a change of a schema, of a primary key or of the tables in docs/streams.md; a
unit test fails until it is done. Each section of docs/streams.md becomes a diagram of the tables that it lists.
Primary keys come from the manifest. Relations follow from the names of id columns (`issueId` refers to `issues`)
and from the shared shape of an object column (a `user.json` object refers to `users`). The Mermaid diagrams show the
columns that a reader knows a table by; the DBML, which Airbyte publishes on dbdocs.io, has them all.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "source_backlog" / "manifest.yaml"
SCHEMAS = ROOT / "source_backlog" / "schemas"
REFERENCE = ROOT / "docs" / "streams.md"
TARGET = ROOT / "docs" / "erd.md"
DBML = ROOT / "erd" / "source.dbml"

# Columns that are shown although they are no keys: what a reader knows a table by.
MAIN_COLUMNS = """
    actualHours base branch changeType closeAt content created dateValue deletedAt dueDate entityName estimatedHours
    field issueKey itemName limit mergeAt name newValue number numberValue originalValue path projectKey
    reason releaseDueDate remaining revision size startDate summary textValue title trashed type typeId typeName
    updated
"""

# Id column -> table that it refers to; a column of a more special table is in SPECIAL_KEYS.
KEYS = {
    "activityId": "activities",
    "createdUserId": "users",
    "customFieldId": "custom_fields",
    "deletedByUserId": "users",
    "documentId": "documents",
    "issueId": "issues",
    "itemId": "custom_field_items",
    "ownerId": "users",
    "pageId": "wikis",
    "parentIssueId": "issues",
    "projectId": "projects",
    "pullRequestId": "pull_requests",
    "relatedIssueId": "issues",
    "relatedProjectId": "projects",
    "repositoryId": "git_repositories",
    "teamId": "teams",
    "updatedUserId": "users",
    "wikiId": "wikis",
}
SPECIAL_KEYS = {
    ("activity_changes", "commentId"): "issue_comments",
    ("document_comments", "commentId"): "document_comments",
    ("document_tree", "id"): "documents",
    ("document_tree", "parentId"): "documents",
    ("issue_categories", "id"): "categories",
    ("issue_changelogs", "attachmentId"): "issue_attachments",
    ("issue_changelogs", "commentId"): "issue_comments",
    ("issue_comment_notifications", "commentId"): "issue_comments",
    ("issue_comment_stars", "commentId"): "issue_comments",
    ("issue_milestones", "id"): "versions",
    ("issue_participants", "id"): "users",
    ("issue_shared_files", "id"): "shared_files",
    ("issue_versions", "id"): "versions",
    ("myself", "id"): "users",
    ("project_administrators", "id"): "users",
    ("project_teams", "id"): "teams",
    ("project_users", "id"): "users",
    ("pull_request_changelogs", "attachmentId"): "pull_request_attachments",
    ("pull_request_changelogs", "commentId"): "pull_request_comments",
    ("pull_request_comment_notifications", "commentId"): "pull_request_comments",
    ("pull_request_comment_stars", "commentId"): "pull_request_comments",
    ("team_members", "id"): "users",
    ("user_stars", "userId"): "users",
    ("wiki_shared_files", "id"): "shared_files",
    ("document_attachment_files", "id"): "document_attachments",
    ("issue_attachment_files", "id"): "issue_attachments",
    ("pull_request_attachment_files", "id"): "pull_request_attachments",
    ("shared_file_contents", "id"): "shared_files",
    ("wiki_attachment_files", "id"): "wiki_attachments",
}
# Shared shape of an object column -> table that its `id` refers to.
SHAPES = {
    "document": "documents",
    "document_comment": "document_comments",
    "document_user": "users",
    "issue_comment": "issue_comments",
    "issue_reference": "issues",
    "issue_type": "issue_types",
    "project": "projects",
    "pull_request": "pull_requests",
    "pull_request_comment": "pull_request_comments",
    "status": "statuses",
    "user": "users",
}
NAMED_ITEMS = {("issues", "priority"): "priorities", ("issues", "resolution"): "resolutions"}

INTRODUCTION = """# Tables and their relations

Each stream becomes one table. The diagrams show its primary key (PK), the columns that refer to other tables
(FK) and the columns that a reader knows it by; `source_backlog/schemas/` describes all columns. A table that
is drawn without columns has them in another diagram.

The text on a line is the column that refers to the other table. `status.id` means the field `id` inside the
object column `status`. Where the other table has a key of two columns, both are named. Columns that repeat a
column of the parent table, such as `projectId` beside `issueId`, are marked FK but have no line of their own.

This file is written by `python docs/make_erd.py`.
"""


class Relation(NamedTuple):
    """`child.columns` refers to the primary key of `parent`."""

    parent: str
    child: str
    columns: tuple[str, ...]
    optional: bool
    """Whether the columns may be null, so that a row may have no parent."""
    single: bool
    """Whether a parent has at most one such row."""

    @property
    def owns(self) -> bool:
        """Whether every row belongs to a row of another table, by a column of its own."""
        return not self.optional and self.child != self.parent and not self.columns[-1].endswith(".id")


Table = dict[str, dict[str, Any]]
"""Column -> its schema, and under `shape` the name of the shared shape of an object column."""


def _follow(prop: dict[str, Any]) -> dict[str, Any]:
    """Replace a reference to a shared property by the property itself."""
    while "$ref" in prop:
        file, _, pointer = prop["$ref"].partition("#")
        prop = json.loads((SCHEMAS / "shared" / file).read_text(encoding="utf-8"))
        for part in pointer.split("/")[1:]:
            prop = prop[part]
    return prop


def _column(prop: dict[str, Any]) -> dict[str, Any]:
    column = _follow(prop)
    reference = column.get("properties", {}).get("$ref", "")
    return {**column, "shape": reference.partition(".json")[0]}


def read_tables() -> dict[str, Table]:
    """Every stream that has a schema -> its columns, in the order of the schema."""
    tables = {}
    for path in sorted(SCHEMAS.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        tables[path.stem] = {name: _column(prop) for name, prop in schema["properties"].items()}
    return tables


def read_primary_keys() -> dict[str, list[str]]:
    """Every stream of the manifest -> the columns of its primary key."""
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    keys = {}
    for stream in ManifestReferenceResolver().preprocess_manifest(manifest)["streams"]:
        settings = {**stream.get("$parameters", {}), **stream}
        key = settings["primary_key"]
        keys[settings["name"]] = [key] if isinstance(key, str) else list(key)
    return keys


def read_families() -> dict[str, list[str]]:
    """Heading in docs/streams.md -> the streams of the tables below it that are headed `Stream`."""
    families: dict[str, list[str]] = {}
    heading, listed = "", False
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| Stream |"):
            listed = True
        elif not line.startswith("|"):
            listed = False
        elif listed and (row := re.match(r"\| `(\w+)` \|", line)):
            families.setdefault(heading, []).append(row[1])
    return families


def parent_of(table: str, name: str, column: dict[str, Any]) -> str | None:
    """The table that a column refers to, or None."""
    if "object" in column["type"]:
        return SHAPES.get(column["shape"]) or NAMED_ITEMS.get((table, name))
    return SPECIAL_KEYS.get((table, name)) or KEYS.get(name)


def _key_columns(parent: str, columns: Table, keys: dict[str, list[str]], name: str) -> tuple[str, ...]:
    """The columns that hold the parent's key: `name`, after those that are called the same in both tables."""
    shared = [key for key in keys[parent] if "id" in keys[parent] and key not in ("id", name)]
    return (*(key for key in shared if key in columns), name)


def _relations_of(child: str, columns: Table, keys: dict[str, list[str]]) -> list[Relation]:
    relations = []
    objects: dict[str, list[str]] = {}
    for name, column in columns.items():
        parent = parent_of(child, name, column)
        if parent is None or f"{name}Id" in columns:
            continue
        if "object" in column["type"]:
            objects.setdefault(parent, []).append(name)
            continue
        key = _key_columns(parent, columns, keys, name)
        single = set(key) == set(keys[child])
        relations.append(Relation(parent, child, key, "null" in column["description"], single))
    for parent, names in objects.items():
        optional = all("null" in columns[name]["description"] for name in names)
        key = _key_columns(parent, columns, keys, ", ".join(f"{name}.id" for name in names))
        relations.append(Relation(parent, child, key, optional, False))
    return relations


def read_relations(tables: dict[str, Table], keys: dict[str, list[str]]) -> list[Relation]:
    """The relations of all tables, in the order of the tables and of their columns.

    The objects of one row that refer to the same table, such as the users who created and changed it, make
    one relation. A column that merely repeats a column of a parent (`projectId` beside `issueId`) makes none:
    the parent leads there.
    """
    everything = [relation for child, columns in tables.items() for relation in _relations_of(child, columns, keys)]
    known = {(relation.child, relation.columns, relation.parent) for relation in everything}
    owners: dict[str, set[str]] = {}
    for relation in everything:
        if relation.owns:
            owners.setdefault(relation.child, set()).add(relation.parent)
    return [
        relation
        for relation in everything
        if not any((owner, relation.columns, relation.parent) in known for owner in owners.get(relation.child, ()))
    ]


def _type(column: dict[str, Any]) -> str:
    if column.get("format") == "date-time":
        return "timestamp"
    declared = column["type"]
    return declared if isinstance(declared, str) else next(name for name in declared if name != "null")


def _entity(table: str, columns: Table, key: list[str]) -> list[str]:
    lines = [f"    {table} {{"]
    for name, column in columns.items():
        roles = ["PK"] if name in key else []
        if parent_of(table, name, column):
            roles.append("FK")
        if roles or (name in MAIN_COLUMNS.split() and _type(column) not in ("array", "object")):
            lines.append(f"        {_type(column)} {name} {', '.join(roles)}".rstrip())
    return [*lines, "    }"]


def _line(relation: Relation) -> str:
    parent_end = "|o" if relation.optional else "||"
    child_end = "o|" if relation.single else "o{"
    label = ", ".join(relation.columns)
    return f'    {relation.parent} {parent_end}--{child_end} {relation.child} : "{label}"'


def render() -> str:
    """The text of docs/erd.md."""
    tables, keys, families = read_tables(), read_primary_keys(), read_families()
    places = {
        "source_backlog/schemas/": set(tables),
        "source_backlog/manifest.yaml": set(keys),
        "docs/streams.md": {name for members in families.values() for name in members},
    }
    everything = set().union(*places.values())
    missing = [f"{place} lacks {name}" for place, names in places.items() for name in sorted(everything - names)]
    if missing:
        raise ValueError("; ".join(missing))
    relations = read_relations(tables, keys)
    parts = [INTRODUCTION]
    for family, members in families.items():
        lines = [line for name in members for line in _entity(name, tables[name], keys[name])]
        lines += [_line(relation) for name in members for relation in relations if relation.child == name]
        parts.append("\n".join([f"## {family}\n", "```mermaid", "erDiagram", *lines, "```", ""]))
    return "\n".join(parts)


def _reference(relation: Relation, key: list[str]) -> Iterator[str]:
    """A line of DBML for each column of the child that refers to the parent."""
    *shared, last = relation.columns
    (own,) = set(key) - set(shared) if len(key) == len(relation.columns) else {"id"}
    sign = "-" if relation.single else ">"
    for name in last.split(", "):
        here, there = (
            ", ".join(f'"{column}"' for column in columns)
            for columns in ([*shared, name.removesuffix(".id")], [*shared, own])
        )
        brackets = "({})" if shared else "{}"
        yield f'Ref: "{relation.child}".{brackets.format(here)} {sign} "{relation.parent}".{brackets.format(there)}'


def render_dbml() -> str:
    """The text of erd/source.dbml: https://dbml.dbdiagram.io/docs."""
    tables, keys = read_tables(), read_primary_keys()
    lines = ["// Written by `python docs/make_erd.py`."]
    for name, columns in tables.items():
        single = keys[name][0] if len(keys[name]) == 1 else None
        lines += ["", f'Table "{name}" {{']
        lines += [f'  "{each}" {_type(prop)}{" [pk]" if each == single else ""}' for each, prop in columns.items()]
        if not single:
            lines += ["", "  indexes {", f"    ({', '.join(keys[name])}) [pk]", "  }"]
        lines.append("}")
    lines.append("")
    for relation in read_relations(tables, keys):
        lines += _reference(relation, keys[relation.parent])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        TARGET.write_text(render(), encoding="utf-8")
        DBML.parent.mkdir(exist_ok=True)
        DBML.write_text(render_dbml(), encoding="utf-8")
    except ValueError as error:
        sys.exit(str(error))
