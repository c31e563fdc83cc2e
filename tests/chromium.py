"""A headless Chromium that opens pages, waits for what stands on them, and takes pictures."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["Chromium", "find_chromium"]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Of a picture: enough for pages, and a fifth of the bytes.
COLOURS = 96
# Chromium's own ends of the two pipes.
COMMANDS, ANSWERS = 3, 4


def find_chromium() -> str | None:
    """The browser's program, if there is one."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Chromium:
    """One page of a browser that is driven by the DevTools protocol over a pipe, which needs no other package.

    Args:
        width: Of the page, CSS pixels.
        height: Of the page.
        webgl: Whether pages may draw in three dimensions, which is slow without a graphics card.

    References: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, width: int = 1280, height: int = 860, *, webgl: bool = False) -> None:
        program = find_chromium()
        if program is None:
            raise FileNotFoundError(f"there is none of the programs {', '.join(PROGRAMS)}: apt-get install chromium")
        self.profile = tempfile.mkdtemp(prefix="planar-chromium-")
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()

        def arrange() -> None:
            ends = (os.dup(to_read), os.dup(to_write))  # neither end may stand where the other one goes
            while min(ends) <= ANSWERS:
                ends = (os.dup(ends[0]), os.dup(ends[1]))
            os.dup2(ends[0], COMMANDS)
            os.dup2(ends[1], ANSWERS)

        command = [program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile}"]
        command += ["--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars"]
        command += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"] if webgl else ["--disable-gpu"]
        command += ["--force-color-profile=srgb", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank"]
        self._process = subprocess.Popen(
            command,
            preexec_fn=arrange,
            pass_fds=(COMMANDS, ANSWERS),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._answers = os.fdopen(self._from, "rb", buffering=0)
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        self.size(width, height)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and take its profile away."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._to)
        self._answers.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command of the protocol; what it answers."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                found: dict[str, Any] = answer["result"]
                return found

    def size(self, width: int, height: int) -> None:
        """Set the size of the page, CSS pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, address: str, *texts: str) -> None:
        """Open a page and wait until these texts stand on it."""
        self.send("Page.navigate", url="about:blank")  # else another #/part of a page is not loaded anew
        self.send("Page.navigate", url=address)
        self.wait(*texts)

    def wait(self, *texts: str, limit_s: float = 60) -> None:
        """Wait until these texts stand on the page. TimeoutError with what does stand there."""
        until = time.monotonic() + limit_s
        while True:
            said = str(self.evaluate("document.body ? document.body.innerText : ''"))
            missing = [text for text in texts if text not in said]
            if not missing:
                time.sleep(1.5)  # what is drawn last: charts, pictures
                return
            if time.monotonic() > until:
                raise TimeoutError(f"the page does not say {missing}; it says: {said[:2000]}")
            time.sleep(0.3)

    def evaluate(self, script: str) -> Any:
        """What JavaScript comes to."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("text", "JavaScript failed"))
        return found["result"].get("value")

    def click(self, text: str) -> None:
        """Click on the innermost element of exactly this text."""
        wanted = json.dumps(text)
        script = (
            f"(() => {{ const all = [...document.querySelectorAll('*')].filter(e => e.innerText?.trim() === {wanted});"
            " const one = all.at(-1); if (!one) return false; one.scrollIntoView({block: 'center'}); one.click();"
            " return true; })()"
        )
        if not self.evaluate(script):
            raise LookupError(f"there is nothing on the page that says {text!r}")

    def picture(self, path: Path) -> None:
        """Write what is seen as a PNG of few colours."""
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        image = Image.open(io.BytesIO(data)).convert("RGB")
        path.parent.mkdir(parents=True, exist_ok=True)
        image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT).save(path, format="PNG", optimize=True)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = self._answers.read(1 << 16)
            if not read:
                raise RuntimeError("Chromium has ended")
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message
