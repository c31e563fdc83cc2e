"""From folders to a report and a comparison."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_phantoms import evaluated, films, shifted

from pipeline.bundle import Bundle
from pipeline.errors import (
    InvalidBundle,
    InvalidEvaluation,
    InvalidFingerprint,
    InvalidOption,
    MissingFile,
    OutputExists,
)
from pipeline.tasks.compare import compare_evaluations
from pipeline.tasks.report import write_report

HISTORY = "epoch,train_loss,val_mean_dice,learning_rate,seconds\n1,0.9,,0.1,2\n2,0.5,0.75,0.05,2\n"


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    return films(tmp_path / "films", 6)


@pytest.fixture
def bundle(random_bundle: Bundle) -> Bundle:
    (random_bundle.root / "models" / "history.csv").write_text(HISTORY)
    return random_bundle


def of_bundle(bundle: Bundle) -> dict[str, str]:
    return {
        "bundle": bundle.name,
        "checkpoint_sha256": hashlib.sha256(bundle.weights.read_bytes()).hexdigest(),
    }


def fingerprint(path: Path, name: str) -> Path:
    path.write_text(json.dumps({"format": "planar-fingerprint/1", "name": name, "cases": {"test": 6}}))
    return path


def test_a_report_lies_in_the_evaluation_folder_and_nothing_beside_it(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "ev", datalist)
    before = {path.name for path in folder.iterdir()}
    result = write_report(folder, datalist=datalist)
    assert result.page == folder / "report.html"
    assert {path.name for path in folder.iterdir()} == {*before, "report.html"}
    assert '<h2 id="cases">' in result.page.read_text(encoding="utf-8")
    assert result.notes == ("No curves and settings: the bundle was not given (--bundle).",)
    assert json.loads(json.dumps(result.document(), allow_nan=False))["subjects"] == 3


def test_a_page_that_is_there_stays_unless_it_may_go(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "ev", datalist)
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(OutputExists, match=r"page\.html exists\. Give --overwrite"):
        write_report(folder, page)
    assert page.read_text() == "mine"
    write_report(folder, page, overwrite=True)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(OutputExists, match="is a folder; expected the name of an HTML file"):
        write_report(folder, tmp_path, overwrite=True)


def test_the_bundle_is_found_by_its_name_if_its_weights_are_the_evaluated_ones(
    tmp_path: Path, datalist: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.root.parent)
    same = write_report(evaluated(tmp_path / "same", datalist, about=of_bundle(bundle)))
    html = same.page.read_text(encoding="utf-8")
    assert '<h2 id="training">' in html
    assert '<h2 id="settings">' in html
    assert "epoch 2: 0.750" in html
    other = write_report(
        evaluated(tmp_path / "other", datalist, about=of_bundle(bundle) | {"checkpoint_sha256": "0" * 64})
    )
    assert '<h2 id="training">' not in other.page.read_text(encoding="utf-8")


def test_a_bundle_that_is_given_is_used_and_other_weights_are_told(
    tmp_path: Path, datalist: Path, bundle: Bundle
) -> None:
    result = write_report(evaluated(tmp_path / "ev", datalist), bundle=str(bundle.root))
    assert '<h2 id="training">' in result.page.read_text(encoding="utf-8")
    assert "other_weights" in {limit.code for limit in result.limits if limit.grave}
    (bundle.root / "models" / "history.csv").unlink()
    again = write_report(tmp_path / "ev", bundle=str(bundle.root), overwrite=True)
    assert any("has no models/history.csv" in note for note in again.notes)
    with pytest.raises(InvalidBundle, match="There is no bundle 'nobody'"):
        write_report(tmp_path / "ev", bundle="nobody", overwrite=True)


def test_a_damaged_history_is_told(tmp_path: Path, datalist: Path, bundle: Bundle) -> None:
    (bundle.root / "models" / "history.csv").write_text("nothing\n1\n")
    with pytest.raises(InvalidBundle, match=r"history\.csv: is no history of a training"):
        write_report(evaluated(tmp_path / "ev", datalist), bundle=str(bundle.root))
    assert not (tmp_path / "ev" / "report.html").exists()


def test_a_fingerprint_is_found_beside_the_datalist_if_it_is_of_the_set(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "ev", datalist)
    fingerprint(datalist.with_name("fingerprint.json"), "another set")
    assert "Fingerprint of" not in write_report(folder, datalist=datalist).page.read_text(encoding="utf-8")
    fingerprint(datalist.with_name("fingerprint.json"), "phantoms")
    found = write_report(folder, datalist=datalist, overwrite=True)
    assert "Fingerprint of phantoms" in found.page.read_text(encoding="utf-8")
    own = fingerprint(tmp_path / "own.json", "the training set")
    given = write_report(folder, datalist=datalist, fingerprint=own, overwrite=True)
    assert "Fingerprint of the training set" in given.page.read_text(encoding="utf-8")


def test_the_bundles_own_fingerprint_is_shown_where_there_is_none_of_the_set(
    tmp_path: Path, datalist: Path, bundle: Bundle
) -> None:
    fingerprint(bundle.root / "configs" / "fingerprint.json", "what it was planned on")
    result = write_report(evaluated(tmp_path / "ev", datalist), bundle=str(bundle.root))
    assert "Fingerprint of what it was planned on" in result.page.read_text(encoding="utf-8")


def test_a_fingerprint_that_is_none_is_told(tmp_path: Path, datalist: Path) -> None:
    folder = evaluated(tmp_path / "ev", datalist)
    with pytest.raises(MissingFile, match=r"none\.json is not there"):
        write_report(folder, fingerprint=tmp_path / "none.json")
    with pytest.raises(InvalidFingerprint, match=r"datalist\.json has the format 'planar-datalist/1'"):
        write_report(folder, fingerprint=datalist)


def test_a_comparison_is_a_page_and_a_document(tmp_path: Path, datalist: Path) -> None:
    first = evaluated(tmp_path / "a", datalist)
    second = evaluated(tmp_path / "b", datalist, lambda number, mask: shifted(mask, 1))
    steps: list[int] = []
    result = compare_evaluations(
        [first, second], tmp_path / "c.html", datalists=[datalist], progress=lambda total: lambda: steps.append(total)
    )
    assert result.notes == ()
    assert '<h2 id="b-a">' in result.page.read_text(encoding="utf-8")
    (group,) = json.loads(json.dumps(result.document(), allow_nan=False))["groups"]
    (comparison,) = group["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("A", "B")
    assert {row["class"] for row in comparison["differences"]} == {"lung", "heart", "mean_of_classes"}
    assert len(steps) <= steps[0]
    with pytest.raises(OutputExists):
        compare_evaluations([first, second], tmp_path / "c.html")


def test_what_cannot_be_compared_is_told_before_anything_is_written(tmp_path: Path, datalist: Path) -> None:
    first = evaluated(tmp_path / "a", datalist)
    page = tmp_path / "c.html"
    with pytest.raises(InvalidOption, match="Got 1 evaluation; expected two or more"):
        compare_evaluations([first], page)
    with pytest.raises(InvalidOption, match="a is given twice"):
        compare_evaluations([first, tmp_path / "." / "a"], page)
    with pytest.raises(MissingFile):
        compare_evaluations([first, tmp_path / "nowhere"], page)
    with pytest.raises(InvalidEvaluation, match="of which 4 are in both"):
        compare_evaluations([first, evaluated(tmp_path / "b", datalist, only=4)], page)
    other = films(tmp_path / "other", 6, name="others")
    with pytest.raises(InvalidEvaluation, match=r"is of others; the evaluations are of phantoms"):
        compare_evaluations([first, evaluated(tmp_path / "c", datalist)], page, datalists=[other])
    assert not page.exists()


def test_models_that_are_silent_where_nothing_is_are_reported_and_compared_with_one_that_invents(
    tmp_path: Path,
) -> None:
    datalist = films(tmp_path / "films", 6, labels=("background",))
    content = json.loads(datalist.read_text())
    datalist.write_text(json.dumps(content | {"labels": {"0": "background", "1": "lesion"}}))
    silent, other = (evaluated(tmp_path / name, datalist, lambda number, mask: mask) for name in ("silent", "other"))
    html = write_report(silent, datalist=datalist, pictures=tmp_path / "pictures").page.read_text(encoding="utf-8")
    assert '<h2 id="subjects">' not in html
    assert '<h2 id="cases">' not in html

    def one_is_invented(number: int, mask: np.ndarray) -> np.ndarray:
        drawn = np.zeros_like(mask)
        drawn[20:30, 20:30] = number == 0
        return drawn

    inventing = evaluated(tmp_path / "inventing", datalist, one_is_invented, about={"bundle": "inventing"})
    result = compare_evaluations([silent, other, inventing], tmp_path / "c.html", datalists=[datalist])
    (equal, worse) = result.groups[0].comparisons
    assert equal.differences["lesion"]["dice"].mean is None
    found = worse.differences["lesion"]["dice"]
    # One image of one subject in three: 0 in place of 1.
    assert (found.mean, found.n, found.losses) == (-1.0, 1, 1)
    assert "No case has a Dice in both A and B." in result.page.read_text(encoding="utf-8")
