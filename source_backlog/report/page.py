"""The page: sections for each choice of the filter, all of them in one file, with the charts inside."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path

from source_backlog.report import charts
from source_backlog.report.data import OVERDUE, Ask, Report, View, read
from source_backlog.report.style import SCRIPT, STYLE

PROJECTS = 12
"""At most so many projects have sections of their own: each adds a quarter of a megabyte at most."""

Text = tuple[str, str]
"""Japanese and English."""

TITLE: Text = ("Backlog の状況", "The state of Backlog")
EVERYTHING: Text = ("すべてのプロジェクト", "All projects")


def write(ask: Ask, file: Path, *, schema: str = "analytics") -> None:
    """Write the page of the tables in `schema`, which the dbt package in `models/` has built.

    `ask` runs one query and gives its rows. Raises what `ask` raises where a table is missing.
    """
    file.write_text(page(read(ask, schema, PROJECTS)), encoding="utf-8")


def page(report: Report) -> str:
    """The whole page."""
    options = "".join(_option(number, view) for number, view in enumerate(report.views))
    views = "".join(
        f'<main class="view" id="view{number}"{" hidden" if number else ""}>{sections(view, report)}</main>'
        for number, view in enumerate(report.views)
    )
    stamp = f"{report.as_of.replace(tzinfo=UTC):%Y-%m-%d %H:%M} UTC"
    return (
        '<!DOCTYPE html>\n<html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE[0]} / {TITLE[1]}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{both(TITLE)}</h1><p>{both(('データの時点', 'Data as of'))} <time>{stamp}</time></p>"
        f'<form><label>{both(("プロジェクト", "Project"))} <select id="project">{options}</select></label>'
        '<span class="languages"><button type="button" data-lang="ja">日本語</button>'
        '<button type="button" data-lang="en">English</button></span></form></header>'
        f"{views}<script>{SCRIPT}</script></body></html>\n"
    )


def _option(number: int, view: View) -> str:
    """One choice of the filter; the first is everything."""
    if view.key:
        return f'<option value="{number}">{html.escape(f"{view.key} {view.name}")}</option>'
    return f'<option value="{number}" data-ja="{EVERYTHING[0]}" data-en="{EVERYTHING[1]}">{EVERYTHING[0]}</option>'


def both(text: Text) -> str:
    """A text in both languages, of which the page shows one."""
    return f'<span class="lang-ja">{html.escape(text[0])}</span><span class="lang-en">{html.escape(text[1])}</span>'


def section(title: Text, how: Text, contents: str, report: Report, *, wide: bool = False) -> str:
    """A chart or a list with its heading, how to read it, and the time of its data."""
    day = report.today.isoformat()
    return (
        f'<section class="{"wide" if wide else ""}"><h2>{both(title)}</h2><p class="how">{both(how)}</p>{contents}'
        f'<p class="stamp">{both((f"{day} 時点", f"As of {day}"))}</p></section>'
    )


def nothing(text: Text) -> str:
    """In place of a chart that has nothing to show."""
    return f'<p class="nothing">{both(text)}</p>'


def drawn(draw: Callable[[charts.Size], str], sizes: Sequence[charts.Size] = charts.HALF) -> str:
    """A chart at the size of a screen and at that of a phone."""
    return f'<div class="chart">{"".join(draw(size) for size in sizes)}</div>'


def sections(view: View, report: Report) -> str:
    """All sections of a choice of the filter."""
    parts = (_burndown, _flow, _lead_times, _hours, _coverage, _synced, _overdue)
    return "".join(part(view, report) for part in parts)


def legend(entries: Sequence[tuple[str, Text]]) -> str:
    """Colours and what they stand for."""
    marks = "".join(f'<li><i style="background:{html.escape(color)}"></i>{both(text)}</li>' for color, text in entries)
    return f'<ul class="legend">{marks}</ul>'


def _burndown(view: View, report: Report) -> str:
    data = view.burndown
    title = "バーンダウン", "Burndown"
    how = (
        "赤い線が点線より上なら、期限に対して遅れています。灰色の線はその日の課題の総数です。",
        "Above the dashed line the milestone is behind its plan. The grey line is the scope of each day.",
    )
    if data is None or not any(scope is not None for _, scope, _, _ in data.days):
        return section(title, how, nothing(("マイルストーンに課題がありません。", "No milestone has issues.")), report)
    key = legend(
        [
            (charts.OPEN, ("残り", "Open")),
            (charts.PLAN, ("総数", "Scope")),
            ("repeating-linear-gradient(90deg,#8a8f98 0 4px,#fff 4px 7px)", ("理想線", "Ideal")),
        ]
    )
    named = f"{title[0]}: {data.milestone}", f"{title[1]}: {data.milestone}"
    return section(
        named, how, drawn(lambda size: charts.burndown(data, report.today, size), charts.WHOLE) + key, report, wide=True
    )


def _flow(view: View, report: Report) -> str:
    title = "累積フロー", "Cumulative flow"
    how = (
        "帯が太くなっていく状態に、仕事がたまっています。",
        "Work piles up in the status whose band grows wider.",
    )
    if not view.statuses:
        return section(title, how, nothing(("課題がありません。", "There are no issues.")), report)
    key = legend([(status.color, (status.name, status.name)) for status in reversed(view.statuses)])
    return section(title, how, drawn(lambda size: charts.flow(view.statuses, size)) + key, report)


def _lead_times(view: View, report: Report) -> str:
    title = "完了までの日数", "Days from creation to closing"
    how = (
        "この半年に完了した課題が対象です。縦線より左に、その割合の課題があります。",
        "Issues closed in the last half year. That share of them lies to the left of each vertical line.",
    )
    if not view.lead_days:
        return section(title, how, nothing(("完了した課題がありません。", "No issue was closed.")), report)
    return section(title, how, drawn(lambda size: charts.lead_times(view.lead_days, size)), report)


def _hours(view: View, report: Report) -> str:
    title = "月別・カテゴリー別の実績時間", "Hours by month and category"
    how = (
        "実績時間を入力した月で数えています。複数のカテゴリーがある課題は等分しています。",
        "In the month in which they were entered; the hours of an issue in several categories are shared equally.",
    )
    sums: dict[str, float] = {}
    for of_month in view.hours.values():
        for category, value in of_month.items():
            sums[category] = sums.get(category, 0) + value
    if not sums:
        return section(title, how, nothing(("実績時間がありません。", "No hours were entered.")), report)
    categories = sorted(sums, key=lambda each: (each == "", -sums[each]))
    entries = [
        (charts.PALETTE[place % len(charts.PALETTE)], (name, name) if name else ("カテゴリーなし", "No category"))
        for place, name in enumerate(categories)
    ]
    chart = drawn(lambda size: charts.hours(view.hours, categories, size))
    return section(title, how, chart + legend(entries), report)


def _overdue(view: View, report: Report) -> str:
    title = "期限切れの課題", "Overdue issues"
    how = (
        "期限日を過ぎて完了していない課題です。古い順です。",
        "Open issues whose due date has passed, the oldest first.",
    )
    if not view.late:
        return section(title, how, nothing(("期限切れの課題はありません。", "Nothing is overdue.")), report)
    rows = "".join(
        f"<tr><td>{html.escape(each.key)}</td><td>{html.escape(each.summary)}</td>"
        f"<td>{html.escape(each.assignee or '–')}</td><td>{each.due}</td><td class='number'>{each.days}</td></tr>"
        for each in view.late
    )
    head = row_of(
        ("キー", "Key"), ("件名", "Summary"), ("担当者", "Assignee"), ("期限日", "Due"), ("超過日数", "Days late")
    )
    more = ""
    if view.late_in_all > OVERDUE:
        rest = view.late_in_all - OVERDUE
        more = f'<p class="stamp">{both((f"ほか {rest} 件", f"and {rest} more"))}</p>'
    table = f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{more}'
    return section(title, how, table, report, wide=True)


def _coverage(view: View, report: Report) -> str:
    title = "データの確かさ", "How much of it is known"
    how = (
        "課題の履歴のうち、Backlog の記録だけで確定できる値の割合です。",
        "The share of the values in the history of issues that Backlog's records settle exactly.",
    )
    rows = "".join(
        f"<tr><td>{html.escape(key)}</td><td class='number'>{issues:,}</td><td class='number'>{values:,}</td>"
        f"<td class='number'>{share:.1%}</td></tr>"
        for key, issues, values, share in view.coverage
    )
    head = row_of(("プロジェクト", "Project"), ("課題", "Issues"), ("値", "Values"), ("確定", "Exact"), numbers=3)
    return section(
        title, how, f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>', report
    )


REASONS: dict[str, Text] = {
    "role": ("権限がない", "the role of the key's user"),
    "plan": ("プランにない", "not in the plan"),
    "feature_off": ("機能が無効", "switched off"),
    "refused": ("拒否された", "refused"),
    "failed": ("読み取りに失敗", "failed"),
    "not_selected_project": ("対象外のプロジェクト", "a project that is not selected"),
}


def _synced(view: View, report: Report) -> str:
    """Left out where no table tells."""
    synced = view.synced
    if not synced.parts:
        return ""
    title = "同期の範囲", "What the syncs have read"
    whole = synced.parts - len(synced.gaps)
    how = (
        f"ストリーム {synced.parts} 件のうち {whole} 件は、すべて読み取られています。",
        f"{whole} of {synced.parts} streams were read completely.",
    )
    if not synced.gaps:
        return section(title, how, nothing(("抜けはありません。", "Nothing is missing.")), report, wide=True)
    rows = "".join(
        f"<tr><td>{html.escape(gap.project or '–')}</td><td>{html.escape(gap.stream)}</td>"
        f"<td>{both(REASONS.get(gap.reason or '', (gap.reason or '–', gap.reason or '–')))}</td>"
        f"<td class='number'>{'–' if gap.missing is None else f'{gap.missing:,}'}</td></tr>"
        for gap in synced.gaps[:OVERDUE]
    )
    rest = len(synced.gaps) - OVERDUE
    more = f'<p class="stamp">{both((f"ほか {rest} 件", f"and {rest} more"))}</p>' if rest > 0 else ""
    head = row_of(("プロジェクト", "Project"), ("ストリーム", "Stream"), ("理由", "Reason"), ("不足行", "Missing"))
    table = f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{more}'
    return section(title, how, table, report, wide=True)


def row_of(*names: Text, numbers: int = 1) -> str:
    """A row of headings; the last ones are of numbers."""
    words = len(names) - numbers
    cells = "".join(
        f'<th class="{"number" if place >= words else ""}">{both(name)}</th>' for place, name in enumerate(names)
    )
    return f"<tr>{cells}</tr>"
