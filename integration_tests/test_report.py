"""The page that `backlog-sync --report` makes, for a project with a past and for a space without issues."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from integration_tests import demo, tables
from integration_tests.emulator import Space
from integration_tests.emulator.generator import generate
from integration_tests.lives import STREAMS
from integration_tests.postgresql import PASSWORD, postgresql
from integration_tests.warehouse import in_this_process, needs
from source_backlog.report import write
from source_backlog.sync import main, reporting

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow


def page_of(held: tables.Tables, folder: Path) -> tuple[str, Any]:
    file = folder / "space.duckdb"
    tables.to_duckdb(file, held)
    with in_this_process():
        assert main(["--report", str(folder / "page"), "--to", f"duckdb:///{file}"]) == 0
    assert {each.name for each in folder.iterdir()} == {"space.duckdb", "page"}, "something was left behind"
    return (folder / "page" / "index.html").read_text(encoding="utf-8"), duckdb.connect(str(file))


@pytest.fixture(scope="module")
def worked() -> tables.Tables:
    space = generate(seed=7, projects=2, issues=60, now=demo.QUARTER_BEGINS)
    demo.work_for_a_quarter(space)
    space.update_issue(
        space.project("SHOP").issues[0], summary="<script>alert('<b>&')</script>", due_date="2026-04-07", status=1
    )
    return tables.of_space(space, STREAMS)


@pytest.fixture(scope="module")
def quarter(worked: tables.Tables, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    return page_of(worked, tmp_path_factory.mktemp("report"))


def views(page: str) -> list[str]:
    return page.split('<main class="view"')[1:]


def test_the_page_needs_nothing_else(quarter: tuple[str, Any]) -> None:
    page, _ = quarter
    assert not re.search(r"""(?:src|href)=|url\(|@import|https?://""", page)
    assert page.count("<svg") > 10 and "<img" not in page


def test_postgresql_gives_the_same_page(
    worked: tables.Tables, quarter: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("dbt-postgres", "dbt-postgres (the extra `report`) is not installed")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgresql() as server, psycopg2.connect(**server) as connection:
        tables.to_postgres(connection, worked, "backlog")
        url = f"postgresql://{server['user']}@{server['host']}:{server['port']}/{server['dbname']}"
        with in_this_process():
            assert main(["--report", str(tmp_path / "page"), "--to", url]) == 0
        assert (tmp_path / "page" / "index.html").read_text(encoding="utf-8") == quarter[0]


def test_what_people_wrote_is_text(quarter: tuple[str, Any]) -> None:
    page, _ = quarter
    assert page.count("<script>") == 1 and "&lt;script&gt;alert(&#x27;&lt;b&gt;&amp;&#x27;)" in page


def test_each_section_has_a_heading_a_sentence_and_its_time_in_both_languages(quarter: tuple[str, Any]) -> None:
    page, connection = quarter
    ((today,),) = connection.execute("SELECT as_of_day FROM main_report.stg_backlog__as_of").fetchall()
    sections = re.findall(r"<section.*?</section>", page, re.S)
    assert len(sections) == 6 * len(views(page))
    for section in sections:
        heading, how = re.search(r"<h2>(.*?)</h2><p class=\"how\">(.*?)</p>", section).groups()  # type: ignore[union-attr]
        for text in (heading, how):
            assert text.count('class="lang-ja"') == text.count('class="lang-en"') == 1
        assert f"{today} 時点" in section and f"As of {today}" in section


def test_the_filter_has_every_project(quarter: tuple[str, Any]) -> None:
    page, connection = quarter
    keys = connection.execute(
        "SELECT project_key FROM main_report.project_enhanced WHERE issues > 0 AND NOT is_archived"
    )
    options = re.findall(r"<option [^>]*>(.*?)</option>", page)
    assert {option.split()[0] for option in options[1:]} == {key for (key,) in keys.fetchall()}
    assert len(views(page)) == len(options)


def view_of(page: str, key: str = "SHOP") -> str:
    options = re.findall(r"<option [^>]*>(.*?)</option>", page)
    return views(page)[next(n for n, option in enumerate(options) if option.startswith(f"{key} "))]


def statuses(view: str) -> list[str]:
    """What the legend of the cumulative flow names."""
    legend = re.search(r'累積フロー.*?<ul class="legend">(.*?)</ul>', view, re.S).group(1)  # type: ignore[union-attr]
    return re.findall(r'class="lang-ja">(.*?)<', legend)


def test_the_charts_show_the_figures_of_the_models(quarter: tuple[str, Any]) -> None:
    page, connection = quarter
    view = view_of(page)
    assert "夏のリリース" in view
    ((closed, reopened),) = connection.execute(
        "SELECT closed_issues, reopened_issues FROM main_report.project_enhanced WHERE project_key = 'SHOP'"
    ).fetchall()
    assert closed > 20 and reopened > 3, "the demo has to have something to show"
    bars = re.findall(r'<svg class="wide"[^>]*aria-label="lead times".*?</svg>', view, re.S)
    days = sorted(
        hours / 24
        for (hours,) in connection.execute(
            "SELECT lead_hours FROM main_report.lead_times JOIN main_report.issue_enhanced USING (issue_id) "
            "WHERE project_key = 'SHOP' AND closed_at IS NOT NULL"
        ).fetchall()
    )
    median = days[-(-len(days) // 2) - 1]
    assert f"50% within {median:.1f} days" in bars[0]
    late = connection.execute(
        "SELECT issue_key, days_overdue FROM main_report.overdue WHERE project_key = 'SHOP'"
    ).fetchall()
    for key, number in late[:15]:
        assert re.search(rf"<td>{key}</td>.*?<td class=.number.>{number}</td>", view), key
    # Statuses in the order of the workflow, from what waits to what is done.
    assert statuses(view) == ["未対応", "処理中", "処理済み", "レビュー待ち", "完了"]


def test_a_status_with_another_name_is_the_same_one(tmp_path: Path) -> None:
    space = generate(seed=7, projects=3, issues=60, showcase=False)
    first, second, third = [*space.projects.values()][:3]
    for project in (first, second, third):
        for issue, status in zip(project.issues, (1, 4), strict=False):
            space.update_issue(issue, status=status)
    before, after = (space.create_status(second, name) for name in ("確認待ち", "返答待ち"))
    waiting, asked, *_ = second.issues
    space.update_issue(waiting, status=before)
    space.update_issue(asked, status=after)
    space.update_status(first, 4, name="検収済み")
    # Two statuses of one name.
    space.update_status(second, after, name="確認待ち")
    space.advance(86_400)
    page, _ = page_of(tables.of_space(space, STREAMS), tmp_path)
    assert statuses(view_of(page, first.key))[-1] == "検収済み"
    assert statuses(view_of(page, second.key)).count("確認待ち") == 2
    everything = statuses(views(page)[0])
    assert everything[-1] == "完了" and "検収済み" not in everything, "built-in statuses are one in all projects"
    assert everything.count("確認待ち") == 1, "custom ones go by their names"


def test_months_stand_below_the_days(quarter: tuple[str, Any]) -> None:
    view = view_of(quarter[0])
    burndown = re.search(r'<svg class="wide"[^>]*aria-label="夏のリリース".*?</svg>', view, re.S).group()  # type: ignore[union-attr]
    for text in ("2026年4月", "6月", "Jun", "Jul"):
        assert f">{text}</text>" in burndown


def test_a_space_without_issues_says_so(tmp_path: Path) -> None:
    space = Space(seed=1)
    space.add_user("admin", "管理者", role_type=1, persona="administrator")
    space.create_version(space.create_project("NEW", "新規"), "1.0")
    page, _ = page_of(tables.of_space(space, STREAMS), tmp_path)
    assert len(views(page)) == 1
    for text in ("課題がありません。", "Nothing is overdue.", "No hours were entered.", "No issue was closed."):
        assert text in page


def test_what_there_is_no_page_of_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backlog.duckdb"

    def said(*options: str) -> str:
        with in_this_process():
            assert main(["--to", f"duckdb:///{file}", "--report", str(tmp_path / "page"), *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return str(line)

    assert f"There is no file {file}." in said()
    duckdb.connect(str(file)).execute("CREATE TABLE issues (id BIGINT)").close()
    assert "There is no table projects in" in said()
    assert "makes a page of what is in DuckDB or PostgreSQL" in said("--to", f"file://{tmp_path}")
    assert "is no folder" in said("--report", str(tmp_path / "none" / "page"))
    monkeypatch.setitem(reporting.ADAPTERS, "duckdb", "dbt.adapters.of_another_world")
    assert "pip install 'airbyte-source-backlog[duckdb,report]'" in said()
    assert {each.name for each in tmp_path.iterdir()} == {"backlog.duckdb"}


def test_what_the_syncs_have_read_is_shown_where_a_table_tells(quarter: tuple[str, Any], tmp_path: Path) -> None:
    page, connection = quarter
    assert "What the syncs have read" not in page
    ((project,),) = connection.execute(
        "SELECT project_id FROM main_report.project_enhanced WHERE project_key = 'SHOP'"
    ).fetchall()
    connection.execute(
        "CREATE OR REPLACE TABLE main_report.coverage AS SELECT * FROM (VALUES "
        f"('issues', {project}, 'SHOP', true, NULL, 0), ('wikis', {project}, 'SHOP', true, NULL, 7), "
        f"('pull_requests', {project}, 'SHOP', false, 'feature_off', NULL), ('licence', 0, NULL, false, 'role', NULL)"
        ") AS told (stream, project_id, project_key, is_complete, reason, missing)"
    )
    write(lambda query: connection.execute(query).fetchall(), tmp_path / "index.html", schema="main_report")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    everything, view = views(page)[0], view_of(page)
    assert "1 of 4 streams were read completely" in everything and "1 of 3 streams were read completely" in view
    assert "the role of the key&#x27;s user" in everything and "the role of" not in view
    (wikis,) = re.findall(r"<tr><td>SHOP</td><td>wikis</td>.*?</tr>", view)
    assert wikis.endswith("<td class='number'>7</td></tr>") and "switched off" in view
    # Nowhere else.
    assert page.count("<h2>") == 6 * len(views(page)) + 2
