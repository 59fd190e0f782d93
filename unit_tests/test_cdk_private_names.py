"""The private names of airbyte-cdk that the connector touches, each with what it relies on.

Any release may change them; this file says what broke, before a sync does. It does the same for what the connector
relies on where a public name is not documented to do it. The private ones:

- `ConcurrentDeclarativeSource._constructor`, and of it `ModelToComponentFactory._api_budget`: what is there when the
  streams are built is handed to every component that has a field `api_budget`.
- `ConcurrentDeclarativeSource._concurrent_source`, and of it `ConcurrentSource._queue`: holds the records between the
  threads that read them and the one that prints them.

A name that is touched and not listed here fails `test_this_list_is_whole`.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessageSerializer, Level, Type
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

import source_backlog
from source_backlog.api.bodies import response_with
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.source import QUEUED_RECORDS, SourceBacklog
from source_backlog.space import Space

PACKAGE = Path(source_backlog.__file__).parent
NAMES = {"_api_budget", "_concurrent_source", "_constructor", "_queue"}
POSITION = {"partition": {"projectId": 1}, "cursor": {"updated": "2026-01-31T09:00:00Z", "activity": 7}}
STATE: dict[str, Any] = {
    "type": "STREAM",
    "stream": {"stream_descriptor": {"name": "issues"}, "stream_state": {"states": []}},
}


@pytest.fixture(scope="module")
def source() -> SourceBacklog:
    config = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}
    return SourceBacklog(config=config, state=[AirbyteStateMessageSerializer.load(STATE)])


@pytest.fixture(scope="module")
def streams(source: SourceBacklog) -> dict[str, Any]:
    return {stream.name: stream for stream in source.streams({})}


def files() -> list[Path]:
    """The modules of the connector; those for dlt derive from no class of the CDK, and dlt makes classes in them."""
    return [
        path
        for room in ("api", "changes", "streams", ".")
        for path in PACKAGE.glob(f"{room}/*.py")
        if path.stem[:2] != "__" and path.stem != "dlt"
    ]


@cache
def classes() -> list[type]:
    """The classes of the connector."""
    found = []
    for path in files():
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        members = inspect.getmembers(importlib.import_module(name), inspect.isclass)
        found += [one for _, one in members if one.__module__ == name]
    return found


@cache
def cdk_names(one: type) -> set[str]:
    """The private names of the CDK's classes that `one` derives from."""
    found: set[str] = set()
    for base in one.__mro__:
        if base.__module__.startswith("airbyte_cdk"):
            found |= {name for name in vars(base) if name.startswith("_")}
            found |= set(re.findall(r"self\.(_\w+)", inspect.getsource(base)))
    return {name for name in found if not name.startswith("__") and name != "_abc_impl"}


def accesses(tree: ast.AST) -> Iterator[ast.Attribute]:
    for node in ast.walk(tree):
        private = isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        # os._exit is public, for all its underscore.
        if private and ast.unparse(node) != "os._exit":
            yield node


