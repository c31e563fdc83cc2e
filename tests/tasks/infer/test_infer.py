"""`planar infer` on films of known content, with a network whose weights are random but fixed."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption, MissingFile, OutputExists
from pipeline.tasks.infer import infer
from pipeline.tasks.infer.predictor import Predictor
from pipeline.tasks.infer.resuming import FILE, SOURCES
from pipeline.terminations import Terminated


def film(width: int = 90, height: int = 70, seed: int = 0) -> np.ndarray:
    """A smooth picture with structure at every size, (W, H) uint8."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (12, 9)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse.T).resize((width, height), Image.Resampling.BICUBIC)).T


def save_png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array.T)).save(path)
    return path


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image).T


def test_a_prediction_left_half_way_leaves_gradients_to_the_caller(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    predictions = Predictor(random_bundle, (random_bundle.weights,), {})([str(source)] * 2)
    next(predictions)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_png_gets_a_mask_of_its_size_with_class_numbers(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    result = infer(str(random_bundle.root), [str(source)], tmp_path / "out")
    assert result.masks == (tmp_path / "out" / "film_mask.png",)
    mask = read_png(result.masks[0])
    assert mask.shape == (90, 70)
    assert set(np.unique(mask)) == {0, 1}
    assert result.labels == {0: "background", 1: "lung"}


def test_what_a_killed_inference_has_left_is_in_nobodys_way(random_bundle: Bundle, tmp_path: Path) -> None:
    left = tmp_path / "out" / f".part-{os.getpid()}"  # in a container the next process has the same number
    for number in range(3):
        save_png(tmp_path / "in" / f"film{number}.png", film(seed=number))
        (left / str(number)).mkdir(parents=True)
    result = infer(str(random_bundle.root), [str(tmp_path / "in")], tmp_path / "out")
    assert (len(result.masks), result.refused) == (3, ())
    assert left.is_dir()  # another may write there just now


@pytest.mark.parametrize("resume", [False, True])
def test_a_name_too_long_for_results_is_refused_and_the_others_go_on(
    random_bundle: Bundle, tmp_path: Path, resume: bool
) -> None:
    long = save_png(tmp_path / "in" / f"{'x' * 248}.png", film())
    save_png(tmp_path / "in" / "film.png", film())
    result = infer(str(random_bundle.root), [str(tmp_path / "in")], tmp_path / "out", resume=resume)
    assert [path.name for path in result.masks] == ["film_mask.png"]
    assert [one.file for one in result.refused] == [str(long)]
    assert "too long for the file system. Give it a shorter name" in result.refused[0].reason


@pytest.mark.parametrize("suffix", [".bmp", ".tif", ".nii.gz", ".mha", ".nrrd"])
def test_one_film_in_another_container_gets_the_same_mask(random_bundle: Bundle, tmp_path: Path, suffix: str) -> None:
    array = film()
    png = save_png(tmp_path / "a.png", array)
    other = tmp_path / f"b{suffix}"
    if suffix in (".bmp", ".tif"):
        save_png(other, array)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(array.T)), str(other))
    result = infer(str(random_bundle.root), [str(png), str(other)], tmp_path / "out", formats=["png"])
    np.testing.assert_array_equal(read_png(result.masks[0]), read_png(result.masks[1]))


