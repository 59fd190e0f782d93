"""What the user of `backlog-sync` sees: a live line on a terminal, plain lines in a log, a summary at the end."""

import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TextIO

from source_backlog.output import mute

# In a log, a line this often says that the sync is alive.
LOG_SECONDS = 30.0
TERMINAL_SECONDS = 0.2
SPINNER = "|/-\\"


class Progress:
    """Says how far a sync has come, on standard error; the summary goes to standard output.

    The loading module reports to it; a thread of its own redraws, because a sync that waits for Backlog's rate
    limit has nothing to report.
    """

    def __init__(self, errors: TextIO | None = None, output: TextIO | None = None) -> None:
        # Kept here because PyAirbyte's own messages are led away from sys.stderr and sys.stdout.
        self._errors, self._output = errors or sys.stderr, output or sys.stdout
        self._live = self._errors.isatty()
        self._began = time.monotonic()
        self._phase = "starting"
        self._selected: list[str] = []
        self._read: Counter[str] = Counter()
        self._finished: set[str] = set()
        self._latest = ""
        self._warnings: dict[str, None] = {}
        self._requests = ""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, destination: str) -> None:
        """Begin to show progress."""
        self._line(f"Backlog to {destination}")
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop showing progress. May be called more than once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # What the loading module reports.

    def phase(self, text: str, streams: Iterable[str] = ()) -> None:
        """The sync has come to another phase; `streams` are those that it will read, once they are known."""
        self._phase = text
        self._selected = list(streams) or self._selected
        if not self._live:
            self._line(f"{text[0].upper()}{text[1:]}" + (f" {len(self._selected)} streams" if streams else ""))

    def record(self, stream: str) -> None:
        """A row of `stream` has arrived."""
        self._read[stream] += 1
        self._latest = stream

    def finished(self, stream: str) -> None:
        """`stream` has been read to its end."""
        self._finished.add(stream)

    def log(self, level: str, message: str) -> None:
        """A log line of the connector: warnings are shown and kept, the wait for a rate limit is shown."""
        if message.startswith("Requests of this sync: "):
            self._requests = message.removeprefix("Requests of this sync: ")
        elif level == "WARN":
            if message not in self._warnings:
                self._warnings[message] = None
                self._line(message)
        elif message.startswith("Waiting "):
            self._line(message)

    # What the user reads in the end.

    def summary(self, in_table: Mapping[str, int]) -> None:
        """Print rows per stream (read by this run, and now in the table), requests, and what was skipped."""
        self.close()
        width = max(len(stream) for stream in in_table)
        lines = [f"{'':{width}}  {'read':>10}  {'in table':>10}"]
        lines += [f"{name:{width}}  {self._read[name]:>10,}  {rows:>10,}" for name, rows in sorted(in_table.items())]
        lines += ["", f"{self._read.total():,} rows of {len(in_table)} streams in {self._elapsed()}."]
        if self._requests:
            lines.append(f"Requests: {self._requests}")
        if self._warnings:
            lines += ["", "Skipped:", *(f"  {message}" for message in self._warnings)]
        _print("\n".join(lines), self._output)

    def last_word(self, text: str) -> None:
        """Print why the sync has ended before its end."""
        self.close()
        _print(text, self._errors)

    def _run(self) -> None:
        while not self._stop.wait(TERMINAL_SECONDS if self._live else LOG_SECONDS):
            if self._live:
                self._draw(self._status())
            else:
                self._line(self._status())
        if self._live:
            self._draw("")

    def _status(self) -> str:
        text = self._phase
        if self._read:
            text += f": {self._read.total():,} rows, {len(self._finished)} of {len(self._selected)} streams read"
            if self._latest and len(self._finished) < len(self._selected):
                text += f", now {self._latest}"
        return text

    def _line(self, text: str) -> None:
        with self._lock:
            clear = "\r\x1b[K" if self._live else ""
            _print(f"{clear}{time.strftime('%H:%M:%S')}  {text}", self._errors)

    def _draw(self, text: str) -> None:
        with self._lock:
            if text:
                turn = SPINNER[int(time.monotonic() / TERMINAL_SECONDS) % len(SPINNER)]
                text = f"{turn} {self._elapsed()}  {text}"[: shutil.get_terminal_size().columns - 1]
            _print(f"\r\x1b[K{text}", self._errors, end="")

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _print(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print at once. When nobody reads on, the sync goes on without a word: its rows are for the database."""
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        mute(stream)
