"""The body of an answer: read within bounds, decoded once, and given on as it was edited."""

import io
import json
import re
import time
from typing import Any

import orjson
import requests
import urllib3.exceptions

# A page of Backlog has some hundred KiB; what is larger than this is no page and would fill the memory.
LARGEST_BODY_BYTES = 256 * 1024 * 1024
CHUNK_BYTES = 256 * 1024

# Where a response keeps what was decoded, what of it was mended, and whether it is still what was received.
_DECODED, _MENDED, _EDITED, _MISSING = "backlog_body", "backlog_mended", "backlog_edited", "backlog_missing"

# The body of the 404 in the place of an answer that holds nothing.
NOTHING = b"null"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Half of a surrogate pair is no character: no text that can be encoded has one, so that it marks what has to be mended.
_HALVES = re.compile("[\ud800-\udfff]")
_MARK, _UNREADABLE = "\udc00", "\ufffd"
# A text of JSON; one without an end reaches as far as it can, or a long one would be looked through time and again.
_JSON_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f]")
# What names an entry of a list, the best name first.
_NAMES = ("issueKey", "projectKey", "id", "version", "number")


class TooLarge(requests.RequestException):
    """The body is larger than what is read into memory."""


def read_body(response: requests.Response, seconds: float) -> None:
    """Read the body, within bounds of time and size, so that `response.content` only has to hand it out.

    Why: `requests` waits for each piece of a body anew, so that a server that sends a byte a minute is never too
    slow for it. Raises what `requests` itself would raise.
    """
    if response.raw is None:
        return
    deadline = time.monotonic() + seconds
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY_BYTES:
                response.close()
                raise TooLarge(request=response.request)
            if time.monotonic() > deadline:
                response.close()
                raise requests.ReadTimeout(request=response.request)
    except requests.RequestException:
        # One of the two above, which are OSErrors too.
        raise
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error, request=response.request) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, request=response.request) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error, request=response.request) from error
    response.raw.release_conn()
    response.raw = io.BytesIO(b"".join(pieces))


def body_of(response: requests.Response) -> Any:
    """The decoded JSON body, decoded once per response; raises `orjson.JSONDecodeError` when it is not JSON.

    A character that cannot be read becomes U+FFFD: see `mended_in`.
    """
    memo = response.__dict__
    if _DECODED not in memo:
        content = response.content
        try:
            memo[_DECODED] = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            memo[_DECODED], memo[_MENDED] = _decode_leniently(content, error)
            mark_edited(response)
    return memo[_DECODED]


def mended_in(response: requests.Response) -> list[str]:
    """The entries of the body's list in which characters had to be mended, by name; the object itself is ""."""
    mended: list[str] = response.__dict__.get(_MENDED, [])
    return mended


def is_empty(response: requests.Response) -> bool:
    """Whether the answer holds nothing: no body, or `null`."""
    return response.status_code == 204 or response.content.strip() in (b"", b"null")


def mark_missing(response: requests.Response) -> None:
    """Note that the answer says that there is no such object, as a 404 does."""
    response.__dict__[_MISSING] = True


def mark_edited(response: requests.Response) -> None:
    """Note that the decoded body was edited: what was received must not be decoded anew."""
    response.__dict__[_EDITED] = True


def as_edited(response: requests.Response) -> requests.Response:
    """The response for whoever decodes it anew: with what its body was edited to, if it was, or as a 404."""
    if response.__dict__.get(_MISSING):
        return response_with(404, response.url, NOTHING)
    if not response.__dict__.get(_EDITED):
        return response
    body = body_of(response)
    made = response_with(response.status_code, response.url, orjson.dumps(body))
    made.request = response.request
    made.__dict__[_DECODED] = body
    return made


def response_with(status: int, url: str, content: bytes) -> requests.Response:
    """A response that nobody has sent: with a body of JSON that is there already."""
    made = requests.Response()
    made.status_code = status
    made.url = url
    made.headers["Content-Type"] = "application/json;charset=utf-8"
    made.raw = io.BytesIO(content)
    return made


def _decode_leniently(content: bytes, refused: orjson.JSONDecodeError) -> tuple[Any, list[str]]:
    """The value of JSON whose only fault are characters that cannot be read, and the entries that hold such.

    These are half surrogates, alone as an escape or in pairs as bytes (CESU-8), bytes that are no UTF-8, and control
    characters that are not escaped. Each becomes U+FFFD. A byte order mark is left out. Raises `refused` when there is
    more amiss, such as JSON that is cut off.

    Why: one such character in a text that somebody has pasted would cost the whole page, and in the feed every family
    of objects.
    """
    text = content.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    text = _JSON_TEXT.sub(lambda match: _CONTROL.sub(_MARK, match[0]), text)
    try:
        value = json.loads(text, parse_int=_as_orjson_does, parse_constant=_refuse)
        mended = _mend(value)
        is_whole = mended == value
    except (ValueError, RecursionError, OverflowError):
        raise refused from None
    if is_whole:
        if not content.startswith(_BYTE_ORDER_MARK):
            raise refused
        return value, []
    if not isinstance(mended, list):
        return mended, [""]
    pairs = zip(mended, value, strict=True)
    return mended, [_name_of(entry, number) for number, (entry, received) in enumerate(pairs) if entry != received]


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return _HALVES.sub(_UNREADABLE, value)
    if isinstance(value, list):
        return [_mend(one) for one in value]
    if isinstance(value, dict):
        return {_mend(name): _mend(inner) for name, inner in value.items()}
    return value


def _name_of(entry: Any, number: int) -> str:
    names = (str(entry[name]) for name in _NAMES if entry.get(name) is not None) if isinstance(entry, dict) else ()
    return next(iter(names), f"entry {number + 1}")


def _as_orjson_does(digits: str) -> int | float:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _refuse(constant: str) -> None:
    raise ValueError(constant)
