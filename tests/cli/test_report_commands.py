"""`planar report` and `planar compare`: what is printed and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_phantoms import evaluated, films, shifted

from pipeline.cli import main


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in args])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def datalist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return films(Path("films"), 6)


def test_a_report_ends_in_its_main_figure_the_grave_limits_and_the_page(
    datalist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(Path("ev"), datalist)
    assert run("report", "ev", "--data", datalist) == 0
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Mean Dice over the classes: 0.")
    assert second.startswith("  ! 3 subjects, 6 images.")
    assert last == "Page:  ev/report.html"
    assert Path("ev/report.html").is_file()
    assert run("report", "ev") == 1
    assert capsys.readouterr().err.strip().endswith("Give --overwrite to replace it, or another name with -o.")


def test_a_report_as_json_is_nothing_but_json(datalist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(Path("ev"), datalist)
    assert run("report", "ev", "-o", "page.html", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["page"] == "page.html"
    assert {"few_subjects", "pixels"} <= {limit["code"] for limit in document["limits"]}
    assert document["summary"]["lung"]["per_subject"]["dice"]["n"] == 3


def test_a_comparison_ends_in_the_main_differences_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    datalist = films(Path("films"), 10)
    evaluated(Path("a"), datalist)
    evaluated(Path("b"), datalist, lambda number, mask: shifted(mask, 5))
    assert run("compare", "a", "b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "phantoms, test: A: phantom_segmentation (a), B: phantom_segmentation (b)"
    assert lines[1].startswith("  B is worse than A: Dice −0.")
    assert any(line.strip().startswith("heart: Surface Dice") and "B − A" in line for line in lines)
    assert lines[-2:] == ["Note: No pictures: no datalist was given (--data).", "Page:  compare.html"]


def test_a_comparison_of_a_few_subjects_names_no_winner_and_says_its_grave_limits(
    datalist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(Path("a"), datalist)
    evaluated(Path("b"), datalist, lambda number, mask: shifted(mask, 5))
    assert run("compare", "a", "b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  Too few subjects to tell whether A or B is better: Dice −0.")
    assert any(line.startswith("  ! phantoms, test has 3 subjects") for line in lines)


def test_a_comparison_as_json_is_nothing_but_json(datalist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(Path("a"), datalist)
    evaluated(Path("b"), datalist, lambda number, mask: shifted(mask, 5))
    assert run("compare", "a", "b", "--json", "--data", datalist) == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["groups"][0]["comparisons"][0]["differences"]
    assert next(row for row in rows if row["metric"] == "dice")["losses"] == 3
    assert document["matrix"] is None


def test_several_sets_are_printed_as_a_matrix(datalist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(Path("a"), datalist)
    evaluated(Path("b"), films(Path("other"), 4, name="others", seed=9))
    assert run("compare", "a", "b") == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Dice, trained on × tested on:  phantoms, test | others, test")
    assert len(lines[at + 1].split()) == 3


def test_evaluations_that_do_not_match_are_refused_in_one_line(
    datalist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(Path("a"), datalist)
    evaluated(Path("b"), datalist, only=4)
    assert run("compare", "a", "b") == 1
    assert capsys.readouterr().err.strip() == (
        "Error: a scores 6 cases and b 4, of which 4 are in both; expected the same cases, or quite other ones. "
        "Evaluate both on the same datalist and split."
    )
    assert not Path("compare.html").exists()
