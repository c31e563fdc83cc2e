"""Annotators who ask for one mask after the other and save some of them, until the time is over."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.label_server import client_of

__all__ = ["Load", "annotate_for"]

# Of so many masks one is saved as a label.
SAVED = 5


@dataclass
class Load:
    """What annotators have seen.

    Attributes:
        inferences: Of each: when it began, seconds of the client's clock, seconds that the server computed.
        saved: Labels.
        failures: When, what was asked for, and the kind of the error.
    """

    inferences: list[tuple[float, float, float]] = field(default_factory=list)
    saved: int = 0
    failures: list[tuple[float, str, str]] = field(default_factory=list)


def annotate_for(seconds: float, uri: str, model: str, images: Sequence[str], clients: int, folder: Path) -> Load:
    """Let several annotators work at once, each with a client of MONAI Label's own.

    Args:
        seconds: How long; what has begun by then is waited for.
        uri: Of the server.
        model: Of the server.
        images: Ids.
        clients: Annotators.
        folder: For what they get.
    """
    load, lock = Load(), threading.Lock()
    began = time.perf_counter()

    def work(number: int) -> None:
        client: Any = client_of(uri, folder)
        client._client_id = f"annotator {number}"
        order = random.Random(number)
        done = 0
        while (at := time.perf_counter() - began) < seconds:
            image, what = order.choice(images), "infer"
            try:
                file, told = client.infer(model, image, {})
                taken = time.perf_counter() - began - at
                with lock:
                    load.inferences.append((at, taken, float(told["latencies"]["total"])))
                done += 1
                if done % SAVED == 0:
                    what = "save"
                    client.save_label(image, file, params={"label_info": _names(told)})
                    with lock:
                        load.saved += 1
                Path(file).unlink()
            except Exception as error:
                with lock:
                    load.failures.append((at, what, type(error).__name__))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _names(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "idx": index} for name, index in told["label_names"].items()]
