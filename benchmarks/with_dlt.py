"""dlt's `rest_api` source doing the same: the issues of each project, in pages of 100, into JSON lines.

    python with_dlt.py <config.json> <directory> extract|run|json

`extract` is dlt's first stage alone: the rows are on disk as JSON lines, typed and deduplicated by the cursor, as the
connector's are on its standard output. `run` normalizes and loads them into files as well: a table for each list inside
an issue, or with `json` one row per issue, as Airbyte has it. The directory holds the pipeline's state.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source


def day_before(stamp: str) -> str:
    return (datetime.fromisoformat(stamp) - timedelta(days=1)).strftime("%Y-%m-%d")


def main(config_file: str, directory: str, stages: str) -> None:
    config = json.loads(Path(config_file).read_text())
    source = rest_api_source(
        {
            "client": {
                "base_url": f"http://{config['domain']}/api/v2/",  # ignore-https-check
                "auth": {
                    "type": "api_key",
                    "name": "Backlog-API-Key",
                    "api_key": config["credentials"]["api_key"],
                    "location": "header",
                },
            },
            "resources": [
                {"name": "projects", "endpoint": {"path": "projects", "paginator": "single_page"}},
                {
                    "name": "issues",
                    "primary_key": "id",
                    "endpoint": {
                        "path": "issues",
                        "params": {"projectId[]": "{resources.projects.id}", "sort": "created", "order": "asc"},
                        "paginator": {
                            "type": "offset",
                            "limit": 100,
                            "offset_param": "offset",
                            "limit_param": "count",
                            "total_path": None,
                        },
                        "incremental": {
                            "cursor_path": "updated",
                            "start_param": "updatedSince",
                            "initial_value": "2000-01-02T00:00:00Z",
                            "convert": day_before,
                        },
                    },
                },
            ],
        }
    )
    if stages == "json":
        source.max_table_nesting = 0
    pipeline = dlt.pipeline(
        "backlog",
        pipelines_dir=str(Path(directory) / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=Path(directory, "files").absolute().as_uri()),
        dataset_name="backlog",
    )
    if stages == "extract":
        pipeline.extract(source, loader_file_format="jsonl")
    else:
        pipeline.run(source, loader_file_format="jsonl")
    counts = pipeline.last_trace.last_extract_info.metrics
    rows = sum(
        metrics["table_metrics"]["issues"].items_count
        for entries in counts.values()
        for metrics in entries
        if "issues" in metrics["table_metrics"]
    )
    print(rows)


if __name__ == "__main__":
    main(*sys.argv[1:4])
