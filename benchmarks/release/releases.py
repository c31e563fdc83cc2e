"""What each released bundle is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["RELEASES", "Release", "Source"]


@dataclass(frozen=True)
class Source:
    """A set as it is indexed.

    Attributes:
        folder: Below the folder of the sets.
        masks: Folder of its masks.
        options: Of `planar index`; `{tasks}` is the folder of the task specs.
        subjects: CSV column, or "" for none.
        blocks: Neighbouring slices that count as one subject, for a volume; 0 for none.
        validation: Subjects in the validation part, the test part being what the options make it; None for what these
            leave there.
    """

    folder: str
    masks: str = "masks"
    options: tuple[str, ...] = ()
    subjects: str = "subject"
    blocks: int = 0
    validation: int | None = None


@dataclass(frozen=True)
class Release:
    """One bundle.

    Attributes:
        name: Of the bundle.
        task: Of `configs/tasks`.
        sources: Sets by the name of their datalist.
        training: The datalist that is trained on; if it is none of the sources', all that `merged` names are joined.
        merged: Sources to join, the first one's classes are the task's.
        unions: `--union` of the joining.
        planned_from: The datalist whose fingerprint is planned from.
        scored: Datalists whose test part is scored.
        united: Datalists whose test part is scored with classes joined: "disc=disc_rim,cup".
        recipe: The published project's settings that are run beside it.
        recipe_overrides: `KEY=VALUE` for that: the sets here have other sizes than the projects'.
        recipe_why: What these are for.
        budget_min: Of the training, minutes.
        series: Whether it is tried on the CT series.
        phantoms: Whether the training begins with one on CT slices of digital phantoms.
    """

    name: str
    task: str
    sources: Mapping[str, Source]
    training: str
    planned_from: str
    scored: tuple[str, ...]
    merged: tuple[str, ...] = ()
    unions: tuple[str, ...] = ()
    united: Mapping[str, str] = field(default_factory=dict)
    recipe: str | None = None
    recipe_overrides: tuple[str, ...] = ()
    recipe_why: str = ""
    budget_min: float = 30.0
    series: bool = False
    phantoms: bool = False


def _task(name: str) -> tuple[str, ...]:
    return ("--task", f"{{tasks}}/{name}.yaml")


# A tenth of twenty subjects would choose the epoch by two of them. Eight would leave the network no more than eight, so
# about a third of those outside the test part validates there.
USUAL = ("--split", "0.7,0.1,0.2", "--seed", "0")
LUNG_COLOURS = "#000000=background,#0000ff=lung,#00ff00=background,#ff0000=background"

RELEASES = {
    release.name: release
    for release in (
        Release(
            name="cxr_lung_segmentation",
            task="cxr_lung",
            sources={
                "cxr_shenzhen": Source(
                    "cxr_shenzhen",
                    options=(*_task("cxr_lung"), "--name", "cxr_shenzhen", "--split", "0.8,0.05,0.15", "--seed", "0"),
                    subjects="patient",
                ),
                # Other hospitals; half of these films have no licence that would allow to ship weights trained on them.
                "cxr_multisite_field": Source(
                    "cxr_multisite",
                    masks="lung_field",
                    options=(*_task("cxr_lung"), "--name", "cxr_multisite_field", "--test-only"),
                    subjects="patient",
                ),
            },
            training="cxr_shenzhen",
            planned_from="cxr_shenzhen",
            scored=("cxr_shenzhen", "cxr_multisite_field"),
            recipe="montgomery",
            recipe_overrides=(
                "train#dataset#data=$monai.data.load_decathlon_datalist(@datalist, data_list_key='training')[:110]",
            ),
            recipe_why="about as many films as the project trained on, 80 % of the Montgomery set's 138",
        ),
        Release(
            name="fundus_disc_cup_segmentation",
            task="fundus_disc_cup",
            sources={
                "fundus_disc_cup": Source(
                    "fundus_disc_cup_rgb", options=(*_task("fundus_disc_cup"), *USUAL), validation=5
                ),
                # Discs without cups score no classes: what is not tested is trained on.
                "fundus_disc": Source("fundus_disc", options=(*_task("fundus_disc"), *USUAL), validation=0),
            },
            training="fundus_all",
            merged=("fundus_disc_cup", "fundus_disc"),
            unions=("disc=disc_rim,cup",),
            planned_from="fundus_disc_cup",
            scored=("fundus_disc_cup",),
            united={"fundus_disc_cup": "disc=disc_rim,cup", "fundus_disc": "disc=disc_rim,cup"},
            recipe="drishti",
            recipe_overrides=("repeats=4",),
            recipe_why="7 steps an epoch, as with its 50 pictures",
        ),
        Release(
            name="ct_lung_segmentation",
            task="ct_lung",
            sources={
                "ct_lungs": Source("ct_lungs", options=(*_task("ct_lung"), *USUAL), validation=4),
                # The other set's colours, of which the lungs' alone count here.
                "ct_chest_lungs": Source(
                    "ct_chest_rgb",
                    options=("--colours", LUNG_COLOURS, "--modality", "CT", "--name", "ct_chest_lungs", *USUAL),
                    validation=5,
                ),
            },
            training="ct_lungs_all",
            merged=("ct_lungs", "ct_chest_lungs"),
            planned_from="ct_lungs_all",
            scored=("ct_lungs_all",),
            recipe="kaggle_ct",
            recipe_overrides=("repeats=9",),
            recipe_why="13 steps an epoch; with 80 % of its 267 slices the project had 14",
            series=True,
            phantoms=True,
        ),
        Release(
            name="ct_chest_segmentation",
            task="ct_chest",
            # Four slices show a heart; left to chance, two of them or none are in the test part.
            sources={"ct_chest": Source("ct_chest_rgb", options=(*_task("ct_chest"), *USUAL, "--stratify"))},
            training="ct_chest",
            planned_from="ct_chest",
            scored=("ct_chest",),
            recipe="colour_masks",
            recipe_overrides=("repeats=16",),
            recipe_why="26 steps an epoch; how many pictures the projects had is not known",
            series=True,
            phantoms=True,
        ),
        Release(
            name="tomo_pore_segmentation",
            task="tomo_pore",
            # Neighbouring slices are nearly equal: blocks of three are on one side.
            sources={
                "tomo_pores": Source("tomo_pores", options=(*_task("tomo_pore"), *USUAL, "--folds", "4"), blocks=3)
            },
            training="tomo_pores",
            planned_from="tomo_pores",
            scored=("tomo_pores",),
            recipe="tomography",
            recipe_overrides=("repeats=11",),
            recipe_why="25 steps an epoch; how many slices the project had is not known",
        ),
        Release(
            name="cells_wbc_segmentation",
            task="cells_wbc",
            sources={"cells_wbc": Source("cells_wbc", options=(*_task("cells_wbc"), *USUAL))},
            training="cells_wbc",
            planned_from="cells_wbc",
            scored=("cells_wbc",),
        ),
    )
}
