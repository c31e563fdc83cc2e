from pathlib import Path

import pytest

from pipeline.bundle import START_FILE, Bundle
from pipeline.errors import InvalidBundle
from pipeline.tasks.start_weights import find_start


def test_what_is_no_weights_is_refused_by_the_name_that_the_user_gave(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(InvalidBundle, match=r"text\.pt: no weights of a network"):
        find_start(str(tmp_path / "text.pt")).require_readable()


def test_weights_that_do_not_fit_are_told_by_the_name_that_the_user_gave(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"")
    start, bundle = find_start(str(tmp_path / "mine.pt")), Bundle(tmp_path / "gone", "gone")
    error = RuntimeError("initialize")  # as MONAI wraps it
    error.__cause__ = InvalidBundle(f"{bundle.root / START_FILE}: weights of another network.")
    assert str(start.refusal(error, bundle)) == f"{tmp_path / 'mine.pt'}: weights of another network."
    assert start.refusal(InvalidBundle("train.yaml: cannot be read."), bundle) is None
