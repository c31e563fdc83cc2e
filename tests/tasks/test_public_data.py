"""Public sets from a server of the tests' own, or from a folder that the user gives."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from pipeline.cli.data import get as get_module
from pipeline.cli.data import list_sets
from pipeline.datalist import read_datalist
from pipeline.errors import DownloadFailed, InvalidOption, MissingFile, OutputExists
from pipeline.public_sets import PublicSet, RemoteFile, find_set
from pipeline.readers import read_mask
from pipeline.split import Fractions
from pipeline.tasks.public_data import GetOptions, GetResult, get_set

sys.path.insert(0, str(Path(__file__).parents[1] / "public_sets"))

from broken_server import Served, Server, serving

THIRDS = Fractions(0.4, 0.2, 0.4)
YES = GetOptions(accepted=True, workers=1, split=THIRDS)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def png(value: int, box: tuple[int, int, int, int] | None, mode: str = "L", size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of noise, or a mask with a bright box."""
    if box is None:
        pixels = np.random.default_rng(value).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).convert(mode)
    else:
        picture = Image.new(mode, size)
        ImageDraw.Draw(picture).rectangle(box, fill=value)
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


def montgomery(cases: int = 10) -> bytes:
    """The archive of a set like Montgomery, with few cases."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for number in range(cases):
            name = f"MCUCXR_{number:04d}_{number % 2}.png"
            packed.writestr(f"MontgomerySet/CXR_png/{name}", png(number, None))
            packed.writestr(f"MontgomerySet/ManualMask/leftMask/{name}", png(255, (22, 5, 33, 25)))
            packed.writestr(f"MontgomerySet/ManualMask/rightMask/{name}", png(255, (5, 5, 16, 25)))
        packed.writestr("__MACOSX/MontgomerySet/CXR_png/._MCUCXR_0000_0.png", b"litter")
    return out.getvalue()


def few(entry: PublicSet, number: int, **changes: object) -> PublicSet:
    """A set with another number of cases."""
    return replace(entry, counts=dict.fromkeys(entry.counts, number), **changes)


def served(server: Server, content: bytes, *, size: int | None = None) -> PublicSet:
    server.files["set.zip"] = Served(content)
    file = RemoteFile(server.url("set.zip"), "set.zip", size or len(content), None)
    return few(find_set("montgomery"), 10, files=(file,))


def get(entry: PublicSet, folder: Path, options: GetOptions = YES) -> GetResult:
    return get_set(entry, folder, options, pause_s=0)


def test_nothing_is_asked_for_before_the_terms_are_accepted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"terms of montgomery must be accepted first.*cite Jaeger"):
        get(served(server, montgomery()), tmp_path / "set", GetOptions())
    assert server.asked == []
    assert not (tmp_path / "set").exists()


def test_a_set_is_fetched_checked_and_indexed_with_both_lungs_as_one_class(server: Server, tmp_path: Path) -> None:
    result = get(served(server, montgomery()), tmp_path / "set")
    content = read_datalist(result.datalist)
    cases = [item for part in ("training", "validation", "test") for item in content.part(part)]
    assert len(cases) == 10
    assert list(content.labels) == ["background", "lung"]
    assert (content.name, content.modality, content.refused) == ("montgomery", "CR", [])
    assert len({item["subject"] for item in cases}) == 10
    masks = [(result.datalist.parent / path).resolve() for path in cases[0]["label"]]
    assert [path.parent.name for path in masks] == ["leftMask", "rightMask"]
    said = json.loads((tmp_path / "set" / "fetched.json").read_text())
    assert said["files"][0]["sha256"] == result.digests["set.zip"]


def test_a_set_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    entry = served(server, montgomery())
    get(entry, tmp_path / "set")
    with pytest.raises(OutputExists, match=r"datalist\.json exists"):
        get(entry, tmp_path / "set")
    (tmp_path / "set" / "datalist.json").unlink()
    get(entry, tmp_path / "set")
    assert len(server.asked) == 1


def test_a_set_with_a_missing_file_is_not_indexed_unless_that_is_said(server: Server, tmp_path: Path) -> None:
    entry = served(server, montgomery(9))
    with pytest.raises(DownloadFailed, match=r"9 files match [^{}]*CXR_png.*expected 10.*--as-it-is"):
        get(entry, tmp_path / "set")
    assert not (tmp_path / "set" / "datalist.json").exists()
    result = get(entry, tmp_path / "set", replace(YES, as_it_is=True))
    assert len(result.notes) == 3
    assert result.datalist.is_file()


def test_a_wrong_archive_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = Served(b"not an archive")
    file = RemoteFile(server.url("set.zip"), "set.zip", None, None)
    with pytest.raises(DownloadFailed, match="no zip archive"):
        get(few(find_set("montgomery"), 10, files=(file,)), tmp_path / "set")
    assert not (tmp_path / "set" / "files").exists()


def test_masks_of_one_bit_and_of_0_and_1_are_lungs_too(server: Server, tmp_path: Path) -> None:
    for number, change in enumerate(
        (lambda mask: mask.convert("1"), lambda mask: mask.point(lambda value: value // 255))
    ):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(montgomery())) as packed, zipfile.ZipFile(out, "w") as other:
            for name in packed.namelist():
                content = packed.read(name)
                if "Mask/" in name:
                    changed = io.BytesIO()
                    change(Image.open(io.BytesIO(content))).save(changed, format="PNG")
                    content = changed.getvalue()
                other.writestr(name, content)
        result = get(served(server, out.getvalue()), tmp_path / f"set{number}")
        assert result.index.class_pixels[1] == 10 * 21 * (12 + 12)
        assert result.index.datalist.labels == ["background", "lung"]


def test_what_is_odd_about_a_set_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = io.BytesIO(montgomery())
    with zipfile.ZipFile(archive, "a") as packed:
        for side in ("left", "right"):
            packed.writestr(f"MontgomerySet/ManualMask/{side}Mask/MCUCXR_0010_0.png", png(0, (0, 0, 1, 1)))
        packed.writestr("MontgomerySet/CXR_png/MCUCXR_0010_0.png", png(77, None))
    entry = few(served(server, archive.getvalue()), 11)
    monkeypatch.setattr("pipeline.public_sets.find_set", lambda name: entry)
    _, text = run("montgomery", "-o", str(tmp_path / "set"), "--accept-terms")
    assert "Warning: 1 empty mask: MCUCXR_0010_0.png" in text


def test_a_set_behind_a_login_is_told_with_its_steps(tmp_path: Path) -> None:
    with pytest.raises(
        MissingFile,
        match=r"is downloaded by yourself, in these steps: \(1\) Sign in at https://www\.kaggle\.com.*\(3\)",
    ):
        get(find_set("kaggle_ct"), tmp_path / "set")


def test_a_source_for_a_set_that_is_fetched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="leave out --from"):
        get(find_set("montgomery"), tmp_path / "set", replace(YES, source=tmp_path))


def test_an_archive_that_was_downloaded_by_hand_is_unpacked_and_indexed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as packed:
        for number in range(10):
            name = f"ID_{number:04d}_Z_{100 + number:04d}.tif"
            for folder, content in (("2d_images", png(number, None)), ("2d_masks", png(255, (5, 5, 20, 20)))):
                tif = io.BytesIO()
                Image.open(io.BytesIO(content)).save(tif, format="TIFF")
                packed.writestr(f"{folder}/{name}", tif.getvalue())
    options = replace(YES, source=tmp_path / "archive.zip")
    content = read_datalist(get(few(find_set("kaggle_ct"), 10), tmp_path / "set", options).datalist)
    assert sum(len(content.part(part)) for part in ("training", "validation", "test")) == 10
    assert list(content.labels) == ["background", "lung"]


def drishti(root: Path) -> None:
    for folder, truth, numbers in (("Training", "GT", range(20)), ("Test", "Test_GT", range(20, 25))):
        for number in numbers:
            name = f"drishtiGS_{number:03d}"
            images = root / folder / "Images" / ("NORMAL" if number % 2 else "GLAUCOMA")  # as some copies have it
            images.mkdir(parents=True, exist_ok=True)
            (images / f"{name}.png").write_bytes(png(number, None, "RGB"))
            soft = root / folder / truth / name / "SoftMap"
            soft.mkdir(parents=True)
            (soft / f"{name}_ODsegSoftmap.png").write_bytes(png(255, (8, 5, 30, 25)))
            cup = Image.open(io.BytesIO(png(191, (15, 10, 22, 18))))
            cup.paste(128, (23, 10, 26, 18))  # two of four experts
            cup.save(soft / f"{name}_cupsegSoftmap.png")


def test_drishtis_soft_maps_become_rim_and_cup_in_the_publishers_division(tmp_path: Path) -> None:
    drishti(tmp_path / "Drishti-GS1_files")
    entry = replace(find_set("drishti_gs"), counts={"{by_hand}/**/Test/Images/**/*.png": 5})
    options = GetOptions(accepted=True, source=tmp_path / "Drishti-GS1_files", workers=1)
    result = get(entry, tmp_path / "set", options)
    content = read_datalist(result.datalist)
    assert list(content.labels) == ["background", "disc_rim", "cup"]
    assert [len(content.part(part)) for part in ("training", "validation", "test")] == [18, 2, 5]
    assert all("/Test/" in item["image"] for item in content.test)
    item = content.test[0]
    mask = read_mask([str(result.datalist.parent / path) for path in item["label"]], item["label_coding"])
    assert (mask[18, 14], mask[24, 14], mask[9, 6], mask[0, 0]) == (2, 1, 1, 0)


def test_drions_outlines_become_masks(tmp_path: Path) -> None:
    root = tmp_path / "DRIONS-DB"
    (root / "images").mkdir(parents=True)
    (root / "experts_anotation").mkdir()
    for number in range(1, 11):
        Image.open(io.BytesIO(png(number, None, "RGB"))).save(root / "images" / f"image_{number:03d}.jpg")
        outline = "10.0 , 5.0\n30.0 , 5.0\n30.0 , 20.0\n10.0 , 20.0\n"
        (root / "experts_anotation" / f"anotExpert1_{number:03d}.txt").write_text(outline)
    result = get(few(find_set("drions"), 10), tmp_path / "set", replace(YES, source=root))
    content = read_datalist(result.datalist)
    assert list(content.labels) == ["background", "disc"]
    mask = read_mask(str(result.datalist.parent / content.training[0]["label"]), content.training[0]["label_coding"])
    assert (mask[20, 10], mask[2, 2]) == (1, 0)
    assert int(mask.sum()) == pytest.approx(20 * 15, rel=0.15)


@pytest.mark.parametrize("text", ["", "1 , 2\n", "a , b\nc , d\ne , f\n", "1,2\n3,4\n500,6\n", "1,2,3\n4,5,6\n7,8,9\n"])
def test_an_outline_that_is_none_is_one_clear_line(text: str, tmp_path: Path) -> None:
    from pipeline.public_sets.outlines import read_outline

    (tmp_path / "outline.txt").write_text(text)
    with pytest.raises(DownloadFailed, match="holds no outline in a picture of 40×30"):
        read_outline(tmp_path / "outline.txt", (40, 30))


# --- the commands ---


def run(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(get_module.command, arguments, standalone_mode=False, input=answer)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.output


def test_the_list_names_each_set_and_how_it_is_had() -> None:
    text = CliRunner().invoke(list_sets.command, [], standalone_mode=False).output
    assert "montgomery\n" in text
    assert "the command fetches it, 617 MB; task cxr_lung" in text
    assert text.count("you download it yourself, by the steps that planar data get shows") == 3
    assert "the command fetches a part, size not known; you download the rest" in text
    listed = json.loads(CliRunner().invoke(list_sets.command, ["--json"], standalone_mode=False).output)
    assert [entry["name"] for entry in listed] == ["drions", "drishti_gs", "kaggle_ct", "montgomery", "shenzhen"]


def test_the_terms_are_shown_and_a_no_fetches_nothing(tmp_path: Path) -> None:
    status, text = run("montgomery", "-o", str(tmp_path / "set"), answer="n\n")
    assert status == 1
    assert "cite Jaeger 2014" in text
    assert "Do you accept these terms?" in text
    assert not (tmp_path / "set").exists()


def test_where_nobody_can_answer_the_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="Give --accept-terms"):
        run("montgomery", "-o", str(tmp_path / "set"))


@pytest.mark.parametrize(("published", "status"), [(3, 0), (2, 1)])
def test_images_that_have_no_mask_as_published_are_nothing_to_warn_of(
    published: int, status: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, masks = io.BytesIO(), tmp_path / "masks.zip"
    with zipfile.ZipFile(films, "w") as packed:
        for number in range(13):
            packed.writestr(f"ChinaSet_AllFiles/CXR_png/CHNCXR_{number:04d}_{number % 2}.png", png(number, None))
    with zipfile.ZipFile(masks, "w") as packed:
        for number in range(10):
            packed.writestr(f"mask/CHNCXR_{number:04d}_{number % 2}_mask.png", png(255, (5, 5, 20 + number, 25)))
    server.files["set.zip"] = Served(films.getvalue())
    shenzhen = find_set("shenzhen")
    counts = dict(zip(shenzhen.counts, (13, 10), strict=True))
    file = RemoteFile(server.url("set.zip"), "set.zip", None, None)
    entry = replace(shenzhen, files=(file,), counts=counts, without_mask=published)
    monkeypatch.setattr("pipeline.public_sets.find_set", lambda name: entry)
    found, text = run("shenzhen", "-o", str(tmp_path / "set"), "--accept-terms", "--from", str(masks))
    assert found == status
    assert ("3 images have no mask, as published" in text) is (status == 0)
    assert ("3 files were refused" in text) is (status == 1)


def test_steps_by_hand_are_shown_one_a_line(tmp_path: Path) -> None:
    status, text = run("drishti_gs", "-o", str(tmp_path / "set"))
    assert status == 1
    assert "  4. planar data get drishti_gs --from Drishti-GS1_files" in text


def test_a_yes_gets_the_set(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = served(server, montgomery())
    monkeypatch.setattr("pipeline.public_sets.find_set", lambda name: entry)
    arguments = ("montgomery", "-o", str(tmp_path / "set"), "--split", "0.4,0.2,0.4", "--workers", "1")
    status, text = run(*arguments, answer="y\n")
    assert status == 0
    assert "(none is known to compare with)" in text
    assert f"Datalist: {tmp_path / 'set' / 'datalist.json'}" in text
