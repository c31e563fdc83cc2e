"""What a run was made with: code, machine, Python and its packages, user and host."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import re
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline
from pipeline.cores import usable_cores
from pipeline.processor import processor_name

__all__ = ["Checkout", "checkouts", "lock_text", "machine", "source_name", "user_and_host", "versions"]

# Of a working folder's own repository only code and settings are taken: tables there may name patients.
CODE = ("*.py", "*.yaml", "*.yml", "*.toml", "*.cfg", "*.ini", "*.sh", "Makefile")
LONGEST_DIFF = 2_000_000  # characters


@dataclass(frozen=True)
class Checkout:
    """A git repository as it is now.

    Attributes:
        of: "planar" for the one that this package lies in, "working folder" for the one that it was called in.
        commit: HEAD.
        branch: Its name; None if HEAD is detached.
        dirty: Whether tracked files differ from HEAD.
        diff: In what, as `git apply` takes it.
    """

    of: str
    commit: str
    branch: str | None
    dirty: bool
    diff: str


def checkouts() -> list[Checkout]:
    """The repositories that the code of a run comes from, Planar's first; none without git."""
    found: list[Checkout] = []
    with suppress(Exception):  # no git, an empty repository, one of another user: the run is recorded without
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import git

        package = Path(pipeline.__file__).resolve()
        roots: dict[str, str] = {}
        for of, where in (("planar", package.parent), ("working folder", Path.cwd())):
            with suppress(git.exc.InvalidGitRepositoryError, git.exc.NoSuchPathError):
                root = git.Repo(where, search_parent_directories=True).working_tree_dir
                if root is not None and str(root) not in roots:
                    roots[str(root)] = of
        for root, of in roots.items():
            with suppress(git.exc.GitError, ValueError), git.Repo(root) as repository:
                # An environment's packages may lie in a repository that has nothing to do with them.
                if of == "planar" and not repository.git.ls_files("--", str(package)):
                    continue
                found.append(_checkout(repository, of))
    return found


def _checkout(repository: Any, of: str) -> Checkout:
    only = ["--", *CODE] if of != "planar" else []
    diff = str(repository.git.diff("HEAD", "--no-ext-diff", "--no-textconv", *only, strip_newline_in_stdout=False))
    if len(diff) > LONGEST_DIFF:
        diff = diff[:LONGEST_DIFF] + f"\n… cut here: {len(diff)} characters in all\n"
    branch = None if repository.head.is_detached else str(repository.active_branch.name)
    return Checkout(of, str(repository.head.commit.hexsha), branch, bool(repository.is_dirty()), diff)


def versions() -> dict[str, str]:
    """Python, Planar and what it computes with."""
    names = ("torch", "monai", "pytorch-ignite", "numpy", "SimpleITK", "pydicom", "mlflow")
    found = {"python": platform.python_version(), "planar": pipeline.__version__}
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def lock_text() -> str:
    """All installed packages with their versions, as `pip install -r` takes them."""
    packages = {
        str(one.metadata["Name"]): one.version for one in importlib.metadata.distributions() if one.metadata["Name"]
    }
    lines = [f"{name}=={packages[name]}" for name in sorted(packages, key=str.casefold)]
    return "\n".join([f"# Python {platform.python_version()} on {platform.platform()}", *lines]) + "\n"


def machine() -> dict[str, Any]:
    """Operating system, processor, memory, and graphics cards where torch is there to tell of them."""
    import psutil

    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "cpu": processor_name(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "usable_threads": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": [],
    }
    # An exported program computes without torch, and is quicker than its import.
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        facts["torch_threads"] = torch.get_num_threads()
    if torch is not None and torch.cuda.is_available():
        facts |= {
            "gpus": [_gpu(torch.cuda.get_device_properties(index)) for index in range(torch.cuda.device_count())],
            "driver": _driver(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return facts


def user_and_host() -> dict[str, str]:
    """Who, and where; empty with PLANAR_RECORD_USER=0."""
    if os.environ.get("PLANAR_RECORD_USER", "1").strip().lower() in ("0", "false", "no", "off"):
        return {}
    found = {"host": socket.gethostname()}
    with suppress(Exception):  # a container's user may have no name
        found["user"] = getpass.getuser()
    return found


def source_name() -> str:
    """What was called, without its folder: `planar`, `monai.bundle`."""
    called = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else Path("python")
    return ".".join(called.parts[-3:-1]) if called.name == "__main__.py" else called.name


def _gpu(properties: Any) -> dict[str, Any]:
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
    }


def _driver() -> str | None:
    with suppress(Exception):
        import pynvml

        pynvml.nvmlInit()
        said = pynvml.nvmlSystemGetDriverVersion()
        return said.decode() if isinstance(said, bytes) else str(said)
    with suppress(OSError):
        said = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        number = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", said)
        return number[0] if number else None
    return None
