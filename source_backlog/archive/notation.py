"""Backlog's own notation. No library knows it, so this is a small renderer of ours; what it does not know stays text.

The rules are those of Nulab's help page "Text formatting rules (Backlog notation)".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from source_backlog.archive.text import KEY, URL, Around, Block, anchor, colored, file, issue, linked, picture, wiki

# So many lines make a block at most: what is longer is a list of the same kind once more.
LINES = 200
_MACRO = re.compile(r"\{(code|quote)(?::([\w#+.-]{1,30}))?\}")
_HEADING = re.compile(r"(\*{1,6})\s*([^*\s].*)")
_ITEM = re.compile(r"(-{1,6}|\+{1,6})(?![-+])\s*(\S.*)")
_TABLE = re.compile(r"\|.*\|h?\s*")
_CELL = re.compile(r"(?<!\\)\|")
_BOX = re.compile(r"\[([ xX])\]\s+")
_OPENING = re.compile(
    r"(?P<escaped>\\['%|\[\]{}&#])"
    r"|(?P<italic>(?<!')'''(?!'''))"
    r"|(?P<bold>(?<!')''(?!'))"
    r"|(?P<strike>%%)"
    r"|(?P<link>\[\[)"
    r"|(?P<color>&color\()"
    r"|(?P<line>&br;)"
    r"|(?P<call>#(?:image|thumbnail|attach|rev)\([^()\n]{1,500}\))"
    rf"|(?P<url>{URL})"
    rf"|(?P<key>{KEY})"
)
_CLOSING = {"italic": re.compile(r"'''(?!')"), "bold": re.compile(r"(?<!')''(?!')"), "strike": re.compile(r"%%")}
_TAGS = {"italic": "em", "bold": "strong", "strike": "del"}
_COLOR = re.compile(r"\s*([^\s,(){}]{1,30})\s*(?:,\s*([^\s,(){}]{1,30})\s*)?\)\s*\{")


def render(text: str, around: Around) -> list[Block]:
    """The blocks of a text in Backlog's notation."""
    page = _Page(around)
    blocks = list(page.blocks(text.replace("\r\n", "\n").replace("\r", "\n")))
    contents = Block(page.contents(), "#contents")
    return [contents if block.html == CONTENTS else block for block in blocks]


CONTENTS = "<!-- contents -->"


