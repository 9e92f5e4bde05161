"""A headless Chromium on the end of a pipe, for looking at a page as a person's browser does. Speaks DevTools, needs no driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
needs_browser = pytest.mark.browser
QUIET = (
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
    "--disable-audio-output",
)  # fmt: skip
PATIENCE_S = 60.0
# Chromium reads DevTools from file 3 and answers on file 4.
MOVE_PIPES = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
os.dup2(pipes[0], 3), os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page. `problems`: what went wrong on it; `requests`: every address it asked for."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._left = send, receive, b""
        self._number, self._session = 0, ""
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, page: Path, fragment: str = "", *, width: int = 1400, height: int = 1000, scheme: str = "light") -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Page.navigate", url="about:blank")  # a new fragment alone would keep the old page and its state
        self._call("Page.navigate", url=page.as_uri() + fragment)
        self.wait_for("document.readyState === 'complete' && typeof table === 'object'")

    def value(self, expression: str) -> Any:
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, expression: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < until, f"{expression} did not come true; {self.problems}"
            time.sleep(0.05)

    def press(self, key: str, code: str = "") -> None:
        text = {"text": key} if len(key) == 1 else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code)

    def click(self, selector: str, share: float = 0.5) -> None:
        """Click an element at this share of its width."""
        x, y = self._point(selector, share)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, selector: str, share: float, by_px: float) -> None:
        x, y = self._point(selector, share)
        self._call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for step in range(1, 5):
            self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x + by_px * step / 4, y=y, button="left", buttons=1)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", x=x + by_px, y=y, button="left", clickCount=1)

    def wheel(self, selector: str, share: float, delta: float) -> None:
        x, y = self._point(selector, share)
        self._call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def hover(self, selector: str, share: float) -> None:
        x, y = self._point(selector, share)
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def _point(self, selector: str, share: float) -> tuple[float, float]:
        box = f"document.querySelector({selector!r})"
        self.value(f"{box}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = self.value(f"(r => [r.left + r.width * {share}, r.top + r.height / 2])({box}.getBoundingClientRect())")
        return x, y

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]  # type: ignore[no-any-return]
            self._hear(answer)
        raise AssertionError("the browser is gone")

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            *whole, self._left = self._left.split(b"\0")
            for n, message in enumerate(whole):
                self._left = b"\0".join([*whole[n + 1 :], self._left])
                yield json.loads(message)
                break
            else:
                data = os.read(self._receive, 1 << 20)
                if not data:
                    return
                self._left += data

    def _hear(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.problems.append(str(told["args"]))
            case "Log.entryAdded":
                self.problems.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A fresh Chromium that keeps what it must keep in `folder`; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here; the page's behaviour was not tried")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    arguments = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        *QUIET,
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", MOVE_PIPES, str(to_read), str(from_write), *arguments],
        pass_fds=(to_read, from_write),
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read), os.close(from_write)
    try:
        yield Browser(to_write, from_read)
    finally:
        os.close(to_write)  # the browser ends when its pipe does
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_read)
