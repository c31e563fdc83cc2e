"""`planar infer --from`: images of an archive, and results back into it, once."""

from __future__ import annotations

import csv
import io
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from fake_archive import FakeArchive, Request, Response
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.dicomweb import Patience, Query, Selection
from pipeline.errors import ArchiveUnreachable, InvalidOption, MissingFile
from pipeline.phantom import ct_series, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes
from pipeline.tasks.infer import FromArchive, InferenceResult, infer
from pipeline.tasks.infer.resuming import SOURCES
from pipeline.tasks.infer.sources import find_sources

QUICK = Patience(connect_s=5, read_s=5, away_s=0.5, first_s=0.01, longest_s=0.05, found_s=0.2)


@pytest.fixture(scope="module")
def films() -> list[bytes]:
    """Five films of five studies."""
    film = radiograph(thorax(1), seed=1, size=96)
    return [film_bytes(film, subject=f"PHANTOM-{number}", number=1, origin="from") for number in range(5)]


@pytest.fixture(scope="module")
def slices() -> list[bytes]:
    """A series of four slices, of the first film's study."""
    series = ct_series(thorax(1), seed=1, size=48, slices=4)
    return list(ct_slices_bytes(series, subject="PHANTOM-0", origin="from"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArchive]:
    for name in ("USER", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"PLANAR_DICOMWEB_{name}", raising=False)
    archive = FakeArchive()
    try:
        yield archive
    finally:
        archive.stop()


def run(bundle: Bundle, fake: FakeArchive, out: Path, query: str = "Modality=DX", **options: Any) -> InferenceResult:
    selection = Selection(fake.address, Query.parse(query), QUICK)
    wish = FromArchive(selection, options.pop("store", True))
    return infer(str(bundle.root), [], out, archive=wish, **{"formats": ["dicomseg"], **options})


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def stored(fake: FakeArchive) -> int:
    return len(fake.asked("POST"))


def test_films_and_a_series_get_results_in_their_studies_and_in_the_folder(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], slices: list[bytes], tmp_path: Path
) -> None:
    fake.add([*films[:2], *slices])
    result = run(random_bundle, fake, tmp_path / "out", "StudyDate=20000101", formats=["dicomseg", "sc", "png"])
    assert result.refused == ()
    assert (result.segmented, result.slices) == (3, 6)
    returned = result.returned
    assert returned is not None
    assert (returned.sources, returned.objects, returned.earlier, returned.unstored) == (3, 3 + 2 + 4, 0, ())
    ct = fake.of_modality("CT")[0]
    wanted = {f"{ct.StudyInstanceUID}/{ct.SeriesInstanceUID}_seg.dcm"}
    wanted |= {f"{ct.StudyInstanceUID}/{ct.SeriesInstanceUID}_sc/{k}.dcm" for k in range(4)}
    for film in fake.of_modality("DX"):
        stem = f"{film.StudyInstanceUID}/{film.SOPInstanceUID}"
        wanted |= {f"{stem}_seg.dcm", f"{stem}_sc.dcm", f"{stem}_mask.png"}
    assert wanted <= names_in(tmp_path / "out")
    segs = {str(seg.StudyInstanceUID): seg for seg in fake.of_modality("SEG") if "lung" in str(seg.ContentDescription)}
    assert set(segs) == {str(film.StudyInstanceUID) for film in fake.of_modality("DX")}
    for film in fake.of_modality("DX"):
        path = tmp_path / "out" / str(film.StudyInstanceUID) / f"{film.SOPInstanceUID}_seg.dcm"
        seg = pydicom.dcmread(path)
        assert fake.objects[str(seg.SOPInstanceUID)].content == path.read_bytes()
        (series,) = seg.ReferencedSeriesSequence
        assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == film.SOPInstanceUID
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [SOURCES]


def test_results_of_an_archives_images_are_no_input_of_an_inference_of_files(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:2])
    options = {"formats": ["dicomseg", "png"], "overlay": True, "preview": True}
    run(random_bundle, fake, tmp_path / "results", **options)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "film.png")
    found, refused, _ = find_sources([str(tmp_path)], tmp_path / "masks")
    assert ([source.stem for source in found], refused) == (["film"], [])


