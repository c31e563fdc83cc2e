"""What the system says of the processor."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["is_slow_in_bfloat16", "processor_flags", "processor_name"]

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The processor as its maker calls it, where the system says so, else its architecture."""
    return _first().get("model name") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """The instructions that it has, as Linux calls them; none where the system does not say."""
    return frozenset(_first().get("flags", "").split())


def is_slow_in_bfloat16() -> bool:
    """Whether it has bfloat16, and float32 is quicker: Intel's without AMX, or whose AMX a virtual machine hides.

    AVX512-BF16 alone makes AMD's quicker. Measured on two cores of each, matrix products in bfloat16 to float32: 0.5 on
    an Intel processor without AMX (training steps of 16-32-64-128-160-192 0.80, OpenVINO 0.72), 6.5 with it; 4.3 on
    AMD's. A rule and no measurement: all processes of a training, and workers on one kind of machine, go by it alike.
    """
    return _first().get("vendor_id") == "GenuineIntel" and "amx_bf16" not in processor_flags()


@cache
def _first() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    lines: list[str] = []
    with suppress(OSError):
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
