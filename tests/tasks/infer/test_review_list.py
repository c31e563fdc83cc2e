"""`--review-list` replaces a review list, and nothing else that has the name that was given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.gating import require_review_list, review_table


@pytest.mark.parametrize("how", [{"overwrite": True}, {"resume": True}, {}])
def test_an_image_that_is_named_as_the_review_list_stays(
    random_bundle: Bundle, tmp_path: Path, how: dict[str, bool]
) -> None:
    image, other = tmp_path / "a.png", tmp_path / "b.png"
    for path in (image, other):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    before = image.read_bytes()
    with pytest.raises(InvalidOption, match=r"a\.png is no review list\. Give .* review\.csv"):
        infer(str(random_bundle.root), [str(other)], tmp_path / "out", review_list=image, **how)
    assert image.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_a_folder_and_another_table_are_no_review_list(tmp_path: Path) -> None:
    table = tmp_path / "index.csv"
    table.write_text("file,subject\na.png,1\n")
    for path in (tmp_path, table):
        with pytest.raises(InvalidOption, match="is no review list"):
            require_review_list(path)


def test_a_review_list_an_empty_file_and_a_new_name_are_taken(tmp_path: Path) -> None:
    (tmp_path / "review.csv").write_text(review_table([]))
    (tmp_path / "empty.csv").touch()
    for name in ("review.csv", "empty.csv", "new.csv"):
        require_review_list(tmp_path / name)
