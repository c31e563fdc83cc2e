"""What the numbers were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from pipeline.processor import processor_flags, processor_name

__all__ = ["describe_machine", "has_cuda", "versions_of"]

_VERSIONS = """
import importlib.metadata as m, json, platform, sys
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({"python": platform.python_version(), **{n: version(n) for n in sys.argv[1:]}}))
"""


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, accelerator and system; no name of the machine or of its user."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else None
    return {
        "processor": processor_name(),
        "instructions": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in processor_flags()],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(memory, 1) if memory else None,
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions_of(python: str | Path, packages: tuple[str, ...]) -> dict[str, str | None]:
    """Versions of packages in some Python's environment; None for one that is not installed.

    Raises: OSError, subprocess.SubprocessError: if that Python does not run.
    """
    done = subprocess.run([str(python), "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True)
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def has_cuda(python: str | Path) -> bool:
    """Whether the torch of some Python's environment sees a GPU.

    Raises: OSError, subprocess.SubprocessError: if that Python, or its torch, does not run.
    """
    code = "import torch; print(torch.cuda.is_available())"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1] == "True"
