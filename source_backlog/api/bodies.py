"""The body of an answer: read within bounds, decoded once, and given on as it was edited."""

import io
import time
from typing import Any

import orjson
import requests
import urllib3.exceptions

# A page of Backlog has some hundred KiB; what is larger than this is no page and would fill the memory.
LARGEST_BODY_BYTES = 256 * 1024 * 1024
CHUNK_BYTES = 256 * 1024

# Where a response keeps what was decoded, and whether that is no longer what was received.
_DECODED, _EDITED = "backlog_body", "backlog_edited"


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
    """The decoded JSON body, decoded once per response; raises `orjson.JSONDecodeError` when it is not JSON."""
    memo = response.__dict__
    if _DECODED not in memo:
        memo[_DECODED] = orjson.loads(response.content)
    return memo[_DECODED]


def mark_edited(response: requests.Response) -> None:
    """Note that the decoded body was edited: what was received must not be decoded anew."""
    response.__dict__[_EDITED] = True


def as_edited(response: requests.Response) -> requests.Response:
    """The response for whoever decodes it anew: with what its body was edited to, if it was."""
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
