"""The archive: what it holds, that nothing in it runs, and that it works in a browser."""

from __future__ import annotations

import posixpath
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markupsafe import escape

from integration_tests import tables
from integration_tests.archive import archived_space, files_of, read
from integration_tests.browser import Browser, program
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.warehouse import needs

needs("nh3", "nh3 (the extra `archive`) is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")

from integration_tests.postgresql import postgresql  # noqa: E402
from source_backlog.archive import ArchiveError, Written, write  # noqa: E402
from source_backlog.archive.tables import COLUMNS  # noqa: E402

pytestmark = pytest.mark.slow

PAGE_BYTES = 100_000


@dataclass
class Archive:
    """An archive, its pages, what it was made of, and the key of an issue that was deleted."""

    folder: Path
    pages: dict[str, str]
    held: tables.Tables
    gone: str
    written: Written

    def of_issue(self, key: str) -> str:
        """All pages of an issue."""
        first = f"projects/{key.rsplit('-', 1)[0]}/issues/{key}"
        return "".join(text for name, text in self.pages.items() if re.fullmatch(rf"{first}(-\d+)?\.html", name))

    def again(self, folder: Path) -> None:
        """Write it once more."""
        database = self.folder.parent / "space.duckdb"
        with duckdb.connect(str(database), read_only=True) as connection:
            write(lambda query: connection.execute(query).fetchall(), folder, self.folder.parent / "files")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Of a space with something of everything, in DuckDB. The last issue of ARC was deleted."""
    folder = tmp_path_factory.mktemp("archive")
    space = archived_space()
    held = tables.empty()
    for stream in set(COLUMNS) - {"deletions"}:
        tables.merge(held, stream, truth(space, stream, domain="emulator.backlog.jp", limits=Limits()))
    gone = space.project("ARC").issues[-1]
    row = {"entity": "issue", "entityId": str(gone.id), "reason": "deleted", "deletedAt": "2026-12-31T15:30:00Z"}
    tables.merge(held, "deletions", [row | {"activityId": 1}])
    # The user has left LOST: `projects` is read whole, what was inside stays.
    del held["projects"][(space.project("LOST").id,)]
    tables.to_duckdb(folder / "space.duckdb", held)
    files_of(space, folder / "files")
    with duckdb.connect(str(folder / "space.duckdb")) as connection:
        for table in COLUMNS:
            connection.execute(f"UPDATE {table} SET {tables.EXTRACTED} = '2027-01-01 00:00:00'")
        said: list[str] = []
        written = write(
            lambda query: connection.execute(query).fetchall(),
            folder / "archive",
            folder / "files",
            note=said.append,
        )
    assert "ARC: 4 issues, 3 wiki pages, 2 documents" in said
    pages = {
        file.relative_to(folder / "archive").as_posix(): file.read_text(encoding="utf-8")
        for file in sorted((folder / "archive").rglob("*.html"))
    }
    return Archive(folder / "archive", pages, held, gone.key, written)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_postgresql_gives_the_same_pages(archive: Archive) -> None:
    other = archive.folder.with_name("elsewhere")
    with postgresql() as server:
        connection = psycopg2.connect(**server)
        tables.to_postgres(connection, archive.held, "backlog")
        cursor = connection.cursor()

        def ask(query: str) -> list[Any]:
            cursor.execute(query)
            return cursor.fetchall()

        for table in COLUMNS:
            cursor.execute(f"UPDATE backlog.{table} SET {tables.EXTRACTED} = '2027-01-01 00:00:00'")
        write(ask, other, archive.folder.parent / "files", schema="backlog")
        connection.close()
    here, there = contents(archive.folder), contents(other)
    assert here.keys() == there.keys()
    assert not [name for name in here if here[name] != there[name]]


def test_a_second_time_changes_nothing(archive: Archive) -> None:
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in archive.folder.rglob("*.*")}
    older = archive.folder / "projects" / "OLDER" / "index.html"
    older.parent.mkdir()
    older.write_text("of a project that is no more", encoding="utf-8")
    archive.again(archive.folder)
    assert before == {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in archive.folder.rglob("*.*")}


def test_what_was_written_is_counted(archive: Archive) -> None:
    written = archive.written
    assert written.pages == len(archive.pages)
    assert written.largest == max(len(text.encode()) for text in archive.pages.values())
    assert written.bytes == sum(map(len, contents(archive.folder).values()))
    for name in ("issues", "wikis", "documents"):
        assert getattr(written, name) == len(archive.held[name])
    assert written.files == len([file for file in (archive.folder.parent / "files").rglob("*") if file.is_file()])
    assert written.missing_files > 0


def test_without_tables_of_a_sync_there_is_no_archive(tmp_path: Path) -> None:
    with duckdb.connect() as connection, pytest.raises(ArchiveError, match="sync the stream projects first"):
        write(lambda query: connection.execute(query).fetchall(), tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_each_project_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Windows reserves CON; a project may take the key that a deleted one had; what is no key names no folder."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE projects (id BIGINT, projectkey VARCHAR)")
        connection.execute("INSERT INTO projects VALUES (1, 'CON'), (2, 'WEB'), (3, '../x'), (4, 'A_1')")
        connection.execute("CREATE TABLE issues (id BIGINT, projectid BIGINT, keyid BIGINT, issuekey VARCHAR)")
        connection.execute("INSERT INTO issues VALUES (10, 2, 1, 'OLD-1'), (11, 9, 1, 'WEB-1')")
        write(lambda query: connection.execute(query).fetchall(), tmp_path / "archive")
    folders = {file.name for file in (tmp_path / "archive" / "projects").iterdir()}
    assert folders == {"id-1", "WEB", "id-3", "A_1", "id-9"}
    # Issues bear the key that their project has now.
    assert (tmp_path / "archive" / "projects" / "WEB" / "issues" / "WEB-1.html").is_file()
    index = (tmp_path / "archive" / "index.html").read_text(encoding="utf-8")
    assert index.index('"projects/WEB/index.html"') < index.index('"projects/id-9/index.html"')


def test_a_few_tables_are_enough_and_the_rest_is_named(archive: Archive, tmp_path: Path) -> None:
    few = {name: archive.held[name] for name in ("projects", "issues")}
    tables.to_duckdb(tmp_path / "few.duckdb", few, without=["issues.stars", "issues.customfields"])
    with duckdb.connect(str(tmp_path / "few.duckdb"), read_only=True) as connection:
        write(lambda query: connection.execute(query).fetchall(), tmp_path / "archive")
    page = (tmp_path / "archive" / "projects" / "ARC" / "issues" / "ARC-1.html").read_text(encoding="utf-8")
    assert "ログイン画面の仕様を決める" in page and "コメントと更新履歴は取り込まれていません" in page
    about = (tmp_path / "archive" / "about.html").read_text(encoding="utf-8")
    assert about.count("取り込まれていません") == len(COLUMNS) - 2
    assert "--files" in about


def test_every_issue_is_there_with_its_comments_and_history(archive: Archive) -> None:
    comments, issues = archive.held["issue_comments"].values(), archive.held["issues"].values()
    assert len(issues) > 50
    for issue in issues:
        page = archive.of_issue(issue["issueKey"])
        assert str(escape(issue["summary"])) in page, issue["issueKey"]
        for field in issue["customFields"]:
            if field["value"] not in (None, "", []):
                assert escape(field["name"]) in page
    changes = 0
    for comment in comments:
        page = archive.of_issue(comment["issueKey"])
        assert f'id="c{comment["id"]}"' in page
        for change in comment["changeLog"] or ():
            value = change["newValue"] or ""
            if value and change["field"] != "notification" and "\n" not in value:
                changes += 1
                assert escape(value) in page, (comment["issueKey"], change)
    assert changes > 20


def test_an_issue_with_everything(archive: Archive) -> None:
    page = archive.pages["projects/ARC/issues/ARC-1.html"]
    found = read(page)
    assert '<h2 id="s1">画面の仕様</h2>' in page and '<li><a href="#s1"' in page
    assert "<strong>重要</strong>" in page and '<span style="color:red">' in page
    # Links: to itself, the wiki, the child, the related one, and elsewhere.
    assert "../../../projects/ARC/issues/ARC-2.html" in found.links
    assert any(link.startswith("../../../projects/ARC/wiki/") for link in found.links)
    assert "https://example.com/drive/1" in found.links
    assert "悪いリンク" in page and "hacked" not in "".join(found.links)
    # The image once in the text and once among the files, and the drawing, which is shown but not linked.
    assert len([image for image in found.images if image.endswith(".png")]) == 2
    assert len([image for image in found.images if image.endswith(".svg")]) == 1
    assert not [link for link in found.links if unquote(link).endswith((".svg", "危険.html"))]
    for text in ("2026-08-31", "7.5", "1.25", "ファイルなし", "スクリプトが動くことがある", "着手します"):
        assert text in page
    child = archive.pages["projects/ARC/issues/ARC-2.html"]
    assert "../../../projects/ARC/issues/ARC-1.html" in read(child).links


def test_markdown_and_documents(archive: Archive) -> None:
    wiki = next(text for name, text in archive.pages.items() if name.startswith("projects/MD/wiki/"))
    for piece in ("<h2>Release</h2>", "<strong>Important</strong>", "☑ build", "☐ deploy", "<td>佐藤</td>"):
        assert piece in wiki
    assert '<code class="language-sh">' not in wiki and "make test" in wiki
    assert len(read(wiki).images) == 2
    document = next(text for text in archive.pages.values() if "<h1>📘 設計書</h1>" in text)
    assert "<p>一行目</p>" in document and "良いと思います" in document
    assert "../../../projects/ARC/issues/ARC-1.html" in read(document).links
    tree = archive.pages["projects/ARC/documents.html"]
    assert re.search(r"padding-left:0\.0em.*設計書.*\n.*padding-left:1\.4em.*付録", tree)


def test_what_was_deleted_says_so(archive: Archive) -> None:
    assert "Backlog では削除済み</span> 2027-01-01 00:30" in archive.of_issue(archive.gone)
    assert "Backlog では削除済み" not in archive.of_issue("ARC-1")


def test_a_project_that_is_no_longer_visible_is_kept(archive: Archive) -> None:
    index = archive.pages["index.html"]
    assert re.search(r'LOST/index\.html">LOST</a> <span class="badge gone"><span [^>]*>Backlog では見えなく', index)
    assert "残したい課題" in archive.of_issue("LOST-1")
    # Its rule is that of the space.
    assert any("<h2>残したいページ</h2>" in text for text in archive.pages.values())
    assert re.search(r"SECRET</td>.*参加していないプロジェクト", index)


def test_nothing_runs_and_nothing_is_asked_of_the_network(archive: Archive) -> None:
    for name, text in archive.pages.items():
        assert read(text).found == [], name
        assert "default-src 'none'" in text
    bad = [text for name, text in archive.pages.items() if "/BAD" in name]
    assert len(bad) > 150
    assert sum("&lt;script&gt;" in text for text in bad) > 50


def test_no_page_is_large(archive: Archive) -> None:
    sizes = {file: file.stat().st_size for file in archive.folder.rglob("*") if file.is_file()}
    assert max(sizes.values()) < PAGE_BYTES
    long = next(issue for issue in archive.held["issues"].values() if issue["summary"] == "コメントの多い課題")
    pages = [name for name in archive.pages if re.search(rf"/{long['issueKey']}(-\d+)?\.html", name)]
    assert len(pages) > 4
    text = archive.of_issue(long["issueKey"])
    assert text.count("長") >= 120_000
    for number in range(150):
        assert f"{number} 番目のコメント" in text
    assert archive.of_issue("ARC-2").count("長い値です。") >= 2000


def test_a_text_of_several_pages_has_its_contents_on_the_first(archive: Archive) -> None:
    first = next(name for name, text in archive.pages.items() if "<h1>長いページ</h1>" in text and "-" not in name)
    contents = re.search(r'<ul class="contents">.*?</ul>', archive.pages[first], re.S).group()  # type: ignore[union-attr]
    links = read(contents).links
    assert len(links) == 100
    assert links[0] == "#s1" and re.fullmatch(r"\d+-\d+\.html#s100", links[-1])
    last = archive.pages[posixpath.join(posixpath.dirname(first), links[-1].partition("#")[0])]
    assert '<h2 id="s100">第100章</h2>' in last


def test_every_link_leads_somewhere(archive: Archive) -> None:
    ids = {name: read(text).ids for name, text in archive.pages.items()}
    checked = 0
    for name, text in archive.pages.items():
        found = read(text)
        for link in (*found.links, *found.images):
            if re.match(r"(?:https?|mailto):", link):
                continue
            address, _, anchor = link.partition("#")
            target = (archive.folder / name).parent / unquote(address) if address else archive.folder / name
            assert target.is_file(), (name, link)
            checked += 1
            if anchor:
                assert (
                    anchor
                    in ids[
                        posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(address)))
                        if address
                        else name
                    ]
                ), (name, link)
    assert checked > 1000


def test_in_a_browser(archive: Archive, tmp_path: Path) -> None:
    program()
    # A folder that can be moved, in a place whose name has to be encoded.
    place = tmp_path / "保管 #1"
    shutil.copytree(archive.folder, place / "archive")
    shutil.copytree(archive.folder.parent / "files", place / "files")
    with Browser() as browser:
        browser.open((place / "archive" / "index.html").as_uri())
        assert browser.evaluate("document.querySelector('h1').innerText") == "プロジェクト"

        # To an issue over the list, and to its image.
        browser.follow("a[href='projects/ARC/index.html']")
        browser.follow("a[href='issues.html']")
        browser.follow("a[href$='/ARC-1.html']")
        assert browser.evaluate("document.querySelector('h1').innerText") == "ARC-1 ログイン画面の仕様を決める"
        browser.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        browser.until("[...document.images].every(image => image.complete)")
        sizes = browser.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert sizes == [320, 320, 20]

        # Another language, which goes along.
        assert "コメントと更新履歴" in browser.evaluate("document.body.innerText")
        browser.click("button[data-language=en]")
        browser.until("document.body.innerText.includes('Comments and history')")
        assert not browser.evaluate("document.body.innerText.includes('コメントと更新履歴')")
        browser.follow("a[href*='ARC-2.html']")
        assert "Parent issue" in browser.evaluate("document.body.innerText")
        assert browser.evaluate("document.documentElement.lang") == "en"

        # The search: in Japanese, by key, by the beginning of a word, and without a result.
        for question, first in (
            ("仕様を決め", "ARC-1 ログイン画面の仕様を決める"),
            ("ARC-2", "ARC-2 請求書の様式"),
            ("releas 1.0", "MD-1 Release 1.0"),
            ("議事録", "定例/議事録"),
            ("ありえない文字列", None),
        ):
            browser.evaluate("document.querySelector('input[name=q]').select()")
            browser.evaluate("document.querySelector('input[name=q]').focus()")
            browser.write(question)
            browser.until("document.getElementById('count').dataset.done !== undefined")
            found = browser.evaluate("[...document.querySelectorAll('#results a')].map(link => link.innerText)")
            assert (found[0] if found else None) == first, question
            assert browser.evaluate("document.querySelector('h1').innerText") == "Search"
        assert "Nothing was found." in browser.evaluate("document.body.innerText")
        browser.evaluate("document.querySelector('input[name=q]').select()")
        browser.write("ARC-1")
        browser.until("document.querySelector('#results a')")
        browser.follow("#results a")
        assert browser.evaluate("document.documentElement.lang") == "en"

        # On a telephone nothing is wider than the screen.
        browser.size(390, 800)
        for name in ("index.html", "projects/ARC/index.html", "projects/ARC/issues/ARC-1.html", "search.html?q=ARC"):
            browser.open((place / "archive").as_uri() + "/" + name)
            assert browser.evaluate("document.documentElement.scrollWidth") <= 390, name

        # No hostile text runs, and no page asks for anything beside the folder.
        hostile = [name for name in archive.pages if "/BAD" in name]
        for name in hostile[:: len(hostile) // 20]:
            browser.open((place / "archive" / name).as_uri())
            assert browser.evaluate("typeof hacked") == "undefined", name
        assert len(hostile) > 150
        assert not [address for address in browser.asked if not address.startswith(place.as_uri())]
        assert browser.errors == []
