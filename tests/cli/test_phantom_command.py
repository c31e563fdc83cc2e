import json
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import main

CT_CLASSES = ["right_lung", "left_lung", "heart", "mediastinum", "trachea", "spine", "bones", "abdomen", "body"]


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["phantom", *map(str, args)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_phantom_prints_one_summary_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(out, "-n", "3", "--size", "64", "--format", "png") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("3 films of ") and "no patient" in first
    assert second == (
        f"Next: planar index {out / 'images'} {out / 'masks'} --subjects {out / 'index.csv'}:subject "
        f"--class-names lung -o {out / 'datalist.json'}"
    )


@pytest.mark.parametrize("kind", ["radiograph", "ct", "both"])
@pytest.mark.parametrize("format", ["png", "dicom", "both"])
def test_the_next_command_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, format: str
) -> None:
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "0123456789abcdef" * 4)
    out = tmp_path / "my phantoms"
    assert run(out, "-n", "9", "--size", "64", "--kind", kind, "--format", format) == 0
    program, *arguments = shlex.split(capsys.readouterr().out.splitlines()[1].removeprefix("Next: "))
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert (program, caught.value.code) == ("planar", 0), capsys.readouterr().err
    labels = json.loads((out / "datalist.json").read_text())["labels"]
    assert list(labels.values())[1:] == (CT_CLASSES if kind == "ct" else ["lung"])


def test_a_folder_with_other_files_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(tmp_path, "-n", "1", "--size", "64") == 1
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.strip().splitlines()) == 1
    assert "--overwrite" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
