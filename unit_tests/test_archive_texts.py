"""What people wrote, on the pages of the archive: Backlog's notation, Markdown, documents; hostile texts in each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_tests.archive import HOSTILE, read

pytest.importorskip("nh3", reason="nh3 (the extra `archive`) is not installed")

from source_backlog.archive import markdown, notation, prose
from source_backlog.archive.text import BLOCK_BYTES, Around, Block, File, IssueLink, cleaned, safe

AROUND = Around(
    root="../",
    issues={"WEB-1": IssueLink("projects/WEB/issues/WEB-1.html", 'a "title"', True)},
    wikis={"Home": "projects/WEB/wiki/1.html", "会議/定例": "projects/WEB/wiki/2.html"},
    files={
        "11": File("画面.png", "files/11-a.png"),
        "画面.png": File("画面.png", "files/11-a.png"),
        "12": File("evil.html", "files/12-evil.html"),
        "draw.svg": File("draw.svg", "files/13-draw.svg"),
        "lost.png": File("lost.png", None),
    },
    space="example",
)
KEY = '<a class="key closed" href="../projects/WEB/issues/WEB-1.html" title="a &quot;title&quot;">WEB-1</a>'
IMAGE = '<img loading="lazy" src="../files/11-a.png" alt="画面.png">'
THUMBNAIL = '<img class="thumbnail"'


def linked(html: str) -> str:
    """Something that leads to the file 11."""
    return f'<a href="../files/11-a.png">{html}</a>'


def shown(blocks: list[Block]) -> str:
    """The HTML of blocks, without what the cleaner adds to each link."""
    return "".join(cleaned(blocks)).replace(' rel="noopener noreferrer"', "").replace("\n", "")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
        ("* A\n** B\n*** C", '<h2 id="s1">A</h2><h3 id="s2">B</h3><h4 id="s3">C</h4>'),
        ("''b'' '''i''' '''''x''''' %%s%%",
         "<p><strong>b</strong> <em>i</em> <em><strong>x</strong></em> <del>s</del></p>"),
        ("''a '''b''' c''", "<p><strong>a <em>b</em> c</strong></p>"),
        ("&color(red) { a } &color(#fff, #000){b}",
         '<p><span style="color:red">a</span> <span style="color:#fff;background-color:#000">b</span></p>'),
        ("a&br;b", "<p>a<br>b</p>"),
        ("- a\n- b\n-- c\n--- d\n- e", "<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li><li>e</li></ul>"),
        ("+ a\n+ b\n- c", "<ol><li>a</li><li>b</li></ol><ul><li>c</li></ul>"),
        ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
        ("> a\n>b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("{quote}\n* a\n{/quote}", '<blockquote><h2 id="s1">a</h2></blockquote>'),
        ("|A|B|h\n|~1|''b''|\n|c|>|",
         "<table><tbody><tr><th>A</th><th>B</th></tr><tr><th>1</th><td><strong>b</strong></td></tr>"
         '<tr><td colspan="2">c</td></tr></tbody></table>'),
        (r"|a\|b|c|", "<table><tbody><tr><td>a|b</td><td>c</td></tr></tbody></table>"),
        ("x {code:java}\n* ''a''\n<b>\n{/code} y",
         "<p>x </p><pre><code>* ''a''&lt;b&gt;</code></pre><p> y</p>"),
        ("#contents\n* A WEB-1",
         f'<ul class="contents"><li><a href="#s1">A WEB-1</a></li></ul><h2 id="s1">A {KEY}</h2>'),
        ("WEB-1を見る [[WEB-1]] WEB-2 XWEB-1 WEB-1x", f"<p>{KEY}を見る {KEY} WEB-2 XWEB-1 WEB-1x</p>"),
        ("[[Home]] [[会議/定例]] [[出口>Home]] [[Nowhere]]",
         '<p><a href="../projects/WEB/wiki/1.html">Home</a> <a href="../projects/WEB/wiki/2.html">会議/定例</a> '
         '<a href="../projects/WEB/wiki/1.html">出口</a> <span class="unknown">Nowhere</span></p>'),
        ("https://example.com/a_b?c=1。次 [[B>https://example.com/]] [[B:https://example.com/]]",
         '<p><a href="https://example.com/a_b?c=1">https://example.com/a_b?c=1</a>。次 '
         '<a href="https://example.com/">B</a> <a href="https://example.com/">B</a></p>'),
        ("#image(11)", f"<p>{linked(IMAGE)}</p>"),
        ("#thumbnail(画面.png)", f'<p>{linked(IMAGE).replace("<img", THUMBNAIL)}</p>'),
        ("#image(draw.svg)", '<p><img loading="lazy" src="../files/13-draw.svg" alt="draw.svg"></p>'),
        ("#image(lost.png) #image(12)",
         '<p><span class="file">lost.png</span> <span class="file">evil.html</span></p>'),
        ("#image(https://example.com/a.png)", '<p><a href="https://example.com/a.png">https://example.com/a.png</a></p>'),
        ("#attach(図:11) #rev(11) #rev(app:abc)",
         f'<p>{linked("図")} <code>r11</code> <code>app:abc</code></p>'),
        (r"\%\%a\%\% \'\'b\'\'", "<p>%%a%% ''b''</p>"),
        (r"C:\Users\WEB \\server\share", r"<p>C:\Users\WEB \\server\share</p>"),
        ("\\* a\n\\- b", "<p>* a<br>- b</p>"),
    ],
)  # fmt: skip
def test_notation(text: str, html: str) -> None:
    assert shown(notation.render(text, AROUND)) == html


@pytest.mark.parametrize(
    "text",
    ["''a", "%%a", "[[a", "&color(red) { a", "&color(no colour) {a}", "{code}a", "{quote}a", "#cacoo(x,1,2)",
     "&unknown;", "''''''a", "#image()", "|a|b", "a * b - c", "***", "---"],
)  # fmt: skip
def test_unknown_marks_stay_text(text: str) -> None:
    assert read(shown(notation.render(text, AROUND))).found == []
    assert "".join(part for part in shown(notation.render(text, AROUND)).replace("<p>", "").split("</p>")) == (
        text.replace("&", "&amp;")
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A\n\na **b** ~~c~~ `WEB-1`\nd", "<h2>A</h2><p>a <strong>b</strong> <s>c</s> <code>WEB-1</code><br>d</p>"),
        ("WEB-1 [WEB-1](https://example.com/)", f'<p>{KEY} <a href="https://example.com/">WEB-1</a></p>'),
        ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
        ("|a|\n|-|\n|b|", "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>"),
        ("![x][画面.png] ![x](11)", f'<p>{linked(IMAGE)} {linked(IMAGE)}</p>'.replace('alt="画面.png"', 'alt="x"')),
        ("[a](12) [b](/view/WEB-1) [[Home]]",
         '<p><span class="file">a</span> b <a href="../projects/WEB/wiki/1.html">Home</a></p>'),
        ("![a](https://example.com/a.png)", '<p><a href="https://example.com/a.png">a</a></p>'),
        ("https://example.com/a_b_c", '<p><a href="https://example.com/a_b_c">https://example.com/a_b_c</a></p>'),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
    ],
)  # fmt: skip
def test_markdown(text: str, html: str) -> None:
    assert shown(markdown.render(text, AROUND)) == html


def doc(*nodes: dict[str, Any]) -> str:
    return json.dumps({"type": "doc", "content": nodes})


def say(text: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": text, "marks": list(marks)}


def node(kind: str, *content: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"type": kind, "content": list(content), "attrs": attributes}


@pytest.mark.parametrize(
    ("document", "html"),
    [
        (doc(node("heading", say("A"), level=2), node("paragraph", say("b WEB-1"))), f"<h3>A</h3><p>b {KEY}</p>"),
        (doc(node("paragraph", say("b", {"type": "bold"}, {"type": "link", "attrs": {"href": "https://example.com/"}}))),
         '<p><a href="https://example.com/"><strong>b</strong></a></p>'),
        (doc(node("bullet_list", node("list_item", node("paragraph", say("a"))))), "<ul><li><p>a</p></li></ul>"),
        (doc(node("orderedList", node("listItem", node("paragraph", say("a"))), start=3)),
         '<ol start="3"><li><p>a</p></li></ol>'),
        (doc(node("taskList", node("taskItem", node("paragraph", say("a")), checked=True))),
         "<ul><li>☑ <p>a</p></li></ul>"),
        (doc(node("codeBlock", say("<b>\nc"))), "<pre><code>&lt;b&gt;c</code></pre>"),
        (doc(node("table", node("tableRow", node("tableHeader", say("a")), node("tableCell", say("b"), colspan=2)))),
         '<table><tbody><tr><th>a</th><td colspan="2">b</td></tr></tbody></table>'),
        (doc(node("image", src="/api/document/attachments/11", alt="図")), linked(IMAGE.replace("画面.png", "図"))),
        (doc(node("paragraph", node("mention", label="佐藤"), node("hardBreak"), node("emoji", emoji="👍"))),
         '<p><span class="mention">@佐藤</span><br>👍</p>'),
        (doc(node("panel", node("paragraph", say("in it")))), "<div><p>in it</p></div>"),
        (doc(node("issueCard", issueKey="WEB-1")), f'<span class="unknown">{KEY}</span>'),
        ("{}", "<pre>plain</pre>"),
        ("not JSON", "<pre>plain</pre>"),
        (None, "<pre>plain</pre>"),
    ],
)  # fmt: skip
def test_documents(document: Any, html: str) -> None:
    assert shown(prose.render(document, "plain", AROUND)) == html


def test_a_document_deeper_than_any_is_text() -> None:
    tree = node("paragraph", say("deep"))
    for _ in range(300):
        tree = node("blockquote", tree)
    assert "deep" in shown(prose.render(doc(tree), "", AROUND))


def document_of(text: str) -> list[Block]:
    """The text in every place of a document."""
    link = {"type": "link", "attrs": {"href": text}}
    color = {"type": "textStyle", "attrs": {"color": text}}
    nodes = (
        node("paragraph", say(text), say("x", link), say("y", color), node("mention", label=text)),
        node("heading", say(text), level=text),
        node("codeBlock", say(text)),
        node("image", src=text, alt=text),
        node("orderedList", node("listItem", say(text)), start=text),
        node("tableCell", say(text), colspan=text),
        node(text, say(text), name=text),
        {"type": "unknown", "attrs": {"label": text}},
    )
    return prose.render(doc(*nodes), text, AROUND)


RENDERERS: dict[str, Callable[[str], list[Block]]] = {
    "notation": lambda text: notation.render(text, AROUND),
    "markdown": lambda text: markdown.render(text, AROUND),
    "document": document_of,
}


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_runs(text: str, kind: str) -> None:
    blocks = RENDERERS[kind](text)
    assert read("".join(cleaned(blocks))).found == []
    # Nor would it without the cleaner, which is there for what nobody has thought of.
    assert read("".join(html for html, _ in blocks)).found == []


MARKS = [
    "''",
    "'''",
    "%%",
    "[[",
    "]]",
    ">",
    "{code}",
    "{/code}",
    "{quote}",
    "{/quote}",
    "}",
    "|",
    "&color(red){",
    "#image(11)",
    "*",
    "-",
    "`",
    "**",
    "[",
    "](",
    ")",
    "<",
    '"',
    "'",
    "WEB-1",
    "a",
]


@pytest.mark.parametrize("kind", ["notation", "markdown"])
def test_the_address_of_an_issue_leads_to_its_page(kind: str) -> None:
    """On the spaces of all three domains; other spaces, other pages and unknown issues stay where they are."""
    for domain in ("backlog.jp", "backlog.com", "backlogtool.com"):
        url = f"https://example.{domain}/view/WEB-1#comment-12"
        assert read(shown(RENDERERS[kind](url))).links == ["../projects/WEB/issues/WEB-1.html"]
    for url in (
        "https://other.backlog.jp/view/WEB-1",
        "https://example.backlog.jp/view/WEB-9",
        "https://example.backlog.jp/board/WEB-1",
        "https://example.backlog.jp.evil.example/view/WEB-1",
    ):
        assert read(shown(RENDERERS[kind](url))).links == [url]


@given(st.lists(st.sampled_from([*HOSTILE, *MARKS, "\n", " "]), max_size=12))
def test_no_mixture_runs(parts: list[str]) -> None:
    for render in RENDERERS.values():
        blocks = render("".join(parts))
        assert read("".join(html for html, _ in blocks)).found == []
        assert read("".join(cleaned(blocks))).found == []


def test_the_cleaner_takes_out_what_a_renderer_let_through() -> None:
    for text in HOSTILE:
        assert read("".join(cleaned([Block(text, "")]))).found == []


@pytest.mark.parametrize(
    "text",
    ["[[" * 20_000, "''a " * 20_000, "{code}" * 20_000, "&color(red){" * 10_000, "'" * 60_000, "%%''" * 15_000,
     "|" * 60_000, "[" * 60_000, "> " * 20_000, "- \n" * 20_000, "<" * 60_000, "a&br;" * 20_000],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["notation", "markdown"])
def test_marks_without_end_end(text: str, kind: str) -> None:
    blocks = list(cleaned(RENDERERS[kind](text)))
    assert blocks
    assert max(len(block.encode()) for block in blocks) <= BLOCK_BYTES


@pytest.mark.parametrize("mark", ["[[", "&color(red){"])
def test_a_mark_that_nothing_closes_is_tried_once(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try looks through the rest of the text: tried every time, a wiki page of them would take minutes."""
    tried: list[str] = []
    once = notation._Page.mark

    def counted(page: Any, kind: str, text: str, found: Any) -> Any:
        made = once(page, kind, text, found)
        tried.extend([] if made else [kind])
        return made

    monkeypatch.setattr(notation._Page, "mark", counted)
    notation.render(mark * 1000, AROUND)
    assert len(tried) == 1


