"""Labels on disk: nothing is lost and nothing doubled, whoever dies when."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import GeometryMismatch, InvalidOption
from pipeline.label_app.label_files import FINAL, LabelFiles, SavedLabel
from pipeline.readers import Picture, read_picture


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "film.png")
    return read_picture(tmp_path / "film.png")


def mask(value: int) -> np.ndarray:
    drawn = np.zeros((6, 4), np.uint8)
    drawn[:value, 0] = 1
    return drawn


def drawn_in(labels: LabelFiles) -> np.ndarray:
    label = labels.of("film")
    assert label is not None
    return np.asarray(Image.open(labels.path(label))).T


def events(labels: LabelFiles) -> list[str]:
    return [event["event"] for event in labels.journal.read()]


def test_the_newest_label_wins_and_is_one_file(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    for value in (1, 2, 3):
        labels.save("film", FINAL, mask(value), picture, annotator=f"reader {value}")
    label = LabelFiles(tmp_path / "labels").of("film")
    assert label is not None and label.annotator == "reader 3"
    np.testing.assert_array_equal(drawn_in(labels), mask(3))
    assert [path.name for path in (tmp_path / "labels" / "final").iterdir()] == ["film.png"]


def test_what_is_sent_a_second_time_is_not_saved_a_second_time(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    sent: list[str] = []

    def archive(label: SavedLabel) -> str:
        sent.append(label.saved)
        return f"1.2.{len(sent)}"

    first = labels.save("film", FINAL, mask(1), picture, archive=archive)
    assert labels.save("film", FINAL, mask(1), picture, archive=archive) == first
    assert len(sent) == 1
    # What was drawn before is drawn anew, and the newest again.
    labels.save("film", FINAL, mask(2), picture, archive=archive)
    again = labels.save("film", FINAL, mask(1), picture, archive=archive)
    assert len(sent) == 3
    assert (again.archived, labels.of("film")) == ("1.2.3", again)
    assert again.saved > first.saved


def test_a_saving_that_died_before_its_mask_leaves_the_former_label(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    labels.save("film", FINAL, mask(1), picture, annotator="first")

    def die(label: SavedLabel) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labels.save("film", FINAL, mask(2), picture, annotator="second", archive=die)
    after = LabelFiles(tmp_path / "labels")
    label = after.of("film")
    assert label is not None and label.annotator == "first"
    np.testing.assert_array_equal(drawn_in(after), mask(1))


def test_a_saving_that_died_after_its_mask_is_finished_by_the_next_server(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    labels.save("film", FINAL, mask(1), picture, annotator="first")
    labels.save("film", FINAL, mask(2), picture, annotator="second")
    journal = tmp_path / "labels" / "journal.jsonl"
    lines = journal.read_text().splitlines()
    assert json.loads(lines[-1])["event"] == "saved"
    journal.write_text("\n".join(lines[:-1]) + "\n")  # killed before the last line
    after = LabelFiles(tmp_path / "labels")
    label = after.of("film")
    assert label is not None and label.annotator == "second"
    assert events(after).count("saved") == 2


def test_sending_again_after_a_death_gives_the_archive_the_same_object(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    times: list[str] = []

    def stored_and_killed(label: SavedLabel) -> str:
        times.append(label.saved)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labels.save("film", FINAL, mask(2), picture, archive=stored_and_killed)
    after = LabelFiles(tmp_path / "labels")
    assert after.of("film") is None
    saved = after.save("film", FINAL, mask(2), picture, archive=lambda label: times.append(label.saved) or "1.2.3")
    assert times[0] == times[1] == saved.saved  # identifiers in the archive are made from it


def test_an_unfinished_line_is_passed_over_and_the_next_one_stands_alone(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    labels.save("film", FINAL, mask(1), picture)
    with labels.journal.path.open("ab") as file:
        file.write(b'{"event":"sav')
    after = LabelFiles(tmp_path / "labels")
    after.save("film", FINAL, mask(2), picture)
    assert events(after) == ["saving", "saved", "saving", "saved"]
    np.testing.assert_array_equal(drawn_in(after), mask(2))


def test_masks_that_someone_put_into_the_folder_are_labels(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "labels" / "final").mkdir(parents=True)
    Image.fromarray(mask(2).T).save(tmp_path / "labels" / "final" / "film.png")
    label = LabelFiles(tmp_path / "labels").of("film")
    assert label is not None and label.file == "final/film.png"


def test_a_removed_label_is_gone_and_stays_in_the_journal(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    labels.save("film", FINAL, mask(1), picture)
    assert labels.remove("film", FINAL)
    assert not labels.remove("film", FINAL)
    assert LabelFiles(tmp_path / "labels").of("film") is None
    assert events(labels) == ["saving", "saved", "removed"]


def test_labels_of_another_size_and_tags_that_are_paths_are_refused(tmp_path: Path, picture: Picture) -> None:
    labels = LabelFiles(tmp_path / "labels")
    with pytest.raises(GeometryMismatch, match="4×6, its image 6×4"):
        labels.save("film", FINAL, mask(1).T, picture)
    with pytest.raises(InvalidOption, match="no tag"):
        labels.save("film", "../final", mask(1), picture)
    assert LabelFiles(tmp_path / "labels").of("film") is None


def _save_many(folder: Path, film: Path, name: str) -> None:
    labels, picture = LabelFiles(folder), read_picture(film)
    for value in range(5):
        labels.save(name, FINAL, mask(value), picture, annotator=name)


def test_annotators_in_several_processes_lose_nothing(tmp_path: Path, picture: Picture) -> None:
    context = multiprocessing.get_context("spawn")
    names = ["one", "two", "three"]
    processes = [
        context.Process(target=_save_many, args=(tmp_path / "labels", tmp_path / "film.png", name)) for name in names
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    labels = LabelFiles(tmp_path / "labels")
    assert sorted(labels.images()) == sorted(names)
    assert events(labels).count("saved") == 15
