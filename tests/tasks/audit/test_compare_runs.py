"""`planar compare` of recorded runs, and of a run with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from audited_runs import Story

from pipeline.errors import InvalidOption, MissingFile, TrackingUnreachable
from pipeline.tasks.compare import compare_evaluations
from pipeline.tasks.given_evaluation import given_evaluation


def test_a_run_is_what_its_folder_is(story: Story, tmp_path: Path) -> None:
    result = compare_evaluations(
        [story.folder / "scores", story.evaluation[:10]], tmp_path / "p.html", store=story.store
    )
    (group,) = result.groups
    differences = [*group.differences]
    assert differences and all(found.mean == 0 for found in differences if found.mean is not None)
    assert any(found.metric == "dice" and found.images and not found.left_out for found in differences)
    assert "same_evaluation" in {limit["code"] for limit in result.document()["limits"]}


def test_a_training_stands_for_its_evaluation_and_a_page_of_runs_names_no_image(story: Story, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    result = compare_evaluations(
        [story.training, story.evaluation], page, datalists=[story.datalist], store=story.store
    )
    assert [entry.view.split for entry in result.groups[0].entries] == ["test", "test"]
    assert result.notes == (
        f"No pictures of {result.groups[0].title}: a recorded run has no masks. Give folders for them.",
    )
    names = given_evaluation(story.folder / "scores", tmp_path / "unused").short.values()
    html = page.read_text(encoding="utf-8")
    assert names and not any(name in html for name in names)


def test_what_is_neither_a_folder_nor_a_run_is_told(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidOption, match=r"^nothing: there is no such folder, and as a run: .* has no run "):
        given_evaluation("nothing", tmp_path / "a", story.store)
    with pytest.raises(TrackingUnreachable, match=r"^nothing: there is no such folder, and as a run: .*no such store"):
        given_evaluation("nothing", tmp_path / "b", f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(MissingFile):
        given_evaluation("in/nothing", tmp_path / "c", story.store)
