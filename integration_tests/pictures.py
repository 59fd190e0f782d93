"""Three pictures of a project, drawn from the tables that the dbt project in `models/` builds.

PNG files, and one HTML page that holds them all and needs nothing else.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes

# Backlog's own colours of open and closed, and a grey that reads on both.
OPEN, CLOSED, PLAN = "#ed8077", "#4caf93", "#8a8f98"
JAPANESE_FONTS = ("IPAexGothic", "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "TakaoGothic")


def draw(database: Path, folder: Path, project: str) -> list[Path]:
    """Draw the pictures of `project` (its key) into `folder`; returns the files, the HTML page last."""
    _choose_fonts()
    folder.mkdir(parents=True, exist_ok=True)
    files, sections = [], []
    with duckdb.connect(str(database), read_only=True) as connection:
        for name, picture in PICTURES.items():
            figure, axes = plt.subplots(figsize=(10, 5), dpi=120, layout="constrained")
            caption = picture(connection, project, axes)
            axes.spines[["top", "right"]].set_visible(False)
            file = folder / f"{name}.png"
            figure.savefig(file)
            plt.close(figure)
            files.append(file)
            data = base64.b64encode(file.read_bytes()).decode()
            title = html.escape(axes.get_title(loc="left"))
            sections.append(
                f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        (name,) = connection.execute("SELECT name FROM main.projects WHERE projectkey = ?", [project]).fetchone()
    page = folder / "index.html"
    page.write_text(PAGE.format(title=html.escape(f"{project} {name}"), figures="\n".join(sections)), encoding="utf-8")
    return [*files, page]


def burndown(connection: Any, project: str, axes: Axes) -> str:
    """The milestone of the project with the most issues."""
    rows = connection.execute(
        """
        SELECT burndown.milestone, burndown.day, burndown.open_issues, burndown.scope_issues, burndown.ideal_issues
        FROM analytics.burndown
        WHERE burndown.milestone_id = (
            SELECT milestone_id
            FROM analytics.burndown
            INNER JOIN main.projects ON projects.id = burndown.project_id
            WHERE projects.projectkey = ? AND burndown.ideal_issues IS NOT NULL
            GROUP BY milestone_id
            ORDER BY max(scope_issues) DESC, milestone_id
            LIMIT 1
        )
        ORDER BY burndown.day
        """,
        [project],
    ).fetchall()
    milestone = rows[0][0]
    days = [row[1] for row in rows]
    known = [row for row in rows if row[2] is not None]
    plan = [row for row in rows if row[4] is not None]
    axes.set_title(f"{project} {milestone}: burndown", loc="left", fontsize=14)
    axes.step(
        [row[1] for row in known], [row[3] for row in known], where="post", color=PLAN, linewidth=1, label="All issues"
    )
    axes.step(
        [row[1] for row in known], [row[2] for row in known], where="post", color=OPEN, linewidth=2, label="Open issues"
    )
    axes.fill_between([row[1] for row in known], [row[2] for row in known], step="post", color=OPEN, alpha=0.15)
    axes.plot([row[1] for row in plan], [row[4] for row in plan], "--", color=PLAN, linewidth=1, label="Ideal")
    axes.axvline(plan[-1][1], color=PLAN, linewidth=1, linestyle=":")
    axes.annotate(
        "due", (plan[-1][1], axes.get_ylim()[1]), xytext=(-4, -14), textcoords="offset points", ha="right", color=PLAN
    )
    axes.set_xlim(days[0], days[-1])
    axes.set_ylim(bottom=0)
    _date_axis(axes)
    axes.set_ylabel("Issues")
    _legend(axes)
    return f"{known[-1][2]} of {known[-1][3]} issues of {milestone} are open on {known[-1][1]}."


def cumulative_flow(connection: Any, project: str, axes: Axes) -> str:
    """Issues of the project by status, at the end of each day."""
    statuses = connection.execute(
        """
        SELECT statuses.id, statuses.name, statuses.color
        FROM main.statuses
        WHERE statuses.projectkey = ?
        ORDER BY CASE WHEN statuses.id = 4 THEN 0 ELSE 1 END, statuses.displayorder DESC
        """,
        [project],
    ).fetchall()
    counts = {
        (day, status): number
        for day, status, number in connection.execute(
            """
            SELECT daily.day, daily.status_id, count(*)
            FROM analytics.issue_daily_status AS daily
            INNER JOIN main.projects ON projects.id = daily.project_id
            WHERE projects.projectkey = ?
            GROUP BY ALL
            """,
            [project],
        ).fetchall()
    }
    days = sorted({day for day, _ in counts})
    layers = [[counts.get((day, status), 0) for day in days] for status, _, _ in statuses]
    axes.set_title(f"{project}: cumulative flow", loc="left", fontsize=14)
    axes.stackplot(days, layers, labels=[name for _, name, _ in statuses], colors=[color for _, _, color in statuses])
    axes.set_xlim(days[0], days[-1])
    axes.set_ylim(bottom=0)
    _date_axis(axes)
    axes.set_ylabel("Issues")
    _legend(axes)
    now = ", ".join(f"{layer[-1]} {name}" for layer, (_, name, _) in zip(layers, statuses, strict=True) if layer[-1])
    return f"On {days[-1]}: {now}."


def lead_times(connection: Any, project: str, axes: Axes) -> str:
    """How long the closed issues of the project took, from creation to close."""
    rows = connection.execute(
        """
        SELECT lead.lead_hours / 24
        FROM analytics.issue_lead_times AS lead
        INNER JOIN main.projects ON projects.id = lead.project_id
        WHERE lead.lead_hours IS NOT NULL AND projects.projectkey = ?
        """,
        [project],
    ).fetchall()
    days = [float(value) for (value,) in rows]
    step = next(step for step in (1, 2, 7, 14, 28, 10_000) if max(days) / step <= 30)
    axes.set_title(f"{project}: lead time of closed issues", loc="left", fontsize=14)
    axes.hist(days, bins=[step * number for number in range(int(max(days) / step) + 2)], color=CLOSED)
    middle = median(days)
    axes.axvline(middle, color=OPEN, linewidth=2, label=f"Median: {middle:.0f} days")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(left=0)
    axes.set_xlabel("Days from creation to close")
    axes.set_ylabel("Issues")
    _legend(axes)
    return f"Half of the {len(days)} closed issues took {middle:.0f} days or less, the longest {max(days):.0f}."


PICTURES: dict[str, Callable[[Any, str, Axes], str]] = {
    "burndown": burndown,
    "cumulative-flow": cumulative_flow,
    "lead-times": lead_times,
}

PAGE = """<!doctype html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #333; }}
figure {{ margin: 0 0 3rem; }}
img {{ width: 100%; height: auto; }}
figcaption {{ color: #666; }}
</style>
</head>
<body>
<h1>{title}</h1>
{figures}
</body>
</html>
"""


def _choose_fonts() -> None:
    with suppress(ImportError):
        # Registers the font that it brings.
        import matplotlib_fontja  # noqa: F401
    known = {font.name for font in font_manager.fontManager.ttflist}
    plt.rcParams["font.family"] = [*(name for name in JAPANESE_FONTS if name in known), "DejaVu Sans"]


def _legend(axes: Axes) -> None:
    # Above the picture, where it hides nothing; the layers of a stack are listed from the top.
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], ncols=6, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))


def _date_axis(axes: Axes) -> None:
    locator = matplotlib.dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
