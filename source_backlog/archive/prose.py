"""Documents: the tree of nodes that their editor, one of the ProseMirror family, saves as JSON.

Nulab documents none of its nodes. Known are those that such editors share; of an unknown one the text is shown.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from source_backlog.archive.tables import decoded
from source_backlog.archive.text import Around, Block, anchor, colored, linked, picture, plain

DEPTH = 40
"""Nodes further down are shown as text: nobody writes so, and Python's own stack ends somewhere."""

Node = Mapping[str, Any]
_CONTAINERS = {
    "paragraph": "p",
    "blockquote": "blockquote",
    "bulletlist": "ul",
    "tasklist": "ul",
    "listitem": "li",
    "tablerow": "tr",
    "details": "details",
    "detailssummary": "summary",
    "detailscontent": "div",
}
_MARKS = {
    "bold": "strong",
    "strong": "strong",
    "italic": "em",
    "em": "em",
    "strike": "del",
    "strikethrough": "del",
    "underline": "u",
    "code": "code",
    "subscript": "sub",
    "superscript": "sup",
}


def render(document: Any, text: str, around: Around) -> list[Block]:
    """The blocks of a document: of `document`, its JSON as text or decoded, or of `text` where that cannot be read."""
    tree = _tree(document)
    nodes = [node for node in _list(tree.get("content")) if isinstance(node, Mapping)]
    if not nodes:
        return [Block(html, text) for html in plain(text)]
    return [Block(_html(node, around, 0), _text(node)) for node in nodes]


def _tree(document: Any) -> Node:
    tree = decoded(document)
    return tree if isinstance(tree, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _kind(node: Node) -> str:
    """The type of a node or mark, without what editors spell differently: `bullet_list` is `bulletList`."""
    return re.sub(r"[^a-z]", "", str(node.get("type")).lower())


def _attribute(node: Node, *names: str) -> Any:
    attributes = node.get("attrs")
    found = (attributes.get(name) for name in names) if isinstance(attributes, Mapping) else ()
    return next((value for value in found if value is not None), None)


def _children(node: Node, around: Around, depth: int) -> str:
    return "".join(
        _html(child, around, depth + 1) for child in _list(node.get("content")) if isinstance(child, Mapping)
    )


def _html(node: Node, around: Around, depth: int) -> str:
    if depth > DEPTH:
        return escape(_text(node))
    kind = _kind(node)
    if kind == "text":
        return _marked(node, around)
    if tag := _CONTAINERS.get(kind):
        return f"<{tag}>{_children(node, around, depth)}</{tag}>"
    if make := _SPECIAL.get(kind):
        return make(node, around, depth)
    if node.get("content"):
        return f"<div>{_children(node, around, depth)}</div>"
    return f'<span class="unknown">{linked(_label(node), around)}</span>'


def _label(node: Node) -> str:
    """What a node without content says of itself."""
    return str(_attribute(node, "label", "text", "name", "title", "emoji", "url", "href", "issueKey", "id") or "")


def _marked(node: Node, around: Around) -> str:
    text, marks = str(node.get("text") or ""), [mark for mark in _list(node.get("marks")) if isinstance(mark, Mapping)]
    is_plain = any(_kind(mark) in ("link", "code") for mark in marks)
    html = escape(text) if is_plain else linked(text, around)
    for mark in marks:
        kind = _kind(mark)
        if kind == "link":
            html = anchor(str(_attribute(mark, "href") or ""), html, around)
        elif kind in ("textstyle", "color", "highlight"):
            color = str(_attribute(mark, "color") or "")
            given = ("inherit", color) if kind == "highlight" else (color, "")
            html = colored(html, *given) or html if color else html
        elif tag := _MARKS.get(kind):
            html = f"<{tag}>{html}</{tag}>"
    return html


def _heading(node: Node, around: Around, depth: int) -> str:
    level = _attribute(node, "level")
    # The title of the page is the first level.
    tag = f"h{min(max(level if isinstance(level, int) else 1, 1) + 1, 6)}"
    return f"<{tag}>{_children(node, around, depth)}</{tag}>"


def _ordered(node: Node, around: Around, depth: int) -> str:
    start = _attribute(node, "start", "order")
    given = f' start="{start}"' if isinstance(start, int) and start != 1 else ""
    return f"<ol{given}>{_children(node, around, depth)}</ol>"


def _task(node: Node, around: Around, depth: int) -> str:
    return f"<li>{'☑' if _attribute(node, 'checked') is True else '☐'} {_children(node, around, depth)}</li>"


def _table(node: Node, around: Around, depth: int) -> str:
    return f"<table><tbody>{_children(node, around, depth)}</tbody></table>"


def _cell(node: Node, around: Around, depth: int) -> str:
    tag = "th" if _kind(node) == "tableheader" else "td"
    spans = ((name, _attribute(node, name)) for name in ("colspan", "rowspan"))
    given = "".join(f' {name}="{value}"' for name, value in spans if isinstance(value, int) and 1 < value < 1000)
    return f"<{tag}{given}>{_children(node, around, depth)}</{tag}>"


def _picture(node: Node, around: Around, depth: int) -> str:
    label = str(_attribute(node, "alt", "title") or "")
    names = [str(value) for name in ("attachmentId", "id", "src") if (value := _attribute(node, name)) is not None]
    # Where the address of an image names its attachment, the number is its last one.
    numbers = [number for name in names for number in re.findall(r"\d+", name)[-1:]]
    found = next((name for name in (*names, *numbers) if name in around.files), names[-1] if names else "")
    return picture(found, around, label)


def _mention(node: Node, around: Around, depth: int) -> str:
    return f'<span class="mention">@{escape(_label(node).removeprefix("@"))}</span>'


_SPECIAL: dict[str, Callable[[Node, Around, int], str]] = {
    "heading": _heading,
    "orderedlist": _ordered,
    "taskitem": _task,
    "table": _table,
    "tablecell": _cell,
    "tableheader": _cell,
    "image": _picture,
    "mention": _mention,
    "codeblock": lambda node, around, depth: f"<pre><code>{escape(_text(node))}</code></pre>",
    "horizontalrule": lambda node, around, depth: "<hr>",
    "hardbreak": lambda node, around, depth: "<br>",
    "emoji": lambda node, around, depth: escape(_label(node)),
}


def _text(node: Node) -> str:
    """All text below a node, without its form."""
    parts: list[str] = []
    waiting: list[Any] = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            parts.append(current)
        elif isinstance(current, Mapping):
            parts.append(str(current.get("text") or ""))
            if _kind(current) in ("paragraph", "heading", "hardbreak", "listitem", "tablerow"):
                waiting.append("\n")
            waiting.extend(reversed(_list(current.get("content"))))
    return "".join(parts).strip("\n")
