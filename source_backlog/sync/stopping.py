"""Ctrl-C and SIGTERM, also while dlt loads: it takes them for itself then, finishes the load, and forgets them."""

import contextlib
import os
import signal
from collections.abc import Iterator

# The end to read from of what is told of each signal by the system, whoever handles it.
_TOLD: list[int] = []


class Terminated(BaseException):
    """SIGTERM has come."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises `Terminated` at once, as Ctrl-C raises `KeyboardInterrupt`; `raise_if_stopped` knows of both."""
    told, tell = os.pipe()
    os.set_blocking(told, False)
    os.set_blocking(tell, False)
    before = signal.signal(signal.SIGTERM, _terminated), signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    _TOLD.append(told)
    try:
        yield
    finally:
        _TOLD.pop()
        signal.set_wakeup_fd(before[1])
        signal.signal(signal.SIGTERM, before[0])
        os.close(told)
        os.close(tell)


def raise_if_stopped() -> None:
    """Raise what a signal that has come since the last call, or since the start, would have raised."""
    if not _TOLD:
        return
    try:
        numbers = os.read(_TOLD[-1], 1024)
    except BlockingIOError:
        return
    if signal.SIGTERM in numbers:
        raise Terminated
    if signal.SIGINT in numbers:
        raise KeyboardInterrupt


def is_term(stopped: BaseException) -> bool:
    """Whether it was SIGTERM; dlt makes an exception of its own of either, with the number of the signal."""
    return isinstance(stopped, Terminated) or getattr(stopped, "signal_code", None) == signal.SIGTERM


def _terminated(signal_number: int, frame: object) -> None:
    raise Terminated
