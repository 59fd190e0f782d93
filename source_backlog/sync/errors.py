"""What ends a sync, as a sentence and an exit status."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from source_backlog.disk import MAKE_ROOM, is_of_the_disk, room, room_in_temporary_folder

if TYPE_CHECKING:
    from source_backlog.embedded import Failure

FAILED = 1
USAGE = 2

NO_RIGHTS = (
    "The user of the database may not do what is needed: create a schema, and create, read and write tables in it."
)

# What the libraries of the databases say, and what that means: the first that is found counts.
MEANINGS: tuple[tuple[str, int, str], ...] = (
    (
        r"could not set lock on file|being used by another process",
        FAILED,
        "The DuckDB file is in use by another process; close it there, or wait for the other sync.",
    ),
    (
        r"no space left|disk full|could not extend file|file too large",
        USAGE,
        "The disk of the destination is full. Make room.",
    ),
    (
        r"permission denied|insufficient privilege|access denied|not authorized|must be owner|unauthorized|forbidden",
        USAGE,
        NO_RIGHTS,
    ),
    (
        r"password authentication failed|no password supplied|not permitted to log in|role .* does not exist|"
        r"incorrect username or password|login failed|invalid credentials|jwt token is invalid",
        USAGE,
        "The database refuses the login: check the user and the password or key.",
    ),
    (r"database .* does not exist", USAGE, "There is no such database."),
    (
        r"not a valid duckdb database|file exists, but it is not|could not be opened.*version|invalid database file",
        USAGE,
        "The file is no DuckDB database, or was written by another version of DuckDB.",
    ),
    (
        r"terminat|closed the connection|closed unexpectedly|connection already closed|broken pipe|connection reset|"
        r"server conn crashed|ssl syscall",
        FAILED,
        "The database has closed the connection. Try again later.",
    ),
    (
        r"connection refused|could not connect|could not translate host|name or service not known|timed? ?out|"
        r"starting up|shutting down|not currently accepting|too many connections|unreachable|connection to server|"
        r"failed to connect",
        FAILED,
        "The database cannot be reached. Try again later.",
    ),
)
# Bytes that are left of a disk that is as good as full.
LEAST_ROOM = 1024 * 1024
# Where a right is missing for one table alone.
_OF_ONE_TABLE = re.compile(r"\b(for|of|on) (table|relation|view)\b", re.IGNORECASE)
# What may be a value of a row, and would be shown, or taken for what the database says of itself.
_VALUES = re.compile(r"(?<!\w)'(?:[^']|'')*'(?!\w)|(?<=: )\".*?\"(?=\n|$)|\n(?:DETAIL|CONTEXT|LINE \d+):.*", re.DOTALL)
_WORDS = re.compile(r"\s+")
_ADDRESS = re.compile(r"\S*https?://\S+")


class SyncError(Exception):
    """A sync that cannot go on. The text is for the user; `status` is the exit status of the command.

    `status` is `USAGE` when the user can mend it (options, config, credentials), else `FAILED`. `of_all`: it is the
    database itself that fails, not one of the tables.
    """

    def __init__(self, message: str, status: int = FAILED, of_all: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.of_all = of_all


def meaning_of(text: str) -> SyncError | None:
    """What a database says, as one of `MEANINGS`; None if it is none of them."""
    text = _VALUES.sub("'…'", text)
    for pattern, status, meaning in MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return SyncError(meaning, status, of_all=meaning != NO_RIGHTS or not _OF_ONE_TABLE.search(text))
    return None


def explained(error: BaseException, what: str = "The database") -> SyncError:
    """`error` of a database or of dlt as a sentence: without statements, values and links to pages of libraries."""
    errors = [error]
    while (cause := errors[-1].__cause__ or errors[-1].__context__) is not None:
        errors.append(cause)
    if full := next((full for each in errors if (full := _temporary_disk_full(each))), None):
        return full
    texts = [text for each in errors if (text := str(each).strip())]
    for text in reversed(texts):
        if known := meaning_of(text):
            return known
    reason = _ADDRESS.sub("", _VALUES.sub("'…'", texts[-1]).split("\n")[0]) if texts else type(error).__name__
    return SyncError(f"{what} refuses what is written: {_WORDS.sub(' ', reason)[:200].strip()}")


def unforeseen(error: Exception) -> SyncError:
    """What is said of an error that nothing else has a sentence for."""
    return _temporary_disk_full(error) or SyncError(
        f"Something went wrong that was not foreseen ({type(error).__name__}). Please report it. What was written "
        "stays, and the next run goes on from there."
    )


def _temporary_disk_full(error: BaseException) -> SyncError | None:
    # The disk of the destination may be meant as well: only one of them is full.
    if not isinstance(error, OSError) or not is_of_the_disk(error) or room() > LEAST_ROOM:
        return None
    return SyncError(f"{room_in_temporary_folder(error)} {MAKE_ROOM}", USAGE, of_all=True)


def raise_for(failures: "Sequence[Failure]") -> None:
    """Raise `SyncError` with what the connector could not do, each reason once with its streams."""
    if not failures:
        return
    streams: dict[str, list[str]] = {}
    for failure in failures:
        streams.setdefault(failure.message, []).extend([failure.stream] if failure.stream else [])
    reasons = [f"{', '.join(names)}: {message}" if names else message for message, names in streams.items()]
    raise SyncError(" ".join(reasons), USAGE if any(failure.mendable for failure in failures) else FAILED)
