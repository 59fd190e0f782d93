"""Odd and hostile input, in the config and in answers: nothing hangs, and what cannot be read is named."""

from __future__ import annotations

import json
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from integration_tests.commands import Output, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.emulator.server import Answer
from integration_tests.harness import catalog_streams
from source_backlog.config import HOST, LOOPBACK, check_config, host_of

SECRET = "a-secret-that-nobody-may-see"
FILES = ("_attachment_files", "_file_contents")
STREAMS = [name for name in catalog_streams() if not name.endswith(FILES)]


@pytest.fixture(autouse=True, scope="module")
def pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        yield


# --- the config ---

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = [
    "acme",
    ".backlog.jp",
    ".backlog.com",
    "https://",
    "HTTP://",
    "user:pw@",
    ":8443",
    ":443",
    "/path",
    "?q=1",
    "#f",
]
PARTS += [
    " ",
    ".",
    "..",
    "-",
    "_",
    "ａｃｍｅ",
    "．",
    "。",
    "ü",
    "日本",
    "169.254.169.254",
    "10.0.0.1",
    "[::1]",
    "localhost",
]
PARTS += ["127.0.0.1", ":8080", ":99999", "\n", "\t", "\x00", "%2e", "@", "\\", "evil.example", "xn--", "０"]
domains = st.lists(st.sampled_from(PARTS), max_size=6).map("".join) | st.text(max_size=40)
dates = st.one_of(
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
    st.datetimes().map(str),
    st.sampled_from(
        ["2024-13-01", "2024-02-30", "now", "-1", "0000-00-00", "9999-12-31", "20240101", "２０２４-01-01"]
    ),
    st.integers(),
)
credentials = st.fixed_dictionaries(
    {},
    optional={
        "auth_type": st.sampled_from(["api_key", "oauth2.0", "", "basic", None, 1]),
        "api_key": anything,
        "client_id": anything,
        "client_secret": anything,
        "refresh_token": anything,
        "access_token": anything,
        "token_expiry_date": anything,
        "unknown": anything,
    },
)
configs = st.fixed_dictionaries(
    {},
    optional={
        "domain": domains | anything,
        "credentials": credentials | anything,
        "start_date": dates | anything,
        "projects": anything | st.lists(anything, max_size=3),
        "include_archived_projects": anything,
        "num_workers": anything,
        "request_share_percent": anything,
        "deleted_records": anything,
        "issue_custom_fields": anything,
        "file_size_limit_mib": anything,
        "unknown": anything,
    },
)


@settings(max_examples=800, deadline=None)
@given(configs)
def test_any_config_is_right_or_says_what_is_wrong(config: dict[str, Any]) -> None:
    try:
        check_config(config)
    except AirbyteTracedException as error:
        assert error.failure_type == FailureType.config_error
        assert error.message
        assert error.message.endswith(".")
        assert len(error.message) < 600
        assert error.message.isprintable()
        assert "Error" not in error.message
        domain = config.get("domain")
        if not (isinstance(domain, str) and SECRET in domain) and SECRET not in str(config.get("start_date")):
            assert SECRET not in error.message


@settings(max_examples=800, deadline=None)
@given(domains)
@example("acme.backlog.jp。")
@example("ａｃｍｅ．ｂａｃｋｌｏｇ．ｊｐ")
@example("https://user:pw@acme.backlog.jp@evil.example/")
@example("https://acme.backlog.jp\\@evil.example/")
@example("http://[::1")
@example("localhost:443:443")
@example("localhost:443.")
def test_a_domain_is_a_plain_host_or_refused(domain: str) -> None:
    """Whatever was typed: what is asked is a host name, without user, port or address, or this machine."""
    good = {"domain": domain, "credentials": {"auth_type": "api_key", "api_key": "a-key-of-some-length"}}
    try:
        check_config(good)
    except AirbyteTracedException:
        return
    host = host_of(domain)
    assert HOST.fullmatch(host) or LOOPBACK.fullmatch(host)
    assert not set(host) & set("/@?#\\ %[]_\n\t")
    assert host.isascii()
    assert host == host_of(host), "normal form"
    if not LOOPBACK.fullmatch(host):
        assert ":" not in host
        assert not re.fullmatch(r"[0-9.]+", host), "no bare address"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs)