def test_a_second_command_makes_and_stores_nothing(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], slices: list[bytes], tmp_path: Path
) -> None:
    fake.add([*films, *slices])
    run(random_bundle, fake, tmp_path / "out", "StudyDate=20000101")
    before, images = stored(fake), len(fake.objects)
    fake.seen.clear()
    # On another machine, too: what the archive has says what is done.
    again = run(random_bundle, fake, tmp_path / "elsewhere", "Modality=DX,CT,SEG")
    assert (again.segmented, again.masks) == (0, ())
    assert again.returned is not None
    assert (again.returned.earlier, again.returned.sources) == (6, 0)
    assert again.returned.left_out == "6 SEG"
    assert len(fake.objects) == images == before + 5 + 4
    assert stored(fake) == 0
    # Not even the images were retrieved.
    assert not [one for one in fake.seen if "multipart" in one.headers.get("accept", "")]


def test_a_command_with_nothing_to_do_loads_no_network_and_records_nothing(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:2])
    run(random_bundle, fake, tmp_path / "out")
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.dicomweb import Selection\n"
        "from pipeline.tasks.infer import FromArchive, infer\n"
        "wish = FromArchive(Selection.of(sys.argv[2], (), 'Modality=DX'))\n"
        "result = infer(sys.argv[1], [], Path('out'), archive=wish, formats=['dicomseg'], tracking=True)\n"
        "print(result.returned.earlier, result.run_id, sorted({'torch', 'monai', 'mlflow'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(random_bundle.root), fake.address]
    settings = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=settings, check=False)
    assert done.stdout == "2 None []\n", done.stderr


def test_other_weights_or_settings_make_other_objects(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    run(random_bundle, fake, tmp_path / "a")
    run(random_bundle, fake, tmp_path / "b", test_time_flips=False)
    run(random_bundle, fake, tmp_path / "c", seg_type="fractional")
    weights = torch.load(random_bundle.weights, weights_only=True)
    torch.save({name: value * 1.01 for name, value in weights.items()}, random_bundle.weights)
    run(random_bundle, fake, tmp_path / "d")
    segs = fake.of_modality("SEG")
    assert len(segs) == 4
    assert len({str(seg.SeriesInstanceUID) for seg in segs}) == 2  # those of one network lie together


def test_one_image_makes_one_object_wherever_it_is_segmented(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add(films[:1])
    run(random_bundle, fake, tmp_path / "a", store=False)
    assert stored(fake) == 0
    # Another processor, another last digit, another mask; both were begun before either was stored.
    import pipeline.tasks.infer.working as module

    true = module.segment_source

    def other(*args: Any) -> Any:
        mask, *rest = true(*args)
        mask = np.array(mask)
        mask[0, 0] ^= 1
        return (mask, *rest)

    monkeypatch.setattr(module, "segment_source", other)
    run(random_bundle, fake, tmp_path / "b", store=False)
    one, two = (pydicom.dcmread(next((tmp_path / name).rglob("*_seg.dcm"))) for name in "ab")
    assert one.PixelData != two.PixelData
    assert one.SOPInstanceUID == two.SOPInstanceUID


def test_a_second_command_that_asks_for_more_makes_it(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:2])
    run(random_bundle, fake, tmp_path / "out")
    options = {"overlay": True, "statistics": True}
    again = run(random_bundle, fake, tmp_path / "out", **options)
    assert (again.segmented, again.refused) == (2, ())
    assert len([name for name in names_in(tmp_path / "out") if name.endswith("_overlay.png")]) == 2
    assert len(fake.of_modality("SEG")) == 2
    assert run(random_bundle, fake, tmp_path / "out", **options).segmented == 0


def test_what_was_only_written_is_stored_later_without_being_made_again(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films)
    first = run(random_bundle, fake, tmp_path / "out", store=False)
    assert (first.segmented, stored(fake)) == (5, 0)
    second = run(random_bundle, fake, tmp_path / "out")
    assert second.segmented == 0
    assert second.returned is not None
    assert (second.returned.sources, second.returned.earlier) == (5, 0)
    assert (stored(fake), len(fake.of_modality("SEG"))) == (5, 5)


def test_an_inference_that_was_interrupted_goes_on(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films)

    def interrupt(done: int, total: int, name: str) -> None:
        assert total == 5
        if done == 3:
            raise KeyboardInterrupt

    options = {"statistics": True}
    with pytest.raises(KeyboardInterrupt):
        run(random_bundle, fake, tmp_path / "out", on_progress=interrupt, **options)
    there = len(fake.of_modality("SEG"))
    assert 0 < there < 5
    assert not list((tmp_path / "out").glob(".retrieved*"))
    result = run(random_bundle, fake, tmp_path / "out", **options)
    assert len(fake.of_modality("SEG")) == 5
    assert result.refused == ()
    # The table is that of all films, whichever command measured them.
    rows = list(csv.DictReader((tmp_path / "out" / "statistics.csv").read_text().splitlines()))
    assert {row["file"] for row in rows} == {
        f"{film.StudyInstanceUID}/{film.SOPInstanceUID}" for film in fake.of_modality("DX")
    }


def test_one_bad_film_is_told_and_the_others_go_on(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add([films[0], films[1][:-300], films[2]])
    result = run(random_bundle, fake, tmp_path / "out")
    assert result.segmented == 2
    (refused,) = result.refused
    bad = fake.of_modality("DX")[1]
    assert refused.file == f"{bad.StudyInstanceUID}/{bad.SOPInstanceUID}"
    assert "damaged or cut short" in refused.reason
    assert str(tmp_path) not in refused.reason
    assert len(fake.of_modality("SEG")) == 2


def test_a_film_that_the_archive_does_not_give_is_told_and_the_others_go_on(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:3])
    bad = str(fake.of_modality("DX")[1].SOPInstanceUID)
    fake.before = lambda request: Response(500) if request.path.endswith(bad) else None
    result = run(random_bundle, fake, tmp_path / "out")
    assert result.segmented == 2
    (refused,) = result.refused
    assert f"image {bad} cannot be retrieved: the archive failed (500)" in refused.reason


def test_results_that_the_archive_does_not_take_are_kept_and_told(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:3])
    bad = str(fake.of_modality("DX")[1].StudyInstanceUID)
    fake.before = lambda request: Response(409) if request.method == "POST" and bad in request.path else None
    result = run(random_bundle, fake, tmp_path / "out")
    assert (result.segmented, result.refused) == (3, ())
    assert result.returned is not None
    (unstored,) = result.returned.unstored
    assert bad in unstored.file
    assert "the archive does not take it (409)" in unstored.reason
    assert result.returned.sources == 2
    assert len(list((tmp_path / "out").rglob("*_seg.dcm"))) == 3


