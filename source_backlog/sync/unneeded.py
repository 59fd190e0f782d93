"""What other packages do when they are imported, which no sync needs: a quarter of one in which nothing has changed."""

import contextlib
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder

from source_backlog.sync.destinations import Destination

# pyarrow and dlt import them wherever they are installed, and do without elsewhere. The CDK has pandas among its
# dependencies. The drivers of other databases may rely on them.
OPTIONAL = frozenset(["pandas", "sqlalchemy"])
DO_WITHOUT = frozenset(["duckdb", "postgres", "filesystem"])


class _NotInstalled(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in OPTIONAL:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)


@contextlib.contextmanager
def left_out(destination: Destination) -> Iterator[None]:
    """Within, imports are spared what a sync into `destination` does not need."""
    if destination.kind not in DO_WITHOUT:
        yield
        return
    finder = _NotInstalled()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