def test_this_list_is_whole() -> None:
    """Private names of a base class of the CDK on `self`, and on anything else those that source_backlog has not."""
    touched: set[str] = set()
    own: set[str] = set()
    for one in classes():
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(one)))
        on_self = {node.attr for node in accesses(tree) if isinstance(node.value, ast.Name) and node.value.id == "self"}
        touched |= on_self & cdk_names(one)
        own |= {name for name in on_self | set(vars(one)) if name not in cdk_names(one)}
    for path in files():
        for node in accesses(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self") and node.attr not in own:
                touched.add(node.attr)
    assert touched == NAMES, "list what is new here with a test, and take out what is not touched any more"


def test_no_private_name_of_our_own_hides_one_of_the_cdk() -> None:
    """A method `_send` of a subclass of the CDK's client would take the place of the CDK's own, unnoticed."""
    for one in classes():
        ours = {name for name in vars(one) if name.startswith("_") and not name.startswith("__")}
        assert ours & cdk_names(one) <= {"_abc_impl"}, one


def test_config_is_what_the_streams_are_built_with(source: SourceBacklog, tmp_path: Path) -> None:
    fresh = SourceBacklog()
    assert fresh.config == {}
    typed = {
        "domain": " HTTPS://Acme.backlog.jp/dashboard ",
        "credentials": {"auth_type": "api_key", "api_key": "key"},
    }
    configured = fresh.configure(typed, str(tmp_path))
    assert fresh.config["domain"] == "acme.backlog.jp"
    assert configured["domain"] == "acme.backlog.jp", "look at ConcurrentDeclarativeSource.configure"
    (stream,) = [one for one in fresh.streams(configured) if one.name == "issues"]
    assert stream.cursor.requester.get_url() == "https://acme.backlog.jp/api/v2/"


def test_what_streams_validates_is_the_config(source: SourceBacklog) -> None:
    broken = SourceBacklog(config={**source.config, "domain": "no host"})
    with pytest.raises(AirbyteTracedException):
        ConcurrentDeclarativeSource.streams(broken, {})
    with pytest.raises(AirbyteTracedException):
        broken.streams({})


def test_the_config_is_brought_into_shape_without_being_stored() -> None:
    typed = {"domain": "https://acme.backlog.jp/", "credentials": {}}
    shaped = SourceBacklog(config=typed)
    assert shaped.config["domain"] == "acme.backlog.jp"
    assert typed == {"domain": "https://acme.backlog.jp/", "credentials": {}}


def test_the_resolved_manifest_is_where_the_streams_come_from(source: SourceBacklog, streams: Any) -> None:
    manifest: Any = source.resolved_manifest
    declared = manifest["streams"]
    assert [one["name"] for one in declared] == list(streams), "are the streams still built from `resolved_manifest`?"
    for one in declared:
        assert {"name", "path"} & set(one["$parameters"]) or one["$parameters"]["reads"], "are $parameters kept?"
    manifest["streams"] = declared[:2]
    try:
        assert len(source.streams({})) == 2, "leaving out what is not selected saves a third of the start-up time"
    finally:
        manifest["streams"] = declared


def test_the_factory_hands_its_budget_to_the_components(source: SourceBacklog) -> None:
    made = {stream.name: stream for stream in source.streams({})}
    space = source.space
    assert isinstance(space, Space)
    assert source._constructor._api_budget is space
    cursor = made["issues"].cursor
    assert cursor.api_budget is space, "does ModelToComponentFactory still fill in the field `api_budget`?"
    assert cursor.requester.api_budget is space
    assert cursor.requester.error_handler.api_budget is space


def test_every_stream_shares_the_space(source: SourceBacklog) -> None:
    made = source.streams({})
    assert set(source.space.cursors) == {one.name for one in made if one.cursor_field}


def test_the_state_of_the_sync_is_in_the_state_manager(source: SourceBacklog) -> None:
    manager = ConnectorStateManager([AirbyteStateMessageSerializer.load(STATE)])
    assert manager.get_stream_state("issues", None) == {"states": []}, "look at ConnectorStateManager"
    with_state = {**STATE, "stream": {**STATE["stream"], "stream_state": {"states": [POSITION]}}}
    resumed = SourceBacklog(config=source.config, state=[AirbyteStateMessageSerializer.load(with_state)])
    (issues,) = [one for one in resumed.streams({}) if one.name == "issues"]
    assert issues.cursor.state == {"states": [POSITION]}


def test_the_message_repository_is_the_one_that_a_read_empties(source: SourceBacklog) -> None:
    repository: Any = source._constructor.get_message_repository()
    repository.log_message(Level.INFO, lambda: {"message": "one line of a test"})
    messages: list[AirbyteMessage] = []
    if hasattr(repository, "_queue"):
        while not repository._queue.empty():
            messages.append(repository._queue.get())
        assert messages, "ConcurrentMessageRepository no longer passes on what it is given"
    else:
        messages = list(repository.consume_queue())
    assert [one.type for one in messages] == [Type.LOG]


def test_the_queue_of_records_is_short(source: SourceBacklog) -> None:
    queue: Any = source._concurrent_source._queue
    assert queue.maxsize == QUEUED_RECORDS
    repository: Any = source._constructor.get_message_repository()
    assert repository._queue is queue, "states and records no longer go through one queue"


def test_a_stream_is_built_anew_around_its_checkpoints(source: SourceBacklog, streams: dict[str, Any]) -> None:
    stream = streams["issues"]
    assert isinstance(stream, DefaultStream), "does the CDK build another class of streams?"
    assert isinstance(stream.cursor, Checkpoints)
    assert stream.cursor_field == "updated"
    described = stream.as_airbyte_stream()
    assert described.default_cursor_field == ["updated"]
    assert described.source_defined_cursor
    assert described.source_defined_primary_key == [["id"]]
    assert described.json_schema["properties"]["summary"]
    keys = streams["issue_custom_field_values"].as_airbyte_stream().source_defined_primary_key
    assert keys == [["issueId"], ["customFieldId"], ["position"]]


def test_the_fields_of_a_stream_decide_its_description(streams: dict[str, Any]) -> None:
    stream = streams["priorities"]
    assert stream.as_airbyte_stream().default_cursor_field is None
    assert not stream.as_airbyte_stream().is_file_based
    files = streams["issue_attachment_files"].as_airbyte_stream()
    assert files.default_cursor_field == [streams["issue_attachment_files"].cursor_field]
    assert files.is_file_based, "look at DefaultStream.as_airbyte_stream"


def test_the_body_of_a_response_is_what_its_raw_stream_holds() -> None:
    response = response_with(200, "https://acme.backlog.jp/api/v2/issues", b'{"id":1}')
    assert response.content == b'{"id":1}', "look at requests.Response.content"
    assert b"".join(response.iter_content(1024)) == b'{"id":1}', "look at requests.Response.iter_content"
    assert response.json() == {"id": 1}
