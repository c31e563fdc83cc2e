"""What is said beside the scores is found out where it was changed, though the record agrees with itself."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audited_runs import Story
from forging import Forged, forge

from pipeline.tasks.audit import Outcome, Verdict
from pipeline.tasks.audit.export import export_run
from pipeline.tasks.audit.verify import verify
from pipeline.tracking.record import Record

Change = Callable[[Forged], None]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)


@pytest.fixture(scope="module")
def pack(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of the evaluation, with the training of its weights."""
    path = tmp_path_factory.mktemp("packs") / "evaluation.zip"
    export_run(story.evaluation, path, store=story.store)
    return path


def told(verdict: Verdict, outcome: Outcome = Outcome.FAIL) -> dict[str, str]:
    """Of each check of an outcome its words and what it names."""
    return {check.about: " ".join([check.words, *check.files]) for check in verdict.checks if check.outcome is outcome}


def setting(artifact: str, **values: Any) -> Change:
    return lambda forged: forged.json(artifact, lambda content: content.update(values))


def setting_tag(name: str, value: str | None) -> Change:
    def change(run: dict[str, Any]) -> None:
        run["tags"].pop(name, None)
        run["tags"] |= {} if value is None else {name: value}

    return lambda forged: forged.json("/run.json", change)


def test_a_pack_that_was_written_anew_as_it_was_passes(pack: Path, tmp_path: Path) -> None:
    assert told(verify(str(forge(pack, tmp_path / "same.zip", lambda forged: None)))) == {}


