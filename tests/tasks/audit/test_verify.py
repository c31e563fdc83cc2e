"""A run that nobody has touched passes; one of which anything was changed fails, and what was changed is named."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from audited_runs import SMALL, Story
from mlflow import MlflowClient
from PIL import Image

from pipeline.errors import TrackingUnreachable
from pipeline.tasks.audit import Outcome, Verdict
from pipeline.tasks.audit.diff import diff_runs
from pipeline.tasks.audit.verify import verify
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.train import train
from pipeline.tracking.record import Record
from pipeline.tracking.state import note_places

Keep = Callable[..., None]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)


def audit(story: Story, run: str | None = None, **options: object) -> Verdict:
    return verify(run or story.evaluation, store=story.store, **options)


def failures(verdict: Verdict) -> dict[str, str]:
    """What failed, with the files that are named."""
    return {check.about: " ".join(check.files) for check in verdict.checks if check.outcome is Outcome.FAIL}


def items(story: Story, part: str) -> list[dict[str, object]]:
    return json.loads(story.datalist.read_text())[part]


def edit_datalist(story: Story, change: Callable[[dict], None]) -> None:
    content = json.loads(story.datalist.read_text())
    change(content)
    story.datalist.write_text(json.dumps(content))


def flip_byte(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def other_weights(path: Path) -> None:
    """Another checkpoint of the same shape."""
    content = torch.load(path, weights_only=True)
    torch.save({name: value + 0.3 * torch.randn(value.shape) for name, value in content.items()}, path)


# --- untouched


@pytest.mark.parametrize("which", ["training", "evaluation"])
def test_a_run_that_nobody_has_touched_passes_every_check(story: Story, which: str) -> None:
    verdict = audit(story, getattr(story, which))
    assert {check.about: check.outcome for check in verdict.checks} == dict.fromkeys(
        (check.about for check in verdict.checks), Outcome.PASS
    )
    assert (verdict.outcome, verdict.status, verdict.unseen) == (Outcome.PASS, 0, ())
    seen = {check.about: check.words for check in verdict.checks}
    assert "greatest difference" in seen["scored again"] and "0.000000" in seen["scored again"]
    assert {"files", "numbers", "config", "bundle", "datalist", "images", "masks", "checkpoint", "loading"} <= set(seen)


def test_a_training_that_began_with_weights_is_scored_without_them(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", story.store)
    monkeypatch.chdir(story.folder)
    settings, again = [*SMALL, "max_epochs=1"], story.folder / "again"
    trained = train("cxr_lung_segmentation", story.datalist, again, settings, start_from=str(story.bundle))
    (again / "models" / "start.pt").unlink()
    assert audit(story, trained.run_id).outcome is Outcome.PASS


def test_a_run_is_found_by_its_name_and_the_beginning_of_its_id(story: Story) -> None:
    name = MlflowClient(story.store).get_run(story.evaluation).info.run_name
    for text in (name, story.evaluation[:9]):
        assert audit(story, text, evaluate=False).run_id == story.evaluation


def test_the_copied_datalist_of_another_place_is_taken_by_its_cases(story: Story, tmp_path: Path) -> None:
    content = json.loads(story.datalist.read_text())
    for part in ("training", "validation", "test"):
        for item in content[part]:
            item |= {key: str(story.folder / item[key]) for key in ("image", "label")}
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    verdict = audit(story, datalist=tmp_path / "datalist.json")
    assert verdict.outcome is Outcome.PASS
    assert any("another file with the same 16 cases" in check.words for check in verdict.checks)


def test_runs_on_a_datalist_of_another_tool_pass_without_digests_in_it(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MONAI's own tools write the Decathlon layout, which has paths and no more."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", story.store)
    monkeypatch.chdir(story.folder)
    content = json.loads(story.datalist.read_text())
    plain = {"name": "plain", "labels": content["labels"], "modality": {"0": "CR"}}
    for part in ("training", "validation", "test"):
        plain[part] = [
            {key: value for key, value in item.items() if key in ("image", "label", "label_coding")}
            for item in content[part]
        ]
    plainly = story.folder / "plain.json"
    plainly.write_text(json.dumps(plain))
    trained = train("cxr_lung_segmentation", plainly, tmp_path / "trained", [*SMALL, "max_epochs=1"])
    scored = evaluate(str(tmp_path / "trained"), plainly, "test", tmp_path / "scores")
    for run in (trained.run_id, scored.run_id):
        verdict = audit(story, run)
        assert failures(verdict) == {}
        assert verdict.outcome is Outcome.PASS


# --- tampering: each is named


def test_forged_intervals_are_found_where_the_manifest_is_gone(story: Story, changing: Keep) -> None:
    """Whoever takes the manifest away leaves a run that cannot pass; what is forged is named all the same."""
    summary = story.artifact(story.evaluation, "tables/metrics.json")
    confusion = story.artifact(story.evaluation, "tables/confusion.csv")
    manifest = story.artifact(story.evaluation, "manifest.json")
    changing(summary, confusion, manifest, story.database)
    story.sql("DELETE FROM tags WHERE key = 'planar.manifest_sha256' AND run_uuid = ?", story.evaluation)
    manifest.unlink()
    verdict = audit(story)
    assert verdict.outcome is not Outcome.PASS and verdict.status != 0 and not failures(verdict)
    content = json.loads(summary.read_text())
    content["summary"]["lung"]["per_subject"]["dice"]["ci_low"] += 0.2
    summary.write_text(json.dumps(content))
    lines = confusion.read_text().splitlines()
    first = lines[1].split(",")
    confusion.write_text("\n".join([lines[0], ",".join([first[0], str(2 * int(first[1])), *first[2:]]), *lines[2:]]))
    told = failures(audit(story))["scored again"]
    assert "ci_low of dice, lung, per_subject" in told
    assert "confusion of background with background" in told


def test_1_one_pixel_of_one_image(story: Story, changing: Keep) -> None:
    image = story.folder / str(items(story, "test")[0]["image"])
    changing(image)
    pixels = np.array(Image.open(image))
    pixels[40, 40] += 1
    Image.fromarray(pixels).save(image)
    found = failures(audit(story))
    assert found["images"] == str(image.resolve())
    assert "masks" not in found
    assert "test set" in found
    # A training is given all parts: its test part must stay what it was, too.
    assert failures(audit(story, story.training, evaluate=False)).keys() == {"images", "test set"}


def test_2_one_mask_replaced_by_another(story: Story, changing: Keep) -> None:
    mine, other = (story.folder / str(item["label"]) for item in items(story, "test")[:2])
    changing(mine)
    mine.write_bytes(other.read_bytes())
    found = failures(audit(story))
    assert found["masks"] == str(mine.resolve())
    assert "images" not in found
    assert {"test set", "scored again"} <= found.keys()


def test_3_one_byte_of_the_checkpoint(story: Story, changing: Keep) -> None:
    changing(story.weights)
    flip_byte(story.weights, story.weights.stat().st_size // 2)
    assert failures(audit(story))["checkpoint here"] == str(story.weights)
    assert failures(audit(story, story.training))["checkpoint here"] == str(story.weights)


def test_4_the_bundles_config_edited(story: Story, changing: Keep) -> None:
    config = story.bundle / "configs" / "evaluate.yaml"
    changing(config)
    config.write_text(config.read_text().replace("lower: 0.5", "lower: 2.5"))
    assert failures(audit(story)) == {"bundle": str(config)}


def test_5_the_recorded_config_edited(story: Story, changing: Keep) -> None:
    config = story.artifact(story.evaluation, "config/*.json")
    changing(config)
    config.write_text(config.read_text().replace('"lower": 0.5', '"lower": 2.5'))
    found = failures(audit(story, evaluate=False))
    assert found == {"files": f"config/{config.name}", "config": f"config/{config.name}"}


def test_6_a_case_added_to_the_test_list(story: Story, changing: Keep) -> None:
    changing(story.datalist)
    extra = items(story, "test")[0] | {
        "image": "phantom/images/added.png",
        "image_sha256": "0" * 64,
        "subject": "f" * 16,
    }
    image = story.folder / str(items(story, "test")[0]["image"])
    added = story.folder / "phantom" / "images" / "added.png"
    added.write_bytes(image.read_bytes())
    edit_datalist(story, lambda content: content["test"].append(extra))
    found = failures(audit(story))
    added.unlink()
    assert "phantom/images/added.png: added to test" in found["datalist"]
    assert "test set" in found
    assert "was not scored then" in found["scored again"]


def test_7_a_case_removed_from_the_test_list(story: Story, changing: Keep) -> None:
    changing(story.datalist)
    gone = str(items(story, "test")[1]["image_sha256"])
    edit_datalist(story, lambda content: content["test"].pop(1))
    found = failures(audit(story))
    assert f"case-{gone[:12]}: gone from test" in found["datalist"]
    assert f"case-{gone[:12]} (lung): not scored any more" in found["scored again"]
    assert "test set" in found


def test_8_a_number_edited_in_the_table_of_cases(story: Story, changing: Keep) -> None:
    table = story.artifact(story.evaluation, "tables/cases.csv")
    changing(table)
    first = table.read_text().splitlines()[1].split(",")
    table.write_text(table.read_text().replace(first[4], "0.990000"))
    found = failures(audit(story))
    assert found["files"] == "tables/cases.csv"
    assert "dice_lung" in found["tables"]
    assert f"dice of {first[0]} (lung): 0.99" in found["scored again"]


def test_9_a_metric_edited_in_the_database(story: Story, changing: Keep) -> None:
    changing(story.database)
    story.sql("UPDATE metrics SET value = 0.99 WHERE run_uuid = ? AND key = 'dice_lung'", story.evaluation)
    found = failures(audit(story))
    assert found["numbers"] == "dice_lung"
    assert "dice_lung" in found["tables"]
    assert "dice_lung" in found["scored again"]


@pytest.mark.parametrize("shown", ["value = 0.99", "is_nan = 1"])
def test_9_the_value_of_a_metric_that_mlflow_shows_edited_in_the_database(
    story: Story, changing: Keep, shown: str
) -> None:
    changing(story.database)
    story.sql(f"UPDATE latest_metrics SET {shown} WHERE run_uuid = ? AND key = 'dice_lung'", story.evaluation)
    found = failures(audit(story, evaluate=False))
    assert found["numbers"] == "dice_lung, as MLflow's pages show it"


@pytest.mark.parametrize("shown", ["name = 'Shenzhen test'", "digest = '0123abcd'"])
def test_10_the_data_under_another_name_or_short_digest(story: Story, changing: Keep, shown: str) -> None:
    changing(story.database)
    own = "(SELECT source_id FROM inputs WHERE destination_id = ? AND source_type = 'DATASET')"
    story.sql(f"UPDATE datasets SET {shown} WHERE dataset_uuid IN {own}", story.evaluation)
    found = failures(audit(story, evaluate=False))
    assert re.fullmatch(r"the dataset .* test \([0-9a-f]+\)", found["record of data"])


def test_10_a_subject_moved_from_training_to_test(story: Story, changing: Keep) -> None:
    changing(story.datalist)
    subject = items(story, "training")[0]["subject"]
    moved = [str(item["image"]) for item in items(story, "training") if item["subject"] == subject]

    def move(content: dict) -> None:
        content["test"] += [item for item in content["training"] if item["subject"] == subject]
        content["training"] = [item for item in content["training"] if item["subject"] != subject]

    edit_datalist(story, move)
    for run in (story.training, story.evaluation):
        found = failures(audit(story, run))
        assert all(f"{image}: moved from training to test" in found["datalist"] for image in moved)
        assert "test set" in found


def test_11_another_checkpoint_of_the_same_shape(story: Story, changing: Keep) -> None:
    changing(story.weights)
    other_weights(story.weights)
    for run in (story.evaluation, story.training):
        found = failures(audit(story, run))
        assert found["checkpoint here"] == str(story.weights)
        assert "dice" in found["scored again"]


def test_12_another_checkpoint_in_the_store(story: Story, changing: Keep) -> None:
    weights = story.artifact(story.training, "checkpoints/model.pt")
    changing(weights)
    other_weights(weights)
    found = failures(audit(story, story.training))
    assert "checkpoints/model.pt" in found["checkpoint"]
    assert found["files"] == "checkpoints/model.pt"


def test_13_a_parameter_edited_and_one_epochs_loss_beautified(story: Story, changing: Keep) -> None:
    changing(story.database)
    story.sql("UPDATE params SET value = '1000' WHERE run_uuid = ? AND key = 'max_epochs'", story.training)
    story.sql("UPDATE metrics SET value = 0.01 WHERE run_uuid = ? AND key = 'train_loss' AND step = 2", story.training)
    found = failures(audit(story, story.training, evaluate=False))
    assert found["numbers"] == "train_loss the parameters"
    assert "train_loss at 2: 0.01" in found["history"]


def test_14_the_coding_of_a_mask_edited(story: Story, changing: Keep) -> None:
    changing(story.datalist)
    edit_datalist(story, lambda content: content["test"][0].update(label_coding="threshold:254"))
    assert "label_coding" in failures(audit(story, evaluate=False))["datalist"]


def test_15_an_image_exchanged_together_with_its_digest(story: Story, changing: Keep) -> None:
    from pipeline.datalist import pixel_digest
    from pipeline.readers import read_picture

    item = items(story, "test")[0]
    image = story.folder / str(item["image"])
    changing(image, story.datalist)
    Image.fromarray(255 - np.array(Image.open(image))).save(image)
    digest = pixel_digest(read_picture(image).array)
    edit_datalist(story, lambda content: content["test"][0].update(image_sha256=digest))
    found = failures(audit(story))
    assert f"{item['image']}: another image is listed" in found["datalist"]
    assert found["images"] == str(image.resolve())


def test_16_whoever_forges_the_whole_record_is_told_by_the_scores(story: Story, changing: Keep) -> None:
    """Table, summary, metrics, description, manifest and its tag all say the same, and all are wrong."""
    from pipeline.metrics import summarise
    from pipeline.tasks.audit.case_tables import read_cases
    from pipeline.tracking.manifest import points_sha256

    paths = {name: story.artifact(story.evaluation, name) for name in ("tables/cases.csv", "tables/metrics.json")}
    manifest, report = (story.artifact(story.evaluation, name) for name in ("manifest.json", "report/report.html"))
    changing(*paths.values(), manifest, report, story.database)
    table = paths["tables/cases.csv"]
    old = re.findall(r",lung,(\d\.\d+),", table.read_text())
    text = table.read_text()
    for value in old:
        text = text.replace(f",lung,{value},", f",lung,{min(1.0, float(value) + 0.2):.6f},")
    table.write_text(text)
    cases = read_cases(table)
    summary = json.loads(paths["tables/metrics.json"].read_text())
    summary["summary"] = summarise(cases)
    for row, dice in zip(summary["cases"], cases["dice"], strict=True):
        row["dice"] = dice
    paths["tables/metrics.json"].write_text(json.dumps(summary))
    mean = summary["summary"]["lung"]["per_image"]["dice"]["mean"]
    for table in ("metrics", "latest_metrics"):
        story.sql(f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = 'dice_lung'", mean, story.evaluation)
    of_model = "UPDATE logged_model_metrics SET metric_value = ? WHERE run_id = ? AND metric_name = 'dice_lung'"
    story.sql(of_model, mean, story.evaluation)
    note = MlflowClient(story.store).get_run(story.evaluation).data.tags["mlflow.note.content"]
    note = re.sub(r"\*\*\d\.\d+\*\*", f"**{mean:.4f}**", note)
    story.sql("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'mlflow.note.content'", note, story.evaluation)
    report.unlink()
    listed = json.loads(manifest.read_text())
    del listed["files"]["report/report.html"]
    listed["files"] |= {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
    listed["metrics"]["dice_lung"]["sha256"] = points_sha256([(0, mean)])
    manifest.write_text(json.dumps(listed))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    story.sql(
        "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'planar.manifest_sha256'", digest, story.evaluation
    )
    found = failures(audit(story))
    assert found.keys() == {"scored again"}
    assert "dice_lung" in found["scored again"]


# --- what cannot be looked at is no pass


def test_without_the_data_it_is_no_pass(
    story: Story, changing: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLANAR_STATE", str(tmp_path))
    verdict = audit(story)
    assert (verdict.outcome, verdict.status) == (Outcome.SKIPPED, 3)
    assert {"images", "scored again"} <= set(verdict.unseen)
    assert "--data" in next(check.words for check in verdict.checks if check.about == "images")
    verdict = audit(story, datalist=story.datalist, bundle=str(story.bundle))
    assert (verdict.outcome, verdict.unseen) == (Outcome.PASS, ())


def test_a_run_without_a_record_of_its_data_is_no_pass(tmp_path: Path) -> None:
    """As older versions have recorded it: no manifest, no digests of pixels."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    record = Record.begin(store, "old", tags={"planar.kind": "evaluation"})
    record._manifest = None
    record.metrics({"dice_lung": 0.9}, 0)
    record.end("FINISHED")
    verdict = verify(record.run_id, store=store)
    assert (verdict.outcome, verdict.status) == (Outcome.SKIPPED, 3)
    assert {"config", "datalist", "images", "checkpoint", "tables", "scored again"} <= set(verdict.unseen)


