"""One process that reads the files it is told on its standard input, and says of each how it went."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from pipeline.errors import PlanarError
from pipeline.readers import group_series, read_grid, read_picture

__all__ = ["main"]


def main() -> None:
    """Read a path a line, answer with one JSON object a line."""
    warnings.simplefilter("error")
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may be taken for an answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path = line.rstrip("\n")
        _forget_peak()
        print(json.dumps(_read(path) | {"peak_mib": _peak_mib()}), file=answers, flush=True)


def _read(path: str) -> dict[str, Any]:
    """The worst of several ways of reading, and the longest in seconds of this process, whatever else is running."""
    answers, seconds = [], 0.0
    for read in (
        lambda: read_picture(path),
        lambda: read_picture(path, voi=True),
        lambda: read_picture(path, labels=True),
        lambda: read_grid(path),
        lambda: group_series([path]),
    ):
        began = time.process_time()
        try:
            read()
            answers.append(("read", ""))
        except PlanarError as error:
            said = str(error)
            one_line = "\n" not in said and said.startswith(path) and len(said) < len(path) + 300
            answers.append(("refused" if one_line else "unclear", said.removeprefix(f"{path}: ")))
        except OSError as error:  # not of the file's making
            answers.append(("error", repr(error)))
        except Exception as error:
            answers.append(("error", repr(error)[:300]))
        seconds = max(seconds, time.process_time() - began)
    worst = next((answer for answer in answers if answer[0] in ("error", "unclear")), answers[0])
    return {"outcome": worst[0], "said": worst[1], "seconds": round(seconds, 3)}


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # the peak is then that of the whole process so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


if __name__ == "__main__":
    main()
