"""A later inference's table keeps what an earlier one said of other sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.tasks.infer.kept_rows import with_rows_of_others

NEW = "file,dice,reasons\nb,0.5,\nc,0.6,far\n"


@pytest.mark.parametrize("earlier", [None, "", "name,area\na,3\n"])
def test_without_a_table_of_the_same_kind_it_is_the_new_one(earlier: str | None, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    if earlier is not None:
        path.write_text(earlier)
    assert with_rows_of_others(NEW, path, {"b", "c"}) == NEW


def test_rows_of_other_sources_stay_and_those_of_its_own_are_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text('file,dice,reasons\na,0.1,"far, dark"\nb,0.9,\nd,0.2,accepted by now\n')
    whole = with_rows_of_others(NEW, path, {"b", "c", "d"})
    assert whole == 'file,dice,reasons\na,0.1,"far, dark"\nb,0.5,\nc,0.6,far\n'
    path.write_text(whole)
    assert with_rows_of_others(NEW, path, {"b", "c", "d"}) == whole
