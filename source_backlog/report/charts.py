"""Charts as SVG: plain text, no library. Each is drawn twice, for a screen and for a phone, at its own size of type."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from source_backlog.report.data import Burndown, Status

PALETTE = ("#3a6ea5", "#e07b39", "#4caf93", "#b0478e", "#c9a227", "#6d5bae", "#8a8f98", "#2f8f9d")
PLAN, OPEN, INK = "#8a8f98", "#d9534f", "#3c4043"


@dataclass(frozen=True)
class Size:
    """The size of a drawing; `type` is that of its letters."""

    name: str
    width: int
    height: int
    type: int = 12


NARROW = Size("narrow", 350, 260, 11)
WHOLE = (Size("wide", 1180, 320, 13), NARROW)
HALF = (Size("wide", 570, 270), NARROW)
"""For a section of the whole width, and of half of it; on a phone they are the same."""


class Canvas:
    """A drawing with axes; days or numbers from left to right."""

    def __init__(self, size: Size, first: float, last: float, top: float) -> None:
        self.size, self.first, self.last = size, first, max(last, first + 1)
        self.left, self.right, self.above, self.below = 38, 10, 16, 26
        self.step = nice_step(top)
        self.top = max(self.step, self.step * -(-top // self.step))
        self.parts: list[str] = []

    def x(self, value: float) -> float:
        """Pixels from the left."""
        width = self.size.width - self.left - self.right
        return round(self.left + (value - self.first) / (self.last - self.first) * width, 1)

    def y(self, value: float) -> float:
        """Pixels from above."""
        height = self.size.height - self.above - self.below
        return round(self.size.height - self.below - value / self.top * height, 1)

    def grid(self) -> None:
        """Horizontal lines with their numbers."""
        value = 0.0
        while value <= self.top + 1e-9:
            y = self.y(value)
            end = self.size.width - self.right
            self.parts.append(f'<line class="grid" x1="{self.left}" x2="{end}" y1="{y}" y2="{y}"/>')
            self.text(self.left - 6, y + 4, f"{value:g}", anchor="end")
            value += self.step

    def months(self) -> None:
        """A tick at the first of each month, and its name where there is room."""
        first, last = date.fromordinal(int(self.first)), date.fromordinal(int(self.last))
        starts = months(first, last)
        room = max(1, (self.size.width - self.left) // 58)
        every = -(-len(starts) // room)
        begun = not starts or self.x(starts[0].toordinal()) - self.left > 110
        if begun:
            for language in ("ja", "en"):
                name = month_name(first, language, True)
                self.text(self.left, self.size.height - 8, name, anchor="start", css=f"lang-{language}")
        for number, start in enumerate(starts):
            x = self.x(start.toordinal())
            bottom = self.size.height - self.below
            self.parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
            if number % every == 0 and x < self.size.width - 20:
                for language in ("ja", "en"):
                    self.text(
                        x, bottom + 18, month_name(start, language, number == 0 and not begun), css=f"lang-{language}"
                    )

    def text(self, x: float, y: float, text: str, *, anchor: str = "middle", css: str = "") -> None:
        """A text whose base line is at `y`."""
        shown = html.escape(text)
        self.parts.append(f'<text class="{css}" x="{x}" y="{y}" text-anchor="{anchor}">{shown}</text>')

    def mark(self, at: float, japanese: str, english: str, *, css: str = "mark", place: int = 0) -> None:
        """A vertical line with a word; `place` puts the word a line lower."""
        x = self.x(at)
        end = "end" if x > self.size.width * 0.7 else "start"
        gap = -4 if end == "end" else 4
        bottom, above = self.size.height - self.below, self.above
        self.parts.append(f'<line class="{css}" x1="{x}" x2="{x}" y1="{above}" y2="{bottom}"/>')
        for language, word in (("ja", japanese), ("en", english)):
            self.text(x + gap, above + 10 + place * 14, word, anchor=end, css=f"note lang-{language}")

    def path(self, points: Sequence[tuple[float, float]], css: str, *, style: str = "", closed: bool = False) -> None:
        """A line through points, or an area."""
        if points:
            drawn = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
            shape = "polygon" if closed else "polyline"
            self.parts.append(f'<{shape} class="{css}" style="{style}" points="{drawn}"/>')

    def svg(self, label: str) -> str:
        """The drawing."""
        size = self.size
        inside = "".join(self.parts)
        return (
            f'<svg class="{size.name}" role="img" aria-label="{html.escape(label)}" font-size="{size.type}" '
            f'viewBox="0 0 {size.width} {size.height}">{inside}</svg>'
        )


def month_name(month: date, language: str, first: bool) -> str:
    """The name of a month; with its year at the first that is named and at each January."""
    with_year = first or month.month == 1
    if language == "ja":
        return f"{month.year}年{month.month}月" if with_year else f"{month.month}月"
    return f"{month:%b} {month.year}" if with_year else f"{month:%b}"


def months(first: date, last: date) -> list[date]:
    """The first days of months from `first` to `last`."""
    found, day = [], first.replace(day=1)
    while day <= last:
        if day >= first:
            found.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    return found


def nice_step(top: float) -> float:
    """A round distance of lines, four or five of them below `top`."""
    step = 1.0
    for factor in (1, 2, 5) * 12:
        if step * factor * 5 >= top:
            return step * factor
        if factor == 5:
            step *= 10
    return step


def steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of a line that has the height of a day from the day before on: a figure is that of the day's end."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        if found and found[-1][1] != y:
            found.append((found[-1][0], y))
        if len(found) >= 2 and found[-1][1] == found[-2][1] == y:
            found[-1] = (x, y)
        else:
            found.append((x, y))
    return found


def burndown(data: Burndown, today: date, size: Size) -> str:
    """Scope, open issues and the ideal line."""
    days = data.days
    known = [(day, scope, left) for day, scope, left, _ in days if scope is not None and left is not None]
    ideal = [(float(day.toordinal()), value) for day, _, _, value in days if value is not None]
    top = max([scope for _, scope, _ in known] + [value for _, value in ideal] + [1])
    canvas = Canvas(size, days[0][0].toordinal(), days[-1][0].toordinal(), top)
    canvas.grid()
    canvas.months()
    left = steps([(day.toordinal(), value) for day, _, value in known])
    canvas.path([*left, (left[-1][0], 0), (left[0][0], 0)], "area", style=f"fill:{OPEN}", closed=True)
    canvas.path(steps([(day.toordinal(), scope) for day, scope, _ in known]), "line", style=f"stroke:{PLAN}")
    canvas.path(ideal, "line dashed", style=f"stroke:{PLAN}")
    canvas.path(left, "line strong", style=f"stroke:{OPEN}")
    if data.due and days[0][0] <= data.due <= days[-1][0]:
        canvas.mark(data.due.toordinal(), "期限", "due")
    if days[0][0] <= today < days[-1][0]:
        canvas.mark(today.toordinal(), "今日", "today", css="mark now", place=1)
    return canvas.svg(data.milestone)


def flow(statuses: Sequence[Status], size: Size) -> str:
    """Layers of issues by status, closed at the bottom."""
    days = sorted({day for status in statuses for day in status.by_day})
    sums = dict.fromkeys(days, 0)
    for status in statuses:
        for day in days:
            sums[day] += status.by_day.get(day, 0)
    canvas = Canvas(size, days[0].toordinal(), days[-1].toordinal(), max(sums.values()))
    below = dict.fromkeys(days, 0)
    canvas.grid()
    shown = sorted({*days[:: max(1, len(days) // 120)], days[-1]})
    for status in statuses:
        upper = {day: below[day] + status.by_day.get(day, 0) for day in shown}
        outline = [(float(day.toordinal()), float(upper[day])) for day in shown]
        outline += [(float(day.toordinal()), float(below[day])) for day in reversed(shown)]
        canvas.path(outline, "layer", style=f"fill:{html.escape(status.color)}", closed=True)
        below |= upper
    canvas.months()
    return canvas.svg("cumulative flow")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def lead_times(days: Sequence[float], size: Size) -> str:
    """How many issues took how many days, with percentiles."""
    limit = max(percentile(days, 0.98), 1.0)
    width = nice_step(limit / 4)
    bars: dict[int, int] = {}
    for value in days:
        bar = int(min(value, limit) // width)
        bars[bar] = bars.get(bar, 0) + 1
    canvas = Canvas(size, 0, (max(bars) + 1) * width, max(bars.values()))
    canvas.grid()
    for bar, number in sorted(bars.items()):
        x, end, y = canvas.x(bar * width), canvas.x((bar + 1) * width), canvas.y(number)
        canvas.parts.append(
            f'<rect class="bar" x="{x + 1}" y="{y}" width="{max(end - x - 2, 1):.1f}" height="{canvas.y(0) - y:.1f}"/>'
        )
    every = max(1, (max(bars) + 1) // (4 if size.name == "narrow" else 8))
    for bar in range(0, max(bars) + 2, every):
        canvas.text(canvas.x(bar * width), size.height - 8, f"{bar * width:g}")
    for place, share in enumerate((0.5, 0.85, 0.95)):
        value = percentile(days, share)
        words = f"{share:.0%} は {value:.1f} 日以内", f"{share:.0%} within {value:.1f} days"
        canvas.mark(min(value, limit), *words, place=place)
    return canvas.svg("lead times")


def hours(data: dict[date, dict[str, float]], categories: Sequence[str], size: Size) -> str:
    """A bar per month, a part per category. What was corrected downwards is left out of the drawing."""
    every = sorted(data)
    shown = months(every[0], every[-1])[-(6 if size.name == "narrow" else 12) :]
    top = max((sum(max(value, 0) for value in data.get(month, {}).values()) for month in shown), default=1)
    canvas = Canvas(size, 0, len(shown), max(top, 1))
    canvas.grid()
    for number, month in enumerate(shown):
        below = 0.0
        for place, category in enumerate(categories):
            value = max(data.get(month, {}).get(category, 0), 0)
            if value:
                x, end = canvas.x(number + 0.15), canvas.x(number + 0.85)
                y, height = canvas.y(below + value), canvas.y(below) - canvas.y(below + value)
                color = PALETTE[place % len(PALETTE)]
                canvas.parts.append(
                    f'<rect fill="{color}" x="{x}" y="{y}" width="{end - x:.1f}" height="{height:.1f}"/>'
                )
                below += value
        for language in ("ja", "en"):
            word = month_name(month, language, number == 0)
            canvas.text(canvas.x(number + 0.5), size.height - 8, word, css=f"lang-{language}")
    return canvas.svg("hours")
