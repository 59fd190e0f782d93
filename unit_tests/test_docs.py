"""The pages say what the code does: streams, keys, cursors, options, messages, versions, links."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration_tests.emulator import STREAMS as EMULATED
from integration_tests.emulator import Emulator
from integration_tests.emulator.api import ROUTES
from source_backlog.left_out import Cause
from source_backlog.source import MAY_ONLY_VIEW_ISSUES, SourceBacklog, not_for
from source_backlog.streams.deletions import COMPARED, DELETED_BY_TYPE

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "source_backlog"
REFERENCE = ROOT / "docs" / "streams.md"
DELETIONS = ROOT / "docs" / "deletes-and-history.md"
ENGLISH = ROOT / "docs" / "integrations" / "sources" / "backlog.md"
JAPANESE = ENGLISH.with_name("backlog.ja.md")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("integration_tests/**/*.md")])

# Pages that speak Japanese to a Japanese reader: the user page marks all others.
SPEAK_JAPANESE = (
    "https://nulab.com/ja/",
    "https://developer.nulab.com/ja/",
    "https://backlog.com/developer/applications/",
)

# What happened, what a sync has covered, and the bytes of files: stated in tests of their own.
NOT_IN_THE_TRUTH = {
    "deletions",
    "document_attachment_files",
    "issue_attachment_files",
    "pull_request_attachment_files",
    "shared_file_contents",
    "sync_coverage",
    "wiki_attachment_files",
}

# https://docs.airbyte.com/platform/connector-development/writing-connector-docs
HEADERS = [
    "# Backlog",
    "## Prerequisites",
    "## Setup guide",
    "### Set up Backlog",
    "### Set up the Backlog connector in Airbyte",
    "#### For Airbyte Cloud:",
    "#### For Airbyte Open Source:",
    "## Supported sync modes",
    "## Supported Streams",
    "## IP allow list",
    "## Performance considerations",
    "## Data type map",
    "## Limitations & Troubleshooting",
    "## Changelog",
]


@cache
def manifest_streams() -> dict[str, dict[str, Any]]:
    """Name of every stream -> its parameters in the manifest."""
    manifest = yaml.safe_load((PACKAGE / "manifest.yaml").read_text(encoding="utf-8"))
    return {stream["$parameters"]["name"]: stream["$parameters"] for stream in manifest["streams"]}


@cache
def spec() -> dict[str, Any]:
    """The options of the form."""
    properties: dict[str, Any] = SourceBacklog().resolved_manifest["spec"]["connection_specification"]["properties"]
    return properties


def table(page: Path, header: str) -> list[dict[str, str]]:
    """The rows of all tables of a page whose first column is headed `header`, as column -> cell."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            columns = []
        elif cells[0] == header:
            columns = cells
        elif columns and set(line) - set("|-: "):
            rows.append(dict(zip(columns, cells, strict=True)))
    return rows


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def anonymous(path: str) -> str:
    """A path with its parameters unnamed: `issues/{}/comments`."""
    return re.sub(r"\{+[^{}]*\}+", "{}", path).strip("/")


@cache
def documented() -> dict[str, dict[str, str]]:
    """Name of every stream -> its row in docs/streams.md."""
    rows = table(REFERENCE, "Stream")
    named = {code(row["Stream"])[0]: row for row in rows}
    assert len(named) == len(rows), "a stream has two rows"
    return named


def listed(page: Path) -> list[str]:
    """The streams of a user page's table."""
    header = "Stream" if page is ENGLISH else "ストリーム"
    return [code(row[header])[0] for row in table(page, header)]


def test_every_stream_is_in_all_places() -> None:
    names = set(manifest_streams())
    places = {
        "source_backlog/schemas/": {path.stem for path in (PACKAGE / "schemas").glob("*.json")},
        "docs/streams.md": set(documented()),
        "docs/integrations/sources/backlog.md": set(listed(ENGLISH)),
        "docs/integrations/sources/backlog.ja.md": set(listed(JAPANESE)),
        "integration_tests/emulator/truth.py": set(EMULATED) | NOT_IN_THE_TRUTH,
    }
    found = [f"{place} lacks {name}" for place, there in places.items() for name in sorted(names - there)]
    found += [f"{place} has {name}" for place, there in places.items() for name in sorted(there - names)]
    assert not found, "compared with source_backlog/manifest.yaml"


def test_the_emulator_has_rows_of_every_stream() -> None:
    emulator = Emulator(seed=7, projects=2, issues=60)
    without = [name for name in sorted(set(EMULATED) - NOT_IN_THE_TRUTH) if not emulator.truth(name)]
    assert not without, "integration_tests/emulator/generator.py makes nothing of these"


def test_the_emulator_serves_every_endpoint() -> None:
    served = {anonymous(route.pattern) for routes in ROUTES.values() for route in routes}
    read = {anonymous(path) for row in documented().values() for path in code(row["Endpoint"])}
    unserved = sorted(read - served)
    assert not unserved, "not in integration_tests/emulator/endpoints/"


