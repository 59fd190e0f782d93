"""Projects, their settings, members and shared files: section 4.3 of the API reference."""

from __future__ import annotations

from typing import Any

from ..api import BY_OFFSET, ORDER, ApiError, Binary, Call, boolean, get, integer, invalid, missing
from .space import PIXEL


@get("/projects", params={"archived": boolean, "all": boolean})
def projects(call: Call) -> Any:
    """``all`` shows an administrator the projects that it has not joined (see ``Quirks.all_projects``)."""
    kind, everything = call.space.quirks.all_projects, call.value("all")
    if everything and kind == "refused":
        raise ApiError(400, 7, "error.unknownParameter : all")
    if everything and kind == "refused to others" and not call.user.is_administrator:
        raise ApiError(call.space.settings.role_error_status, 5, "Unauthorized operation.")
    everything = everything and kind != "ignored" and call.user.is_administrator
    rows = list(call.space.projects.values()) if everything else call.space.visible_projects(call.user)
    archived = call.value("archived")
    return [project for project in rows if archived is None or project.archived == archived]


@get("/projects/{project}")
def project(call: Call) -> Any:
    for project in call.space.visible_projects(call.user):
        if call.parts["project"] in (project.key, str(project.id)):
            return project
    raise missing("project")


@get("/projects/{project}/image", category="icon")
def project_image(call: Call) -> Any:
    call.project()
    return Binary(PIXEL, "icon.png")


@get("/projects/{project}/users", params={"excludeGroupMembers": boolean})
def project_users(call: Call) -> Any:
    return call.project().all_members(exclude_team_members=call.value("excludeGroupMembers", False))


@get("/projects/{project}/administrators")
def project_administrators(call: Call) -> Any:
    return call.project().administrators


@get("/projects/{project}/teams")
def project_teams(call: Call) -> Any:
    return call.project().teams


@get("/projects/{project}/statuses")
def statuses(call: Call) -> Any:
    return call.project().statuses


@get("/projects/{project}/issueTypes")
def issue_types(call: Call) -> Any:
    return [kind.list_shape() for kind in call.project().issue_types]


@get("/projects/{project}/categories")
def categories(call: Call) -> Any:
    return call.project().categories


@get("/projects/{project}/versions")
def versions(call: Call) -> Any:
    return call.project().versions


@get("/projects/{project}/customFields")
def custom_fields(call: Call) -> Any:
    return call.project().custom_fields


@get("/projects/{project}/webhooks", role="project_administrator")
def webhooks(call: Call) -> Any:
    return call.project().webhooks


@get("/projects/{project}/webhooks/{webhook}", role="project_administrator")
def webhook(call: Call) -> Any:
    return call.part(call.project().webhooks, "webhook", "webhook")


@get("/projects/{project}/diskUsage", role="administrator")
def disk_usage(call: Call) -> Any:
    return call.project().disk_usage()


# --- shared files ---


@get(
    "/projects/{project}/files/metadata/{path:path}",
    params={**BY_OFFSET, **ORDER, "count": integer(1, 1000)},
    role="unrestricted",
)
def shared_files(call: Call) -> Any:
    """Direct children of one directory, files and directories (see ``Quirks.shared_files_count``)."""
    limit = call.space.quirks.shared_files_count
    if limit == "refuse" and call.value("count", 0) > 100:
        raise invalid("count", "error.range")
    project = call.project("file_sharing")
    path = call.parts["path"].strip("/")
    directory = f"/{path}/" if path else "/"
    if path and (directory[:-1] not in project.paths or project.paths[directory[:-1]].type != "directory"):
        raise missing("directory")
    rows = [file for file in project.files.values() if file.dir == directory]
    if call.value("order") != "asc":
        rows.reverse()
    most = 1000 if limit == "allow" else 100
    return call.window(rows, default=most)[:most]


@get("/projects/{project}/files/{file}", role="unrestricted")
def shared_file(call: Call) -> Any:
    file = call.part(call.project("file_sharing").files.values(), "file", "shared file")
    if file.type != "file":
        raise missing("shared file")
    return Binary(file.content(), file.name)
