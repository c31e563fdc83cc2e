from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evaluation_phantoms import evaluated, films, indexed_again, shifted

from pipeline.bundle import find_bundle
from pipeline.datalist import read_datalist
from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.report.evaluation_page import evaluation_page, headline
from pipeline.report.material import Material
from pipeline.report.measures import MEASURES, share
from pipeline.report.page import number
from pipeline.report.pictures import CaseSource
from pipeline.report.score_tables import glances
from pipeline.step_times import PhaseTime

HISTORY = [{"epoch": k, "train_loss": 1 / k, "val_mean_dice": 1 - 1 / k, "learning_rate": 0.1} for k in range(1, 9)]
FINGERPRINT = {
    "name": "phantoms",
    "cases": {"training": 40, "test": 12},
    "subjects": {"training": 20, "test": 6},
    "near_duplicates": [{"a": "one.png", "b": "film003.png", "parts": ["training", "test"], "similarity": 0.987}],
    "near_duplicates_across": 1,
}


class Outline(HTMLParser):
    """Sections, links to elsewhere, and unclosed elements of a page."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.pictures_without_text = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "h2":
            self.sections.append(str(found["id"]))
        if "id" in found:
            self.ids.append(str(found["id"]))
        self.addresses += [str(found[name]) for name in ("src", "href", "xlink:href") if name in found]
        self.pictures_without_text += tag == "img" and not found.get("alt")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @property
    def elsewhere(self) -> list[str]:
        return [address for address in self.addresses if not address.startswith(("#", "data:"))]


@pytest.fixture(scope="module")
def datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films(tmp_path_factory.mktemp("page") / "films")


@pytest.fixture(scope="module")
def view(datalist: Path) -> EvaluationView:
    return view_evaluation(evaluated(datalist.parents[1] / "ev", datalist))


@pytest.fixture(scope="module")
def whole(view: EvaluationView, datalist: Path) -> Material:
    """All that a report can be made of."""
    dice = view.images["dice"]
    gate = pd.DataFrame(
        {"image": view.images["image"], "predicted_dice": dice, "decision": np.where(dice > 0.7, "accept", "review")}
    )
    return Material(
        replace(view, gate=gate),
        source=CaseSource.of(view, datalist),
        datalist=read_datalist(datalist),
        bundle=find_bundle("cxr_lung_segmentation"),
        history=HISTORY,
        step_times=[PhaseTime("forward", 12.34, 0.4567, 88.1), PhaseTime("validation", 3.0, 0.111, None)],
        fingerprint=FINGERPRINT,
    )


@pytest.fixture(scope="module")
def page(whole: Material) -> str:
    return evaluation_page(whole)[0]


def test_a_profile_stands_with_the_training(page: str) -> None:
    training = page[page.index('id="training"') : page.index('id="data"')]
    for row in ('forward</th><td class="n">12.3</td>', "45.7 %", 'validation</th><td class="n">3</td>'):
        assert row in training


def test_a_whole_report_has_all_its_sections_in_order(page: str) -> None:
    outline = Outline(page)
    assert outline.sections == [
        "scores",
        "limits",
        "subjects",
        "cases",
        "collage",
        "confusion",
        "calibration",
        "gate",
        "training",
        "data",
        "settings",
        "rules",
    ]
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.pictures_without_text == 0


def test_scores_of_many_classes_stand_in_tables_that_a_page_of_paper_has_room_for(tmp_path: Path) -> None:
    labels = ("background", *(f"structure_{k}" for k in range(1, 7)))
    view = view_evaluation(evaluated(tmp_path / "ev", films(tmp_path / "films", 4, labels=labels)))
    tables = glances(view)
    assert max(len(table.columns) for table in tables) == 5
    shown = [name for table in tables for name in table.columns[1:]]
    assert shown == ["mean of the classes", *labels[1:]]
    assert len({table.caption for table in tables}) == len(tables)
    page = evaluation_page(Material(view))[0]
    assert all(f"<span>{table.caption}</span>" in page for table in tables)
    assert 'class="confusion many"' in page


def test_nothing_of_the_page_lies_elsewhere(page: str) -> None:
    assert Outline(page).elsewhere == []
    assert not re.findall(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", page)
    assert "Content-Security-Policy" in page


def test_no_folder_of_this_machine_is_in_the_page(page: str, datalist: Path) -> None:
    text = re.sub(r"data:[^\"]+", "", page)
    assert str(datalist.parents[1]) not in text
    assert not re.findall(r"/(?:tmp|home|work|root|usr)/", text)
    assert "odd.png is 5×5, its mask 6×6." in text  # the reason of a refusal, without the ward's folder


def test_a_folder_in_the_record_stays_there(tmp_path: Path, datalist: Path) -> None:
    told = {"trained_on": "/home/ward/films (3 training cases)"}
    html, _ = evaluation_page(Material(view_evaluation(evaluated(tmp_path / "ev", datalist, about=told))))
    assert "/home/" not in html
    assert "films (3 training cases)" in html


def test_the_figures_are_those_of_the_evaluation(page: str, view: EvaluationView) -> None:
    text = re.sub(r"<[^>]+>", " ", page)
    for name in ("lung", "heart", "mean_of_classes"):
        figures = view.summary[name]["per_subject"]["dice"]
        assert f"{figures['mean']:.3f} ({figures['ci_low']:.3f} to {figures['ci_high']:.3f})" in text
    figures = view.summary["heart"]["per_image"]["hd95"]
    assert f" {MEASURES[7].text(figures['max'])} " in text
    assert headline(view) in text
    lung = view.files.confusion.loc["lung"]
    assert f"{share(lung['lung'] / lung.sum())} {number(int(lung['lung']))}" in text


def test_every_subject_is_a_dot_that_can_be_hovered(page: str, view: EvaluationView) -> None:
    tips = re.findall(r'<path [^>]*data-tip="([^"]*)"', page)
    for subject in view.cases["subject"].unique():
        own = [tip for tip in tips if f"subject {subject[:12]}" in tip]
        assert {tip.splitlines()[0] for tip in own} == {"lung", "heart"}
    assert page.count('data-tip-group=""') >= 4


def test_the_same_material_gives_the_same_bytes(page: str, whole: Material) -> None:
    assert evaluation_page(whole)[0] == page


def test_what_is_missing_is_left_out_and_the_page_says_what(tmp_path: Path, datalist: Path) -> None:
    bare = view_evaluation(evaluated(tmp_path / "ev", datalist, probabilities=False, masks=False))
    html, notes = evaluation_page(Material(bare))
    assert Outline(html).sections == ["scores", "limits", "subjects", "confusion", "rules"]
    assert notes == ["No pictures: the datalist was not given (--data)."]
    assert notes[0] in html


def test_one_class_has_one_table_and_no_mean_of_classes(tmp_path: Path) -> None:
    datalist = films(tmp_path / "films", labels=("background", "lung"))
    html, _ = evaluation_page(Material(view_evaluation(evaluated(tmp_path / "ev", datalist))))
    assert "Mean Dice of lung:" in html
    assert "mean of the classes" not in html
    assert "lung: over images, each counting once" in html


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    nasty = "<script>alert('x')</script>"
    datalist = films(tmp_path / "films", 4, labels=("background", nasty), name='"><img src=http://x>')
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, about={"trained_on": nasty, "bundle": nasty}))
    html, _ = evaluation_page(Material(view, CaseSource.of(view, datalist), read_datalist(datalist)))
    assert nasty not in html
    assert "<img src=http" not in html
    assert Outline(html).elsewhere == []


def test_one_image_is_enough(tmp_path: Path) -> None:
    datalist = films(tmp_path / "films", 1)
    view = view_evaluation(evaluated(tmp_path / "ev", datalist))
    html, notes = evaluation_page(Material(view, CaseSource.of(view, datalist)))
    assert "There are no intervals" in html
    assert notes == []
    assert Outline(html).open == []


def test_masks_that_are_all_empty_are_enough(tmp_path: Path) -> None:
    datalist = films(tmp_path / "films", 4)
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, lambda number, mask: np.zeros_like(mask)))
    html, _ = evaluation_page(Material(view, CaseSource.of(view, datalist)))
    assert "is not found at all in 4 images" in html
    assert "0.000" in html


def test_thousands_of_cases_make_no_larger_page(view: EvaluationView, tmp_path: Path) -> None:
    def grown(times: int) -> EvaluationView:
        parts = [
            view.cases.assign(
                image=view.cases["image"].str.replace("film", f"film{k}_"),
                subject=view.cases["subject"].str[:10] + f"{k:06d}",
                dice=view.cases["dice"] * (1 - 0.1 * k / times),
            )
            for k in range(times)
        ]
        return replace(view, files=replace(view.files, cases=pd.concat(parts, ignore_index=True)))

    small, large = (len(evaluation_page(Material(grown(times)))[0]) for times in (40, 400))
    assert large < 1.1 * small
    assert large < 600_000


def test_noise_is_the_heaviest_picture_and_the_page_stays_below_three_megabytes(tmp_path: Path) -> None:
    from PIL import Image

    datalist = films(tmp_path / "films", 15)
    rng = np.random.default_rng(0)
    for path in sorted((tmp_path / "films").glob("*/*.png")):
        with Image.open(path) as picture:
            large = picture.resize((480, 400), Image.Resampling.NEAREST)
        if path.parent.name == "images":
            large = Image.fromarray(rng.integers(0, 256, (400, 480, 3), dtype=np.uint8))
        large.save(path)
    indexed_again(datalist)
    view = view_evaluation(evaluated(tmp_path / "ev", datalist, lambda number, mask: shifted(mask, 3 * number)))
    html, notes = evaluation_page(Material(view, CaseSource.of(view, datalist)))
    assert notes == []
    assert 500_000 < len(html) < 3_000_000


def test_progress_is_told_case_by_case(whole: Material) -> None:
    from pipeline.report.strips import cases_shown

    calls: list[Any] = []
    evaluation_page(whole, lambda: calls.append(1))
    assert len(calls) == len(cases_shown(whole)) > 9
