"""Pieces of HTML out of what people wrote: escaped, linked, and cleaned once more at the end.

A renderer gives blocks, each of which stands alone: a page can be cut between any two of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple
from urllib.parse import unquote

import nh3

BLOCK_BYTES = 40_000
"""No block is larger, so that pages can be cut evenly."""


def _words(given: str) -> set[str]:
    return set(given.split())


# What a browser runs as a program when such a file is opened: shown as an image at most, never linked.
ACTIVE = _words("htm html shtml xht xhtml xml xsl xslt svg svgz mht mhtml hta swf")
PICTURES = _words("avif bmp gif jpeg jpg png svg webp")

# What stops an address within a sentence, in Japanese too.
URL = r"https?://[^\s<>\"'`|\\^{}\[\]（）「」『』【】、。，．：；！？　]+"
# A key is not a part of a word or of a path; the letters of Japanese do not count.
KEY = r"(?<![A-Za-z0-9_./-])[A-Z][A-Z0-9_]*-[1-9][0-9]{0,8}(?![A-Za-z0-9_])(?!-[A-Za-z0-9_])"
_LINKS = re.compile(f"({URL})|({KEY})")
_VIEW = re.compile(r"https://([a-z0-9-]+)\.backlog(?:\.jp|\.com|tool\.com)/view/([A-Z][A-Z0-9_]*-[1-9][0-9]*)(?:#.*)?")
_TRAILING = ".,;:!?)'*"


def _only_of_the_archive(tag: str, attribute: str, value: str) -> str | None:
    """Nothing is loaded from elsewhere: an image from the web would tell its server who reads the page."""
    return None if tag == "img" and attribute == "src" and not value.startswith("../") else value


_CLEANER = nh3.Cleaner(
    tags=_words(
        "a blockquote br code del details div em h2 h3 h4 h5 h6 hr img li ol p pre s span strong sub summary sup "
        "table tbody td th thead tr u ul"
    ),
    clean_content_tags={"script", "style"},
    attributes={
        "a": {"href", "title"},
        "img": {"src", "alt", "title", "loading"},
        "span": {"style"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
        "ol": {"start"},
        **{f"h{level}": {"id"} for level in range(2, 7)},
    },
    allowed_classes={
        "a": {"key", "closed", "missing"},
        "span": {"file", "mention", "unknown"},
        "img": {"thumbnail"},
        "ul": {"contents"},
        "p": {"left-out"},
    },
    attribute_filter=_only_of_the_archive,
    filter_style_properties={"color", "background-color"},
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer",
)


class Block(NamedTuple):
    """A piece of a page: its HTML, and the text that it was made of."""

    html: str
    source: str


class IssueLink(NamedTuple):
    """Where an issue stands: its page from the top of the archive, its title, and whether it is done."""

    page: str
    summary: str
    closed: bool


class File(NamedTuple):
    """A file: its name, and its address from the top of the archive, None where it is not there."""

    name: str
    address: str | None

    @property
    def is_picture(self) -> bool:
        """Whether a browser can show it within a page, where nothing in it runs."""
        return self.address is not None and _ending(self.name) in PICTURES

    @property
    def opens(self) -> bool:
        """Whether it may be linked: nothing in it would run, whatever it is called in Backlog and on the disk."""
        if self.address is None:
            return False
        endings = _ending(self.name), _ending(unquote(self.address))
        return all(ending and ending not in ACTIVE for ending in endings)


def _ending(name: str) -> str:
    """The end of a name, in small letters. Systems leave out blanks and dots behind it."""
    last = name.rpartition("/")[2].rstrip(" .\t\n\r\u3000").lower()
    return last.rpartition(".")[2] if "." in last else ""


@dataclass(frozen=True)
class Around:
    """What a text may refer to: issues by key, wiki pages of its project by name, files by name and by id.

    `root` leads from the page to the top of the archive: `""` or `"../../"`. `space` is the key of the space, the first
    part of its addresses.
    """

    root: str = ""
    issues: Mapping[str, IssueLink] = field(default_factory=dict)
    wikis: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    space: str = ""

    def address(self, target: str) -> str:
        """The address of something in the archive, as seen from the page."""
        return self.root + target


def safe(url: str) -> str | None:
    """The address, if following it shows a page or begins a mail; None for all else, relative addresses too.

    `file:` and `\\\\server` are not among them: Windows would send the user's credentials there.
    """
    url = url.strip()
    return url if re.match(r"(?:https?://|mailto:)[^\s\"'<>]+$", url, re.IGNORECASE) else None


def linked(text: str, around: Around) -> str:
    """`text` escaped, with links for addresses and for the keys of issues that are in the archive."""
    if "://" not in text and "-" not in text:
        return escape(text)
    parts, end = [], 0
    for found in _LINKS.finditer(text):
        parts.append(escape(text[end : found.start()]))
        end = found.end()
        if found.group(1):
            url = found.group(1).rstrip(_TRAILING)
            if found.group(1)[len(url) : len(url) + 1] == ")" and url.count("(") > url.count(")"):
                url += ")"
            parts.append(anchor(url, escape(url), around))
            end = found.start() + len(url)
        else:
            parts.append(issue(found.group(2), around))
    parts.append(escape(text[end:]))
    return "".join(parts)


def anchor(url: str, label: str, around: Around) -> str:
    """A link to another place, or its label alone where it must not be followed. `label` is HTML.

    The address of an issue in Backlog leads to its page in the archive.
    """
    target = safe(url)
    found = _VIEW.fullmatch(target) if target else None
    if found and found.group(1) == around.space and found.group(2) in around.issues:
        return issue(found.group(2), around, label)
    return f'<a href="{escape(target)}">{label}</a>' if target else label


def issue(key: str, around: Around, label: str = "") -> str:
    """The link to an issue, or its key as text. `label` is HTML."""
    found = around.issues.get(key)
    if found is None:
        return label or escape(key)
    kind = "key closed" if found.closed else "key"
    address = escape(around.address(found.page))
    return f'<a class="{kind}" href="{address}" title="{escape(found.summary)}">{label or escape(key)}</a>'


def wiki(name: str, around: Around, label: str = "") -> str | None:
    """The link to a wiki page of the project, or None. `label` is HTML."""
    page = around.wikis.get(name)
    return f'<a href="{escape(around.address(page))}">{label or escape(name)}</a>' if page else None


def file(found: File, around: Around, label: str = "") -> str:
    """The link to a file, or its name where it is not there or would run as a program. `label` is HTML."""
    shown = label or escape(found.name)
    if found.address is None or not found.opens:
        return f'<span class="file">{shown}</span>'
    return f'<a href="{escape(around.address(found.address))}">{shown}</a>'


def picture(name: str, around: Around, label: str = "", thumbnail: bool = False) -> str:
    """The image that a text shows: a file of the object, by name or id; of elsewhere only a link. `label` is text."""
    found = around.files.get(name)
    if found is None:
        return anchor(name, escape(label or name), around)
    if not found.is_picture or found.address is None:
        return file(found, around)
    kind = ' class="thumbnail"' if thumbnail else ""
    address = escape(around.address(found.address))
    image = f'<img{kind} loading="lazy" src="{address}" alt="{escape(label or found.name)}">'
    return f'<a href="{address}">{image}</a>' if found.opens else image


def colored(text: str, color: str, background: str = "") -> str | None:
    """HTML in a colour, which is a name or # and digits; None for anything else."""
    given = [value for value in (color, background) if value]
    if not given or not all(re.fullmatch(r"[A-Za-z]{3,20}|#[0-9A-Fa-f]{3,8}", value) for value in given):
        return None
    style = f"color:{color}" + (f";background-color:{background}" if background else "")
    return f'<span style="{style}">{text}</span>'