@example({})
@example({"domain": "acme.backlog.jp", "credentials": {"auth_type": {"a": [SECRET]}}})
def test_the_commands_survive_any_config(config: dict[str, Any]) -> None:
    """Through the whole program; a config that happens to be right is not sent anywhere."""
    try:
        check_config(config)
        return
    except AirbyteTracedException:
        pass
    output = command("check", config)
    assert output.stderr == ""
    assert output.messages
    if output.status == 0:
        assert output.connection[0] == "FAILED"
    else:
        assert {error["failure_type"] for error in output.errors} == {"config_error"}


# --- the answers ---

ODD: list[Any] = [None, None, 0, -1, 2**63, 2**70, "", "text", "12", True, [], {}, [None], {"id": None}, 1.5, 1e300]
ODD += ["2026-13-45", "2026-01-01", 1_700_000_000, 1_700_000_000_000, "9" * 30, [[1]], {"a": {"b": 1}}, "\u0000", "😀"]


def spoiled(value: Any, dice: random.Random, rate: float, top: bool = True) -> Any:
    """`value` with fields left out, added, nulled and of other types, each with the probability `rate`."""
    if not top and dice.random() < rate:
        return dice.choice(ODD)
    if isinstance(value, dict):
        kept = {name: spoiled(inner, dice, rate, False) for name, inner in value.items() if dice.random() >= rate}
        return {**kept, **({"unknownField": {"x": [1, {"y": None}]}} if dice.random() < rate else {})}
    if isinstance(value, list):
        return [spoiled(inner, dice, rate, False) for inner in value]
    return value


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(projects=3, issues=25, wikis=4, documents=4, pull_requests=4) as running:
        yield running


@pytest.fixture
def answers(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counter[str]]:
    """`answers(change, path)`: the JSON answers under `path` are what `change(body)` makes of them, and counted."""
    real = emulator.server.answer

    def install(change: Callable[[Any], Any], path: str = ".*") -> Counter[str]:
        counts: Counter[str] = Counter()

        def answer(request: Any, raw_path: str) -> Answer:
            given = real(request, raw_path)
            if (
                given.status == 200
                and "json" in given.headers.get("Content-Type", "")
                and re.search(path, request.path)
            ):
                counts["changed"] += 1
                changed = change(orjson.loads(given.body))
                given.body = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
            return given

        monkeypatch.setattr(emulator.server, "answer", answer)
        return counts

    return install


def assert_calm(output: Output) -> None:
    """The command has ended, in protocol messages, without a stack trace and without the name of an exception."""
    assert output.stderr == ""
    assert output.status in (0, 1)
    for line in [*output.logs(), *(error["message"] for error in output.errors)]:
        assert "Traceback" not in line
        assert not re.search(r"\b\w+Error\b", line), line
        assert "met something in Backlog's answers that it cannot read" not in line
    assert output.seconds < 60


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_answers_of_every_wrong_shape(
    emulator: Emulator, answers: Callable[..., Counter[str]], rate: float, seed: int
) -> None:
    dice = random.Random(f"{seed} {rate}")
    counts = answers(lambda body: spoiled(body, dice, rate))
    output = command("read", emulator.config(), streams=STREAMS)
    assert counts["changed"] > 10
    assert_calm(output)
    for error in output.errors[:-1]:
        # What cannot be read is named: the path, and what is wrong with it.
        assert re.search(r"(answered|rejected the request|refuses|Option|option) \S+", error["message"])


def whole(output: Output, emulator: Emulator) -> None:
    assert_calm(output)
    assert (output.status, output.errors) == (0, [])
    assert len(output.rows("issues")) == len(emulator.truth("issues"))


def renamed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    return lambda body: [change(entry) for entry in body] if isinstance(body, list) else change(body)


