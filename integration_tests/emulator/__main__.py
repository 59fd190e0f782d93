"""``python -m integration_tests.emulator``: serve a generated space until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
from dataclasses import fields
from typing import Any

from .control import ControlledServer
from .generator import generate
from .limits import CATEGORIES, Limits
from .quirks import Quirks


def rate_limit(text: str) -> dict[str, int | None]:
    limits: dict[str, int | None] = {}
    for part in text.split(","):
        category, _, number = part.partition("=")
        if category not in CATEGORIES or not number.isdigit():
            raise argparse.ArgumentTypeError(f"{part!r} is not <category>=<number>")
        limits[category] = int(number)
    return limits


def quirk(text: str) -> tuple[str, Any]:
    """``name=value``; a number, ``true`` or ``false`` as JSON writes it."""
    name, _, value = text.partition("=")
    return name, value if isinstance(getattr(Quirks, name, ""), str) else json.loads(value)


def arguments() -> argparse.Namespace:
    quirks = ", ".join(each.name for each in fields(Quirks))
    parser = argparse.ArgumentParser(prog="python -m integration_tests.emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, %(default)s unless told")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same number makes the same space; %(default)s unless told"
    )
    parser.add_argument("--projects", type=int, default=3, help="how many, %(default)s unless told")
    parser.add_argument("--issues", type=int, default=60, help="how many in all projects, %(default)s unless told")
    parser.add_argument(
        "--comments-per-issue", type=float, default=2.0, help="how many on average, %(default)s unless told"
    )
    parser.add_argument("--latency-ms", type=int, default=0, help="added to every answer, %(default)s unless told")
    parser.add_argument(
        "--rate-limit", type=rate_limit, default={}, help="such as read=600,search=150; no limit for the others"
    )
    parser.add_argument(
        "--window-seconds", type=int, default=60, help="length of a rate-limit window, %(default)s unless told"
    )
    parser.add_argument(
        "--quirk",
        type=quirk,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"such as ties=random; may be repeated; quirks.py explains {quirks}",
    )
    parser.add_argument(
        "--keep-requests", type=int, default=20_000, help="how many requests the log holds, %(default)s unless told"
    )
    parser.add_argument("--virtual-dates", action="store_true", help="answers bear the virtual clock as their date")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    space = generate(
        seed=options.seed,
        projects=options.projects,
        issues=options.issues,
        comments_per_issue=options.comments_per_issue,
        quirks=dict(options.quirk),
    )
    # Nobody measures a client against a server that is still warming up.
    for issue in space.issues.values():
        issue.dump()
    # The space is big and stays: keep the collector from walking over it again and again.
    gc.freeze()
    limits = Limits(options.rate_limit, options.window_seconds)
    server = ControlledServer(
        space,
        limits,
        latency=options.latency_ms / 1000,
        keep_requests=options.keep_requests,
        virtual_dates=options.virtual_dates,
    )
    address = await server.start(options.host, options.port)
    print(address, flush=True)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
