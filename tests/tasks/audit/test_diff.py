"""What two runs differ in is told, and nothing else."""

from __future__ import annotations

import json

import pytest
import torch
from audited_runs import Story

from pipeline.cli import main
from pipeline.tasks.audit.diff import diff_runs
from pipeline.tasks.evaluate import evaluate


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)


@pytest.fixture(scope="module")
def second(story: Story, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same weights, without flips, on a datalist in which a case of the test part has gone to the validation."""
    folder = tmp_path_factory.mktemp("second")
    content = json.loads(story.datalist.read_text())
    for part in ("training", "validation", "test"):
        for item in content[part]:
            item |= {key: str(story.folder / item[key]) for key in ("image", "label")}
    content["validation"].append(content["test"].pop(0))
    (folder / "datalist.json").write_text(json.dumps(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", story.store)
        patch.setattr(torch, "set_num_threads", lambda number: None)
        patch.chdir(story.folder)
        result = evaluate(
            str(story.bundle),
            folder / "datalist.json",
            "test",
            folder / "out",
            ("test_time_flips=[[]]", "run_name=without flips"),
        )
    assert result.run_id
    return result.run_id


def test_a_run_differs_from_itself_in_nothing(story: Story) -> None:
    for run in (story.training, story.evaluation):
        found = diff_runs(run, run, store=story.store)
        assert (found.differences, found.unknown) == ((), ())


def test_what_differs_is_told_by_section(story: Story, second: str) -> None:
    found = diff_runs(story.evaluation, second, store=story.store)
    moved = json.loads(story.datalist.read_text())["test"][0]["image_sha256"]
    data = {one.name: (one.first, one.second) for one in found.within("data")}
    assert data[f"1 cases in another part (case-{moved[:12]})"] == ("test", "validation")
    assert data["test, cases"] == (3, 2)
    assert data["test, Merkle root"][0] != data["test, Merkle root"][1]
    assert {one.name.partition("#")[0] for one in found.within("config")} == {"test_time_flips"}
    assert {one.name for one in found.within("params")} == {"cases"}
    assert "dice_lung" in {one.name for one in found.within("metrics")}
    assert not {*found.within("code"), *found.within("versions"), *found.within("machine"), *found.within("run")}


def test_the_command_says_what_is_the_same_and_prints_json(
    story: Story, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ((), ("--json",)):
        with pytest.raises(SystemExit) as ended:
            main(["audit", "diff", story.evaluation[:10], "without flips", "--store", story.store, *more])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        if more:
            assert {one["section"] for one in json.loads(text)["differences"]} == {
                "data",
                "config",
                "params",
                "metrics",
            }
        else:
            assert "\nversions: the same\n" in text
            assert "\n  dice_lung: " in text
