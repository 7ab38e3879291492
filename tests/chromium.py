"""Headless Chromium, spoken to over a pipe in the DevTools protocol: no driver, no package."""

from __future__ import annotations

import atexit
import base64
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.waiting import HANG

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)


class Chromium:
    """A page in a window of its own: cookies, storage and cache are no other window's.

    All windows of this process belong to one browser, which is begun for the first of them.
    `requests` are the addresses asked for, other than data: ones.
    """

    def __init__(self, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._browser = _running()
        self._session = ""
        self._context = self._call("Target.createBrowserContext")["browserContextId"]
        page = self._call("Target.createTarget", url="about:blank", browserContextId=self._context)
        attached = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self._browser.heard[self._session] = self._hear
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setFocusEmulationEnabled", enabled=True)
        scheme = "dark" if dark else "light"
        self._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.resize(width, height)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        del self._browser.heard[self._session]
        if self._browser.runs:
            self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    @property
    def process(self) -> int:
        return self._browser.process

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def open(self, address: str) -> None:
        """Starts loading, and does not wait for the end of it."""
        self._call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """The value of a JavaScript expression as soon as it is true."""
        return self.run(
            f"""new Promise((done, failed) => {{
              const start = performance.now();
              (function look() {{
                const value = {condition};
                if (value) done(value);
                else if (performance.now() - start > {HANG * 1000})
                  failed(new Error("waited in vain"));
                else setTimeout(look, 20);
              }})();
            }})"""
        )

    def press(self, key: str) -> None:
        number = {"Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[
            key
        ]
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=number,
            )

    def metrics(self) -> dict[str, float]:
        self._call("Performance.enable")
        return {m["name"]: m["value"] for m in self._call("Performance.getMetrics")["metrics"]}

    def memory(self) -> float:
        """MB of the process which draws the page; what it shares with others counts by its part.
        It is the largest: Chromium keeps some more for pages of its own."""
        kilobytes = [0]
        for process in _below(self.process):
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                found = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.M)
                kilobytes.append(int(found[1]) if found else 0)
        assert any(kilobytes)
        return max(kilobytes) / 1024

    def screenshot(self, path: str, **options: object) -> None:
        data = self._call("Page.captureScreenshot", **{"format": "png", **options})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def _call(self, method: str, **parameters: object) -> Any:
        return self._browser.call(method, self._session, **parameters)

    def _hear(self, method: str, parameters: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                address = parameters["request"]["url"]
                if not address.startswith("data:"):
                    self.requests.append(address)
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.errors.append(json.dumps(parameters["args"]))
            case "Log.entryAdded":
                self.errors.append(parameters["entry"]["text"])


class _Browser:
    """The program, until this process ends. `heard` takes a session's events."""

    def __init__(self) -> None:
        assert PROGRAM
        self.runs = True
        self.heard: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self.process = os.posix_spawn(
            PROGRAM,
            [PROGRAM, *OPTIONS, f"--user-data-dir={self._home.name}", "about:blank"],
            os.environ,
            file_actions=[  # the protocol reads descriptor 3 and writes descriptor 4
                (os.POSIX_SPAWN_DUP2, to_read, 3),
                (os.POSIX_SPAWN_DUP2, to_write, 4),
                *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)),
            ],
        )
        os.close(to_read)
        os.close(to_write)
        atexit.register(self.end, os.getpid())

    def end(self, owner: int) -> None:
        if os.getpid() != owner:  # a child that was forked
            return
        self.runs = False
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._write)
        os.close(self._read)
        self._home.cleanup()

    def call(self, method: str, session: str = "", **parameters: object) -> Any:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(answer["error"])
                return answer["result"]

    def _receive(self) -> Any:
        while b"\0" not in self._buffer:
            more = os.read(self._read, 1 << 20)
            if not more:
                self.runs = False
                raise RuntimeError("Chromium ended")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        event = json.loads(message)
        hear = self.heard.get(event.get("sessionId", ""))
        if hear and "method" in event:
            hear(event["method"], event.get("params", {}))
        return event


_browsers: list[_Browser] = []


def _running() -> _Browser:
    if not _browsers or not _browsers[-1].runs:
        _browsers.append(_Browser())
    return _browsers[-1]


def _below(pid: int) -> Iterator[Path]:
    """The folders in /proc of all processes that it began, and of theirs."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield Path(f"/proc/{child}")
            yield from _below(child)
