"""A headless Chromium for the tests that look at pages, driven over its own protocol."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS = 60.0
LEFT = re.compile(r"navigated or closed|context was destroyed|cannot find context", re.IGNORECASE)


def program() -> str:
    """The browser of this machine; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(NAMES)})")
    return found


class Left(Exception):
    """The page was left for another one while something was asked of it."""


class Browser:
    """One page of a browser. `asked` are the addresses that it asked for, `errors` what scripts and policies said."""

    def __init__(self, width: int = 1200, height: int = 900) -> None:
        self.asked: list[str] = []
        self.errors: list[str] = []
        self._profile = Path(tempfile.mkdtemp(prefix="backlog-browser-"))
        options = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--no-sandbox"] if os.geteuid() == 0 else []
        options += [f"--user-data-dir={self._profile}", "--remote-debugging-port=0", f"--window-size={width},{height}"]
        self._process = subprocess.Popen(
            [program(), *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._loop = asyncio.new_event_loop()
        self._number = 0

    def __enter__(self) -> Browser:
        try:
            self._loop.run_until_complete(self._connect())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.run_until_complete(self._disconnect())
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)
        self._loop.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, address: str) -> None:
        """Go to an address, and wait until the page is complete."""
        self.tell("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(Left):
                if self.evaluate(f"Boolean({script})"):
                    return
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click on the first element that `selector` finds, with the mouse."""
        place = self.evaluate(
            f"(() => {{ const found = document.querySelector({selector!r}); found.scrollIntoView({{block: 'center'}});"
            "const box = found.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def follow(self, selector: str) -> None:
        """Click on a link, and wait for the page behind it."""
        self.evaluate("window.left = false")
        with suppress(Left):
            self.click(selector)
        self.until("window.left === undefined && document.readyState === 'complete'")

    def write(self, text: str) -> None:
        """Type a text and Enter into what has the focus, and wait for the next page."""
        self.evaluate("window.left = false")
        self.tell("Input.insertText", text=text)
        enter = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
        with suppress(Left):
            for kind in ("keyDown", "keyUp"):
                self.tell("Input.dispatchKeyEvent", type=kind, **enter)
        self.until("window.left === undefined && document.readyState === 'complete'")

    def size(self, width: int, height: int) -> None:
        """Give the window another size; a narrow one is a telephone."""
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def picture(self, file: Path) -> None:
        """Take a picture of what is seen."""
        file.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"]))

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        return self._loop.run_until_complete(self._told(method, parameters))

    async def _connect(self) -> None:
        self._session: aiohttp.ClientSession | None = aiohttp.ClientSession()
        note = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not note.exists() or "\n" not in note.read_text():
            assert self._process.poll() is None and time.monotonic() < deadline, "the browser does not start"
            await asyncio.sleep(0.05)
        port = note.read_text().split("\n")[0]
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:  # ignore-https-check
            pages = await answer.json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = await self._session.ws_connect(address, max_msg_size=0)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self._told(f"{domain}.enable", {})

    async def _disconnect(self) -> None:
        if getattr(self, "_session", None) is not None:
            await self._session.close()  # type: ignore[union-attr]

    async def _told(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), PATIENCE_SECONDS)
            if message.get("id") == number:
                if (said := message.get("error", {}).get("message")) and LEFT.search(said):
                    raise Left(said)
                assert "error" not in message, f"{method}: {message.get('error')}"
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
