"""Several series in one folder have results, and rows of tables, that can be told apart."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from pipeline.bundle import Bundle
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.gating import quality_documents, review_table
from pipeline.tasks.infer.sources import find_sources
from pipeline.tasks.phantom import make_phantoms


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two series of two slices each."""
    make_phantoms(tmp_path / "made", 2, size=64, kind="ct", format="dicom")
    folder = tmp_path / "study"
    folder.mkdir()
    for series, letter in zip(sorted((tmp_path / "made" / "ct").iterdir()), "AB", strict=True):
        for number, file in enumerate(sorted(series.iterdir())[6:8]):
            shutil.copy(file, folder / f"{letter}{number}")
    return folder


def files_in(table: Path) -> list[str]:
    with table.open(encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file)]


def test_series_of_one_folder_are_called_by_their_first_slices(study: Path, tmp_path: Path) -> None:
    sources, _, _ = find_sources([str(study)], tmp_path / "out")
    assert [Path(source.said).parent for source in sources] == [study, study]
    assert {Path(source.said).name[0] for source in sources} == {"A", "B"}
    assert [source.said for source in sources] == [source.slices[0] for source in sources]
    for file in study.glob("B*"):
        file.unlink()
    (alone,), _, _ = find_sources([str(study)], tmp_path / "out")
    assert alone.said == str(study)


def test_the_review_list_of_an_inference_that_goes_on_has_a_row_for_each_of_them(tmp_path: Path) -> None:
    for stem, dice in (("study", 0.25), ("study_2", 0.5)):
        said = {"decision": "review", "predicted_dice": dice, "distance": 1.0, "reasons": ["far"]}
        (tmp_path / f"{stem}_quality.json").write_text(json.dumps(said))
    earlier = {"study": "in/study", "study_2": "in/study"}  # by a version that called both by their folder
    table = review_table([], quality_documents(tmp_path, earlier))
    assert table.splitlines()[1:] == ["in/study,0.2500,1.0000,far", "in/study,0.5000,1.0000,far"]


def test_tables_tell_them_apart_whether_or_not_the_inference_was_stopped(
    random_bundle: Bundle, study: Path, tmp_path: Path
) -> None:
    out, bundle = tmp_path / "out", str(random_bundle.root)
    whole = infer(bundle, [str(study)], tmp_path / "whole", statistics=True)
    expected = files_in(whole.out / "statistics.csv")
    assert len(expected) == len(set(expected)) == 2

    def stop(done: int, total: int, name: str) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(bundle, [str(study)], out, statistics=True, on_progress=stop)
    infer(bundle, [str(study)], out, statistics=True, resume=True)
    assert sorted(files_in(out / "statistics.csv")) == sorted(expected)


def test_a_series_that_is_joined_by_another_keeps_one_row(random_bundle: Bundle, study: Path, tmp_path: Path) -> None:
    out, bundle = tmp_path / "out", str(random_bundle.root)
    for number in range(2):
        (study / f"B{number}").rename(tmp_path / f"B{number}")
    infer(bundle, [str(study)], out, statistics=True)
    assert files_in(out / "statistics.csv") == [str(study)]
    for number in range(2):
        (tmp_path / f"B{number}").rename(study / f"B{number}")
    infer(bundle, [str(study)], out, statistics=True, resume=True)
    assert sorted(Path(name).name[0] for name in files_in(out / "statistics.csv")) == ["A", "B"]
