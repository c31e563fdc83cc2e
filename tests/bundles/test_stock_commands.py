"""MONAI's own commands take every bundle, as the model zoo asks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundle_samples import ROOT, Sample, config, stock

from pipeline.readers import read_picture

ROUNDED = 0.001  # of a mask's pixels


@pytest.mark.slow
def test_the_metadata_are_valid(bundle: Path, tmp_path: Path) -> None:
    schema = ROOT / "configs" / "schemas" / "bundle_metadata.json"
    metadata = bundle / "configs" / "metadata.json"
    done = stock("verify_metadata", "--meta_file", str(metadata), "--filepath", str(schema), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "verified with no error" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_network_takes_and_gives_the_shapes_of_the_metadata(bundle: Path, tmp_path: Path) -> None:
    files = [
        "--meta_file",
        str(bundle / "configs" / "metadata.json"),
        "--config_file",
        str(bundle / "configs" / "inference.yaml"),
    ]
    done = stock("verify_net_in_out", "--net_id", "network_def", *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["ckpt_export", "onnx_export"])
def test_the_weights_can_be_exported(bundle: Path, command: str, tmp_path: Path) -> None:
    extra = []
    if command == "onnx_export":
        pytest.importorskip("onnxscript", reason='needs pip install "planar[export]"')
        content = config(bundle, "inference")
        channels = content["network_def"]["in_channels"]
        extra = ["--input_shape", str([1, channels, *content["image_size"]])]
    target = tmp_path / "model.out"
    done = stock(
        command,
        "--net_id",
        "network_def",
        "--filepath",
        str(target),
        "--ckpt_file",
        str(bundle / "models" / "model.pt"),
        "--meta_file",
        str(bundle / "configs" / "metadata.json"),
        "--config_file",
        str(bundle / "configs" / "inference.yaml"),
        "--bundle_root",
        str(bundle),
        *extra,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert target.stat().st_size > (bundle / "models" / "model.pt").stat().st_size / 2


@pytest.mark.slow
def test_stock_inference_gives_the_masks_of_planar_infer(sample: Sample, datalist: Path, tmp_path: Path) -> None:
    from pipeline.tasks.infer import infer

    pictures = datalist.parent / "images"
    done = stock(
        "run",
        "--config_file",
        str(sample.root / "configs" / "inference.yaml"),
        "--bundle_root",
        str(sample.root),
        "--dataset_dir",
        str(pictures),
        "--output_dir",
        str(tmp_path / "stock"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    infer(str(sample.root), [str(pictures)], tmp_path / "ours")

    masks = {path.name: path for path in (tmp_path / "stock").glob("*_mask.*")}
    ours = {path.name: path for path in (tmp_path / "ours").glob("*_mask.*")}  # verdicts of the gate lie beside them
    assert set(ours) == set(masks)
    assert len(ours) == len(list(pictures.iterdir()))
    for name, path in masks.items():
        stock_mask, mask = (read_picture(str(one), labels=True).array for one in (path, ours[name]))
        # planar infer resizes in another order of sums: a pixel on an outline may come out on its other side.
        assert np.mean(stock_mask != mask) <= ROUNDED, name
