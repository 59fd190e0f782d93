"""What the tests of the archive share: texts that try to run scripts, and what of a page would run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

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