# The old name of /teams, which no page lists any more.
NOT_ON_THE_PAGES = {"groups"}


def test_every_endpoint_of_the_api_is_in_the_table() -> None:
    served = {anonymous(re.sub(":path", "", route.pattern)) for routes in ROUTES.values() for route in routes}
    listed = [anonymous(path) for row in table(REFERENCE, "Endpoint") for path in code(row["Endpoint"])]
    assert len(listed) == len(set(listed)) > 70
    assert set(listed) == served - NOT_ON_THE_PAGES, "compared with integration_tests/emulator/endpoints/"


def test_the_table_of_endpoints_names_the_streams_of_the_manifest() -> None:
    readers: dict[str, set[str]] = {}
    for name, stream in manifest_streams().items():
        for path in {*(stream.get("reads") or [stream["path"]]), stream.get("download", "")} - {""}:
            readers.setdefault(anonymous(path), set()).add(name)
    rows = table(REFERENCE, "Endpoint")
    for row in rows:
        (path,) = code(row["Endpoint"])
        assert set(code(row["Streams"])) == readers.pop(anonymous(path), set()), path
        assert code(row["Streams"]) or row["Why not, or what else"], f"{path}: why is it not read?"
    assert not readers, "the table lacks them"


def test_check_says_what_a_role_cannot_read() -> None:
    lines = " ".join(not_for(MAY_ONLY_VIEW_ISSUES, SourceBacklog().resolved_manifest["streams"]))
    named = set(re.findall(r"\w+", lines))
    limited = {name for name, row in documented().items() if row["Role"] != "all"}
    unnamed = sorted(limited - named)
    assert not unnamed, "their endpoint is none of RIGHTS in source_backlog/left_out.py"


def test_the_readme_counts_the_streams() -> None:
    number = f"{len(manifest_streams())} typed streams"
    assert number in (ROOT / "README.md").read_text(encoding="utf-8"), f"README.md does not say: {number}"


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_the_user_page_lists_every_stream_once(page: Path) -> None:
    assert sorted(listed(page)) == sorted(manifest_streams()), page.relative_to(ROOT)


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_the_user_page_says_which_streams_are_incremental(page: Path) -> None:
    header, column = ("Stream", "Incremental") if page is ENGLISH else ("ストリーム", "差分同期")
    yes, no = ("Yes", "No") if page is ENGLISH else ("○", "－")
    for row in table(page, header):
        incremental = "cursor_field" in manifest_streams()[code(row[header])[0]]
        assert row[column] == (yes if incremental else no), row[header]


@pytest.mark.parametrize("name", sorted(manifest_streams()))
def test_key_cursor_and_endpoints_are_those_of_the_manifest(name: str) -> None:
    assert name in documented(), "docs/streams.md"
    stream, row = manifest_streams()[name], documented()[name]
    key = stream["primary_key"]
    assert code(row["Primary key"]) == [", ".join(key) if isinstance(key, list) else key]
    assert code(row["Cursor"]) == ([stream["cursor_field"]] if "cursor_field" in stream else [])
    paths = [*(stream.get("reads") or [stream["path"]]), *([stream["download"]] if "download" in stream else [])]
    assert [anonymous(path) for path in code(row["Endpoint"])] == [anonymous(path) for path in paths]


