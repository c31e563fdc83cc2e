"""One inference at a time writes to a folder; one that was killed is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.output_folder import LOCK, alone_in

HOLD = "import sys, time; from pathlib import Path; from pipeline.tasks.infer.output_folder import alone_in\n"
HOLD += "with alone_in(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"


@pytest.fixture
def films(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    names = [str(tmp_path / f"film{number}.png") for number in range(2)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (70, 90)).astype(np.uint8)).save(name)
    return names


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_a_second_inference_into_the_folder_is_refused_and_the_first_goes_on(
    random_bundle: Bundle, films: list[str], tmp_path: Path, options: dict[str, bool]
) -> None:
    told: list[str] = []

    def meanwhile(done: int, total: int, name: str) -> None:
        with pytest.raises(InvalidOption) as caught:
            infer(str(random_bundle.root), films, tmp_path / "out", **options)  # type: ignore[arg-type]
        told.append(str(caught.value))

    result = infer(str(random_bundle.root), films, tmp_path / "out", on_progress=meanwhile)
    said = f"{tmp_path / 'out'} is being written to by another process. Wait for it, or end it first."
    assert told and set(told) == {said}
    assert len(result.masks) == 2 and all(mask.is_file() for mask in result.masks)
    assert infer(str(random_bundle.root), films, tmp_path / "out", overwrite=True).segmented == 2


@pytest.mark.skipif(sys.platform == "win32", reason="without locks")
def test_a_killed_inference_holds_nothing(random_bundle: Bundle, films: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(InvalidOption, match="by another process"):
            infer(str(random_bundle.root), films, out, resume=True)
    finally:
        other.kill()
        other.communicate()
    assert (out / LOCK).is_file()
    (out / ".part-of-the-killed").mkdir()
    assert infer(str(random_bundle.root), films, out, resume=True).segmented == 2


def test_a_folder_that_was_made_for_nothing_goes(random_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        infer(str(random_bundle.root), [str(tmp_path / "none.png")], tmp_path / "new" / "out")
    assert not (tmp_path / "new" / "out").exists()


def test_without_locks_of_the_file_system_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with alone_in(tmp_path / "out"), alone_in(tmp_path / "out"):
        pass


def test_a_lock_file_of_another_user_that_can_only_be_read_locks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    real = os.open

    def only_reading(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR and Path(path).name == LOCK:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, mode)

    (tmp_path / LOCK).touch()
    monkeypatch.setattr(os, "open", only_reading)
    with alone_in(tmp_path), pytest.raises(InvalidOption, match="is being written to"), alone_in(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="without locks")
def test_a_lock_whose_file_was_taken_away_meanwhile_is_asked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes must not hold two files of one name."""
    import fcntl

    real = fcntl.flock
    opened: list[int] = []

    def late(file: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX and not opened:
            (tmp_path / LOCK).unlink()
        opened.append(file)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with alone_in(tmp_path):
        assert len(opened) == 2
        with pytest.raises(InvalidOption), alone_in(tmp_path):
            pass
        assert (tmp_path / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