def test_the_slices_of_a_volume_come_back_as_one_volume_on_its_grid(random_bundle: Bundle, tmp_path: Path) -> None:
    volume = np.stack([film(seed=k) for k in range(5)], axis=-1)
    affine = np.array([[0.7, 0.1, 0, -30], [-0.1, 0.9, 0, 12], [0, 0, 4, 7], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(volume, affine), tmp_path / "ct.nii.gz")
    result = infer(str(random_bundle.root), [str(tmp_path / "ct.nii.gz")], tmp_path / "out")
    mask = nib.load(result.masks[0])
    assert result.slices == 5
    assert mask.shape == volume.shape
    np.testing.assert_array_equal(mask.affine, nib.load(tmp_path / "ct.nii.gz").affine)
    # Slice k of the volume's mask is the mask of slice k.
    one = infer(str(random_bundle.root), [f"{tmp_path}/ct.nii.gz"], tmp_path / "png", formats=["png"])
    slices = sorted(one.masks[0].iterdir())
    assert len(slices) == 5
    total = sum(int(read_png(path).sum()) for path in slices)
    assert total == int(np.asarray(mask.dataobj).sum()) > 0


def test_probabilities_lie_between_0_and_1_and_agree_with_the_mask(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    result = infer(str(random_bundle.root), [str(source)], tmp_path / "out", formats=["nifti"], probabilities=True)
    probabilities = np.asarray(nib.load(tmp_path / "out" / "film_prob.nii.gz").dataobj).squeeze()
    mask = np.asarray(nib.load(result.masks[0]).dataobj).squeeze()
    assert probabilities.shape == (90, 70, 2)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(mask, probabilities.argmax(axis=-1))


def test_a_bad_file_is_refused_with_its_name_and_the_others_go_on(random_bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save_png(folder / "good.png", film())
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:200])
    (folder / "empty.jpg").touch()
    (folder / "text.tif").write_text("not a picture")
    result = infer(str(random_bundle.root), [str(folder)], tmp_path / "out")
    assert [path.name for path in result.masks] == ["good_mask.png"]
    assert sorted(Path(refusal.file).name for refusal in result.refused) == ["cut.png", "empty.jpg", "text.tif"]
    for refusal in result.refused:
        assert Path(refusal.file).name in refusal.reason
        assert "\n" not in refusal.reason
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["good_mask.png"]


def test_results_are_not_overwritten_unasked(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    infer(str(random_bundle.root), [str(source)], tmp_path / "out")
    with pytest.raises(OutputExists, match=r"film_mask\.png exists.*--overwrite"):
        infer(str(random_bundle.root), [str(source)], tmp_path / "out")
    assert infer(str(random_bundle.root), [str(source)], tmp_path / "out", overwrite=True).masks


def test_an_ensemble_of_one_checkpoint_twice_is_that_checkpoint(random_bundle: Bundle, tmp_path: Path) -> None:
    source = str(save_png(tmp_path / "film.png", film()))
    one = infer(str(random_bundle.root), [source], tmp_path / "one")
    two = infer(str(random_bundle.root), [source], tmp_path / "two", checkpoints=[random_bundle.weights] * 2)
    np.testing.assert_array_equal(read_png(one.masks[0]), read_png(two.masks[0]))


def test_test_time_flips_make_the_mask_of_a_mirrored_film_the_mirrored_mask(
    random_bundle: Bundle, tmp_path: Path
) -> None:
    # 320 pixels need no resizing, and an even width no padding: only the network could break the symmetry.
    array = film(320, 320)
    left = save_png(tmp_path / "left.png", array)
    right = save_png(tmp_path / "right.png", array[::-1])
    result = infer(str(random_bundle.root), [str(left), str(right)], tmp_path / "out")
    masks = [read_png(path) for path in result.masks]
    assert (masks[0] != masks[1][::-1]).mean() < 1e-3
    plain = infer(str(random_bundle.root), [str(left), str(right)], tmp_path / "plain", test_time_flips=False)
    masks = [read_png(path) for path in plain.masks]
    assert (masks[0] != masks[1][::-1]).mean() > 1e-3


def test_a_bundle_that_names_no_flips_gets_none(random_bundle: Bundle, tmp_path: Path) -> None:
    source = str(save_png(tmp_path / "film.png", film()))
    plain = infer(str(random_bundle.root), [source], tmp_path / "plain", test_time_flips=False)
    config = random_bundle.config("inference")
    config.write_text(config.read_text().replace("test_time_flips: [[], [0]]\n", ""))
    without = infer(str(random_bundle.root), [source], tmp_path / "without")
    np.testing.assert_array_equal(read_png(plain.masks[0]), read_png(without.masks[0]))


def test_missing_weights_and_missing_inputs_are_named_before_anything_runs(
    random_bundle: Bundle, tmp_path: Path
) -> None:
    source = save_png(tmp_path / "film.png", film())
    with pytest.raises(MissingFile, match="nothing-here"):
        infer(str(random_bundle.root), [str(tmp_path / "nothing-here")], tmp_path / "out")
    random_bundle.weights.unlink()
    with pytest.raises(MissingFile, match=r"model\.pt is not there"):
        infer(str(random_bundle.root), [str(source)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_overlay_is_a_picture_of_the_films_size(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    infer(str(random_bundle.root), [str(source)], tmp_path / "out", overlay=True)
    with Image.open(tmp_path / "out" / "film_overlay.png") as overlay:
        assert overlay.size == (90, 70)
        assert overlay.mode == "RGB"


def test_a_full_disk_ends_the_run_rather_than_refusing_every_file(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    source = save_png(tmp_path / "film.png", film())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "film_mask.png")

    monkeypatch.setattr("pipeline.tasks.infer.results.write_mask", full)
    with pytest.raises(OSError, match="No space left"):
        infer(str(random_bundle.root), [str(source)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def save_volume(path: Path, depth: int) -> Path:
    nib.save(nib.Nifti1Image(np.stack([film(seed=k) for k in range(depth)], axis=-1), np.diag([1, 1, 3, 1.0])), path)
    return path


def test_a_source_whose_results_cannot_all_be_written_has_none(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tasks.infer import results

    source = save_volume(tmp_path / "ct.nii.gz", 3)
    real = results.write_mask

    def third_fails(mask: np.ndarray, picture: object, path: Path) -> None:
        if Path(path).name == "2.png":
            raise ValueError("the third slice")
        real(mask, picture, path)

    monkeypatch.setattr(results, "write_mask", third_fails)
    result = infer(str(random_bundle.root), [str(source)], tmp_path / "out", formats=["nifti", "png"], overlay=True)
    assert (result.masks, result.segmented, result.slices) == ((), 0, 0)
    assert [refusal.reason for refusal in result.refused] == [f"{source}: the third slice"]
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_is_whole_and_nothing_else(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tasks.infer import results

    first, second = (save_png(tmp_path / f"{name}.png", film()) for name in "ab")
    real = results.write_probabilities

    def stopped(probabilities: np.ndarray, picture: object, path: Path) -> None:
        if path.name.startswith("b"):
            raise KeyboardInterrupt
        real(probabilities, picture, path)

    monkeypatch.setattr(results, "write_probabilities", stopped)
    with pytest.raises(KeyboardInterrupt):
        infer(str(random_bundle.root), [str(first), str(second)], tmp_path / "out", probabilities=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["a_mask.png", "a_prob.nii.gz"]


def test_slices_of_a_longer_volume_do_not_stay_among_those_of_a_shorter_one(
    random_bundle: Bundle, tmp_path: Path
) -> None:
    for depth in (3, 2):
        source = save_volume(tmp_path / "ct.nii.gz", depth)
        result = infer(str(random_bundle.root), [str(source)], tmp_path / "out", formats=["png"], overwrite=True)
        assert sorted(path.name for path in result.masks[0].iterdir()) == [f"{k}.png" for k in range(depth)]


def test_the_probabilities_of_a_volume_are_those_of_its_slices(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_volume(tmp_path / "ct.nii.gz", 9)  # more than go through the network at once
    infer(str(random_bundle.root), [str(source)], tmp_path / "all", probabilities=True)
    volume = np.asarray(nib.load(tmp_path / "all" / "ct_prob.nii.gz").dataobj)
    mask = np.asarray(nib.load(tmp_path / "all" / "ct_mask.nii.gz").dataobj)
    assert volume.shape == (90, 70, 9, 2)
    np.testing.assert_array_equal(volume.argmax(axis=-1), mask)
    infer(str(random_bundle.root), [f"{source}#slice=8"], tmp_path / "one", probabilities=True, formats=["nifti"])
    one = np.asarray(nib.load(tmp_path / "one" / "ct_prob.nii.gz").dataobj).squeeze()
    assert np.ptp(one[..., 1]) > 0
    np.testing.assert_allclose(one, volume[:, :, 8], atol=0.02)  # bfloat16 rounds otherwise in another batch


def test_an_output_that_cannot_be_written_is_told_before_the_work(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    (tmp_path / "out").touch()
    seen: list[int] = []
    with pytest.raises(OutputExists, match=r"out is a file\. Give a folder"):
        infer(
            str(random_bundle.root),
            [str(source)],
            tmp_path / "out",
            on_progress=lambda done, total, name: seen.append(done),
        )
    assert seen == []


def test_a_second_run_does_not_segment_the_masks_of_the_first(random_bundle: Bundle, tmp_path: Path) -> None:
    save_png(tmp_path / "films" / "a.png", film())
    out = tmp_path / "films" / "masks"
    for overwrite in (False, True):
        result = infer(str(random_bundle.root), [str(tmp_path / "films")], out, overlay=True, overwrite=overwrite)
        assert result.masks == (out / "a_mask.png",)
        assert sorted(path.name for path in out.glob("[!.]*")) == ["a_mask.png", "a_overlay.png"]
    assert result.warnings == (f"2 results of an earlier run in {out} were left out.",)


@pytest.mark.parametrize(("pair", "option"), [("ckpt_path=other.pt", "--checkpoint"), ("output_dir=x", "-o")])
def test_what_has_an_option_is_no_override(random_bundle: Bundle, tmp_path: Path, pair: str, option: str) -> None:
    source = save_png(tmp_path / "film.png", film())
    with pytest.raises(InvalidOption, match=f"is set by {option}"):
        infer(str(random_bundle.root), [str(source)], tmp_path / "out", overrides=[pair])


def test_the_command_counts_sources_and_not_files(
    random_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.cli import main

    save_png(tmp_path / "in" / "good.png", film())
    (tmp_path / "in" / "bad.png").touch()
    arguments = ["infer", str(random_bundle.root), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--no-tracking"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--format", "png", "--format", "nifti"])
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert "1 image segmented (1 slice), 2 files of masks" in told.out
    assert "1 of 2 sources got no mask" in told.err


def test_a_pixel_that_is_no_number_spoils_no_mask(random_bundle: Bundle, tmp_path: Path) -> None:
    clean = film().astype(np.float32)
    spoilt = clean.copy()
    clean[0, 0] = clean.min()
    spoilt[0, 0] = np.nan
    for name, array in (("clean", clean), ("spoilt", spoilt)):
        sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(array.T)), str(tmp_path / f"{name}.mha"))
    names = [str(tmp_path / f"{name}.mha") for name in ("clean", "spoilt")]
    result = infer(str(random_bundle.root), names, tmp_path / "out", formats=["png"])
    masks = [read_png(path) for path in result.masks]
    np.testing.assert_array_equal(*masks)
    assert masks[0].any()


def test_a_picture_too_narrow_for_the_network_is_refused_in_one_line(random_bundle: Bundle, tmp_path: Path) -> None:
    narrow = save_png(tmp_path / "narrow.png", film(2048, 1))
    fine = save_png(tmp_path / "fine.png", film())
    result = infer(str(random_bundle.root), [str(narrow), str(fine)], tmp_path / "out")
    (refused,) = result.refused
    assert refused.reason == (
        f"{narrow}: 2048×1 pixels: with 320 on the longer side the shorter one would have none. Cut out the part that "
        "matters."
    )
    assert len(result.masks) == 1


def test_results_of_an_earlier_run_with_other_options_do_not_stay(random_bundle: Bundle, tmp_path: Path) -> None:
    source, out = save_png(tmp_path / "film.png", film()), tmp_path / "out"
    infer(str(random_bundle.root), [str(source)], out, overlay=True, probabilities=True)
    (out / "film_sc").mkdir()  # a folder may be a user's own
    infer(str(random_bundle.root), [str(source)], out, formats=["nifti"], overwrite=True)
    assert {path.name for path in out.iterdir()} == {"film_mask.nii.gz", "film_sc", FILE, SOURCES}


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names of files are Unicode there")
def test_a_name_that_is_no_unicode_has_results_too(random_bundle: Bundle, tmp_path: Path) -> None:
    source = save_png(tmp_path / "film.png", film())
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.png")
    source.rename(odd)
    result = infer(str(random_bundle.root), [odd], tmp_path / "out", statistics=True)
    assert (len(result.masks), result.refused) == (1, ())
    (document,) = (tmp_path / "out").glob("*_statistics.json")
    assert json.loads(document.read_text())["classes"]


def stopped_after(count: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, name: str) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


def test_an_inference_that_was_stopped_goes_on(random_bundle: Bundle, tmp_path: Path) -> None:
    for number in range(6):
        save_png(tmp_path / "in" / f"film{number}.png", film(seed=number))
    inputs, out = [str(tmp_path / "in")], tmp_path / "out"
    whole = infer(str(random_bundle.root), inputs, tmp_path / "whole", statistics=True)
    with pytest.raises(KeyboardInterrupt):
        infer(str(random_bundle.root), inputs, out, statistics=True, on_progress=stopped_after(3))
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.png")}
    assert 0 < len(before) < 6

    result = infer(str(random_bundle.root), inputs, out, statistics=True, resume=True)

    assert (result.segmented, result.refused) == (6 - len(before), ())
    assert f"{len(before)} of 6 sources have their masks already." in result.warnings
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        if name != "statistics.csv":
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    rows, expected = (sorted((folder / "statistics.csv").read_text().splitlines()) for folder in (out, whole.out))
    assert rows == expected
    again = infer(str(random_bundle.root), inputs, out, statistics=True, resume=True)
    assert (again.segmented, len(again.masks)) == (0, 0)


def test_only_its_own_results_are_gone_on_with(random_bundle: Bundle, tmp_path: Path) -> None:
    source, out = save_png(tmp_path / "film.png", film()), tmp_path / "out"
    bundle = str(random_bundle.root)
    assert infer(bundle, [str(source)], out, resume=True).segmented == 1  # nothing is there yet
    with pytest.raises(InvalidOption, match=r"another inference \(flips differ\)"):
        infer(bundle, [str(source)], out, resume=True, test_time_flips=False)
    with pytest.raises(InvalidOption, match="leave out --overwrite"):
        infer(bundle, [str(source)], out, resume=True, overwrite=True)
    other = save_png(tmp_path / "other.png", film(seed=1))
    infer(bundle, [str(other)], out, test_time_flips=False)
    with pytest.raises(InvalidOption, match="several inferences"):
        infer(bundle, [str(source)], out, resume=True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "film_mask.png").touch()
    with pytest.raises(InvalidOption, match="is not known how they were made"):
        infer(bundle, [str(source)], tmp_path / "theirs", resume=True)


def test_a_mask_of_another_file_of_the_same_name_is_not_taken_for_this_ones(
    random_bundle: Bundle, tmp_path: Path
) -> None:
    films = [save_png(tmp_path / folder / "film.png", film(seed=n)) for n, folder in enumerate(("one", "two"))]
    bundle, out = str(random_bundle.root), tmp_path / "out"
    infer(bundle, [str(films[0])], out)
    mask = (out / "film_mask.png").read_bytes()
    with pytest.raises(InvalidOption, match=r"film are of .*one.film\.png, and those of .*two.film\.png"):
        infer(bundle, [str(films[1])], out, resume=True)
    assert (out / "film_mask.png").read_bytes() == mask


def test_a_file_that_has_changed_since_is_segmented_again(random_bundle: Bundle, tmp_path: Path) -> None:
    bundle, out = str(random_bundle.root), tmp_path / "out"
    source = save_png(tmp_path / "film.png", film())
    infer(bundle, [str(source)], out)
    save_png(source, np.pad(film(seed=1), ((0, 9), (0, 0))))
    result = infer(bundle, [str(source)], out, resume=True)
    assert result.segmented == 1
    assert any("has changed since its results were written" in line for line in result.warnings)
    assert infer(bundle, [str(source)], out, resume=True).segmented == 0
    # A process that was killed leaves half a line, and a version before this one no file.
    with (out / SOURCES).open("a") as file:
        file.write('{"stem": "fi')
    assert infer(bundle, [str(source)], out, resume=True).segmented == 0
    (out / SOURCES).unlink()
    assert infer(bundle, [str(source)], out, resume=True).segmented == 0


def test_a_terminated_inference_leaves_nothing_half_done(random_bundle: Bundle, tmp_path: Path) -> None:
    for number in range(3):
        save_png(tmp_path / "in" / f"film{number}.png", film(seed=number))

    def ended(done: int, total: int, name: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    with pytest.raises(Terminated):
        infer(str(random_bundle.root), [str(tmp_path / "in")], tmp_path / "out", tracking=False, on_progress=ended)
    assert not list((tmp_path / "out").glob(".part-*"))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