def cleaned(blocks: Iterable[Block]) -> Iterator[str]:
    """The HTML of blocks that are fit for a page: without what could run, and none larger than `BLOCK_BYTES`.

    A block that is too large becomes plain text in pieces.
    """
    for html, source in blocks:
        clean = _CLEANER.clean(html)
        if len(clean.encode("utf-8", "replace")) <= BLOCK_BYTES:
            yield clean
        else:
            yield from plain(source)


def grouped(items: Iterable[str], opening: str, closing: str) -> Iterator[str]:
    """Items as lists of at most `BLOCK_BYTES`, each of which is a block."""
    part: list[str] = []
    room = BLOCK_BYTES - len(opening) - len(closing)
    left = room
    for item in items:
        size = len(item.encode("utf-8", "replace"))
        if size > left and part:
            yield f"{opening}{''.join(part)}{closing}"
            part, left = [], room
        part.append(item)
        left -= size
    if part:
        yield f"{opening}{''.join(part)}{closing}"


def plain(text: str) -> Iterator[str]:
    """Text as it is, in blocks."""
    for piece in pieces(text, BLOCK_BYTES - 100):
        yield f"<pre>{piece}</pre>"


def pieces(text: str, size: int) -> Iterator[str]:
    """`text` escaped, in pieces of at most `size` bytes, cut at the ends of lines where they are short."""
    piece: list[str] = []
    room = size
    for part in re.findall(r"[^\n]{1,1000}\n?|\n", text):
        html = escape(part)
        needed = len(html.encode("utf-8", "replace"))
        if needed > room and piece:
            yield "".join(piece)
            piece, room = [], size
        piece.append(html)
        room -= needed
    if piece:
        yield "".join(piece)
