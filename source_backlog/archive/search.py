"""The index of the offline search, as scripts: a page that was opened from a disk may load scripts, but no data.

No library was found that does this for Japanese and without a server. Words in Latin letters are kept whole; in
Japanese, which has no spaces, each pair of characters side by side is one. `search.js` takes a question apart alike.
"""

import json
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise

from source_backlog.archive.folder import Folder

SHARD_BYTES = 60_000
# Characters that are written without spaces between words. The same stand in search.js.
_RUN = re.compile(
    r"([a-z][a-z0-9_]*-[0-9]+)"
    r"|([\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
    r"|([^\W\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def words_of(text: str) -> set[str]:
    """The words of a text, as the index knows them. `WEB-12` is one, and two more."""
    words: set[str] = set()
    for key, run, word in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if key:
            words.update((key, *key.rsplit("-", 1)))
        elif run:
            words.update(run[at : at + 2] for at in range(len(run)))
        else:
            words.add(word[:60])
    return words


class Index:
    """Pages by their words. Pages are numbered as they come; a number is doubled, plus one for a word of the title."""

    def __init__(self) -> None:
        self._postings: dict[str, array[int]] = {}
        self._pages: list[str] = []

    def add(self, kind: str, title: str, page: str, place: str, excerpt: str, texts: Iterable[str]) -> None:
        """Take in a page: its kind, title, address from the top of the archive, where it belongs, how it begins."""
        number = len(self._pages) * 2
        body = "\n".join(texts)
        self._pages.append(_script([kind, title, page, place, excerpt]))
        named = words_of(title)
        for word in sorted(words_of(body) | named):
            self._postings.setdefault(word, array("I")).append(number + (word in named))

    def write(self, folder: Folder) -> None:
        """Write the scripts, and the one that tells what is in which."""
        # In the order in which JavaScript compares texts.
        words = sorted(self._postings, key=lambda word: word.encode("utf-16-be", "surrogatepass"))
        entries = (entry for word in words for entry in _entries(word, self._postings[word]))
        first_words = _shards(folder, "words", entries)
        first_pages = _shards(folder, "pages", ((str(number), page) for number, page in enumerate(self._pages)))
        known = {"words": first_words, "pages": [int(number) for number in first_pages], "count": len(self._pages)}
        folder.put("search/manifest.js", f"SEARCH.manifest({_script(known)});\n")


def _entries(word: str, postings: "array[int]") -> Iterator[tuple[str, str]]:
    """The pages of a word, each as the distance from the one before; of a frequent one in several entries."""
    step = SHARD_BYTES // 4
    for first in range(0, len(postings), step):
        part = postings[first : first + step]
        steps = [part[0], *(after - before for before, after in pairwise(part))]
        yield word, f'{_script(word)},"{" ".join(_short(number) for number in steps)}"'


def _shards(folder: Folder, name: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    """Write entries into scripts of at most about `SHARD_BYTES`; gives the first entry of each."""
    firsts: list[str] = []
    part: list[str] = []
    size = 0

    def close() -> None:
        number, lines = len(firsts) - 1, ",\n".join(part)
        folder.put(f"search/{name}-{number}.js", f"SEARCH.{name}({number},[\n{lines}\n]);\n")

    for first, entry in entries:
        needed = len(entry.encode("utf-8", "replace")) + 2
        if part and size + needed > SHARD_BYTES:
            close()
            part, size = [], 0
        if not part:
            firsts.append(first)
        part.append(entry)
        size += needed
    if part:
        close()
    return firsts


def _script(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _short(number: int) -> str:
    """A number to the base 36."""
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
