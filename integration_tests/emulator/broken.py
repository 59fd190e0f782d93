"""Texts that are no valid JSON or UTF-8 on the wire.

Put one of the pieces into any text of the space (a summary, a comment, a name): every answer that shows it has the
broken bytes there. ``truth`` shows ``U+FFFD`` in their place; a reader may have several in a row for one piece.
"""

from __future__ import annotations

HALF_SURROGATE = "\ue100"
"""The escape of half a surrogate pair, as a text has that was cut inside an emoji."""
CONTROL = "\ue101"
"""A raw vertical tab, which JSON allows only as an escape."""
CESU_8 = "\ue102"
"""An emoji as two encoded surrogates."""
BYTE = "\ue103"
"""A byte that is never in UTF-8."""
BOM = "\ue104"
"""Nothing in the text, but the body begins with a byte order mark."""

PIECES = {
    "half_surrogate": HALF_SURROGATE,
    "control": CONTROL,
    "cesu_8": CESU_8,
    "byte": BYTE,
    "bom": BOM,
}
_BYTES = {
    HALF_SURROGATE: b"\\ud83c",
    CONTROL: b"\x0b",
    CESU_8: b"\xed\xa0\xbc\xed\xbe\x89",
    BYTE: b"\xff",
    BOM: b"",
}
_BEGINNING = b"\xee\x84"


def on_the_wire(body: bytes) -> bytes:
    """JSON with the pieces as a client gets them."""
    if _BEGINNING not in body:
        return body
    start = b"\xef\xbb\xbf" if BOM.encode() in body else b""
    for piece, broken in _BYTES.items():
        body = body.replace(piece.encode(), broken)
    return start + body


def as_read(body: bytes) -> bytes:
    """JSON with the pieces as a reader shows them."""
    if _BEGINNING not in body:
        return body
    for piece in PIECES.values():
        body = body.replace(piece.encode(), b"" if piece == BOM else b"\xef\xbf\xbd")
    return body
