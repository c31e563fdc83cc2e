"""Transforms whose result for a case is kept on disk, for sets that are too large to stay decoded in memory."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import pickle
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import monai
import torch
from monai.data import CacheDataset
from monai.transforms import Compose
from monai.transforms.traits import RandomizableTrait

from pipeline import __version__
from pipeline.archives import time_of_change
from pipeline.fragments import split_fragment
from pipeline.tensor_files import save_aside

__all__ = ["ComposeOnDisk", "keep_slices", "kept_pictures"]

FILES = ("image", "label")
OWN = re.compile(r"[0-9a-f]{64}\.pt")
UNUSED_S = 30 * 24 * 3600.0
# The weights of the training, and its record, may be written to the same disk.
RESERVE_BYTES = 5e9

Tensors = dict[str, torch.Tensor]


class ComposeOnDisk(Compose):
    """MONAI's Compose, which does the transforms before the first random one once for each case.

    Their result is read from a file in `kept_pictures()` from then on, also by other trainings. The file is called by
    the case as the datalist has it (with the digests of its pixels), the times of change of its files, the transforms,
    and the versions of the libraries: what changes is made anew. It is mapped into memory, of which the system uses for
    it what nobody else needs. Files that were not used for a month are removed.

    MONAI's PersistentDataset does this but for the mapping, and a process that is stopped may leave half a file there.

    Args:
        transforms: As of Compose. Where the first ones leave anything but tensors without metadata, nothing is kept.
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        super().__init__(transforms)
        first = self.get_index_of_first(lambda step: isinstance(step, RandomizableTrait))
        self.once = len(self.transforms) if first is None else int(first)
        done = (monai.__version__, torch.__version__, __version__, self.transforms[: self.once])
        self._said = hashlib.sha256(pickle.dumps(done)).hexdigest()
        self._folder = kept_pictures()
        self._writes = True
        _remove_unused(self._folder)

    def __call__(self, input_: Any, start: int = 0, *args: Any, **kwargs: Any) -> Any:
        """The transformed case; without files where it is none of a datalist, or not all transforms are asked for."""
        if start or args or kwargs or not isinstance(input_, Mapping) or not _is_case(input_):
            return super().__call__(input_, start, *args, **kwargs)
        path = self._folder / f"{self._name(input_)}.pt"
        found = _read(path)
        if found is None:
            found = super().__call__(input_, 0, self.once)
            self._write(found, path)
        return super().__call__(found, self.once)

    def keep(self, case: Mapping[str, Any]) -> bool:
        """Put the result for a case of a datalist on disk, if it is not there; whether it is there now."""
        path = self._folder / f"{self._name(case)}.pt"
        if self._writes and not path.is_file():
            self._write(super().__call__(case, 0, self.once), path)
        return path.is_file()

    def _name(self, case: Mapping[str, Any]) -> str:
        files = {file for key in FILES for part in _parts(case.get(key)) for file in self._files_of(part)}
        told = [self._said, dict(case), [(file, time_of_change(file)) for file in sorted(files)]]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def _files_of(self, path: str) -> list[str]:
        """The file of a path, and those that Planar's reader reads with it: neighbours in a series."""
        loaders = [getattr(step, "_loader", None) for step in self.transforms[: self.once]]
        readers = [reader for loader in loaders for reader in getattr(loader, "readers", ())]
        told = [reader.files_of(path) for reader in readers if hasattr(reader, "files_of")]
        return [split_fragment(path)[0], *(file for files in told for file in files)]

    def _write(self, result: Any, path: Path) -> None:
        plain = isinstance(result, dict) and all(type(one) is torch.Tensor for one in result.values())
        if not self._writes or not plain:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # they are pictures of patients
            if shutil.disk_usage(path.parent).free < RESERVE_BYTES:
                raise OSError(errno.ENOSPC, f"the disk has less than {RESERVE_BYTES / 1e9:g} GB left")
            save_aside(result, path)
        except OSError as error:
            self._writes = False
            logging.getLogger(__name__).warning(
                "Decoded pictures are no longer kept in %s (%s): they are decoded again in each epoch. "
                "$PLANAR_CACHE names another folder.",
                path.parent,
                error.strerror,
            )


def keep_slices(dataset: CacheDataset) -> None:
    """Put the slices of volumes that have no room in memory on disk, one volume after the other.

    A training takes its cases in random order, and each slice would have its whole volume decoded for it, until all are
    on disk. Of several processes the first one of a machine does it.

    Args:
        dataset: Before the first epoch.
    """
    chain = dataset.transform
    if not isinstance(chain, ComposeOnDisk) or dataset.set_rate >= 1 or int(os.environ.get("LOCAL_RANK", "0")):
        return
    slices = {}
    for case in dataset.data:
        file, number = split_fragment(str(case.get("image", "")))
        if number is not None:
            slices[file, number] = case  # each once, however often an epoch takes it
    for place in sorted(list(slices)[dataset.cache_num :]):
        if not chain.keep(slices[place]):
            return


def kept_pictures() -> Path:
    """`$PLANAR_CACHE`, else `$XDG_CACHE_HOME/planar`, else `~/.cache/planar`; there or not."""
    if own := os.environ.get("PLANAR_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "planar"


def _is_case(item: Mapping[str, Any]) -> bool:
    paths = [part for key in FILES for part in _parts(item.get(key))]
    return bool(paths) and all(isinstance(path, str) for path in paths)


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _read(path: Path) -> Tensors | None:
    """The tensors of a file; None where there is none, or what is there is none of ours."""
    try:
        found: Tensors = torch.load(path, mmap=True, weights_only=True)
    except Exception:  # not there, or damaged: it is made anew
        return None
    with suppress(OSError):
        os.utime(path)  # it was used
    return found


def _remove_unused(folder: Path) -> None:
    before = time.time() - UNUSED_S
    for path in folder.glob("*.pt"):
        if OWN.fullmatch(path.name) is None:  # $PLANAR_CACHE may be a folder with checkpoints in it
            continue
        with suppress(OSError):  # another user's, or gone
            if path.stat().st_mtime < before:
                path.unlink()