@dataclass
class _Page:
    """One text: its headings are numbered as they come."""

    around: Around
    headings: list[tuple[int, str]] = field(default_factory=list)

    def blocks(self, text: str, is_quoted: bool = False) -> Iterator[Block]:
        """The blocks of a text, macros first: what stands in `{code}` is no notation."""
        end = 0
        unclosed: set[str] = set()
        for found in _MACRO.finditer(text):
            name = found.group(1)
            if found.start() < end or name in unclosed or (name == "quote" and is_quoted):
                continue
            closing = text.find(f"{{/{name}}}", found.end())
            if closing < 0:
                unclosed.add(name)
                continue
            yield from self.lines(text[end : found.start()])
            inner = text[found.end() : closing].strip("\n")
            yield from code(inner) if name == "code" else self.quoted(inner)
            end = closing + len(name) + 3
        yield from self.lines(text[end:])

    def quoted(self, text: str) -> Iterator[Block]:
        for html, source in self.blocks(text, is_quoted=True):
            yield Block(f"<blockquote>{html}</blockquote>", source)

    def lines(self, text: str) -> Iterator[Block]:
        """The blocks of lines without macros: lines of the same kind that follow each other are one."""
        for kind, group in groupby(text.split("\n"), _kind):
            lines = list(group)
            if kind == "heading":
                yield from (self.heading(line) for line in lines)
            elif kind == "contents":
                yield Block(CONTENTS, lines[0])
            elif kind == "list":
                yield from self.items(lines)
            elif kind:
                make = {"table": self.table, "quote": self.quote}.get(kind, self.paragraph)
                for first in range(0, len(lines), LINES):
                    part = lines[first : first + LINES]
                    yield Block(make(part), "\n".join(part))

    def heading(self, line: str) -> Block:
        found = _HEADING.fullmatch(line)
        assert found, "only headings come here"
        level, html = len(found.group(1)), self.inline(found.group(2).strip())
        self.headings.append((level, html))
        # The title of the page is the first level.
        tag = f"h{min(level + 1, 6)}"
        return Block(f'<{tag} id="s{len(self.headings)}">{html}</{tag}>', line)

    def contents(self) -> str:
        """The list of all headings, without the links within them."""
        entries = (
            f'<li><a href="#s{number}">{re.sub("<[^>]*>", "", html)}</a></li>'
            for number, (_, html) in enumerate(self.headings, 1)
        )
        return f'<ul class="contents">{"".join(entries)}</ul>'

    def paragraph(self, lines: Sequence[str]) -> str:
        # A mark of a block that is meant as text has a backslash before it.
        shown = (re.sub(r"^\\(?=[-+*>])", "", line) for line in lines)
        return f"<p>{'<br>'.join(self.inline(line) for line in shown)}</p>"

    def quote(self, lines: Sequence[str]) -> str:
        return f"<blockquote>{self.paragraph([re.sub(r'^>+ ?', '', line) for line in lines])}</blockquote>"

    def table(self, lines: Sequence[str]) -> str:
        return f"<table><tbody>{''.join(self.row(line.rstrip()) for line in lines)}</tbody></table>"

    def row(self, line: str) -> str:
        is_header = line.endswith("h")
        cells: list[list[str]] = []
        for cell in _CELL.split(line.removesuffix("h"))[1:-1]:
            if cell.strip() == ">" and cells:
                # Joined with the one to its left.
                cells[-1].append(cell)
            else:
                cells.append([cell.strip()])
        made = []
        for first, *joined in cells:
            tag = "th" if is_header or first.startswith("~") else "td"
            span = f' colspan="{len(joined) + 1}"' if joined else ""
            made.append(f"<{tag}{span}>{self.inline(first.removeprefix('~'))}</{tag}>")
        return f"<tr>{''.join(made)}</tr>"

    def items(self, lines: Sequence[str]) -> Iterator[Block]:
        """Lists: a new block begins at an item of the first level only."""
        part: list[str] = []
        for line in lines:
            if len(part) >= LINES and not line.startswith(("--", "++")):
                yield Block(self.list(part), "\n".join(part))
                part = []
            part.append(line)
        yield Block(self.list(part), "\n".join(part))

    def list(self, lines: Sequence[str]) -> str:
        html: list[str] = []
        # The lists that are open, the outer ones first.
        tags: list[str] = []
        for line in lines:
            found = _ITEM.fullmatch(line)
            assert found, "only items come here"
            tag = "ul" if found.group(1)[0] == "-" else "ol"
            level = min(len(found.group(1)), len(tags) + 1)
            while len(tags) > level or (len(tags) == level and tags[-1] != tag):
                html.append(f"</li></{tags.pop()}>")
            if len(tags) == level:
                html.append("</li>")
            else:
                tags.append(tag)
                html.append(f"<{tag}>")
            html.append(f"<li>{self.item(found.group(2))}")
        html.extend(f"</li></{tag}>" for tag in reversed(tags))
        return "".join(html)

    def item(self, text: str) -> str:
        box = _BOX.match(text)
        if box is None:
            return self.inline(text)
        return ("☐ " if box.group(1) == " " else "☑ ") + self.inline(text[box.end() :])

    def inline(self, text: str) -> str:
        """The marks within a line. Each closing mark is looked for once: a line of opening marks costs no more."""
        html: list[str] = []
        unclosed: set[str] = set()
        end = 0
        while found := _OPENING.search(text, end):
            html.append(escape(text[end : found.start()]))
            kind = found.lastgroup or ""
            made = None if kind in unclosed else self.mark(kind, text, found)
            if made is None:
                unclosed.add(kind)
                html.append(escape(found.group()))
                end = found.end()
            else:
                html.append(made[0])
                end = made[1]
        html.append(escape(text[end:]))
        return "".join(html)

    def mark(self, kind: str, text: str, found: re.Match[str]) -> tuple[str, int] | None:
        """The HTML of a mark and where it ends; None where nothing closes it."""
        if kind in _TAGS:
            closing = _CLOSING[kind].search(text, found.end() + 1)
            if closing is None:
                return None
            return f"<{_TAGS[kind]}>{self.inline(text[found.end() : closing.start()])}</{_TAGS[kind]}>", closing.end()
        if kind == "link":
            closing_at = text.find("]]", found.end())
            return None if closing_at < 0 else (self.link(text[found.end() : closing_at]), closing_at + 2)
        if kind == "color":
            return self.color(text, found)
        if kind == "call":
            return self.call(found.group()), found.end()
        if kind in ("url", "key"):
            return linked(found.group(), self.around), found.end()
        return "<br>" if kind == "line" else escape(found.group()[1:]), found.end()

    def link(self, inner: str) -> str:
        """`[[KEY-1]]`, `[[Page]]`, `[[address]]`, `[[label>target]]` or `[[label:address]]`."""
        if inner.startswith(("http://", "https://")):  # ignore-https-check
            return anchor(inner, escape(inner), self.around)
        found = re.fullmatch(r"(.+?)>(.+)|(.+?):(https?://.+)", inner)
        label, target = (found.group(1) or found.group(3), found.group(2) or found.group(4)) if found else ("", inner)
        target = target.strip()
        if re.fullmatch(KEY, target):
            return issue(target, self.around, escape(label))
        page = wiki(target, self.around, escape(label))
        if page is not None:
            return page
        if re.match(r"\w+:", target):
            return anchor(target, escape(label), self.around) if found else escape(f"[[{inner}]]")
        return f'<span class="unknown">{escape(label or target)}</span>'

    def color(self, text: str, found: re.Match[str]) -> tuple[str, int] | None:
        given = _COLOR.match(text, found.end())
        closing = text.find("}", given.end()) if given else -1
        if given is None or closing < 0:
            return (escape(found.group()), found.end()) if given is None else None
        if colored("", given.group(1), given.group(2) or "") is None:
            return escape(found.group()), found.end()
        inner = self.inline(text[given.end() : closing].strip())
        return colored(inner, given.group(1), given.group(2) or "") or inner, closing + 1

    def call(self, text: str) -> str:
        """`#image(…)`, `#thumbnail(…)`, `#attach(label:id)` or `#rev(…)`."""
        name, _, given = text[1:-1].partition("(")
        if name == "rev":
            return f"<code>{escape('r' + given if given.isdigit() else given)}</code>"
        if name in ("image", "thumbnail"):
            return picture(given.strip(), self.around, thumbnail=name == "thumbnail")
        label, _, number = given.rpartition(":")
        found = self.around.files.get(number.strip()) or self.around.files.get(given.strip())
        return file(found, self.around, escape(label or given)) if found else escape(label or given)


def code(text: str) -> Iterator[Block]:
    """Text that is shown as it is."""
    lines = text.split("\n")
    for first in range(0, len(lines), LINES):
        part = "\n".join(lines[first : first + LINES])
        yield Block(f"<pre><code>{escape(part)}</code></pre>", part)


def _kind(line: str) -> str:
    """What a line is; empty for an empty one, which ends what stands above it."""
    if not line.strip():
        return ""
    if line.rstrip() == "#contents":
        return "contents"
    patterns = ("heading", _HEADING), ("list", _ITEM), ("table", _TABLE)
    found = next((kind for kind, pattern in patterns if pattern.fullmatch(line)), None)
    return found or ("quote" if line.startswith(">") else "paragraph")