def test_a_run_that_was_killed_has_no_final_result(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    record = Record.begin(store, "x", tags={"planar.kind": "training"})
    record.tags({"planar.ended": "SIGTERM"})
    record.end("KILLED")
    verdict = verify(record.run_id, store=store)
    assert verdict.checks[0].outcome is Outcome.SKIPPED
    assert "KILLED (SIGTERM)" in verdict.checks[0].words
    assert verdict.status == 3


def test_data_that_are_gone_are_named(story: Story, changing: Keep) -> None:
    image = story.folder / str(items(story, "test")[2]["image"])
    changing(image)
    image.unlink()
    found = failures(audit(story))
    assert found["images"] == str(image.resolve())
    assert "scored again" in found


def test_a_damaged_checkpoint_is_not_scored_with(story: Story, changing: Keep) -> None:
    changing(story.weights)
    story.weights.write_bytes(story.weights.read_bytes()[:1000])
    verdict = audit(story)
    assert {"checkpoint here", "loading"} <= failures(verdict).keys()
    assert "scored again" in verdict.unseen


def test_a_place_that_was_noted_and_is_gone_does_not_fail_what_the_store_holds(story: Story, tmp_path: Path) -> None:
    note_places(story.training, {"bundle": str(tmp_path / "gone")})
    try:
        verdict = audit(story, story.training)
        assert verdict.outcome is Outcome.PASS
        assert verdict.unseen == ("bundle",)
    finally:
        note_places(story.training, {"bundle": str(story.bundle)})


# --- runs of other kinds


@pytest.fixture(scope="module")
def inference(story: Story, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The trained bundle applied to some films, one of them unreadable."""
    from pipeline.tasks.infer import infer

    folder = tmp_path_factory.mktemp("applied")
    for item in items(story, "test"):
        name = Path(str(item["image"])).name
        (folder / name).write_bytes((story.folder / str(item["image"])).read_bytes())
    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", story.store)
        patch.setattr(torch, "set_num_threads", lambda number: None)
        patch.chdir(folder)
        run_id = infer(str(story.bundle), [str(folder)], folder / "masks", tracking=True).run_id
    assert run_id
    return run_id


def test_an_inference_passes_by_what_it_has_recorded(story: Story, inference: str) -> None:
    verdict = audit(story, inference)
    assert (verdict.outcome, verdict.kind, failures(verdict)) == (Outcome.PASS, "inference", {})
    assert set(verdict.unseen) == {"images", "scored again"}
    words = {check.about: check.words for check in verdict.checks}
    assert words["sources"].startswith("3 sources and their masks") and "1 were refused" in words["sources"]
    assert story.training[:8] in words["training"]


def test_a_mask_exchanged_in_the_table_of_an_inference_is_told(story: Story, inference: str, changing: Keep) -> None:
    table = story.artifact(inference, "tables/cases.csv")
    changing(table)
    first, second = (line.split(",") for line in table.read_text().splitlines()[1:3])
    table.write_text(table.read_text().replace(first[3], second[3]))
    found = failures(audit(story, inference))
    assert found["files"] == "tables/cases.csv"
    assert "results" in found["sources"]


def test_a_cross_validation_and_its_folds_pass(cross_validation: Any) -> None:
    result = cross_validation.result
    assert result is not None and result.run_id
    verdict = verify(result.run_id, store=cross_validation.store)
    assert failures(verdict) == {}
    assert (verdict.outcome, verdict.kind) == (Outcome.PASS, "cross-validation")
    assert {"tables", "images", "masks", "datalist"} <= {c.about for c in verdict.checks if c.outcome is Outcome.PASS}
    fold = verify(str(result.states[0].run_id), store=cross_validation.store)
    assert failures(fold) == {}
    assert fold.outcome is Outcome.PASS


# --- words that are not what they should be


@pytest.mark.parametrize("text", ["none.db", "localhost:5000", "sqlite:///none.db"])
def test_a_store_that_is_not_there_is_told_and_not_made(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingUnreachable, match="there is no such store"):
        verify("x", store=text)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_was_moved_is_told_and_its_files_are_not_said_to_be_gone(story: Story, changing: Keep) -> None:
    changing(story.database)
    story.sql("UPDATE runs SET artifact_uri = '/moved/away' WHERE run_uuid = ?", story.evaluation)
    with pytest.raises(TrackingUnreachable, match="are to lie in /moved/away, which is not there"):
        audit(story, evaluate=False)
    with pytest.raises(TrackingUnreachable, match="are to lie in /moved/away, which is not there"):
        diff_runs(story.training, story.evaluation, store=story.store)


def test_a_store_may_be_named_by_its_file(story: Story) -> None:
    assert verify(story.training, store=str(story.database), evaluate=False).run_id == story.training