# --- what the tables say besides figures


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"split": "training"}, "split is training, the run has scored test"),
        ({"data": "other_hospital"}, "data is other_hospital, the recorded datalist is"),
        ({"trained_on": "another_set (99 training cases)"}, "trained_on is another_set"),
        ({"checkpoint_sha256": "0" * 64}, "checkpoint_sha256 is 0000"),
        ({"n_cases": 500}, "n_cases is 500, the table has 3"),
        ({"n_subjects": 500}, "n_subjects is 500, the table has"),
        ({"classes": ["background", "heart"]}, "classes is ['heart']"),
        ({"distance_unit": "mm"}, "distance_unit is mm"),
        ({"versions": {"torch": "9.9"}}, "version of torch is 9.9"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_fact_beside_the_scores_is_told_by_the_rest_of_the_record(
    pack: Path, tmp_path: Path, said: dict[str, Any], named: str
) -> None:
    found = told(verify(str(forge(pack, tmp_path / "forged.zip", setting("tables/metrics.json", **said)))))
    assert named in found["tables"]


def test_the_part_that_was_scored_is_said_by_more_than_a_parameter(pack: Path, tmp_path: Path) -> None:
    def change(forged: Forged) -> None:
        forged.json("tables/metrics.json", lambda content: content.update(split="training"))
        forged.json("/run.json", lambda run: run["params"].update(split="training"))

    found = told(verify(str(forge(pack, tmp_path / "forged.zip", change))))["tables"]
    assert "which part was scored: the parameter split training, the executed config test" in found
    assert "is of the part test, the run has scored training" in found


# --- whose the cases are


def one_subject(forged: Forged) -> None:
    """All cases of the table become one person's, and the figures over subjects are what that gives."""
    from pipeline.metrics import summarise
    from pipeline.tasks.audit.case_tables import read_cases

    lines = forged.content[forged.path("tables/cases.csv")].decode().splitlines()
    at = lines[0].split(",").index("subject")
    rows = [line.split(",") for line in lines]
    for row in rows[1:]:
        row[at] = rows[1][at]
    text = "".join(",".join(row) + "\n" for row in rows)
    forged.content[forged.path("tables/cases.csv")] = text.encode()

    def change(content: dict[str, Any]) -> None:
        from io import StringIO

        content |= {"summary": summarise(read_cases(StringIO(text))), "n_subjects": 1}  # type: ignore[arg-type]
        for row in content["cases"]:
            row["subject"] = rows[1][at]

    forged.json("tables/metrics.json", change)


def test_a_subject_that_was_changed_in_the_table_is_told_by_the_datalist(pack: Path, tmp_path: Path) -> None:
    found = told(verify(str(forge(pack, tmp_path / "forged.zip", one_subject))))
    assert re.search(r"subject of case-\w+ is \w+, the recorded datalist has", found["tables"])


def test_subjects_that_were_changed_everywhere_are_told_by_the_images_datalist(
    story: Story, pack: Path, tmp_path: Path
) -> None:
    def change(forged: Forged) -> None:
        del forged.content[forged.path("report/report.html")]
        forged.json("/manifest.json", lambda content: content["files"].pop("report/report.html"))
        one_subject(forged)
        forged.json("data/datalist.json", lambda content: [one.update(subject="f" * 16) for one in content["test"]])
        forged.text(
            "tables/cases.csv", lambda text: re.sub(r"(?m)(,[0-9a-f]{64}),[0-9a-f]{16},", rf"\1,{'f' * 16},", text)
        )

    path = forge(pack, tmp_path / "forged.zip", change)
    assert told(verify(str(path))) == {}
    found = told(verify(str(path), datalist=story.datalist))
    assert found.keys() == {"datalist", "scored again"}
    assert re.search(r"n of dice, lung, per_subject: 1 → [23]", found["scored again"])
    assert re.search(r"subject f{16} is several", found["scored again"])


# --- numbers that are no scores of a case


@pytest.mark.parametrize("metric", ["mean_dice", "mean_iou"])
def test_monais_means_are_computed_again(story: Story, pack: Path, tmp_path: Path, metric: str) -> None:
    def change(run: dict[str, Any]) -> None:
        run["metrics"][metric][0][1] = 0.999

    path = forge(pack, tmp_path / "forged.zip", lambda forged: forged.json("/run.json", change))
    found = told(verify(str(path), datalist=story.datalist))
    assert f"metric {metric}: 0.999000 → " in found["scored again"]


def test_a_metric_that_no_evaluation_computes_is_named(story: Story, pack: Path, tmp_path: Path) -> None:
    def change(run: dict[str, Any]) -> None:
        run["metrics"]["expert_agreement"] = [[0, 0.99, 0]]

    path = forge(pack, tmp_path / "forged.zip", lambda forged: forged.json("/run.json", change))
    verdict = verify(str(path), datalist=story.datalist)
    assert "expert_agreement" in told(verdict, Outcome.SKIPPED)["other metrics"]
    assert "mean_dice" not in told(verdict, Outcome.SKIPPED)["other metrics"]


def test_a_metric_of_a_training_that_its_history_does_not_have_is_named(story: Story, tmp_path: Path) -> None:
    export_run(story.training, tmp_path / "run.zip", store=story.store)

    def change(run: dict[str, Any]) -> None:
        run["metrics"]["expert_agreement"] = [[0, 0.99, 0]]

    assert "expert_agreement" not in told(verify(str(tmp_path / "run.zip")), Outcome.PASS)["history"]
    path = forge(tmp_path / "run.zip", tmp_path / "forged.zip", lambda forged: forged.json("/run.json", change))
    assert told(verify(str(path)), Outcome.PASS)["history"].endswith("compare with: expert_agreement")


def test_the_dice_of_a_cross_validation_is_that_of_its_tables(cross_validation: Any, tmp_path: Path) -> None:
    result = cross_validation.result
    export_run(result.run_id, tmp_path / "run.zip", store=cross_validation.store)

    def change(run: dict[str, Any]) -> None:
        run["metrics"]["out_of_fold_dice_lung"][-1][1] = 0.999

    assert told(verify(str(tmp_path / "run.zip"))) == {}
    path = forge(tmp_path / "run.zip", tmp_path / "forged.zip", lambda forged: forged.json("/run.json", change))
    found = told(verify(str(path)))
    assert "metric out_of_fold_dice_lung: 0.999, the table gives 0." in found["tables"]


def better_calibrated(forged: Forged, *, table: bool) -> None:
    """Each bin as accurate as it is sure."""

    def change(content: dict[str, Any]) -> None:
        for one in content["calibration"]["bins"]:
            one["accuracy"] = one["confidence"]
        content["calibration"]["ece"] = 0.0

    forged.json("tables/metrics.json", change)
    if table:
        bins = json.loads(forged.content[forged.path("tables/metrics.json")])["calibration"]["bins"]
        lines = [",".join("" if value is None else str(value) for value in one.values()) for one in bins]
        text = "\n".join([",".join(bins[0]), *lines])
        forged.content[forged.path("tables/calibration.csv")] = f"{text}\n".encode()


def test_a_calibration_that_is_not_its_tables_is_told(pack: Path, tmp_path: Path) -> None:
    path = forge(pack, tmp_path / "forged.zip", lambda forged: better_calibrated(forged, table=False))
    assert "accuracy of bin" in told(verify(str(path)))["tables"]
    path = forge(
        pack,
        tmp_path / "ece.zip",
        lambda forged: forged.json("tables/metrics.json", lambda content: content["calibration"].update(ece=0.001)),
    )
    assert "calibration.ece is 0.001, its bins give" in told(verify(str(path)))["tables"]


def test_a_calibration_that_was_changed_everywhere_is_told_when_it_is_computed_again(
    story: Story, pack: Path, tmp_path: Path
) -> None:
    path = forge(pack, tmp_path / "forged.zip", lambda forged: better_calibrated(forged, table=True))
    assert told(verify(str(path))) == {}
    found = told(verify(str(path), datalist=story.datalist))
    assert "calibration.ece: 0.000000 → 0." in found["scored again"]
    assert "accuracy of the calibration's bin" in found["scored again"]


def test_pixels_and_areas_are_told_by_error_and_confusion_and_computed_again(
    story: Story, pack: Path, tmp_path: Path
) -> None:
    def change(forged: Forged) -> None:
        def larger(text: str) -> str:
            head, first, *rest = text.splitlines()
            cells = dict(zip(head.split(","), first.split(","), strict=True))
            for name in ("predicted_pixels", "reference_pixels"):
                cells[name] = str(2 * int(cells[name]))
            for name in ("predicted_area", "reference_area"):
                cells[name] = f"{2 * float(cells[name]):.6f}"
            return "\n".join([head, ",".join(cells.values()), *rest]) + "\n"

        forged.text("tables/cases.csv", larger)

    path = forge(pack, tmp_path / "forged.zip", change)
    verdict = verify(str(path), datalist=story.datalist)
    found = told(verdict)
    assert "reference pixels of lung, the table of cases" in found["tables"]
    assert "reference_pixels of case-" in found["scored again"] and "predicted_area of case-" in found["scored again"]
    wrong, compared = map(int, re.findall(r"(\d+) of (\d+) numbers differ", found["scored again"])[0])
    named = next(check.files for check in verdict.checks if check.about == "scored again")
    assert wrong == len(named) < compared


def test_never_more_numbers_differ_than_were_compared(story: Story, pack: Path, tmp_path: Path) -> None:
    """All that can be wrong is."""

    def change(forged: Forged) -> None:
        forged.text("tables/cases.csv", lambda text: re.sub(r"\d\.\d{6}", "0.123456", text))
        forged.text("tables/metrics.json", lambda text: re.sub(r"\d+\.\d+", "0.123456", text))
        forged.json("/run.json", lambda run: [points[0].__setitem__(1, 0.123456) for points in run["metrics"].values()])
        forged.text("tables/confusion.csv", lambda text: re.sub(r",\d+", ",1", text))

    path = forge(pack, tmp_path / "forged.zip", change)
    found = told(verify(str(path), datalist=story.datalist))["scored again"]
    wrong, compared = map(int, re.findall(r"(\d+) of (\d+) numbers differ", found)[0])
    assert 100 < wrong < compared


# --- what kind of run it is


@pytest.mark.parametrize("kind", ["prediction", "inference", "cross-validation", ""])
@pytest.mark.parametrize("which", ["evaluation", "training"])
def test_scores_are_no_less_scores_under_another_kind(story: Story, tmp_path: Path, kind: str, which: str) -> None:
    export_run(getattr(story, which), tmp_path / "run.zip", store=story.store)
    retag = setting_tag("planar.kind", kind)
    verdict = verify(str(forge(tmp_path / "run.zip", tmp_path / "forged.zip", retag)))
    assert verdict.outcome is Outcome.FAIL
    assert "tag planar.kind" in told(verdict)["kind"]
    # As it is where the manifest, whose own digest is a tag, was left as it was.
    verdict = verify(str(forge(tmp_path / "run.zip", tmp_path / "tag.zip", retag, agree=False)))
    assert "tag planar.kind" in told(verdict)["numbers"]


@pytest.mark.parametrize("name", ["planar.training_run", "planar.config_sha256", "planar.model_sha256"])
def test_a_tag_that_counts_is_in_the_manifest(pack: Path, tmp_path: Path, name: str) -> None:
    for number, change in enumerate((setting_tag(name, "0" * 64), setting_tag(name, None))):
        verdict = verify(str(forge(pack, tmp_path / f"{number}.zip", change, agree=False)))
        assert f"tag {name}" in told(verdict)["numbers"]
    verdict = verify(str(forge(pack, tmp_path / "added.zip", setting_tag("planar.keeps_last", "true"), agree=False)))
    assert "tag planar.keeps_last" in told(verdict)["numbers"]


def test_an_older_record_whose_manifest_lists_no_tags_passes_and_says_so(pack: Path, tmp_path: Path) -> None:
    path = forge(pack, tmp_path / "old.zip", lambda forged: forged.json("/manifest.json", lambda one: one.pop("tags")))
    verdict = verify(str(path))
    assert verdict.outcome is Outcome.PASS
    assert "of its tags this older record has none" in told(verdict, Outcome.PASS)["numbers"]


def test_a_run_of_a_kind_that_planar_does_not_know_is_no_pass(tmp_path: Path) -> None:
    record = Record.begin(f"sqlite:///{tmp_path / 'runs.db'}", "x", tags={"planar.kind": "prediction"})
    record.metrics({"accuracy": 0.99}, 0)
    record.end("FINISHED")
    verdict = verify(record.run_id, store=record.uri)
    assert verdict.outcome is Outcome.SKIPPED
    assert {"kind", "scored again"} <= {check.about for check in verdict.checks if check.essential}


# --- what MLflow's pages show first


def test_a_number_of_the_models_page_is_told_by_the_run_that_has_measured_it(pack: Path, tmp_path: Path) -> None:
    for name in ("val_mean_dice", "dice_lung"):

        def change(run: dict[str, Any], name: str = name) -> None:
            run["models"][0]["metrics"][name] = 0.999
            if name == "dice_lung":  # a later evaluation may have measured it anew
                run["models"][0]["runs"][name] = run["run_id"]

        found = told(
            verify(str(forge(pack, tmp_path / f"{name}.zip", lambda forged: forged.json("/run.json", change))))
        )
        assert found.keys() == {"models"}
        assert f"{name} of the model best" in found["models"] and "is 0.999000, the run has 0." in found["models"]


def test_the_zero_that_mlflow_keeps_of_a_model_for_a_number_that_there_is_not_is_no_forgery(
    pack: Path, tmp_path: Path
) -> None:
    """As older records have it of a class that no case of the test part has."""

    def change(run: dict[str, Any], of_model: float) -> None:
        run["metrics"]["dice_rare"] = [[0, "nan", run["metrics"]["dice_lung"][0][2]]]
        run["models"][0]["metrics"]["dice_rare"] = of_model
        run["models"][0]["runs"]["dice_rare"] = run["run_id"]

    for of_model, forgery in ((0.0, False), (0.9, True)):
        path = forge(
            pack,
            tmp_path / f"{of_model}.zip",
            lambda forged, value=of_model: forged.json("/run.json", lambda run: change(run, value)),
        )
        verdict = verify(str(path))
        assert ("models" in {check.about for check in verdict.checks if check.outcome is Outcome.FAIL}) == forgery


def test_an_older_record_that_does_not_say_which_run_has_measured_passes(pack: Path, tmp_path: Path) -> None:
    def change(run: dict[str, Any], **values: float) -> None:
        run["models"][0].pop("runs")
        own = {name: points[-1][1] for name, points in run["metrics"].items()}
        run["models"][0]["metrics"] |= own | values

    verdict = verify(str(forge(pack, tmp_path / "old.zip", lambda forged: forged.json("/run.json", change))))
    assert verdict.outcome is Outcome.PASS and "models" not in verdict.unseen
    # It may be of an evaluation that the pack does not hold.
    other = forge(
        pack, tmp_path / "x.zip", lambda forged: forged.json("/run.json", lambda run: change(run, dice_lung=0.9))
    )
    assert "dice_lung of the model best" in told(verify(str(other)), Outcome.SKIPPED)["models"]
    other = forge(
        pack, tmp_path / "y.zip", lambda forged: forged.json("/run.json", lambda run: change(run, val_mean_dice=0.9))
    )
    assert "val_mean_dice of the model best" in told(verify(str(other)))["models"]


def test_a_description_names_classes_with_letters_that_mlflow_does_not_take(pack: Path, tmp_path: Path) -> None:
    def change(run: dict[str, Any]) -> None:
        run["metrics"]["dice_lung _left_"] = run["metrics"].pop("dice_lung")
        said = run["tags"]["mlflow.note.content"]
        run["tags"]["mlflow.note.content"] = said.replace(" lung **", " lung (left) **")

    def forged(forged: Forged) -> None:
        forged.json("/run.json", change)
        forged.text("tables/metrics.json", lambda text: text.replace('"lung":', '"lung (left)":'))

    found = told(verify(str(forge(pack, tmp_path / "named.zip", forged))), Outcome.PASS)
    assert found["description"] == "it says what the record says"


@pytest.mark.parametrize("which", ["evaluation", "training"])
def test_a_figure_of_the_description_is_told_by_the_record(story: Story, tmp_path: Path, which: str) -> None:
    export_run(getattr(story, which), tmp_path / "run.zip", store=story.store)

    def forged(change: Callable[[str], str]) -> Verdict:
        def describe(run: dict[str, Any]) -> None:
            run["tags"]["mlflow.note.content"] = change(run["tags"]["mlflow.note.content"])

        one = forge(tmp_path / "run.zip", tmp_path / "forged.zip", lambda forged: forged.json("/run.json", describe))
        return verify(str(one))

    assert told(forged(lambda text: text), Outcome.PASS)["description"].endswith("says what the record says")
    assert "**0.9990**" in told(forged(lambda text: re.sub(r"\*\*0\.\d{4}\*\*", "**0.9990**", text)))["description"]
    assert "3000 " in told(forged(lambda text: re.sub(r"(\d+) (test|training)", r"3000 \2", text)))["description"]
    words = told(forged(lambda text: f"Dice 0.999, said our experts. {text}"), Outcome.SKIPPED)
    assert "is not checked" in words["description"]


# --- what people read


def in_other_words(path: Path, changes: dict[str, Callable[[str], str]], wording: str = "another") -> Path:
    """A pack whose documents another version has written, with changes in them."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(content["pack.json"]) | {"wording": wording}
    for name, change in changes.items():
        changed = change(content[name].decode()).encode()
        assert changed != content[name]
        content[name] = changed
        about["files"][name] = {"sha256": hashlib.sha256(changed).hexdigest(), "bytes": len(changed)}
    content["pack.json"] = json.dumps(about).encode()
    out = path.with_name(f"{len([*path.parent.iterdir()])}.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out


@pytest.mark.parametrize(
    ("name", "old", "new", "named"),
    [
        ("model_card.md", r"\| lung \| 0\.\d+ \[", "| lung | 0.999 [", "Dice of lung is 0.999 ["),
        ("model_card.md", r"\| lung \| 0\.\d+ \|", "| lung | 0.999 |", "mean of lung is 0.999"),
        ("model_card.md", r"\(mean Dice 0\.\d+\)", "(mean Dice 0.9990)", "Dice: 0.9990"),
        ("model_card.md", r"\d+ images of", "500 images of", "images of subjects: 500 of"),
        ("model_card.md", r"\| test \| \d+", "| test | 500", "images of test is 500"),
        ("checklist.md", r"mean Dice 0\.\d+", "mean Dice 0.999", "Dice: 0.999"),
        ("report.html", r"0\.\d+", "0.999", "report.html"),
    ],
)
def test_a_figure_in_documents_of_another_version_is_told(
    pack: Path, name: str, old: str, new: str, named: str
) -> None:
    path = in_other_words(pack, {name: lambda text: re.sub(old, new, text, count=1)})
    assert named in told(verify(str(path)))["documents"]


def test_documents_in_other_words_pass_by_their_figures(pack: Path) -> None:
    words = told(verify(str(in_other_words(pack, {}))), Outcome.PASS)["documents"]
    assert re.search(r"another version of Planar has written them; \d\d figures", words)
    path = in_other_words(pack, {"model_card.md": lambda text: text.replace("Means over subjects", "Averages")})
    assert verify(str(path)).outcome is Outcome.PASS


def test_a_card_without_the_tables_of_the_record_is_no_pass(pack: Path) -> None:
    path = in_other_words(pack, {"model_card.md": lambda text: text.replace("| class | Dice |", "| class | Score |")})
    verdict = verify(str(path))
    assert verdict.outcome is not Outcome.PASS


def test_documents_that_are_missing_are_told(pack: Path, tmp_path: Path) -> None:
    verdict = verify(str(forge(pack, tmp_path / "bare.zip", lambda forged: None)))
    assert told(verdict, Outcome.SKIPPED)["documents"] == "the pack has no model_card.md and no checklist.md"


@pytest.mark.parametrize("where", [r"(<td class=\"n\">)0\.\d{3}", r"(Mean Dice of lung: )0\.\d+"])
def test_a_figure_of_the_recorded_report_is_told_by_the_tables(pack: Path, tmp_path: Path, where: str) -> None:
    assert "figures of its tables are the recorded ones" in told(verify(str(pack)), Outcome.PASS)["report"]
    path = forge(
        pack,
        tmp_path / "forged.zip",
        lambda forged: forged.text("report/report.html", lambda text: re.sub(where, r"\g<1>0.999", text, count=1)),
    )
    found = told(verify(str(path)))
    assert found.keys() == {"report"}
    assert "0.999" in found["report"]
