"""What the tests of the archive share: texts that try to run scripts, and what of a page would run."""

from __future__ import annotations

import re
import struct
import zlib
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

from markupsafe import escape

from integration_tests.emulator import Space
from integration_tests.emulator.entities import Attachment
from integration_tests.emulator.generator import generate
from integration_tests.warehouse import Command

# Each would set `hacked` if a browser ran it.
HOSTILE = (
    "<script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "<svg/onload=hacked=1>",
    '"><img src=x onerror=hacked=1>',
    "'><script>hacked=1</script>",
    "</title></textarea></style></pre></code><script>hacked=1</script>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href=javascript:hacked=1>x</a>",
    "<style>@import 'javascript:hacked=1'</style>",
    "<form action=javascript:hacked=1><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=javascript:hacked=1'>",
    "<base href=https://evil.example/>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hacked=1></style></mglyph></table></mtext></math>",
    "<noscript><p title='</noscript><img src=x onerror=hacked=1>'>",
    "[x](javascript:hacked=1) [y](JaVaScRiPt:hacked=1) [z](data:text/html,<script>hacked=1</script>)",
    "![x](javascript:hacked=1) <javascript:hacked=1> [w](vbscript:hacked=1) [v](file:///etc/passwd)",
    "[[x>javascript:hacked=1]] [[javascript:hacked=1]] [[x:javascript:hacked=1]] [[x>file://server/share]]",
    '&color(red" onmouseover="hacked=1) { x } &color(expression(hacked=1)) { y }',
    "&color(red;background:url(javascript:hacked=1)) { x }",
    '#image(javascript:hacked=1) #thumbnail(x" onerror="hacked=1) #attach(x:javascript:hacked=1)',
    'https://example.com/"onmouseover="hacked=1 https://example.com/\'><script>hacked=1</script>',
    "{code}</code></pre><script>hacked=1</script>{/code}",
    "```\n</code></pre><script>hacked=1</script>\n```",
    '|<script>hacked=1</script>|x" onclick="hacked=1|h',
    "* <script>hacked=1</script>\n#contents",
    "&lt;script&gt;hacked=1&lt;/script&gt; &#60;script&#62;hacked=1&#60;/script&#62;",
    "\x00<scr\x00ipt>hacked=1</scr\x00ipt>",
    "`<script>hacked=1</script>` **<script>hacked=1</script>** ''<script>hacked=1</script>''",
)
# Both an HTML page and an SVG image.
ACTIVE = b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><script>hacked=1</script></svg>'
# Of a page of the archive itself.
OWN_SCRIPTS = re.compile(r"(?:\.\./)*assets/(?:words|app|search)\.js")
ADDRESS = re.compile(r"(?:https?://|mailto:)|(?![a-z][a-z0-9+.-]*:)(?!//|\\\\)", re.IGNORECASE)
FORBIDDEN = {"base", "embed", "frame", "iframe", "math", "object", "style", "svg"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in FORBIDDEN:
            self.found.append(f"<{tag}>")
        if tag == "script" and not OWN_SCRIPTS.fullmatch(given.get("src", "")):
            self.found.append(f"<script src={given.get('src')!r}>")
        if tag == "meta" and given.get("http-equiv", "").lower() not in ("", "content-security-policy"):
            self.found.append(f"<meta {given}>")
        self.found += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "srcdoc"]
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            if name in given and not ADDRESS.match(re.sub(r"[\x00-\x20]", "", given[name])):
                self.found.append(f"<{tag} {name}={given[name]!r}>")
        if re.search(r"url\(|expression|javascript|@import", given.get("style", ""), re.IGNORECASE):
            self.found.append(f"<{tag} style={given['style']!r}>")
        if tag == "img" and not given.get("src", "../").startswith("../"):
            self.found.append(f"<img src={given.get('src')!r}>")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "img":
            self.images.append(given.get("src", ""))
        if "id" in given:
            self.ids.add(given["id"])


def read(html: str) -> _Reader:
    """What is in a page: `found` is what would run or ask the network, then `links`, `images` and `ids`."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


NOTATION = """#contents
* 画面の仕様
''重要'': [[ARC-1]] と Home の '''手順''' を見てください。&color(red) { 期限は %%金曜%% 月曜 }

** 項目
- 入力
-- 必須
- 確認

|項目|値|h
|~件数|100|
|~備考|ARC-2 を参照|

{code:sql}
SELECT * FROM issues WHERE key = 'ARC-1';
{/code}

> お客様からの引用です。

#image(画面.png)
"""
MARKDOWN = """# Release

**Important**: see MD-1 and https://example.com/spec.

- [x] build
- [ ] deploy

| Step | Owner |
| --- | --- |
| test | 佐藤 |

```sh
make test
```

