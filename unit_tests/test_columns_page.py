"""docs/columns.md is what docs/make_columns.py writes."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "docs" / "make_columns.py"


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_columns", SCRIPT)
    assert spec is not None and spec.loader is not None
    columns = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(columns)
    written = columns.TARGET.read_text(encoding="utf-8")
    assert written == columns.page(), "run `python docs/make_columns.py`"
    for line in written.splitlines():
        if line.startswith(("| `", "| **`")):
            assert line.split(" | ")[2], f"a column without a meaning: {line}"
