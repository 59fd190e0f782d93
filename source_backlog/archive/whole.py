"""The way from the tables to the folder: project by project."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from source_backlog.archive.folder import ArchiveError, Files, Folder, Written
from source_backlog.archive.issues import write_issues
from source_backlog.archive.pages import write_documents, write_wikis
from source_backlog.archive.site import Project, Site
from source_backlog.archive.tables import Ask, Row, Tables


def projects_of(tables: Tables) -> list[Project]:
    """The projects as Backlog shows them, the archived ones and those that it does not show any more last.

    The rows of a project that the user has lost stay in the tables, but for its own one. Its key is then that of its
    issues, or of the row in `deletions`.
    """
    space = next(iter(tables.rows("space", order="")), {})
    usual = str(space.get("textformattingrule") or "")
    held = {
        row["projectid"] for table in ("issues", "wikis", "documents") for row in tables.distinct(table, "projectid")
    } - {None}
    projects: list[Project] = []
    taken: set[str] = set()
    for row in [*tables.rows("projects"), *_lost(tables, held)]:
        key = str(row["projectkey"])
        # Keys are letters, digits and _. Those that Windows reserves, such as CON, make no name of a folder, nor does
        # the key of a project that has taken that of a deleted one.
        name = key if _is_plain(key) and key not in taken else f"id-{row['id']}"
        taken.add(name)
        is_visible = row["joined"] is not False
        projects.append(
            Project(
                id=row["id"],
                key=key,
                name=str(row["name"] or ""),
                rule=str(row["textformattingrule"] or usual),
                is_archived=bool(row["archived"]),
                is_visible=is_visible,
                has_pages=is_visible or row["id"] in held,
                folder=f"projects/{name}",
            )
        )
    return sorted(projects, key=lambda each: (not each.is_visible, each.is_archived, each.key, each.id))


def _lost(tables: Tables, held: Collection[int]) -> Iterator[Row]:
    """Rows for projects that have none in `projects`."""
    known = {row["id"] for row in tables.rows("projects", only="id")}
    gone = {str(row["entityid"]): row for row in tables.rows("deletions", "entity = 'project'", order="")}
    for number in sorted(set(held) - known):
        (first, *_) = [*tables.rows("issues", f"projectid = {number}", only="id issuekey"), {}]
        told = gone.get(str(number), {})
        key = told.get("entitykey") or str(first.get("issuekey") or "").rpartition("-")[0] or number
        yield {
            "id": number,
            "projectkey": key,
            "name": told.get("entityname"),
            "textformattingrule": None,
            "archived": None,
            "joined": False,
        }


def _is_plain(key: str) -> bool:
    reserved = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(10))}
    return key.isascii() and key.replace("_", "").isalnum() and key not in reserved and key.upper() == key


def write(
    ask: Ask,
    folder: Path,
    files: Path | None = None,
    *,
    schema: str = "main",
    note: Callable[[str], None] = lambda line: None,
) -> Written:
    """Write the archive of the tables in `schema` into `folder`, and link it to the files in `files`.

    `ask` runs one query, in DuckDB or PostgreSQL, and gives its rows. The same tables and files give the same pages,
    byte for byte. `note` is told of each project. Raises `ArchiveError` where there are no tables of a sync, where
    `folder` holds something else, and where `files` is no folder; raises what `ask` raises.
    """
    tables = Tables(ask, schema)
    if not tables.has("projects"):
        raise ArchiveError(f"There is no table projects in the schema {schema}: sync the stream projects first.")
    found = Files(files, folder)
    site = Site(tables, Folder(folder), found)
    projects = projects_of(tables)
    site.know_issues({project.id: project for project in projects})
    for project in projects:
        if not project.has_pages:
            continue
        write_wikis(site, project)
        write_documents(site, project)
        write_issues(site, project)
        note(f"{project.key}: {project.issues:,} issues, {project.wikis:,} wiki pages, {project.documents:,} documents")
    site.frame_pages(projects)
    return site.folder.finish()