@pytest.mark.parametrize("kind", RENDERERS)
def test_what_is_too_large_for_a_page_comes_in_pieces(kind: str) -> None:
    text = "\n".join(f"行 {number} <&> " + "長" * 300 for number in range(1000))
    blocks = list(cleaned(RENDERERS[kind](text)))
    assert max(len(block.encode()) for block in blocks) <= BLOCK_BYTES
    together = "".join(blocks)
    assert all(f"行 {number} &lt;&amp;&gt;" in together for number in range(1000))


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://example.com/", True),
        ("HTTP://example.com/", True),
        ("mailto:a@example.com", True),
        (" https://example.com/ ", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("\\\\server\\share", False),
        ("//server/share", False),
        ("../x", False),
        ('https://example.com/"x', False),
    ],
)
def test_what_is_followed(url: str, followed: bool) -> None:
    assert (safe(url) is not None) is followed


@pytest.mark.parametrize(
    ("name", "on_disk", "is_picture", "opens"),
    [
        ("a.png", "a.png", True, True),
        ("A.PNG", "A.PNG", True, True),
        ("a.svg", "a.svg", True, False),
        ("a.html", "a.html", False, False),
        ("a.XHTML", "a.XHTML", False, False),
        ("a.html .", "a.html%20.", False, False),
        ("a", "a", False, False),
        ("a.xlsx", "a.xlsx", False, True),
        ("a.html.zip", "a.html.zip", False, True),
        ("a.png", "a.html", True, False),
        ("a.png", "a%2Ehtml", True, False),
        ("v1.2/a", "v1.2_a", False, False),
    ],
)
def test_files_that_would_run_are_not_linked(name: str, on_disk: str, is_picture: bool, opens: bool) -> None:
    file = File(name, f"../files/1-{on_disk}")
    assert (file.is_picture, file.opens) == (is_picture, opens)
    assert not File(name, None).is_picture
    assert not File(name, None).opens
