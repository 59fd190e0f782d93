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
        self._errors, self._output = errors or sys.stderr, output or sys.stdout
        self._live = self._errors.isatty()
        self._began = time.monotonic()
        self._route = ""
        self._phase = "starting"
        self._selected: list[str] = []
        self._read: Counter[str] = Counter()
        self._unchanged: Counter[str] = Counter()
        self._finished: set[str] = set()
        self._latest = ""
        self._warnings: dict[str, None] = {}
        self._requests = ""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, space: str, destination: str) -> None:
        """Begin to show progress."""
        self._route = f"{space} to {destination}"
        self._line(f"Backlog, from {self._route}")
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
            self._line(f"{text[0].upper()}{text[1:]}" + (f" {_streams(len(self._selected))}" if streams else ""))

    def record(self, stream: str) -> None:
        """A row of `stream` has arrived."""
        self._read[stream] += 1
        self._latest = stream

    def unchanged(self, stream: str, rows: int) -> None:
        """So many of the rows of `stream` are in the table already, as they are."""
        self._unchanged[stream] += rows

    def finished(self, stream: str) -> None:
        """`stream` has been read to its end."""
        self._finished.add(stream)

    def note(self, message: str) -> None:
        """Say something about this run."""
        self._line(message)

    def worth_knowing(self, message: str) -> None:
        """Say something now and, once more, at the end."""
        if message not in self._warnings:
            self._warnings[message] = None
            self._line(message)

    def log(self, level: str, message: str) -> None:
        """A log line of the connector: warnings are shown and kept, the wait for a rate limit is shown."""
        if message.startswith("Requests of this sync: "):
            self._requests = message.removeprefix("Requests of this sync: ")
        elif level.startswith("WARN"):
            self.worth_knowing(message)
        elif message.startswith(("Waiting ", "The key belongs to ")):
            self._line(message)

    # What the user reads in the end.

    def summary(self, in_table: Mapping[str, int | None]) -> None:
        """Print what was read of each stream and is in its table now, the requests, and what was skipped."""
        self.close()
        width = max(len(stream) for stream in in_table)
        lines = [f"{time.strftime('%Y-%m-%d %H:%M')}  Backlog, from {self._route}", f"{'':{width}}  {'in table':>10}"]
        for name, rows in sorted(in_table.items()):
            lines.append(f"{name:{width}}  {'' if rows is None else f'{rows:,}':>10}  {self._told(name)}".rstrip())
        read, same = self._read.total(), self._unchanged.total()
        lines += [
            "",
            f"{read:,} rows of {_streams(len(in_table))} read, {read - same:,} new or changed, in {self._elapsed()}.",
        ]
        if self._requests:
            lines.append(f"Requests: {self._requests}")
        if self._warnings:
            lines += ["", "Skipped or worth knowing:", *(f"  {message}" for message in self._warnings)]
        _print("\n".join(lines), self._output)

    def _told(self, stream: str) -> str:
        read, same = self._read[stream], self._unchanged[stream]
        if not read:
            return "nothing new"
        if not same:
            return f"{read:,} read"
        changed = read - same
        return f"{read:,} read again, {f'{changed:,} new or changed' if changed else 'none changed'}"

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
            text += f": {self._read.total():,} rows, {len(self._finished)} of {_streams(len(self._selected))} read"
            if self._latest and len(self._finished) < len(self._selected):
                text += f", now {self._latest}"
        return text

    def _line(self, text: str) -> None:
        with self._lock:
            clear = "\r\x1b[K" if self._live else ""
            _print(f"{clear}{time.strftime('%H:%M:%S' if self._live else '%Y-%m-%d %H:%M:%S')}  {text}", self._errors)

    def _draw(self, text: str) -> None:
        with self._lock:
            if text:
                turn = SPINNER[int(time.monotonic() / TERMINAL_SECONDS) % len(SPINNER)]
                text = f"{turn} {self._elapsed()}  {text}"[: shutil.get_terminal_size().columns - 1]
            _print(f"\r\x1b[K{text}", self._errors, end="")

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _streams(number: int) -> str:
    return f"{number} stream" if number == 1 else f"{number} streams"


def _print(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print at once. When nobody reads on, the sync goes on without a word: its rows are for the database."""
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        mute(stream)
