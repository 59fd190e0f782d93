"""The way from the tables to the folder: project by project."""

from collections.abc import Callable
from pathlib import Path

from source_backlog.archive.folder import ArchiveError, Files, Folder, Written
from source_backlog.archive.issues import write_issues
from source_backlog.archive.pages import write_documents, write_wikis
from source_backlog.archive.site import Project, Site
from source_backlog.archive.tables import Ask, Tables


def projects_of(tables: Tables) -> list[Project]:
    """The projects as Backlog shows them, those that were not joined and the archived ones last."""
    found = []
    for row in tables.rows("projects"):
        key = str(row["projectkey"])
        found.append(
            Project(
                id=row["id"],
                key=key,
                name=str(row["name"] or ""),
                rule=str(row["textformattingrule"] or ""),
                is_archived=bool(row["archived"]),
                is_joined=row["joined"] is not False,
                # Keys are letters, digits and _; a prefix keeps them from what Windows reserves, such as CON.
                folder=f"projects/{key if _is_plain(key) else row['id']}",
            )
        )
    return sorted(found, key=lambda each: (not each.is_joined, each.is_archived, each.key, each.id))


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
        raise ArchiveError(f"There is no table projects in the schema {schema}: run a sync first.")
    found = Files(files, folder)
    site = Site(tables, Folder(folder), found)
    projects = projects_of(tables)
    site.know_issues({project.id: project for project in projects})
    for project in projects:
        if not project.is_joined:
            continue
        write_wikis(site, project)
        write_documents(site, project)
        write_issues(site, project)
        note(f"{project.key}: {project.issues:,} issues, {project.wikis:,} wiki pages, {project.documents:,} documents")
    site.frame_pages(projects)
    return site.folder.finish()
