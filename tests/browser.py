"""A headless Chromium, driven by its own driver's HTTP interface."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 120

FETCH = """
const [url, options, done] = arguments;
fetch(url, options).then(async answer => done({type: answer.type, status: answer.status, text: await answer.text()}))
  .catch(error => done({refused: String(error)}));
"""
SOCKET = """
const [url, first, done] = arguments;
const socket = new WebSocket(url, ["prefect"]);
socket.onopen = () => socket.send(JSON.stringify(first));
socket.onmessage = event => done(event.data);
socket.onclose = () => done("closed");
"""


class Browser:
    """One window."""

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, url: str) -> None:
        """Show a page."""
        call(f"{self._url}/url", {"url": url})

    def resize(self, width: int, height: int) -> None:
        """Give the page a size in pixels, which may be less than a window's least."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        call(f"{self._url}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": size})

    def screenshot(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(call(f"{self._url}/screenshot", None, method="GET"))

    def wait_for(self, condition: str) -> Any:
        """Return the value of a JavaScript expression as soon as it is truthy.

        Raises:
            AssertionError: it never is; the message is the page's text.
        """
        for _ in range(2 * SECONDS):
            if found := call(f"{self._url}/execute/sync", {"script": f"return {condition}", "args": []}):
                return found
            time.sleep(0.5)
        text = call(f"{self._url}/execute/sync", {"script": "return document.body.innerText", "args": []})
        raise AssertionError(f"{condition} is false on a page that says: {text}")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it hands to its last argument, a function."""
        return call(f"{self._url}/execute/async", {"script": script, "args": arguments})

    def fetch(self, url: str, **options: Any) -> dict[str, Any]:
        """Return what a request of the page gives it to read, or why it was refused."""
        return self.run(FETCH, url, options)

    def socket(self, url: str, first: Any) -> str:
        """Return the first message on a websocket of the page, after its own; `closed`: there was none."""
        return self.run(SOCKET, url, first)


@contextlib.contextmanager
def headless(profile: Path, *flags: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own; skip the test where none is installed."""
    for name in ("chromium", "chromedriver"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}, which is not installed (Debian: chromium, chromium-driver)")
    command = [shutil.which("chromedriver") or "", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            assert driver.stdout is not None
            started = next(match for line in driver.stdout if (match := re.search(r"successfully on port (\d+)", line)))
            sessions = f"http://127.0.0.1:{started[1]}/session"
            options = {"binary": shutil.which("chromium"), "args": [*FLAGS, *flags, f"--user-data-dir={profile}"]}
            wanted = {"alwaysMatch": {"goog:chromeOptions": options, "timeouts": {"script": SECONDS * 1000}}}
            session = f"{sessions}/{call(sessions, {'capabilities': wanted})['sessionId']}"
            yield Browser(session)
            call(session, None, method="DELETE")
        finally:
            driver.terminate()


def call(url: str, body: Any, *, method: str = "POST") -> Any:
    """Return the driver's answer."""
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=SECONDS) as answer:
        return json.load(answer)["value"]
