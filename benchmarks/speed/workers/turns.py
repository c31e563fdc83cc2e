"""A contestant's side of the turns: it works when it is told to, and says how much it has done.

One JSON object a line: from standard input {"seconds": 5}, to standard output {"ready": …} and then {"images": …,
"seconds": …} for each turn. Whatever else is printed goes to standard error. The end of the input ends the process.
"""

import contextlib
import json
import os
import sys
import time


class Channel:
    """Standard input and output, kept for the turns."""

    def __init__(self):
        self.out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def send(self, **what):
        """Send one object."""
        self.out.write(json.dumps(what) + "\n")
        self.out.flush()

    def wait(self):
        """The seconds of the next turn; ends the process when there is none."""
        line = sys.stdin.readline()
        if not line:
            # Loaders' processes may not end by themselves: whoever started this one ends its whole group.
            os._exit(0)
        return float(json.loads(line)["seconds"])


def synchronise():
    """Wait for a GPU, if torch is loaded and has one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def pictures_of(batch):
    """How many pictures a step had: of MONAI's batch, or of the cases that it was taken apart into (`decollate`)."""
    return len(batch) if isinstance(batch, list) else len(batch["image"])


class StepTurns:
    """Turns of a training: call `step` after each step.

    Args:
        channel: To the benchmark.
        warm: Steps before the contestant is ready.
        settle: Steps at the beginning of each turn that do not count: a loader has worked ahead in the pause.
        facts: Function that tells what else is to be known, called when it is ready.
    """

    def __init__(self, channel, warm=3, settle=1, facts=dict):
        self.channel, self.warm, self.settle, self.facts = channel, warm, settle, facts
        self.steps, self.images, self.seconds = -1, 0, None
        self.began = (0.0, 0.0)

    def step(self, images):
        """Count a step of so many images; waits here between two turns."""
        self.steps += 1
        if self.seconds is None:
            if self.steps + 1 >= self.warm:
                synchronise()
                self.channel.send(ready=self.facts())
                self._pause()
            return
        if self.steps < self.settle:
            return
        if self.steps == self.settle and self.settle:
            self._begin()
            return
        self.images += images
        if time.perf_counter() - self.began[0] >= self.seconds:
            synchronise()
            wall, processor = (now - then for now, then in zip(_now(), self.began, strict=True))
            self.channel.send(
                images=self.images, seconds=wall, processor_seconds=processor, steps=self.steps - self.settle
            )
            self._pause()

    def _pause(self):
        self.seconds = self.channel.wait()
        self.steps, self.images = 0, 0
        self._begin()

    def _begin(self):
        synchronise()
        self.images, self.began = 0, _now()


class FileTurns:
    """Turns of an inference: one pass over all files a turn, call `file` as each mask is written.

    A pass counts as a whole, from its first file to its last mask: who reads ahead has work done before its first mask,
    and none under way at its last, so that the time between masks would flatter it.

    Args:
        channel: To the benchmark.
    """

    def __init__(self, channel):
        self.channel = channel
        self.images, self.seconds = 0, None

    def passes(self, facts=dict):
        """Yield for each pass; the first one warms up and does not count."""
        yield
        self.channel.send(ready=facts())
        while True:
            self.channel.wait()
            self.images, self.seconds = 0, None
            began = _now()
            yield
            synchronise()
            wall, processor = (now - then for now, then in zip(_now(), began, strict=True))
            seconds = wall if self.seconds is None else self.seconds
            self.channel.send(images=self.images, seconds=seconds, pass_seconds=wall, processor_seconds=processor)

    def file(self, count=1):
        """Count files that were written."""
        self.images += count

    def took(self, seconds):
        """What the files took, where a pass begins with loading what others keep from pass to pass."""
        self.seconds = seconds


def settings():
    """The settings of this process: the JSON file that its command names."""
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - also runs where only Python is
        return json.load(file)


def _now():
    return time.perf_counter(), sum(os.times()[:4])


def prepare_torchvision():
    """Let torchvision be imported where its operators are built for a GPU and torch for CPUs."""
    import torch

    with contextlib.suppress(Exception):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        prepare_torchvision.kept = library  # its definitions go with it
