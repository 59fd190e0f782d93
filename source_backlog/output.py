"""Standard output and error of a command: UTF-8 on every system, and quiet when nobody reads on."""

import contextlib
import io
import os
import sys
from typing import Any

# The status of a program that a closed pipe has ended, as shells report it: 128 and the number of SIGPIPE.
CLOSED_PIPE = 141


def speak_utf8() -> None:
    """Have everything printed in UTF-8, whatever the locale and `PYTHONIOENCODING` say.

    Why: protocol messages are JSON in UTF-8. Japanese Windows pipes text as cp932 and the locale C as ASCII, and the
    first character that these do not have would end the command.
    """
    for stream in {id(each): each for each in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}.values():
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def mute(stream: Any) -> None:
    """Let what is still printed to a pipe that was closed go nowhere, Python's own last flush too."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
