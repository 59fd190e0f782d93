"""The index of the archive's search, and the folder that it is written into."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("nh3", reason="nh3 (the extra `archive`) is not installed")

from source_backlog.archive import ArchiveError
from source_backlog.archive.folder import Files, Folder
from source_backlog.archive.search import SHARD_BYTES, Index, words_of
from source_backlog.archive.words import FIELDS, WORDS

ARCHIVE = Path(__file__).resolve().parents[1] / "source_backlog" / "archive"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Login screen", {"login", "screen"}),
        ("WEB-12", {"web-12", "web", "12"}),
        ("東京都", {"東京", "京都", "都"}),
        ("税", {"税"}),
        ("CSV出力", {"csv", "出力", "力"}),
        ("ＣＳＶ ｶﾅ", {"csv", "カナ", "ナ"}),
        ("Café, naïve_x", {"café", "naïve_x"}),
        ("a.b/c", {"a", "b", "c"}),
        ("", set()),
    ],
)
def test_words(text: str, words: set[str]) -> None:
    assert words_of(text) == words


def test_both_sides_know_the_same_characters() -> None:
    """The classes of characters that stand in search.py and in search.js."""
    python = (ARCHIVE / "search.py").read_text(encoding="utf-8")
    script = (ARCHIVE / "assets" / "search.js").read_text(encoding="utf-8")
    (ranges,) = re.findall(r'const run = "(.*)";', script)
    there = ranges.replace("\\\\", "\\").replace("\\u{20000}-\\u{3ffff}", "\\U00020000-\\U0003ffff")
    assert python.count(there) == 2


def written(folder: Path, name: str) -> list[list[str]]:
    """The entries of all scripts of a kind."""
    found = []
    for number in range(len(list((folder / "search").glob(f"{name}-*.js")))):
        text = (folder / "search" / f"{name}-{number}.js").read_text(encoding="utf-8")
        (entries,) = re.fullmatch(rf"SEARCH\.{name}\({number},(.*)\);\n", text, re.DOTALL).groups()  # type: ignore[union-attr]
        found.append(json.loads(entries))
    return found


def test_an_index_of_many_pages(tmp_path: Path) -> None:
    index = Index()
    for number in range(30_000):
        index.add(
            "issue", f"WEB-{number} 件名", f"projects/WEB/issues/WEB-{number}.html", "WEB", "始まり", ["本文 __proto__"]
        )
    folder = Folder(tmp_path / "archive")
    index.write(folder)
    text = (tmp_path / "archive" / "search" / "manifest.js").read_text(encoding="utf-8")
    manifest = json.loads(text.removeprefix("SEARCH.manifest(").removesuffix(");\n"))
    scripts = written(tmp_path / "archive", "words")
    assert [script[0] for script in scripts] == manifest["words"]
    postings: dict[str, list[int]] = {}
    for script in scripts:
        for word, steps in zip(script[::2], script[1::2], strict=True):
            page = 0
            for step in steps.split(" "):
                page += int(step, 36)
                postings.setdefault(word, []).append(page)
    assert postings["件名"] == [number * 2 + 1 for number in range(30_000)]
    assert postings["__proto__"] == [number * 2 for number in range(30_000)]
    assert postings["web-29999"] == [29_999 * 2 + 1]
    assert list(postings) == sorted(postings)
    pages = written(tmp_path / "archive", "pages")
    for first, entries in zip(manifest["pages"], pages, strict=True):
        assert entries[0][1] == f"WEB-{first} 件名"
    assert sum(map(len, pages)) == 30_000
    for file in (tmp_path / "archive" / "search").iterdir():
        assert file.stat().st_size < SHARD_BYTES + 10_000


def test_only_a_new_folder_an_empty_one_or_an_archive_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "projects").mkdir()
    (tmp_path / "full" / "mine.html").write_text("mine")
    for name in ("new", "empty", "new"):
        Folder(tmp_path / name).finish()
    with pytest.raises(ArchiveError, match="holds something else than an archive"):
        Folder(tmp_path / "full")
    with pytest.raises(ArchiveError, match="is not a folder"):
        Folder(tmp_path / "full" / "mine.html")
    assert (tmp_path / "full" / "mine.html").read_text() == "mine"


def test_pages_that_are_no_more_are_removed_and_the_others_left_as_they_are(tmp_path: Path) -> None:
    first = Folder(tmp_path / "archive")
    first.put("projects/WEB/issues/WEB-1.html", "1")
    first.put("projects/WEB/issues/WEB-2.html", "2")
    first.finish()
    (tmp_path / "archive" / "files").mkdir()
    (tmp_path / "archive" / "files" / "1-a.html").write_text("mine")
    page = tmp_path / "archive" / "projects" / "WEB" / "issues" / "WEB-1.html"
    before = page.stat().st_mtime_ns
    second = Folder(tmp_path / "archive")
    second.put("projects/WEB/issues/WEB-1.html", "1")
    assert second.finish().pages == 1
    assert page.stat().st_mtime_ns == before
    assert not page.with_name("WEB-2.html").exists()
    assert (tmp_path / "archive" / "files" / "1-a.html").exists()


def test_files_are_found_by_stream_and_id(tmp_path: Path) -> None:
    place = tmp_path / "files" / "issue_attachment_files" / "WEB" / "WEB-1"
    place.mkdir(parents=True)
    (place / "7-100% 図#1.png").write_bytes(b"x")
    (place / ".7-part").write_bytes(b"x")
    files = Files(tmp_path / "files", tmp_path / "deep" / "archive")
    assert len(files) == 1
    found = files.find("issue_attachment_files", {"id": 7, "name": "図.png"})
    address = "../../files/issue_attachment_files/WEB/WEB-1/7-100%25%20%E5%9B%B3%231.png"
    assert (found.name, found.address) == ("図.png", address)
    assert files.find("wiki_attachment_files", {"id": 7, "name": "図.png"}).address is None
    assert files.find("issue_attachment_files", {"id": None, "name": None}).address is None
    with pytest.raises(ArchiveError, match="does not exist"):
        Files(tmp_path / "nowhere", tmp_path / "archive")


def test_every_word_of_the_pages_is_there_and_used() -> None:
    sources = [*ARCHIVE.glob("*.py"), *ARCHIVE.glob("templates/*.html"), *ARCHIVE.glob("assets/*.js")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources if file.name != "words.py")
    named = set(re.findall(r"""\b(?:t|word|said)\(["'](\w+)["']\)""", text)) | set(FIELDS.values())
    assert named <= set(WORDS)
    assert not [name for name in WORDS if name not in FIELDS.values() and not re.search(rf"""["']{name}["']""", text)]
    assert all(japanese and english for japanese, english in WORDS.values())
