"""integration_tests/configured_catalog.json follows the manifest."""

import json

from integration_tests.make_catalog import CATALOG, configured_catalog


def test_configured_catalog_is_what_discover_gives() -> None:
    assert json.loads(CATALOG.read_text()) == configured_catalog(), "run: python -m integration_tests.make_catalog"
