"""The least that a program can do: request the pages, decode them with the standard library, print a line per row.

    python bare.py <config.json> <state.json> [--comments]

The state holds the latest `updated` of each project; with it, only what has changed since the day before is read.
Without any overlap of pages, without deletions, checkpoints, retries or rate limits: a lower bound, not a product.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests


def main(config_file: str, state_file: str, with_comments: bool) -> None:
    config = json.loads(Path(config_file).read_text())
    state = json.loads(Path(state_file).read_text()) if Path(state_file).exists() else {}
    session = requests.Session()
    session.headers["Backlog-API-Key"] = config["credentials"]["api_key"]

    def get(path: str, **params: Any) -> Any:
        address = f"http://{config['domain']}/api/v2/{path}"  # ignore-https-check
        return json.loads(session.get(address, params=params).content)

    for project in get("projects"):
        latest = state.get(str(project["id"]), "")
        params = {"projectId[]": project["id"], "sort": "created", "order": "asc", "count": 100}
        if latest:
            since = datetime.fromisoformat(latest) - timedelta(days=1)
            params["updatedSince"] = since.strftime("%Y-%m-%d")
        offset = 0
        while True:
            page = get("issues", offset=offset, **params)
            for issue in page:
                latest = max(latest, issue["updated"])
                print(json.dumps(issue))
                if with_comments:
                    for comment in get(f"issues/{issue['id']}/comments", order="asc", count=100):
                        print(json.dumps(comment))
            offset += len(page)
            if len(page) < 100:
                break
        state[str(project["id"])] = latest
    Path(state_file).write_text(json.dumps(state))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "--comments" in sys.argv)
