"""Which file a task spec is read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import InvalidOption, MissingFile
from pipeline.planning import read_task_spec
from pipeline.planning.spec import shipped_tasks


@pytest.mark.parametrize("given", ["cxr_lung", "configs/tasks/cxr_lung.yaml"])
def test_a_shipped_task_is_found_from_any_folder(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_task_spec(given).name == "cxr_lung"


def test_a_file_comes_before_a_shipped_task_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cxr_lung").write_text("name: mine\nlabels: [background, lung]\nmasks: index\n")
    assert read_task_spec("cxr_lung").name == "mine"


@pytest.mark.parametrize("given", ["cxr_lungs", "elsewhere/cxr_lung.yaml", "cxr_lung.yaml"])
def test_what_is_not_there_is_answered_with_the_names_that_are(given: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"neither a file nor one of .*cxr_lung.*tomo_pore"):
        read_task_spec(tmp_path / given if given.startswith("else") else given)


def test_each_shipped_task_can_be_read() -> None:
    for name, file in shipped_tasks().items():
        spec = read_task_spec(file)
        assert spec.name == name
        assert spec.title


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("[background, lung, lung]", r"^\S+task\.yaml: labels has 'lung' twice \(background, lung, lung\)\. Give each"),
        ("[background, lung, Lung]", r"^\S+task\.yaml: labels has 'Lung' twice \(background, lung, Lung\)\. Give each"),
        ("[background, gro\u0308\u00dfe, gr\u00f6sse]", r"labels has 'gr\u00f6sse' twice"),
        ("abc", r"^\S+task\.yaml: labels is 'abc'; expected a list, such as \[background, lung\]\.$"),
    ],
)
def test_labels_that_are_no_list_of_different_names_are_refused_in_one_line(
    labels: str, told: str, tmp_path: Path
) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(f"name: x\nlabels: {labels}\nmasks: index\n")
    with pytest.raises(InvalidOption, match=told):
        read_task_spec(task)


def test_a_title_that_a_series_of_dicom_would_cut_is_refused(tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(f"title: {'x' * 51}\nlabels: [background, lung]\nmasks: index\n")
    with pytest.raises(InvalidOption, match="title has 51 characters; expected at most 50"):
        read_task_spec(task)
