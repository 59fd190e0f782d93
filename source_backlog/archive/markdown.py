"""Markdown, as projects with that rule write it: a library's, with what Backlog adds to it."""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference

from source_backlog.archive.text import KEY, Around, Block, File, anchor, file, issue, linked, picture, plain, wiki

BRACKETS = 10_000
"""More of them than this in one text are no Markdown, and would take the library minutes."""

_PAGE = re.compile(r"\[\[([^\[\]\n]{1,500})\]\]")
_BOX = re.compile(r"\[([ xX])\]\s")
# Given to a rule: the renderer of the library, all tokens, the number of one, options, and what `render` hands on.
Rule = Callable[[Any, Sequence[Any], int, Any, dict[str, Any]], str]


def render(text: str, around: Around) -> list[Block]:
    """The blocks of a text in Markdown. HTML within it is text; a new line begins one."""
    if text.count("[") > BRACKETS:
        return [Block(html, text) for html in plain(text)]
    # `![…][name]` and `[…][name]` mean a file of the object by its name.
    references = {normalizeReference(name): {"href": name, "title": ""} for name in around.files}
    given: dict[str, Any] = {"around": around, "references": references}
    lines = text.split("\n")
    blocks: list[Block] = []
    part: list[Any] = []
    for token in _MARKDOWN.parse(text, given):
        part.append(token)
        if token.level == 0 and token.nesting <= 0:
            begin, end = part[0].map or (0, 0)
            html = str(_MARKDOWN.renderer.render(part, _MARKDOWN.options, given))
            blocks.append(Block(html, "\n".join(lines[begin:end])))
            part = []
    return blocks


def _text(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    content, around = str(tokens[index].content), given["around"]
    if given.get("in link"):
        return escape(content)
    box = ""
    if index == 0 and given.get("in item") and (found := _BOX.match(content)):
        box, content = ("☐ " if found.group(1) == " " else "☑ "), content[found.end() :]
    html, end = [box], 0
    for found in _PAGE.finditer(content):
        html.append(linked(content[end : found.start()], around))
        html.append(_page(found.group(1), around) or escape(found.group()))
        end = found.end()
    return "".join([*html, linked(content[end:], around)])


def _link_open(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    """What leads elsewhere is followed only if it is an address of the web."""
    href = str(tokens[index].attrGet("href") or "")
    given["in link"] = True
    around = given["around"]
    found = _file(href, around)
    made = anchor(href, "\0", around) if found is None else file(found, around, "\0")
    opening, _, given["closing"] = made.partition("\0")
    return opening


def _link_close(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    given["in link"] = False
    return str(given["closing"])


def _image(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    token, around = tokens[index], given["around"]
    source = str(token.attrGet("src") or "")
    found = _file(source, around)
    label = str(renderer.renderInlineAsText(token.children or [], options, given))
    return picture(found.name if found else source, around, label)


def _heading(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    # The title of the page is the first level.
    tag = f"h{min(int(tokens[index].tag[1]) + 1, 6)}"
    return f"<{tag}>" if tokens[index].nesting > 0 else f"</{tag}>"


def _item(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    given["in item"] = True
    return "<li>"


def _paragraph_close(renderer: Any, tokens: Sequence[Any], index: int, options: Any, given: dict[str, Any]) -> str:
    given["in item"] = False
    return str(renderer.renderToken(tokens, index, options, given))


_RULES: dict[str, Rule] = {
    "text": _text,
    "link_open": _link_open,
    "link_close": _link_close,
    "image": _image,
    "heading_open": _heading,
    "heading_close": _heading,
    "list_item_open": _item,
    "paragraph_close": _paragraph_close,
}


def _made() -> Any:
    # "breaks": as in Backlog, a new line in the text is one on the page.
    made = MarkdownIt("commonmark", {"html": False, "breaks": True})
    made.enable(["table", "strikethrough"])
    for name, rule in _RULES.items():
        made.add_render_rule(name, rule)
    return made


_MARKDOWN = _made()


def _file(href: str, around: Around) -> File | None:
    """The file of the object that an address names, percent-encoded as Markdown makes it, or None."""
    return around.files.get(href) or around.files.get(unquote(href))


def _page(name: str, around: Around) -> str | None:
    return issue(name, around) if re.fullmatch(KEY, name) else wiki(name, around)
