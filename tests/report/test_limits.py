from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evaluation_phantoms import evaluated, films

from pipeline.bundle import Bundle
from pipeline.datalist import read_datalist
from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.report.limits import Limit, limits_of
from pipeline.report.material import Material
from pipeline.report.pictures import CaseSource
from pipeline.report.privacy import without_folders


@pytest.fixture(scope="module")
def datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films(tmp_path_factory.mktemp("limits") / "films", 48)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory, datalist: Path) -> EvaluationView:
    return view_evaluation(evaluated(tmp_path_factory.mktemp("evaluation") / "ev", datalist))


def recorded(view: EvaluationView, **changes: Any) -> EvaluationView:
    return replace(view, files=replace(view.files, record=view.record | changes))


def limits(view: EvaluationView, **material: Any) -> dict[str, Limit]:
    return {limit.code: limit for limit in limits_of(Material(view, **material))}


def test_what_always_holds_is_said_with_its_figures(view: EvaluationView) -> None:
    found = limits(view)
    assert "24 subjects, 48 images. The worst twentieth is 3 images" in found["number"].text
    assert "Trained on: other phantoms (40 training cases). Measured on: phantoms." in found["origin"].text
    low, high = (view.summary["lung"]["per_subject"]["dice"][end] for end in ("ci_low", "ci_high"))
    assert f"{high - low:.3f} wide" in found["interval_width"].text or "heart" in found["interval_width"].text
    assert "in pixels" in found["pixels"].text
    assert "forgives 2 px" in found["tolerance"].text
    assert not any(limit.grave for limit in found.values())


@pytest.mark.parametrize(("split", "code"), [("training", "training_cases"), ("validation", "validation_cases")])
@pytest.mark.parametrize("trained_on", ["phantoms (40 training cases)", None])
def test_cases_that_are_not_new_to_the_model_are_told_first(
    view: EvaluationView, split: str, code: str, trained_on: str | None
) -> None:
    first = limits_of(Material(recorded(view, split=split, trained_on=trained_on)))[0]
    assert (first.code, first.grave) == (code, True)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_parts_of_a_set_that_was_not_trained_on_did_not_train(view: EvaluationView, split: str) -> None:
    assert not {"training_cases", "validation_cases"} & set(limits(recorded(view, split=split)))


@pytest.mark.parametrize(
    ("keep", "same", "says", "grave"),
    [
        ("best", True, "chose the checkpoint: their scores are a little too good", True),
        ("last", True, "did not choose the checkpoint, which is its last", False),
        ("last", False, "unless the training kept its last", True),
        (None, True, "unless the training kept its last", True),
    ],
)
def test_validation_cases_are_said_to_choose_the_checkpoint_where_they_do(
    view: EvaluationView, tmp_path: Path, keep: str | None, same: bool, says: str, grave: bool
) -> None:
    (tmp_path / "configs").mkdir()
    if keep is not None:
        (tmp_path / "configs" / "train.yaml").write_text(f"checkpoints: {{keep: {keep}}}\n")
    scored = recorded(view, split="validation", trained_on="phantoms (40 training cases)")
    found = limits(scored, bundle=Bundle(tmp_path, "b"), same_weights=same)["validation_cases"]
    assert says in found.text
    assert found.grave == grave


def test_a_set_that_was_trained_on_is_told_from_another(view: EvaluationView) -> None:
    assert "same_set" in limits(recorded(view, trained_on="Phantoms (40 training cases)"))
    assert "same_set" in limits(recorded(view, trained_on="films+Phantoms (40 training cases)"))
    assert "origin" in limits(recorded(view, trained_on="films (40 training cases)"))
    assert "unknown_training" in limits(recorded(view, trained_on=None))


def test_cases_of_a_cross_validation_are_said_to_be_new_to_the_networks_that_scored_them(view: EvaluationView) -> None:
    found = limits(recorded(view, split="out of fold", trained_on=None))
    assert "measured by the network of a fold that is new to it" in found["same_set"].text
    assert "unknown_training" not in found and not any(limit.grave for limit in found.values())


def test_weights_that_are_others_are_told(view: EvaluationView, tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, "some_bundle")
    assert "some_bundle are not those" in limits(view, bundle=bundle, same_weights=False)["other_weights"].text
    assert "other_weights" not in limits(view, bundle=bundle, same_weights=True)
    assert "other_weights" not in limits(view, bundle=bundle, same_weights=None)


@pytest.mark.parametrize(
    ("origin", "held_out", "code"),
    [
        (("phantoms", "test"), {"bias": 0.0}, "gate_fitted_here"),
        (("phantoms", "validation"), None, "gate_in_sample"),
        (("phantoms", "validation"), {"bias": 0.0}, ""),
    ],
)
def test_a_gate_that_was_not_tried_on_other_masks_is_told(
    view: EvaluationView, tmp_path: Path, origin: tuple[str, str], held_out: Any, code: str
) -> None:
    (tmp_path / "models").mkdir()
    gate = tmp_path / "models" / "gate.json"
    gate.write_text(json.dumps({"fitted_on": dict(zip(("data", "part"), origin, strict=True)), "held_out": held_out}))
    judged = replace(recorded(view, data="phantoms", split="test"), gate=pd.DataFrame({"image": []}))
    bundle = Bundle(tmp_path, "some_bundle")
    codes = {"gate_fitted_here", "gate_in_sample"}
    assert codes & set(limits(judged, bundle=bundle)) == ({code} if code else set())
    assert not codes & set(limits(replace(judged, gate=None), bundle=bundle))
    gate.write_text("{}")
    assert not codes & set(limits(judged, bundle=bundle))


