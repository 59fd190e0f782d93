"""What Airbyte's newer shape, a manifest without a package of its own, would need: see CONTRIBUTING.md."""

from pathlib import Path

import pytest
import yaml
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

MANIFEST = Path(__file__).parents[1] / "source_backlog" / "manifest.yaml"
CONFIG = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}


def plain_source() -> ConcurrentDeclarativeSource:
    """The manifest as `source-declarative-manifest` runs it: without `SourceBacklog`."""
    return ConcurrentDeclarativeSource(
        config=CONFIG, source_config=yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    )


def test_the_manifest_alone_gives_the_spec() -> None:
    spec = plain_source().spec(None)  # type: ignore[arg-type]
    assert set(spec.connectionSpecification["required"]) == {"domain", "credentials"}


def test_the_manifest_alone_cannot_read_and_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="needs the Space that SourceBacklog"):
        plain_source().streams(CONFIG)
