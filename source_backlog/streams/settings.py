"""Small rules for lists that are read whole."""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

import requests
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.declarative.transformations import RecordTransformation
from airbyte_cdk.sources.types import StreamSlice

from source_backlog.api.bodies import body_of
from source_backlog.changes.projects import selected_projects, unjoined_projects
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.streams.rows import children
from source_backlog.values import Row, as_text, under


@dataclass
class ParentColumns(RecordTransformation):
    """Adds the project's id and key (or, to objects that have no id, the space's domain) to a row of a list.

    Why: `AddFields` evaluates a template per field and row and turns a project key such as `1E5` into a number.
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]
    with_domain: bool = False

    def transform(
        self,
        record: dict[str, Any],
        config: Mapping[str, Any] | None = None,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: StreamSlice | None = None,
    ) -> None:
        """Edit `record` in place."""
        project = stream_slice.extra_fields.get("project") if stream_slice else None
        if project:
            under(record, projectId=project["id"], projectKey=project.get("projectKey"))
        if self.with_domain:
            record["domain"] = self.config["domain"]
        for name in ("min", "max"):
            # Numbers for number fields, time stamps for date fields: one column has to hold both.
            if name in record:
                record[name] = as_text(record[name])


@dataclass
class ItemsOfFields(RecordExtractor):
    """The selectable items of a project's custom fields, each with its field.

    Why: `RecordExpander` copies the whole parent or nothing.
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]

    def extract_records(self, response: requests.Response) -> Iterable[Row]:
        """The items in the order of the fields; fields that are no lists have none."""
        for field in body_of(response):
            for item in children(field, "items"):
                yield under(item, customFieldId=field.get("id"), customFieldName=field.get("name"))


@dataclass
class DiskUsage(RecordExtractor):
    """The space's disk usage: the whole space under `projectId` 0, then a row per project."""

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]

    def extract_records(self, response: requests.Response) -> Iterable[Row]:
        """The total first, then the details, in bytes."""
        total = dict(body_of(response))
        details = children(total, "details")
        total.pop("details", None)
        yield {**total, "projectId": 0}
        yield from details


@dataclass
class Categories(RecordExtractor):
    """One row per category of the rate limit. Why: the categories are keys of an object, not entries of a list."""

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]

    def extract_records(self, response: requests.Response) -> Iterable[Row]:
        """The categories with their current window."""
        for category, window in (body_of(response).get("rateLimit") or {}).items():
            yield {"category": category, **(window or {})}


@dataclass
class ProjectRetriever(BacklogRetriever):
    """The projects that the options select, for an administrator also those that it has not joined.

    Why: the selection matches keys and ids, and is shared by all streams; and whether a project was joined stands in no
    answer, it takes two lists.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The joined projects, then the others."""
        for project in selected_projects(self.requester, self.config, self.api_budget):
            yield under(dict(project), joined=True)
        if self.api_budget.quick:
            # Whoever checks the connection asks for what can be read.
            return
        for project in unjoined_projects(self.requester, self.config, self.api_budget):
            yield under(dict(project), joined=False)
