"""A real browser without a window: Chromium, driven over its DevTools protocol.

The protocol is Chromium's own (https://chromedevtools.github.io/devtools-protocol/), spoken over
a WebSocket by the library that the Kubernetes client brings along.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

#: Seconds that Chromium is given for anything; a busy machine is slow.
PATIENCE = 120.0


def chromium() -> str:
    """The path of a Chromium; empty where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), "")


class Page:
    """One page of the browser.

    Attributes:
        complaints: what the console said: errors, warnings, violations of the page's policy.
    """

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self._numbers = itertools.count(1)
        self._loaded = False
        self._asked: dict[str, str] = {}
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            said = self._hear()
            if said.get("id") == number:
                assert "error" not in said, (method, said["error"])
                return dict(said["result"])

    def _hear(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv())
        match said.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                asked = said["params"]
                self._asked[asked["requestId"]] = asked["request"]["url"]
            case "Network.loadingFailed" if said["params"].get("blockedReason") == "csp":
                self._asked.pop(said["params"]["requestId"], None)
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(said["params"]["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(said["params"]["args"]))
            case "Log.entryAdded":
                self.complaints.append(said["params"]["entry"]["text"])
        return said

    @property
    def requests(self) -> list[str]:
        """What the present page has asked for, itself first; what its policy stopped is not."""
        return [*self._asked.values()]

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._loaded = False
        self._asked.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._hear()

    def look(
        self, width: int = 1200, height: int = 900, *, dark: bool = False, media: str = "screen"
    ) -> None:
        """The size of the window, the scheme of its colours, and what it is for."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def script(self, *, on: bool) -> None:
        """Whether pages that are opened from now on may run scripts."""
        self.call("Emulation.setScriptExecutionDisabled", value=not on)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to."""
        said = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader would find."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored")
        ]

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """What the window shows, or the whole page, as PNG."""
        said = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(said["data"]))
        return path

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with one page, whose profile is in ``folder``; it ends with the context."""
    flags = [
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-default-browser-check",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        "--font-render-hinting=none",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        "about:blank",
    ]
    with (folder / "chromium.log").open("w") as log:
        process = subprocess.Popen(
            [chromium(), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        page = Page(_address(process, folder))
        try:
            yield page
        finally:
            page.call("Browser.close")
            page.close()
    finally:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Where the page is spoken with; Chromium prints the browser's own address once it listens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        said = (folder / "chromium.log").read_text(errors="replace")
        if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", said):
            return _page_of(int(found[1]))
        assert process.poll() is None, said
        time.sleep(0.05)
    raise AssertionError("Chromium does not listen: " + (folder / "chromium.log").read_text())


def _page_of(port: int) -> str:
    import httpx

    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        pages = client.get(f"http://127.0.0.1:{port}/json/list").json()
    return next(str(one["webSocketDebuggerUrl"]) for one in pages if one["type"] == "page")
