"""`--plan`: what a sync will cost, before there is one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from source_backlog.embedded import Connector
from source_backlog.sync.errors import raise_for
from source_backlog.sync.progress import Progress

# The request of `try_key`.
TRYING_THE_KEY = 1


def planned(config: dict[str, Any], config_path: Path | None, names: Sequence[str], progress: Progress) -> list[str]:
    """The cost of a sync of the streams `names`, in sentences. Raises `SyncError` with what the user has to know."""
    connector = Connector(config, config_path, progress.log)
    sentences = connector.plan(names, also=TRYING_THE_KEY)
    raise_for(connector.failures)
    return sentences
