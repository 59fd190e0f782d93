"""Markdown, as projects with that rule write it: a library's, with what Backlog adds to it."""

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from source_backlog.archive.text import KEY, Around, Block, File, file, issue, linked, picture, plain, safe, wiki

BRACKETS = 10_000
"""More of them than this in one text are no Markdown, and would take the library minutes."""

_PAGE = re.compile(r"\[\[([^\[\]\n]{1,500})\]\]")
_BOX = re.compile(r"\[([ xX])\]\s")


def render(text: str, around: Around) -> list[Block]:
    """The blocks of a text in Markdown. HTML within it is text; a new line begins one."""
    if text.count("[") > BRACKETS:
        return [Block(html, text) for html in plain(text)]
    # `![…][name]` and `[…][name]` mean a file of the object by its name.
    references = {normalizeReference(name): {"href": name, "title": ""} for name in around.files}
    env: dict[str, Any] = {"around": around, "references": references}
    lines = text.split("\n")
    blocks: list[Block] = []
    part: list[Token] = []
    for token in _MARKDOWN.parse(text, env):
        part.append(token)
        if token.level == 0 and token.nesting <= 0:
            begin, end = part[0].map or (0, 0)
            html = _MARKDOWN.renderer.render(part, _MARKDOWN.options, env)
            blocks.append(Block(html, "\n".join(lines[begin:end])))
            part = []
    return blocks


class _Renderer(RendererHTML):
    """HTML with links into the archive. What leads elsewhere is followed only if it is an address of the web."""

    def text(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        token, around = tokens[index], env["around"]
        if env.get("in link"):
            return escape(token.content)
        content, box = token.content, ""
        if index == 0 and env.get("in item") and (found := _BOX.match(content)):
            box, content = ("☐ " if found.group(1) == " " else "☑ "), content[found.end() :]
        html, end = [box], 0
        for found in _PAGE.finditer(content):
            html.append(linked(content[end : found.start()], around))
            html.append(_page(found.group(1), around) or escape(found.group()))
            end = found.end()
        return "".join([*html, linked(content[end:], around)])

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        href, around = str(tokens[index].attrGet("href") or ""), env["around"]
        env["in link"] = True
        env["closed by"] = "</a>"
        found = _file(href, around)
        if found is not None:
            opening, _, _ = file(found, around, "\0").partition("\0")
            env["closed by"] = "</a>" if opening.startswith("<a") else "</span>"
            return opening
        if (target := safe(href)) is not None:
            return f'<a href="{escape(target)}">'
        env["closed by"] = ""
        return ""

    def link_close(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        env["in link"] = False
        return str(env["closed by"])

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        token, around = tokens[index], env["around"]
        source = str(token.attrGet("src") or "")
        found = _file(source, around)
        label = self.renderInlineAsText(token.children or [], options, env)
        return picture(found.name if found else source, around, label)

    def heading_open(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        # The title of the page is the first level.
        return f"<h{min(int(tokens[index].tag[1]) + 1, 6)}>"

    def heading_close(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        return f"</h{min(int(tokens[index].tag[1]) + 1, 6)}>\n"

    def list_item_open(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        env["in item"] = True
        return "<li>"

    def paragraph_close(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        env["in item"] = False
        return str(self.renderToken(tokens, index, options, env))


# "breaks": as in Backlog, a new line in the text is one on the page.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
_MARKDOWN.enable(["table", "strikethrough"])


def _file(href: str, around: Around) -> File | None:
    """The file of the object that an address names, percent-encoded as Markdown makes it, or None."""
    return around.files.get(href) or around.files.get(unquote(href))


def _page(name: str, around: Around) -> str | None:
    return issue(name, around) if re.fullmatch(KEY, name) else wiki(name, around)
