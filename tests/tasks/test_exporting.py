"""`planar export`, and `planar infer` with what it makes."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image

from pipeline.bundle import Bundle, copy_bundle, find_bundle
from pipeline.datalist import pixel_digest
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, TrackingUnreachable
from pipeline.exported import ProgramFile, program_files, program_of
from pipeline.gate import settings_sha256
from pipeline.networks import FoldEnsemble, UNetWithHead
from pipeline.readers import read_picture
from pipeline.regions import regions_of
from pipeline.tasks.export import LEAST_DICE, ExportResult, export_program
from pipeline.tasks.infer import choosing, infer, told
from pipeline.tasks.infer.writing_told import write_told

pytestmark = pytest.mark.slow

SMALL = {"image_size": [64, 64], "network_def#channels": [4, 8], "network_def#strides": [2]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, ExportResult]:
    """A small bundle with random weights that are always the same, and its program."""
    source = find_bundle("cxr_lung_segmentation")
    bundle = copy_bundle(source, tmp_path_factory.mktemp("bundles") / "small_segmentation", source.labels(), SMALL)
    definition = yaml.safe_load(bundle.config("inference").read_text())["network_def"]
    definition.pop("_target_")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = UNetWithHead(**(definition | {"out_channels": 2}))
    torch.save(network.state_dict(), bundle.weights)
    return bundle, export_program(str(bundle.root))


@pytest.fixture
def bundle(exported: tuple[Bundle, ExportResult], tmp_path: Path) -> Bundle:
    """A copy of it that a test may change."""
    shutil.copytree(exported[0].root, tmp_path / "small_segmentation")
    return Bundle(tmp_path / "small_segmentation", "small_segmentation")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number, size in enumerate([(90, 70), (50, 130), (64, 64)]):
        x, y = np.mgrid[: size[1], : size[0]]
        grey = 90 + 80 * np.sin(x / 9 + number) + 60 * np.cos(y / 11)
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"film_{number}.png")
    return folder


def masks_in(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.rglob("*_mask.png"))}


def test_the_export_compares_masks_before_it_writes_the_program(exported: tuple[Bundle, ExportResult]) -> None:
    bundle, result = exported
    assert result.pictures == 6
    assert result.dice >= 0.999
    assert result.most is None, "every picture is brought to the network's size"
    described = json.loads(program_files(bundle)[1].read_text())
    assert described["checkpoint_sha256"] == file_sha256(bundle.weights)
    assert described["checked"]["dice"] == result.dice


def test_a_bundle_of_ct_is_compared_on_slices(tmp_path: Path) -> None:
    """On films, which it has never seen, rounding alone moves a contour by more than is allowed."""
    shutil.copytree(find_bundle("ct_lung_segmentation").root, tmp_path / "ct")
    assert export_program(str(tmp_path / "ct")).dice >= LEAST_DICE


def test_a_bundle_at_a_spacing_is_compared_on_pictures_that_have_one(bundle: Bundle) -> None:
    for kind in ("inference", "evaluate", "train"):
        path = bundle.config(kind)
        text = path.read_text()
        resized = next((line for line in text.splitlines() if "_target_: Resized," in line), None)
        if resized is not None:
            keys = "[image, label]" if "label" in resized else "image"
            step = f"- {{_target_: pipeline.transforms.ToSpacingd, keys: {keys}, spacing_mm: 2.5}}"
            path.write_text(text.replace(resized.lstrip(), step))
    result = export_program(str(bundle.root))
    assert (result.pictures, result.left_out, result.most) == (3, 0, (64, 64))
    assert result.dice >= LEAST_DICE


def test_infer_takes_the_program_and_gives_the_masks_of_the_bundle(bundle: Bundle, films: Path, tmp_path: Path) -> None:
    by_program = infer(str(bundle.root), [str(films)], tmp_path / "program", probabilities=True)
    for file in program_files(bundle):
        file.unlink()
    by_bundle = infer(str(bundle.root), [str(films)], tmp_path / "bundle", probabilities=True)
    assert (by_program.ran, by_bundle.ran) == ("By the exported program (models/program.onnx).", "")
    ours, theirs = masks_in(tmp_path / "program"), masks_in(tmp_path / "bundle")
    assert ours.keys() == theirs.keys() and len(ours) == 3
    # bfloat16 here or not: the masks of random weights are ragged, and some pixels fall to either side.
    assert all(np.mean(ours[name] == theirs[name]) > 0.98 for name in ours)
    ours_p, theirs_p = (nib.load(tmp_path / one / "film_0_prob.nii.gz").get_fdata() for one in ("program", "bundle"))
    assert np.abs(ours_p - theirs_p).max() < 0.02
    assert 0 < np.mean([mask.mean() for mask in ours.values()]) < 1, "a mask that is all of one class shows nothing"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"test_time_flips": False}, "own weights, settings and flips"),
        ({"overrides": ("test_time_flips=[[]]",)}, "own weights, settings and flips"),
    ],
    ids=["other flips", "other settings"],
)
def test_what_the_program_does_not_do_is_done_by_the_bundle(
    bundle: Bundle, films: Path, tmp_path: Path, how: dict[str, object], why: str
) -> None:
    result = infer(str(bundle.root), [str(films)], tmp_path / "out", **how)  # type: ignore[arg-type]
    assert result.segmented == 3
    assert result.ran.startswith("By the bundle itself") and why in result.ran


@pytest.mark.parametrize("gpu", [False, True])
def test_many_slices_are_done_by_the_bundle_where_that_has_a_gpu(
    bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setattr(choosing, "MOST_SLICES", 2)
    monkeypatch.setattr(choosing, "_has_gpu", lambda: gpu)
    result = infer(str(bundle.root), [str(films)], tmp_path / "out")
    assert ("more than 2 slices" in result.ran) == gpu


def test_the_masks_are_the_same_whatever_is_computed_beside_them(
    bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        infer(str(bundle.root), [str(films)], tmp_path / threads, probabilities=True)
    files = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.nii.gz")]
    assert len(files) >= 3
    for file in files:
        one, two, five = (nib.load(tmp_path / threads / file).get_fdata() for threads in ("1", "2", "5"))
        assert np.array_equal(one, two) and np.array_equal(one, five)


def test_a_network_that_bfloat16_harms_stays_in_float32(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compared(_bundle: Bundle, file: ProgramFile, *_: object) -> dict[str, object]:
        asked.append(file.bfloat16)
        dice = 0.99 if file.bfloat16 else 1.0
        return {"pictures": 1, "dice": dice, "dice_as_run": dice, "left_out": 0}

    monkeypatch.setattr("pipeline.tasks.export._compared", compared)
    monkeypatch.setattr("pipeline.networks.best_dtype", lambda device: torch.bfloat16)
    assert not export_program(str(bundle.root)).bfloat16
    assert asked == [True, False]
    found, _ = program_of(bundle)
    assert found is not None and not found.bfloat16


def test_a_picture_that_is_not_covered_goes_through_the_bundle_alone(
    bundle: Bundle, films: Path, tmp_path: Path
) -> None:
    values = np.asarray(Image.open(films / "film_0.png"), np.float32)
    values[:] = np.nan  # one finite value would stand for the rest
    Image.fromarray(values).save(films / "film_3.tif")
    result = infer(str(bundle.root), [str(films)], tmp_path / "out")
    assert result.segmented == 4
    assert result.ran == (
        "By the exported program (models/program.onnx); 1 by the bundle itself: values that are not finite."
    )


def test_a_program_is_not_used_for_other_weights_or_settings(bundle: Bundle) -> None:
    assert program_of(bundle)[0] is not None
    weights = torch.load(bundle.weights, weights_only=True)
    config = bundle.config("inference").read_text()
    bundle.config("inference").write_text(config.replace("lower: 0.5", "lower: 1.0"))
    found, why = program_of(bundle)
    assert found is None and "inference.yaml has changed" in why
    named = config.replace("lower: 0.5", 'lower: "$@darkest / 2"') + "darkest: 1.0\n"
    bundle.config("inference").write_text(named)
    at_one = settings_sha256(bundle)
    bundle.config("inference").write_text(named.replace("darkest: 1.0", "darkest: 2.0"))
    assert settings_sha256(bundle) != at_one, "what a setting refers to is one too"
    bundle.config("inference").write_text(config)
    torch.save({name: value * 2 for name, value in weights.items()}, bundle.weights)
    found, why = program_of(bundle)
    assert found is None and "other weights" in why


def test_a_program_whose_file_was_changed_is_not_used(bundle: Bundle) -> None:
    path = program_files(bundle)[0]
    path.write_bytes(path.read_bytes() + b"\0")
    found, why = program_of(bundle)
    assert found is None and "not the file that was checked" in why


def refine(bundle: Bundle, step: str) -> None:
    config = bundle.config("inference")
    config.write_text(config.read_text().replace("refinement: []", f"refinement: [{step}]"))


def test_a_bundle_that_refines_masks_in_another_way_is_not_exported(bundle: Bundle) -> None:
    refine(bundle, "{_target_: FillHolesd, keys: pred}")
    with pytest.raises(InvalidBundle, match="FillHolesd"):
        export_program(str(bundle.root))
    assert program_of(bundle)[0] is None


def test_an_ensemble_of_folds_that_keeps_the_largest_region_is_exported_whole(
    bundle: Bundle, films: Path, tmp_path: Path
) -> None:
    weights = torch.load(bundle.weights, weights_only=True)
    turned = {name: -value if name.endswith("bias") else value for name, value in weights.items()}
    torch.save(FoldEnsemble.joined([weights, turned]), bundle.weights)
    content = yaml.safe_load(bundle.config("inference").read_text())
    content["network_def"] = {
        "_target_": "pipeline.networks.FoldEnsemble", "members": 2, "network": content["network_def"],
    }  # fmt: skip
    step = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1], "num_components": 1}
    content["refinement"] = [step]
    bundle.config("inference").write_text(yaml.safe_dump(content))
    export_program(str(bundle.root))
    by_program = infer(str(bundle.root), [str(films)], tmp_path / "program")
    assert by_program.ran == "By the exported program (models/program.onnx)."
    program_files(bundle)[1].unlink()
    infer(str(bundle.root), [str(films)], tmp_path / "bundle")
    ours, theirs = masks_in(tmp_path / "program"), masks_in(tmp_path / "bundle")
    for name, mask in ours.items():
        assert 0 < mask.mean() < mask.max()
        assert len(regions_of(mask > 0)[1]) == 1
        assert np.mean(mask == theirs[name]) > 0.98


def test_weights_that_change_while_they_are_exported_are_noticed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared(*_: object) -> dict[str, object]:
        bundle.weights.write_bytes(bundle.weights.read_bytes() + b"\0")
        return {"pictures": 1, "dice": 1.0, "dice_as_run": 1.0, "left_out": 0}

    before = {path: path.read_bytes() for path in program_files(bundle)}
    monkeypatch.setattr("pipeline.tasks.export._compared", compared)
    with pytest.raises(InvalidBundle, match="changed while they were exported"):
        export_program(str(bundle.root))
    assert {path: path.read_bytes() for path in program_files(bundle)} == before


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "some name")

    monkeypatch.setattr("pipeline.tasks.export.tempfile.TemporaryFile", refused)
    monkeypatch.setattr("pipeline.tasks.export._written", lambda *_: pytest.fail("it went on"))
    with pytest.raises(PermissionError) as error:
        export_program(str(bundle.root))
    assert error.value.filename == str(bundle.root / "models")


def test_an_openvino_that_cannot_be_loaded_leaves_it_to_the_bundle(
    bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "openvino.py").write_text("raise ImportError('built for another NumPy')")
    monkeypatch.syspath_prepend(tmp_path / "broken")
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    result = infer(str(bundle.root), [str(films / "film_0.png")], tmp_path / "out")
    assert result.segmented == 1
    assert result.ran == "By the bundle itself: OpenVINO cannot be loaded here: built for another NumPy."


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "planar-program/3"}', '{"format": "planar-program/2"}'])
def test_a_description_that_is_damaged_or_of_before_leaves_it_to_the_bundle(bundle: Bundle, content: str) -> None:
    program_files(bundle)[1].write_text(content)
    found, why = program_of(bundle)
    assert found is None and why.endswith(f"planar export {bundle.typed} makes a new one")


def test_neither_torch_nor_monai_is_imported_nor_what_reports_over_the_network(
    bundle: Bundle, films: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from pipeline.tasks.infer import infer; "
        "infer(sys.argv[1], [sys.argv[2]], Path(sys.argv[3])); "
        "print([name for name in ('torch', 'monai', 'mlflow', 'pandas', 'openvino_telemetry') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(bundle.root), str(films / "film_0.png"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestRecord:
    """The MLflow run of an inference that is over before MLflow's store would be open."""

    @pytest.fixture(autouse=True)
    def _apart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.chdir(tmp_path)  # where mlruns.db goes
        monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "state"))
        yield
        for process in told._started:
            process.wait()
        told._started.clear()

    def test_it_is_written_by_a_process_of_its_own(self, bundle: Bundle, films: Path, tmp_path: Path) -> None:
        result = infer(str(bundle.root), [str(films)], tmp_path / "out", tracking=True)
        assert result.told_later and result.run_id is None
        (process,) = told._started
        assert process.wait(timeout=120) == 0
        assert told.left_over() == []
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}")
        experiment = client.get_experiment_by_name("cxr_lung_segmentation")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"
        assert run.data.tags["planar.model_sha256"] == file_sha256(bundle.weights)
        text = Path(client.download_artifacts(run.info.run_id, "tables/cases.csv")).read_text()
        images = [row["image_sha256"] for row in csv.DictReader(io.StringIO(text))]
        assert images == [pixel_digest(read_picture(films / f"film_{number}.png").array) for number in range(3)]
        assert "film_" not in text

    def test_one_that_could_not_be_written_is_kept_and_written_later(
        self, bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.tasks.infer.told.start_writing", lambda: None)
        infer(str(bundle.root), [str(films)], tmp_path / "out", tracking=True)
        (kept,) = told.left_over()
        written = kept.read_text()
        kept.write_text(written.replace(told.FORMAT, "planar-told/0"))
        assert write_told() == (0, [f"{kept}: {kept}: format 'planar-told/0', expected 'planar-told/1'"])
        kept.write_text(written)
        assert write_told() == (1, [])
        assert told.left_over() == []

    def test_one_that_was_stopped_ends_as_killed_with_what_was_done(
        self, bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.tasks.infer.told.start_writing", lambda: None)

        def interrupt(done: int, total: int, name: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            infer(str(bundle.root), [str(films)], tmp_path / "out", tracking=True, on_progress=interrupt)
        masks = len(list((tmp_path / "out").glob("*_mask.png")))
        assert write_told() == (1, [])
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}")
        experiment = client.get_experiment_by_name("cxr_lung_segmentation")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "KILLED"
        text = Path(client.download_artifacts(run.info.run_id, "tables/cases.csv")).read_text()
        assert len(text.splitlines()) == 1 + masks

    def test_it_is_written_at_once_where_no_folder_can_keep_it(
        self, bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "file"))
        result = infer(str(bundle.root), [str(films)], tmp_path / "out", tracking=True)
        assert not result.told_later
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}")
        experiment = client.get_experiment_by_name("cxr_lung_segmentation")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        assert (run.info.status, run.data.params["sources"]) == ("FINISHED", "3")

    def test_a_store_that_cannot_be_opened_is_told_before_anything_is_written(
        self, bundle: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "no.db").write_text("this is no database, and never was one")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'no.db'}")
        with pytest.raises(TrackingUnreachable, match="not a database"):
            infer(str(bundle.root), [str(films)], tmp_path / "out", tracking=True)
        assert not (tmp_path / "out").exists()

    def test_a_file_that_a_process_works_on_is_left_to_it(self, tmp_path: Path) -> None:
        path = told.keep({"rows": []})
        script = (
            "import sys; from pathlib import Path; from pipeline.tasks.infer.told import taken\n"
            "with taken(Path(sys.argv[1])) as free: print(free)"
        )
        command = [sys.executable, "-c", script, str(path)]
        with told.taken(path) as free:
            assert free
            other = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
        assert other.stdout.strip() == "False"