def test_few_subjects_are_grave(tmp_path: Path, datalist: Path) -> None:
    found = limits(view_evaluation(evaluated(tmp_path / "ev", datalist, only=10)))["few_subjects"]
    assert found.grave
    assert found.text.startswith("5 subjects, 10 images. The worst twentieth is 1 image: ")


def test_files_that_are_their_own_subjects_are_told(view: EvaluationView, datalist: Path) -> None:
    content = read_datalist(datalist)
    assert "subjects_unknown" not in limits(view, datalist=content)
    content.split["subjects_from"] = "one subject a file"
    assert "subjects_unknown" in limits(view, datalist=content)


def pair(*parts: str) -> Mapping[str, Any]:
    return {"a": "one.png", "b": "two.png", "parts": list(parts), "similarity": 0.99}


def test_near_duplicates_count_where_one_of_them_is_scored(view: EvaluationView) -> None:
    assert "near_duplicates_unknown" in limits(view)
    assert "near_duplicates_unknown" in limits(view, fingerprint={"name": "another set"})
    pairs = [pair("test", "training"), pair("validation", "test"), pair("training", "validation"), pair("test", "test")]
    found = limits(view, fingerprint={"name": "phantoms", "near_duplicates": pairs, "near_duplicates_across": 4})
    assert "Nearly equal pictures: 2 pairs with one in test" in found["near_duplicates"].text
    assert found["near_duplicates"].grave
    more = limits(view, fingerprint={"name": "phantoms", "near_duplicates": pairs, "near_duplicates_across": 900})
    assert "at least 2 pairs" in more["near_duplicates"].text
    own = recorded(view, trained_on="phantoms (40 training cases)")
    none = limits(own, fingerprint={"name": "phantoms", "near_duplicates": []})
    assert not {"near_duplicates", "near_duplicates_unknown"} & set(none)
    # A fingerprint of these pictures alone says nothing of others that were trained on.
    both = recorded(view, trained_on="phantoms+films (40 training cases)")
    (said,) = [limits(both, fingerprint={"name": "phantoms", "near_duplicates": []})["near_duplicates_unknown"].text]
    assert "nearly repeats one of films, which trained the network" in said


def test_empty_masks_are_counted_by_what_becomes_of_them(tmp_path: Path) -> None:
    datalist = films(tmp_path / "films", 8)
    document = json.loads(datalist.read_text())

    def without_heart(number: int, mask: np.ndarray) -> np.ndarray:
        # The heart is not found in two films that have it.
        return np.where(mask == 2, 0, mask).astype(np.uint8) if number in (4, 5) else mask

    from PIL import Image

    for number in (0, 1, 2):  # three references without a heart
        path = datalist.parent / document["test"][number]["label"]
        with Image.open(path) as picture:
            mask = np.asarray(picture)
        Image.fromarray(np.where(mask == 2, 0, mask).astype(np.uint8)).save(path)

    def wrong(number: int, mask: np.ndarray) -> np.ndarray:
        found = without_heart(number, mask).copy()
        if number == 2:
            found[:3, :3] = 2  # one of them predicted all the same
        return found

    found = limits(view_evaluation(evaluated(tmp_path / "ev", datalist, wrong)))
    assert "heart is absent from the reference in 3 images: 2 of them" in found["empty_masks"].text
    assert "1, where something is, are 0" in found["empty_masks"].text
    assert "heart is not found at all in 2 images" in found["missed"].text
    assert found["missed"].grave


def test_units_that_are_mixed_are_told_with_what_is_counted(tmp_path: Path, datalist: Path) -> None:
    mixed = evaluated(tmp_path / "ev", datalist, spacing_mm=lambda number: (0.2, 0.2) if number % 3 else None)
    found = limits(view_evaluation(mixed))
    assert "pixels" not in found
    assert "pixel size of 16 of 48 images is unknown" in found["mixed_units"].text
    assert "the 32 images that have them in mm" in found["mixed_units"].text
    assert "forgives 2 mm" in found["tolerance"].text


def test_images_of_several_sizes_are_told_where_distances_are_in_pixels(view: EvaluationView, datalist: Path) -> None:
    source = CaseSource.of(view, datalist)
    assert "longer side" not in limits(view, source=source)["pixels"].text
    sizes = {name: {**item, "shape": [60, 100 + k]} for k, (name, item) in enumerate(source.items.items())}
    assert "longer side has 100 to 147" in limits(view, source=CaseSource(sizes))["pixels"].text


def test_what_index_refused_is_told(view: EvaluationView, datalist: Path) -> None:
    assert "refused 1 file" in limits(view, datalist=read_datalist(datalist))["refused"].text


def test_what_the_evaluation_noted_is_told_without_folders(view: EvaluationView) -> None:
    noted = recorded(view, notes=["/home/ward/a.png: no calibration error."])
    assert limits(noted)["note"].text == "a.png: no calibration error."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the same pixels as /data/x ray/images/1.bmp, with", "the same pixels as 1.bmp, with"),
        ("/home/ward/1.png: is bad", "1.png: is bad"),
        (r"C:\films\1.png is bad", "1.png is bad"),
        ("1/2 of a/b.png, and 3 / 4", "1/2 of a/b.png, and 3 / 4"),
        ("http://example.org/a/b", "http://example.org/a/b"),
        ("//server/share/1.png is bad", "1.png is bad"),
        ("/srv/x/Meier, Hans/1.dcm: it ends early", "1.dcm: it ends early"),
        (r"C:\Users\Hans Meier\films\1.dcm is damaged", "1.dcm is damaged"),
        ("/a/x.png and /b/y.png, /c/z.png differ", "x.png and y.png, z.png differ"),
    ],
)
def test_absolute_paths_lose_their_folders(text: str, expected: str) -> None:
    assert without_folders(text) == expected