SHAPES: dict[str, Callable[[Any], Any]] = {
    "unknown fields": renamed(lambda entry: {**entry, "brandNew": {"deep": [1, [2, {"x": None}]]}, "日本語": "はい"}),
    "ids as text": renamed(lambda entry: {**entry, "id": str(entry["id"])} if "id" in entry else entry),
    "nulls everywhere": renamed(
        lambda entry: {name: value if name in ("id", "projectId", "number") else None for name, value in entry.items()}
    ),
    "only what is needed": renamed(
        lambda entry: {name: value for name, value in entry.items() if name in ("id", "projectId", "number")}
    ),
    "numbers beyond 64 bits": renamed(lambda entry: {**entry, "estimatedHours": 2**100, "actualHours": -(2**100)}),
    "duplicate keys": lambda body: (
        json.dumps(body).replace('{"', '{"id": 1, "id": 2, "', 1).encode()
        if not isinstance(body, list) or not body
        else json.dumps(body).replace('"summary":', '"summary": "first", "summary":').encode()
    ),
    "epoch numbers for dates": renamed(
        lambda entry: {
            name: 1_782_810_000 if name in ("created", "updated") else value for name, value in entry.items()
        }
    ),
    "epoch milliseconds": renamed(
        lambda entry: {
            name: 1_782_810_000_000 if name in ("created", "updated") else value for name, value in entry.items()
        }
    ),
    "dates of other forms": renamed(
        lambda entry: {
            name: "2026-06-30 18:00:00+09:00" if name in ("created", "updated") else value
            for name, value in entry.items()
        }
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_issues_of_odd_but_readable_shapes_are_all_read(
    emulator: Emulator, answers: Callable[..., Counter[str]], shape: str
) -> None:
    counts = answers(SHAPES[shape], r"/api/v2/issues$")
    output = command(
        "read",
        emulator.config(),
        streams=["issues", "issue_comments", "issue_attachments", "issue_custom_field_values"],
    )
    assert counts["changed"]
    whole(output, emulator)
    if shape == "ids as text":
        assert {type(row["id"]) for row in output.rows("issues")} == {int}


UNREADABLE = ["0000-00-00T00:00:00Z", "", "soon", 1e30, True, {"date": 1}]


@pytest.mark.parametrize("value", UNREADABLE, ids=str)
def test_a_column_of_dates_holds_only_dates(
    emulator: Emulator, answers: Callable[..., Counter[str]], value: Any
) -> None:
    """In streams of all families; where nothing else is wrong, every row is there."""
    columns = {
        "/api/v2/issues$": ("dueDate", ["issues"]),
        "/versions$": ("releaseDueDate", ["versions"]),
        "/api/v2/space/licence$": ("limitDate", ["licence"]),
        "/webhooks$": ("created", ["webhooks"]),
        "/git/repositories$": ("pushedAt", ["git_repositories"]),
    }
    for path, (column, streams) in columns.items():
        clean = command("read", emulator.config(), streams=streams)
        answers(renamed(lambda entry, column=column: {**entry, column: value}), path)
        output = command("read", emulator.config(), streams=streams)
        (stream,) = streams
        assert (output.status, output.errors) == (0, [])
        rows = output.rows(stream)
        assert len(rows) == len(clean.rows(stream)) > 0
        assert {row.get(column) for row in rows} == {None}
        if isinstance(value, str):
            (line,) = output.logs("WARN")
            assert line.startswith(f"{stream}: {column} of ")
            assert f" is '{value}', which cannot be read as a date." in line


def test_dates_of_other_forms_are_brought_into_one(emulator: Emulator, answers: Callable[..., Counter[str]]) -> None:
    for value in ("2018/08/17", "2018-08-17", 1_534_464_000, 1_534_464_000_000, "2018-08-17T09:00:00.5+09:00"):
        answers(renamed(lambda entry, value=value: {**entry, "dueDate": value}), "/api/v2/issues$")
        output = command("read", emulator.config(), streams=["issues"])
        assert {row["dueDate"] for row in output.rows("issues")} == {"2018-08-17"}
        assert output.logs("WARN") == []


BROKEN = {
    "half a surrogate pair": rb"cut \ud83c",
    "CESU-8": b"\xed\xa0\xbc\xed\xbe\x89",
    "a control character": b"a\x0bb",
    "a byte of another encoding": b"caf\xe9",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("path", "streams"),
    [
        ("/api/v2/issues$", ["issues", "issue_attachments"]),
        ("/api/v2/space/activities$", ["activities", "issues", "wikis", "deletions"]),
        ("/statuses$", ["statuses"]),
        ("/wikis/\\d+$", ["wikis"]),
    ],
    ids=["a list with several readers", "the feed", "a list of the CDK", "an object"],
)
def test_a_character_that_cannot_be_read_costs_no_row(
    emulator: Emulator, answers: Callable[..., Counter[str]], path: str, streams: list[str], text: bytes
) -> None:
    def broken(body: Any) -> bytes:
        entries = body if isinstance(body, list) else [body]
        if entries:
            entries[len(entries) // 2]["extra"] = "BROKEN"
        return json.dumps(body).encode().replace(b"BROKEN", text)

    clean = command("read", emulator.config(), streams=streams)
    counts = answers(broken, path)
    output = command("read", emulator.config(), streams=streams)
    assert counts["changed"]
    assert_calm(output)
    assert (output.status, output.errors) == (0, [])
    for stream in streams:
        assert len(output.rows(stream)) == len(clean.rows(stream)) > 0
    lines = [line for line in output.logs("WARN") if line not in clean.logs("WARN")]
    assert lines
    assert len(lines) == len(set(lines)) <= counts["changed"]
    for line in lines:
        assert re.fullmatch(r"Characters that cannot be read in \S+( \S+)? were replaced by U\+FFFD\.", line)
    # Half a surrogate pair could not be loaded by anybody: neither as it is, nor as an escape.
    output.stdout.encode()
    assert not re.search(r"\\\\u[dD][89a-fA-F]", output.stdout)


@pytest.mark.parametrize("depth", [100, 250, 1_000, 1_020, 5_000, 100_000])
def test_deep_nesting_is_read_or_named(emulator: Emulator, answers: Callable[..., Counter[str]], depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    answers(lambda body: b'[{"id": 1, "name": "x", "deep": ' + nested + b"}]", r"/priorities$")
    output = command("read", emulator.config(), streams=["priorities", "resolutions"])
    assert_calm(output)
    assert output.rows("resolutions")
    if depth <= 250:
        assert output.status == 0
        assert output.rows("priorities")
    else:
        assert output.status == 1
        assert "answered priorities with something" in output.errors[0]["message"]


def test_a_page_of_50_mib_is_read(emulator: Emulator, answers: Callable[..., Counter[str]]) -> None:
    text = "日本語テキスト。" * (2**20 // 24)
    page = orjson.dumps([{"id": number, "name": text} for number in range(1, 52)])
    assert len(page) > 50 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers(lambda body: page, r"/priorities$")
    output = command("read", emulator.config(), streams=["priorities"])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert_calm(output)
    assert [row["id"] for row in output.rows("priorities")] == list(range(1, 52))
    assert output.rows("priorities")[50]["name"] == text
    assert grown < 1500, "MiB, of the emulator and of what the test captures too"


def test_a_body_without_end_is_not_read_into_memory(
    emulator: Emulator, answers: Callable[..., Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_backlog.api.bodies.LARGEST_BODY_BYTES", 2**20)
    answers(lambda body: b"[" + b" " * (5 * 2**20) + b"]", r"/priorities$")
    output = command("read", emulator.config(), streams=["priorities"])
    assert output.status == 1
    assert "to priorities is too large to read." in output.errors[0]["message"]
    assert_calm(output)


def test_a_message_of_the_server_cannot_fill_the_log(emulator: Emulator) -> None:
    long = "x" * 5_000_000 + "\x1b[31m\r\n"
    emulator.faults.add("/priorities$", status=400, body={"errors": [{"message": long, "code": 7}]}, times=None)
    output = command("read", emulator.config(), streams=["priorities"])
    emulator.faults.clear()
    assert output.status == 1
    assert len(output.errors[0]["message"]) < 400
    assert output.errors[0]["message"].isprintable()
    assert len(output.stdout) < 100_000


def test_ten_thousand_projects(emulator: Emulator, answers: Callable[..., Counter[str]]) -> None:
    """Check, and a stream with a partition per project: time and memory stay in proportion."""
    project = emulator.truth("projects")[0]
    many = [{**project, "id": 10_000_000 + number, "projectKey": f"P{number}"} for number in range(10_000)]
    body = json.dumps(many).encode()
    answers(lambda _: body, r"/api/v2/projects$")
    began = time.monotonic()
    checked = command("check", emulator.config())
    assert checked.connection[0] == "SUCCEEDED"
    assert "it sees 10000 projects, and all are synced." in "".join(checked.logs())
    missing = command("check", emulator.config(projects=["NOPE"]))
    assert len(missing.connection[1]) < 1000, "not all 10,000 keys"
    output = command("read", emulator.config(), streams=["projects"])
    assert len(output.rows("projects")) == 10_000
    assert time.monotonic() - began < 60
    assert_calm(output)
