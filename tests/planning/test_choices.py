"""What the planner chooses, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from monai.data.utils import dense_patch_slices

from pipeline.errors import InvalidDatalist, InvalidOption
from pipeline.fingerprint import Fingerprint
from pipeline.labels import LabelCoding
from pipeline.planning import (
    Machine,
    Plan,
    PlanOptions,
    TaskSpec,
    bundle_files,
    make_plan,
    parse_duration,
    read_task_spec,
)
from pipeline.planning.machine import step_gb
from pipeline.transforms.spacing import size_at_spacing

Maker = Callable[..., dict[str, Any]]


def task(*labels: str, orientation: str | None = None) -> TaskSpec:
    return TaskSpec("a_task", ("background", *labels), LabelCoding.parse("index"), orientation=orientation)


def plan(document: dict[str, Any], *labels: str, **options: Any) -> Plan:
    return make_plan(Fingerprint(document), task(*labels), PlanOptions(**options))


def targets(chosen: Plan) -> list[str]:
    return [step.target.rpartition(".")[2] for step in chosen.augmentation.steps]


def test_large_smooth_objects_are_seen_whole_at_the_size_that_their_contour_needs(fingerprint: Maker) -> None:
    chosen = plan(fingerprint(), "lung")
    assert chosen.scale.mode == "longest"
    assert chosen.scale.size[0] == chosen.scale.size[1]
    assert 128 <= chosen.scale.size[0] < 512


def test_a_finer_contour_asks_for_more_pixels_but_never_for_more_than_there_are(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    sizes = []
    for diameter in (400, 200, 20):
        area = 0.785 * diameter**2
        document = fingerprint(classes={"lung": class_of(area, diameter, 1, 512, area / 512**2)})
        sizes.append(plan(document, "lung").scale.size[0])
    assert sizes[0] < sizes[1] < sizes[2] == 512


def test_pictures_that_are_all_flat_get_a_flat_input(fingerprint: Maker) -> None:
    width, height = plan(fingerprint(width=600, height=400, modality="XC"), "lung").scale.size
    assert height < width
    assert width % 32 == height % 32 == 0


def test_many_small_things_are_seen_in_patches_with_foreground_at_their_centre(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    pores = class_of(9000, 16, 40, 768, 0.015)
    document = fingerprint(width=768, height=768, modality="OT", labels=("background", "pore"), classes={"pore": pores})
    chosen = plan(document, "pore")
    assert chosen.scale.mode == "patch"
    assert chosen.schedule.patches > 1
    assert "Resized" not in [step.target for step in chosen.steps()]


def test_specks_in_masks_do_not_make_things_small(fingerprint: Maker, class_of: Callable[..., dict[str, Any]]) -> None:
    specked = class_of(200_000, 3, 7, 2000, 0.25) | {"counted_objects": {"median": 2.0}}
    document = fingerprint(width=2000, height=2000, labels=("background", "lung"), classes={"lung": specked})
    assert plan(document, "lung").scale.mode == "longest"
    document["classes"]["lung"].pop("counted_objects")  # of a version that did not count them apart
    assert plan(document, "lung").scale.mode == "patch"


def test_one_slice_of_unknown_spacing_is_enough_to_plan_without(fingerprint: Maker) -> None:
    document = fingerprint(modality="CT", spacing=0.8)
    document["spacing_mm"]["known"] -= 1
    assert plan(document, "lung").scale.mode == "longest"


def test_a_file_that_could_not_be_read_does_not_change_the_scale(fingerprint: Maker) -> None:
    document = fingerprint(modality="CT", spacing=0.8)
    whole = plan(document, "lung").scale
    document["cases"] = document["cases"] | {"training": document["cases"]["training"] + 1}
    document["measured_cases"] = document["spacing_mm"]["known"]
    assert plan(document, "lung").scale == whole
    assert whole.mode == "spacing"


def test_ct_of_known_spacing_is_brought_to_one_spacing_and_a_film_is_not(fingerprint: Maker) -> None:
    slices = plan(fingerprint(modality="CT", spacing=0.8), "lung")
    assert slices.scale.mode == "spacing"
    assert slices.scale.spacing_mm == pytest.approx(1.05 * 0.8 * 512 / slices.scale.size[0], rel=0.01)
    assert plan(fingerprint(modality="CR", spacing=0.14), "lung").scale.mode == "longest"


@pytest.mark.parametrize("spacing", [0.63, 0.775, 0.8, 0.977])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_no_slice_of_the_set_is_larger_than_the_input_at_the_spacing_chosen(
    fingerprint: Maker, spacing: float, share: float
) -> None:
    document = fingerprint(modality="CT", spacing=spacing)
    ends = {"min": 1 - share, "p05": 1 - share, "median": 1.0, "mean": 1.0, "p95": 1 + share / 2, "max": 1 + share}
    for axis in ("x", "y"):
        document["spacing_mm"][axis] = {end: spacing * factor for end, factor in ends.items()}
    scale = plan(document, "lung").scale
    largest = size_at_spacing((512, 512), [spacing * (1 + share)] * 2, scale.spacing_mm or 0)
    assert 0.97 * scale.size[0] <= max(largest) <= scale.size[0]


def test_slices_of_more_but_smaller_pixels_are_planned_by_their_common_field_of_view(fingerprint: Maker) -> None:
    document = fingerprint(modality="MR", spacing=0.7)
    for key, low, high in (("x", 0.47, 0.94), ("y", 0.47, 0.94)):
        document["spacing_mm"][key] |= {"min": low, "p05": low, "p95": high, "max": high}
    for key in ("width", "height", "longest"):
        document["size"][key] |= {"min": 256, "p05": 256, "median": 384, "p95": 512, "max": 512}
    by_product = plan(document, "lung").scale  # as a fingerprint of before has it
    assert "481 mm" in by_product.choice.why
    document["spacing_mm"]["field_mm"] = dict.fromkeys(("min", "p05", "median", "mean", "p95", "max"), 240.64)
    scale = plan(document, "lung").scale
    assert "the largest field of view (241 mm)" in scale.choice.why
    assert scale.spacing_mm == pytest.approx(240.64 / scale.size[0], rel=0.01)


def test_one_stray_field_of_view_does_not_make_all_others_coarse(fingerprint: Maker) -> None:
    document = fingerprint(modality="CT", spacing=0.8)
    for axis in ("x", "y"):
        document["spacing_mm"][axis]["max"] = 3.0
    chosen = plan(document, "lung").scale
    assert chosen.spacing_mm == pytest.approx(1.05 * 0.8 * 512 / chosen.size[0], rel=0.01)
    assert "19 of 20" in chosen.choice.why


@pytest.mark.parametrize(("least", "most"), [(0.95, 1.05), (0.6, 0.9), (1.1, 1.4), (0.7, 1.4)])
def test_every_picture_of_the_set_fits_into_the_input(fingerprint: Maker, least: float, most: float) -> None:
    document = fingerprint(modality="XC", width=600, height=600)
    document["size"]["aspect"] |= {"min": least, "p05": least, "p95": most, "max": most}
    width, height = plan(document, "lung").scale.size
    longest = max(width, height)  # what Resized brings the longer side to
    for aspect in (least, most):
        assert longest * min(1, 1 / aspect) <= width
        assert longest * min(1, aspect) <= height


def test_hounsfield_units_get_a_window_that_holds_the_labelled_pixels(fingerprint: Maker) -> None:
    document = fingerprint(modality="CT", intensity=(-400, 500), inside=(-800, 60))
    scale = plan(document, "lung").normalisation.scale
    assert scale.target == "ScaleIntensityRanged"
    assert scale.image["a_min"] <= document["intensity"]["inside"]["p00_5"] < scale.image["a_max"]
    assert scale.image["a_min"] >= -1024


def test_hounsfield_units_without_any_background_get_the_window_of_the_labelled_pixels(fingerprint: Maker) -> None:
    document = fingerprint(modality="CT", intensity=(-400, 500), inside=(-400, 500))
    document["intensity"]["outside"] = None
    scale = plan(document, "lung").normalisation.scale
    inside = document["intensity"]["inside"]
    assert scale.image["a_min"] <= max(inside["p00_5"], -1024) < inside["p99_5"] <= scale.image["a_max"]
    assert "99% of the labelled pixels (there are no others)" in scale.why


def test_eight_bit_ct_and_films_are_scaled_by_their_own_percentiles(fingerprint: Maker) -> None:
    for modality in ("CT", "CR"):
        assert plan(fingerprint(modality=modality), "lung").normalisation.kind == "percentiles"


def test_colour_pictures_keep_three_channels_and_their_hue(fingerprint: Maker) -> None:
    chosen = plan(fingerprint(modality="XC", channels=3), "lung")
    assert chosen.normalisation.channels == 3
    assert chosen.normalisation.standardise.image == {"channel_wise": True}


def test_sides_are_never_mirrored(fingerprint: Maker) -> None:
    labels = ("left_lung", "right lung")
    chosen = plan(fingerprint(labels=("background", *labels)), *labels)
    assert "RandFlipd" not in targets(chosen)
    assert chosen.augmentation.flips == ((),)
    assert "RandFlipd" in targets(plan(fingerprint(), "lung"))


def test_the_spec_has_the_last_word_on_sides(fingerprint: Maker) -> None:
    names = ("mole", "sinistral")
    for sides, mirrored in ((None, True), (True, False), (False, True)):
        spec = TaskSpec("a_task", ("background", *names), LabelCoding.parse("index"), sides=sides)
        chosen = make_plan(Fingerprint(fingerprint(labels=("background", *names))), spec, PlanOptions())
        assert ("RandFlipd" in targets(chosen)) is mirrored
    sided = TaskSpec("a_task", ("background", "left"), LabelCoding.parse("index"), sides=False)
    assert "RandFlipd" in targets(make_plan(Fingerprint(fingerprint(labels=sided.labels)), sided, PlanOptions()))


def test_sides_of_a_spec_are_true_or_false(tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    text = "name: x\nlabels: [background, left]\nmasks: index\nsides: "
    for said, meant in (("false", False), ("true", True), ("", None)):
        file.write_text(text + said)
        assert read_task_spec(file).sides is meant
    file.write_text(text + "both")
    with pytest.raises(InvalidOption, match="sides is 'both'; expected true or false"):
        read_task_spec(file)


def test_pictures_without_a_top_are_turned_every_way(fingerprint: Maker) -> None:
    assert "RandRotate90d" in targets(plan(fingerprint(modality="SM"), "lung"))
    assert "RandRotate90d" not in targets(plan(fingerprint(modality="CT"), "lung"))
    said = make_plan(Fingerprint(fingerprint(modality="SM")), task("lung", orientation="upright"), PlanOptions())
    assert "RandRotate90d" not in targets(said)


def test_only_films_of_lungs_get_opacities(fingerprint: Maker) -> None:
    assert "RandLungOpacityd" in targets(plan(fingerprint(), "lung"))
    assert "RandLungOpacityd" not in targets(plan(fingerprint(labels=("background", "hip")), "hip"))
    assert "RandLungOpacityd" not in targets(plan(fingerprint(modality="CT"), "lung"))


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        (("lung", "lung_opacity"), "RandLungOpacityd"),
        (("lung", "infection"), "RandLungOpacityd"),
        (("lung", "Tubes"), "RandDevicesd"),
        (("pacemaker",), "RandDevicesd"),
    ],
)
def test_nothing_is_painted_that_looks_like_a_class(fingerprint: Maker, labels: tuple[str, ...], missing: str) -> None:
    found = targets(plan(fingerprint(labels=("background", *labels)), *labels))
    assert missing not in found
    assert {"RandLungOpacityd", "RandDevicesd"} - {missing} & {"RandDevicesd"} <= set(found)


def test_opacities_fall_into_every_lung_class(fingerprint: Maker) -> None:
    labels = ("heart", "right_lung", "left_lung")
    chosen = plan(fingerprint(labels=("background", *labels)), *labels)
    (opacity,) = (step for step in chosen.augmentation.steps if step.target.endswith("RandLungOpacityd"))
    assert opacity.image["lung_classes"] == [2, 3]


def test_a_rare_class_weighs_more_and_the_weights_have_mean_one(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    classes = {
        "lung": class_of(60_000, 200, 2, 512, 0.23),
        "trachea": class_of(900, 34, 1, 512, 0.0035),
    }
    document = fingerprint(labels=("background", *classes), classes=classes)
    weights = plan(document, *classes).class_weights.value
    assert weights[2] > weights[1] > weights[0]
    assert max(weights) <= 4.1 * min(weights)
    assert sum(weights) / 3 == pytest.approx(1, abs=0.01)
    assert plan(fingerprint(), "lung").class_weights.value is None


@pytest.mark.parametrize(("share", "weighed"), [(0.24, False), (0.02, False), (0.0008, True)])
def test_a_class_that_is_rare_weighs_more_even_alone(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]], share: float, weighed: bool
) -> None:
    area = share * 512**2
    document = fingerprint(classes={"lung": class_of(area, area**0.5, 1, 512, share)})
    weights = plan(document, "lung").class_weights
    assert weights.value == ([0.4, 1.6] if weighed else None)
    assert f"{100 * share:.2g}% of the pixels" in weights.why


def test_validation_by_overlapping_windows_keeps_to_the_budget_and_to_a_third_of_the_training(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    pores = class_of(9000, 40, 40, 5000, 0.015)
    for width, height, validation in ((5000, 4000, 10), (5000, 5000, 30), (1500, 1200, 10), (768, 512, 3)):
        document = fingerprint(
            width=width, height=height, modality="OT", cases=(30, validation, 0), classes={"lung": pores}
        )
        chosen = plan(document, "lung")
        schedule, size = chosen.schedule, chosen.scale.size
        assert chosen.scale.mode == "patch"
        windows = dense_patch_slices((width, height), size, [side // 2 for side in size])
        speed = Machine().training_megapixels(chosen.network.channels.value[0])
        epochs, interval = schedule.epochs.value, schedule.val_interval.value
        trained_s = schedule.seen * schedule.patches * chosen.scale.megapixels / speed
        validated_s = 0.4 * validation * len(windows) * chosen.scale.megapixels / speed * (epochs // interval)
        assert epochs % interval == 0
        assert validated_s <= trained_s / 3 or epochs == interval  # once, at the end, is the least
        assert trained_s + validated_s <= schedule.seconds <= 1800
        assert schedule.seconds > 0.8 * 1800
        assert ("overlapping windows" in schedule.val_interval.why) == (interval > round(epochs / 50))


def test_a_short_training_on_large_pictures_is_validated_at_its_end(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    pores = class_of(9000, 40, 40, 5000, 0.015)
    document = fingerprint(width=5000, height=5000, modality="OT", cases=(30, 30, 0), classes={"lung": pores})
    schedule = plan(document, "lung", budget_s=60).schedule
    assert schedule.epochs.value == schedule.val_interval.value == 10
    assert schedule.val_interval.why.startswith("1 validation in all")
    assert "budget is exceeded" in schedule.epochs.why


def test_twice_the_budget_is_about_twice_the_epochs(fingerprint: Maker) -> None:
    document = fingerprint(cases=(400, 40, 80))
    short, long = (plan(document, "lung", budget_s=s).schedule for s in (900, 1800))
    assert long.epochs.value == pytest.approx(2 * short.epochs.value, rel=0.1)
    assert short.seconds <= 900


def test_many_pictures_and_little_time_give_a_smaller_picture_rather_than_few_epochs(fingerprint: Maker) -> None:
    few, many = (plan(fingerprint(cases=(n, 20, 20)), "lung") for n in (400, 2000))
    assert many.scale.size[0] < few.scale.size[0]


def test_a_few_pictures_are_repeated_until_an_epoch_is_worth_its_end(fingerprint: Maker) -> None:
    schedule = plan(fingerprint(cases=(12, 2, 4)), "lung").schedule
    assert schedule.repeats.value * 12 / schedule.batch_size.value >= 25
    assert plan(fingerprint(cases=(400, 20, 40)), "lung").schedule.repeats.value == 1


@pytest.mark.parametrize(("validation", "keep"), [(0, "last"), (9, "last"), (10, "best")])
def test_few_pictures_choose_no_epoch_and_end_no_training(fingerprint: Maker, validation: int, keep: str) -> None:
    chosen = plan(fingerprint(cases=(40, validation, 4)), "lung")
    assert chosen.schedule.keep.value == keep
    assert (chosen.schedule.patience.value == "$@max_epochs") == (keep == "last")
    assert ("weights" in {name for name, _, _ in chosen.table()}) == (keep == "last")


def test_slices_of_a_patient_are_turned_and_zoomed_a_little(fingerprint: Maker) -> None:
    def ranges(modality: str, orientation: str | None = None) -> tuple[float, float]:
        document = fingerprint(modality=modality)
        document["shape_ranges"] |= {"scale_std_log": 1.2, "orientation_std_deg": 30.0}
        made = make_plan(Fingerprint(document), task("lung", orientation=orientation), PlanOptions())
        steps = {step.target: step.shared for step in made.augmentation.steps}
        return steps["RandAffined"]["rotate_range"], steps["RandZoomd"]["max_zoom"]

    assert ranges("CT") == ranges("MR") == (0.26, 1.25)
    assert ranges("CT", "any")[1] == ranges("XC")[1] == 1.65


def test_the_network_keeps_to_the_parameters_that_are_allowed(fingerprint: Maker) -> None:
    free = plan(fingerprint(), "lung").network
    small = plan(fingerprint(), "lung", max_parameters=300_000).network
    assert small.parameters <= 300_000 < free.parameters
    with pytest.raises(InvalidOption, match="--max-parameters"):
        plan(fingerprint(), "lung", max_parameters=10)


def test_the_network_is_as_wide_as_the_time_is_long(fingerprint: Maker) -> None:
    document = fingerprint(cases=(359, 22, 67))
    widths = {}
    for seconds in (60, 1800, 36_000):
        network = plan(document, "lung", budget_s=seconds).network
        widths[seconds] = network.channels.value[0]
        assert f"{widths[seconds]} channels at full resolution" in network.channels.why
    assert widths[60] < widths[1800] == 16 < widths[36_000]
    assert "24 would see" in plan(document, "lung").network.channels.why


def test_a_step_fits_into_the_memory(fingerprint: Maker) -> None:
    widths = []
    for memory in (0.7, 1, 80):
        chosen = plan(fingerprint(), "lung", machine=Machine("gpu", 16, memory))
        assert chosen.schedule.step_gb <= 0.4 * memory
        widths.append(chosen.network.channels.value[0])
    assert widths[0] < widths[1] < widths[2]
    assert "none holds less" in plan(fingerprint(), "lung", machine=Machine("cpu", 2, 0.1)).network.channels.why


def test_the_estimate_of_a_steps_memory_is_above_what_was_measured_and_not_far() -> None:
    # Peak resident memory of three steps less that after a small one, GB a megapixel (8 times 512², CPU, bfloat16).
    for base, measured in ((8, 0.326), (16, 0.496), (32, 0.874)):
        assert measured < step_gb(1.0, base, 0, 2) < 1.3 * measured


def test_the_estimate_counts_the_memory_of_many_classes() -> None:
    # The same of the third step with 4 times 640², 16 channels, UNetWithHead of 2.4 million parameters, DiceCELoss.
    megapixels, parameters = 4 * 0.64**2, 2_400_000
    for classes, measured in ((2, 0.532), (4, 0.520), (8, 0.665), (16, 1.062), (40, 1.826), (104, 4.418)):
        assert measured < step_gb(megapixels, 16, parameters, classes) / megapixels < 1.2 * measured


def test_many_classes_take_pictures_from_a_step_and_leave_the_network_its_width(fingerprint: Maker) -> None:
    names = [f"organ{k}" for k in range(103)]
    few, many = (fingerprint(labels=("background", *labels)) for labels in (["organ"], names))
    tight = Machine("cpu", 2, 4)
    one, hundred = plan(few, "organ", machine=tight), plan(many, *names, machine=tight)
    assert hundred.schedule.batch_size.value < one.schedule.batch_size.value
    assert hundred.schedule.step_gb <= tight.step_gb
    assert hundred.network.channels.value[0] == one.network.channels.value[0] == 16


def test_memory_takes_from_the_batch_before_it_takes_from_the_network(fingerprint: Maker) -> None:
    tight, wide = (plan(fingerprint(), "lung", machine=Machine("gpu", 16, memory)) for memory in (2.6, 80))
    assert tight.network.channels.value == wide.network.channels.value
    assert tight.schedule.batch_size.value < wide.schedule.batch_size.value


def test_a_gpu_gets_a_wider_network_and_larger_batches(fingerprint: Maker) -> None:
    cpu = plan(fingerprint(), "lung")
    gpu = plan(fingerprint(), "lung", machine=Machine("gpu", 16, 64))
    assert gpu.network.parameters > cpu.network.parameters
    assert gpu.schedule.batch_size.value > cpu.schedule.batch_size.value


def test_pictures_that_do_not_fit_into_memory_are_cached_in_part(fingerprint: Maker) -> None:
    assert plan(fingerprint(cases=(400, 20, 40)), "lung").schedule.cache_rate.value == 1
    tight = plan(fingerprint(cases=(400, 20, 40)), "lung", machine=Machine("cpu", 2, 0.2))
    assert 0 < tight.schedule.cache_rate.value < 1
    assert "stay on disk ($PLANAR_CACHE" in tight.schedule.cache_rate.why
    train = yaml.safe_load(bundle_files(tight, "x_segmentation", {"classes": {}})["configs/train.yaml"])
    kept = [train[part]["preprocessing"]["_target_"] for part in ("train", "validate")]
    assert kept == ["pipeline.transforms.ComposeOnDisk"] * 2


def test_a_class_in_another_unicode_form_is_the_tasks(fingerprint: Maker) -> None:
    assert plan(fingerprint(labels=("background", "Gro\u0308\u00dfe")), "gr\u00f6\u00dfe").classes == 2


def test_other_classes_than_the_tasks_are_refused(fingerprint: Maker) -> None:
    with pytest.raises(InvalidDatalist, match="classes background, lung; the task a_task has background, disc"):
        plan(fingerprint(), "disc")


def test_a_set_without_training_cases_is_refused(fingerprint: Maker) -> None:
    with pytest.raises(InvalidDatalist, match="no training cases"):
        plan(fingerprint(cases=(0, 0, 44)), "lung")


@pytest.mark.parametrize("modality", ["CR", "CT"])
def test_a_set_without_foreground_is_refused_in_one_line(fingerprint: Maker, modality: str) -> None:
    document = fingerprint(modality=modality, intensity=(-400, 500), classes={"lung": {"cases": 0}})
    document["intensity"]["inside"] = None
    with pytest.raises(InvalidDatalist, match=r"a set: not one pixel .* is of a class \(lung\)"):
        plan(document, "lung")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30min", 1800), ("1.5h", 5400), ("2 d", 172800)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "min", "-5min", "0h", "1 week"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="such as 30min"):
        parse_duration(text)
