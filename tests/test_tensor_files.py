import datetime
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InvalidBundle
from pipeline.tensor_files import read_state


def test_a_state_dict_is_read_as_it_is(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    assert torch.equal(read_state(tmp_path / "model.pt")["weight"], torch.ones(2))


def cut_off(path: Path) -> None:
    torch.save({"weight": torch.ones(999)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("weights"), "it is no file of PyTorch"),
        (cut_off, "it is cut off or damaged"),
        (lambda path: torch.save({"when": datetime.date(2020, 1, 1)}, path), "holds other things than tensors"),
        (lambda path: torch.save(nn.Linear(2, 2), path), "holds other things than tensors"),
        (lambda path: path.write_bytes(pickle.dumps({"a": Path("x")})), "holds other things than tensors"),
        (lambda path: torch.save([1, 2], path), "it holds a list"),
    ],
)
def test_what_is_no_state_dict_is_told_in_a_line_without_the_unpicklers_words(tmp_path: Path, make, says: str) -> None:
    make(tmp_path / "model.pt")
    with warnings.catch_warnings(), pytest.raises(InvalidBundle, match=rf"model\.pt: no weights .*{says}") as told:
        warnings.simplefilter("error")
        read_state(tmp_path / "model.pt")
    assert "\n" not in str(told.value)
    assert "weights_only" not in str(told.value)


def test_a_file_that_is_not_there_stays_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "none.pt")