def test_an_archive_that_goes_away_ends_it_and_comes_back_to_the_rest(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films)

    def away(request: Request) -> Response | None:
        return Response(None) if len(fake.of_modality("SEG")) >= 2 else None

    fake.before = away
    result = run(random_bundle, fake, tmp_path / "out")
    returned = result.returned
    assert returned is not None
    assert "the connection was cut" in returned.stopped
    assert 0 < returned.not_done <= 3
    fake.before = lambda request: None
    again = run(random_bundle, fake, tmp_path / "out")
    assert again.returned is not None
    assert (again.returned.stopped, again.returned.not_done) == ("", 0)
    assert len(fake.of_modality("SEG")) == 5


def test_an_archive_that_is_away_for_a_moment_is_not_noticed(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films)
    turns = iter(range(1000))
    fake.before = lambda request: Response((None, 503)[number % 2]) if (number := next(turns)) % 3 == 2 else None
    result = run(random_bundle, fake, tmp_path / "out")
    assert (result.segmented, result.refused, len(fake.of_modality("SEG"))) == (5, (), 5)


def test_what_is_no_image_is_left_out_and_an_unknown_modality_is_looked_at(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:2])
    run(random_bundle, fake, tmp_path / "first", formats=["dicomseg", "sc"])
    # Neither masks nor results of Planar are images, even where the archive does not say what they are.
    fake.hidden = {"Modality", "Manufacturer", "SOPClassUID", "NumberOfSeriesRelatedInstances"}
    torch.save(
        {name: value * 1.01 for name, value in torch.load(random_bundle.weights, weights_only=True).items()},
        random_bundle.weights,
    )
    result = run(random_bundle, fake, tmp_path / "second", "StudyDate=20000101")
    assert result.segmented == 2
    assert result.returned is not None
    assert result.returned.left_out == "4 results of Planar"
    assert result.refused == ()