![screen][screen.png]
"""


def shows_its_space(command: Command, folder: Path) -> None:
    """Write the archive of what `command` has synced, without a request, and look for everything in it."""
    before = len(command.emulator.requests)
    output, errors = command.run("--archive", str(folder))
    assert len(command.emulator.requests) == before, "the archive asked Backlog"
    assert "Open " in output and not errors
    for issue in command.emulator.truth("issues"):
        page = folder / "projects" / issue["issueKey"].rsplit("-", 1)[0] / "issues" / f"{issue['issueKey']}.html"
        text = page.read_text(encoding="utf-8")
        assert escape(issue["summary"]) in text
        # Also that times come out of the database as they went in, in UTC where the stream `space` was not read.
        assert f"{datetime.fromisoformat(issue['created']):%Y-%m-%d %H:%M}" in text
        assert (issue["dueDate"] or "")[:10] in text
        for file in issue["attachments"]:
            assert escape(file["name"]) in text
    for name, kind in (("wikis", "wiki"), ("documents", "documents")):
        written = {file.stem for file in folder.glob(f"projects/*/{kind}/*.html")}
        assert {str(row["id"]) for row in command.emulator.truth(name)} <= written


def archived_space() -> Space:
    """A space with something of everything that the archive shows, and with hostile texts wherever people write."""
    space = generate(seed=7, projects=2, issues=24)
    arc = space.create_project("ARC", "社内ポータル", text_formatting_rule="backlog")
    md = space.create_project("MD", "Mobile app", text_formatting_rule="markdown")
    space.create_version(arc, "2026年夏", release_due_date="2026-09-30")
    first = space.create_issue(
        arc,
        "ログイン画面の仕様を決める",
        description=NOTATION,
        attachments=[("画面.png", 2000), ("危険.html", 100), ("図.svg", 100), ("無い.pdf", 100)],
        due_date="2026-08-31",
        estimated_hours=7.5,
    )
    second = space.create_issue(arc, "請求書の様式", parent=first, description="ARC-1 の続き")
    space.relate_issues(first, second)
    space.add_external_link(first, "https://example.com/drive/1", "設計フォルダー")
    space.add_external_link(first, "javascript:hacked=1", "悪いリンク")
    space.advance(3600)
    space.add_comment(first, "''確認''しました。[[定例/議事録]] に書きました。")
    space.update_issue(first, status=arc.statuses[1], comment="着手します", actual_hours=1.25)
    space.update_issue(second, description="長い説明\n" * 300)
    space.create_wiki(arc, "Home", NOTATION, tags=["入口"])
    space.create_wiki(arc, "定例/議事録", "* 議事録\n[[Home]] に戻る")
    chapters = (f"* 第{number}章\n{'本文です。' * 200}\n" for number in range(1, 101))
    space.create_wiki(arc, "長いページ", "#contents\n" + "".join(chapters))
    field = space.create_custom_field(arc, "長い欄", 2)
    space.update_issue(second, custom_fields={field: "長い値です。" * 2000})
    wiki = space.create_wiki(md, "Home", MARKDOWN)
    space.attach_file_to_wiki(wiki, "screen.png", 2000)
    space.create_issue(md, "Release 1.0", description=MARKDOWN, attachments=[("screen.png", 2000)])
    parent = space.create_document(arc, "設計書", "一行目\nARC-1 を参照", emoji="📘", tags=["設計"])
    space.create_document(arc, "付録", "付録の本文", parent=parent)
    space.comment_document(parent, "良いと思います")
    for rule in ("backlog", "markdown"):
        bad = space.create_project(f"BAD{len(rule)}", HOSTILE[0], text_formatting_rule=rule)
        space.create_status(bad, HOSTILE[3])
        for number, text in enumerate(HOSTILE):
            text = text.replace("\x00", "")
            issue = space.create_issue(bad, text[:200], description=text, attachments=[(text.replace("/", "_"), 10)])
            space.add_comment(issue, text)
            space.create_wiki(bad, f"{number} {text}", text, tags=[text])
            space.create_document(bad, text, text, emoji=text)
    lost = space.create_project("LOST", "離れたプロジェクト", text_formatting_rule=None)
    space.create_wiki(lost, "思い出", "# 残したいページ")
    space.create_issue(lost, "残したい課題")
    long = space.create_issue(arc, "コメントの多い課題", description="長" * 120_000)
    for number in range(150):
        space.add_comment(long, f"{number} 番目のコメント。" + "とても長い文です。" * 40)
    space.create_issue(arc, "やがて消える課題")
    return space


def files_of(space: Space, folder: Path) -> None:
    """The attachments of ARC and MD as a sync lays them down: images of one colour, and files that try to run."""
    for key in ("ARC", "MD"):
        project = space.project(key)
        for issue in project.issues:
            for file in issue.attachments:
                if file.name != "無い.pdf":
                    _lay(folder / "issue_attachment_files" / key / issue.key, file)
        for wiki in project.wikis.values():
            for file in wiki.attachments:
                _lay(folder / "wiki_attachment_files" / key / str(wiki.id), file)


def _lay(place: Path, file: Attachment) -> None:
    place.mkdir(parents=True, exist_ok=True)
    content = png(320, 180) if file.name.endswith(".png") else ACTIVE
    (place / f"{file.id}-{file.name}").write_bytes(content)


def png(width: int, height: int) -> bytes:
    """An image of one colour."""
    rows = (b"\0" + b"\x3a\x6e\xa5" * width) * height

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