def test_every_kind_of_deletion_is_documented() -> None:
    documented_entities = [
        name for row in table(DELETIONS, "What was deleted") for name in code(row["`entity` in `deletions`"])
    ]
    entities = {*DELETED_BY_TYPE.values(), *(compared.entity for compared in COMPARED.values()), "project"}
    assert sorted(documented_entities) == sorted(entities)


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_the_user_page_explains_every_option(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, option in spec().items():
        if page is ENGLISH:
            assert f"**{option['title']}**" in text, name
        assert f"`{name}`" in text, name
        for value in option.get("enum", []):
            assert f"`{value}`" in text, f"{name}: {value}"


def titles(options: dict[str, Any]) -> list[str]:
    """The titles of the options that the form shows, those inside other options too."""
    found = []
    for option in options.values():
        if "title" in option and not option.get("airbyte_hidden"):
            found.append(option["title"])
        for kind in option.get("oneOf", []):
            found += titles(kind["properties"])
    return found


def test_the_japanese_page_translates_the_titles_of_the_form() -> None:
    rows = {row["フォームの項目"].strip("*"): row for row in table(JAPANESE, "フォームの項目")}
    assert sorted(rows) == sorted(titles(spec()))
    assert [title for title, row in rows.items() if not is_japanese(row["日本語名"]) or not row["説明"]] == []


def test_the_english_page_has_airbytes_headers_in_their_order() -> None:
    text = re.sub(r"```.*?```", "", ENGLISH.read_text(encoding="utf-8"), flags=re.DOTALL)
    headers = [line for line in text.splitlines() if line.startswith("#")]
    assert [header for header in headers if header in HEADERS] == HEADERS
    assert [header for header in headers if header.startswith("## ") and header not in HEADERS] == []


def test_the_changelogs_name_the_version() -> None:
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text(encoding="utf-8"))
    version = metadata["data"]["dockerImageTag"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for page in (ENGLISH, JAPANESE):
        assert re.search(rf"^\| {re.escape(version)} +\|", page.read_text(encoding="utf-8"), re.MULTILINE), page.name


@cache
def texts() -> list[str]:
    """Every text in the connector's code, with `…` in place of what is computed."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
                found.append(node.value)
    return found


def said(node: ast.AST, names: dict[str, ast.AST]) -> str:
    """The text that an expression makes, as in `texts`; `names` is what the module assigns and returns."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(said(part, names) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return said(node.value, names)
    if isinstance(node, ast.IfExp):
        return said(node.body, names) + said(node.orelse, names)
    called = node.func if isinstance(node, ast.Call) else node
    if isinstance(called, ast.Name) and called.id in names:
        return said(names[called.id], {name: names[name] for name in names if name != called.id})
    return "…"


def names_in(tree: ast.AST) -> dict[str, ast.AST]:
    """What names stand for: the values that are assigned to them, and what functions return."""
    names: dict[str, ast.AST] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = node.value
        elif isinstance(node, ast.FunctionDef):
            returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
            if returned:
                names[node.name] = returned[-1]
    return names


@cache
def warnings_in_the_code() -> list[str]:
    """The text of every warning: the causes, what is collected to be logged, and what is logged at once.

    Those of rows on their way into tables are in docs/warehouse.md, see below.
    """
    found = [cause.value for cause in Cause]
    for path in sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / "dlt.py"}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        # These two log what they are given.
        for function in (each for each in functions if each.name not in ("warn_once", "report")):
            names = names_in(tree) | names_in(function)
            for node in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("warning", "warn"):
                    found.append(said(node.args[0], names))
                elif name == "warn_once":
                    found.append(said(node.args[1], names))
                elif name == "collect":
                    found.append(f"{said(node.args[0], names)}…{said(node.args[2], names)}")
    return found


def quoted_warnings(page: Path) -> list[str]:
    """The messages that the table of warnings of a page quotes."""
    begin, end = ("### Warnings\n", "## Changelog\n") if page is ENGLISH else ("### 警告\n", "## 変更履歴\n")
    text = page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [quote for cell in first_cells for quote in code(cell)]


def holds(text: str, quote: str) -> bool:
    """Whether the text has the quote, whose dots stand for what is computed."""
    return bool(re.search(".*".join(map(re.escape, quote.split("…"))), text))


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_the_table_of_warnings_has_every_one(page: Path) -> None:
    quotes = quoted_warnings(page)
    unexplained = [text for text in warnings_in_the_code() if not any(holds(text, quote) for quote in quotes)]
    assert not unexplained
    unknown = [quote for quote in quotes if not any(holds(text, quote) for text in warnings_in_the_code())]
    assert not unknown
    assert len(quotes) == len(set(quotes)) > 20


def test_the_page_of_the_warehouse_quotes_its_warnings() -> None:
    code_of_it = (PACKAGE / "dlt.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8")
    for quote in ("holds characters that databases do not take", "is no value of its type"):
        assert quote in code_of_it
        assert f"`{quote}`" in page


def quoted_messages(page: Path) -> list[str]:
    """The messages that the troubleshooting table of a page quotes."""
    header = "Message" if page is ENGLISH else "メッセージ"
    return [message for row in table(page, header) for message in code(row[header])]


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_every_quoted_message_stands_in_the_code(page: Path) -> None:
    messages = quoted_messages(page)
    assert messages
    missing = [message for message in messages if not any(message.strip("…") in text for text in texts())]
    assert not missing


def test_both_user_pages_explain_the_same_messages() -> None:
    assert quoted_messages(ENGLISH) == quoted_messages(JAPANESE)


def is_japanese(text: str) -> bool:
    """Whether there are Japanese letters, Chinese characters or a Japanese full stop in the text."""
    return bool(re.search(r"[\u3002\u3041-\u30ff\u4e00-\u9fff]", text))


def blocks(page: Path) -> list[str]:
    """What a page shows as one run of text: paragraphs, entries of lists, lines of tables, headings."""
    text = re.sub(r"```.*?```", "\n", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        block.strip() for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\. ))|(?<=\|)\n", text) if block.strip()
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_breaks_inside_a_japanese_text(page: Path) -> None:
    """A browser shows the break as a blank, and Japanese has none between words."""
    japanese = [block for block in blocks(page) if page.name.endswith(".ja.md") or "。" in block]
    assert [block for block in japanese if "\n" in block] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name.endswith(".ja.md")], ids=lambda page: page.name)
def test_links_of_a_japanese_page_say_that_the_other_end_is_english(page: Path) -> None:
    links = re.findall(r"\[([^]]*)\]\(([^)\s]+)\)(（英語）)?", page.read_text(encoding="utf-8"))
    assert links
    for text, target, marked in links:
        here = target.startswith(("#", *SPEAK_JAPANESE)) or ".ja.md" in target
        assert (text == "English") or bool(marked) != here, f"[{text}]({target})"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