def test_a_mask_that_does_not_say_that_it_is_one_is_no_bad_film(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    run(random_bundle, fake, tmp_path / "first")
    (mask,) = fake.of_modality("SEG")
    whole = pydicom.dcmread(io.BytesIO(fake.objects[str(mask.SOPInstanceUID)].content))
    whole.Manufacturer, whole.SOPInstanceUID, whole.SeriesInstanceUID = "Others", "1.2.3", "1.2.4"
    del whole.Modality
    buffer = io.BytesIO()
    whole.save_as(buffer)
    fake.add([buffer.getvalue()])
    result = run(random_bundle, fake, tmp_path / "first", "StudyDate=20000101")
    assert result.refused == ()
    assert result.returned is not None
    assert result.returned.left_out == "1 SEG, 1 of no modality"


def test_results_of_others_in_the_folder_are_not_replaced_unasked(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    run(random_bundle, fake, tmp_path / "out", store=False)
    kept = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*_seg.dcm")}
    result = run(random_bundle, fake, tmp_path / "out", test_time_flips=False)
    (refused,) = result.refused
    assert "exists and was made of other images, by another model or with other settings" in refused.reason
    assert {path: path.read_bytes() for path in kept} == kept
    assert run(random_bundle, fake, tmp_path / "out", test_time_flips=False, overwrite=True).refused == ()


def test_what_a_killed_process_left_of_the_same_results_is_not_in_the_way(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    options = {"formats": ["dicomseg", "sc"]}
    run(random_bundle, fake, tmp_path / "out", store=False, **options)
    next((tmp_path / "out").rglob("*_sc.dcm")).unlink()
    result = run(random_bundle, fake, tmp_path / "out", **options)
    assert (result.refused, result.segmented, stored(fake)) == ((), 1, 2)


def test_images_that_a_killed_process_left_are_taken_away_and_those_of_a_living_one_are_not(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    out = tmp_path / "out"
    of_killed, of_living = (out / f".retrieved-{platform.node()}-{pid}" for pid in (ended.pid, os.getppid()))
    for folder in (of_killed, of_living):
        folder.mkdir(parents=True)
        (folder / "1.2.3.dcm").write_bytes(films[0])
    run(random_bundle, fake, out)
    assert not of_killed.exists()
    assert of_living.exists()
    shutil.rmtree(of_living)


def test_what_cannot_be_done_is_told_before_anything_is(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    with pytest.raises(MissingFile, match=r"nothing found by Modality=DX\. "):
        run(random_bundle, fake, tmp_path / "out")
    fake.add(films[:1])
    with pytest.raises(InvalidOption, match="Nothing to store"):
        run(random_bundle, fake, tmp_path / "out", formats=["png"])
    fake.authorization = "Basic other"
    with pytest.raises(ArchiveUnreachable, match="asks who you are"):
        run(random_bundle, fake, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_record_says_neither_whose_images_they_were_nor_which(
    random_bundle: Bundle,
    fake: FakeArchive,
    films: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("PLANAR_DICOMWEB_USER", "radiographer")
    monkeypatch.setenv("PLANAR_DICOMWEB_PASSWORD", "s3cret")
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)
    fake.add([films[0], films[1][:-300], films[2]])
    result = run(random_bundle, fake, tmp_path / "out", "PatientName=PHANTOM*", tracking=True)
    assert result.run_id
    client = MlflowClient(store)
    found = client.get_run(result.run_id)
    assert found.data.params["archive"] == fake.address
    assert (found.data.metrics["stored"], found.data.metrics["stored_earlier"]) == (2.0, 0.0)
    folder = Path(client.download_artifacts(result.run_id, ""))
    texts = [path.read_text(errors="replace") for path in folder.rglob("*") if path.suffix in (".csv", ".json", ".txt")]
    texts += [str(found.data.params), str(found.data.tags)]
    assert len(texts) > 3
    for film in fake.of_modality("DX"):
        for word in (film.SOPInstanceUID, film.StudyInstanceUID, film.PatientID, "PHANTOM^", "s3cret", "radiographer"):
            assert not [text for text in texts if str(word) in text], word


def test_results_that_would_be_removed_are_not_replaced_unasked(
    random_bundle: Bundle, fake: FakeArchive, films: list[bytes], tmp_path: Path
) -> None:
    fake.add(films[:1])
    run(random_bundle, fake, tmp_path / "out", store=False, formats=("png",), overlay=True)
    kept = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    assert len(kept) == 2
    (refused,) = run(random_bundle, fake, tmp_path / "out").refused
    assert "_mask.png exists" in refused.reason or "_overlay.png exists" in refused.reason
    assert {path: path.read_bytes() for path in kept} == kept
    assert run(random_bundle, fake, tmp_path / "out", overwrite=True).refused == ()
    assert not any(path.exists() for path in kept)
