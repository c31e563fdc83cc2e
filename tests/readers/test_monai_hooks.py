"""Reader and writer where stock MONAI takes them."""

import numpy as np
import pytest
import torch
from monai.data import decollate_batch, list_data_collate
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImage,
    LoadImaged,
    Resized,
    SaveImaged,
)
from pydicom.uid import generate_uid
from reader_phantoms import CT_IMAGE, colours, dicom_of, ramp, save_dicom, write_dicom, write_itk, write_raster

from pipeline.errors import GeometryMismatch, InvalidOption, UnreadableImage, UnsupportedImage
from pipeline.readers import PlanarReader, SourceGridWriter, read_picture

# MONAI tries its readers for NVIDIA's codecs whenever LoadImage is made.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")

READER = "pipeline.readers.PlanarReader"
WRITER = "pipeline.readers.SourceGridWriter"


def rows(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


def write_series(folder):
    folder.mkdir()
    series = generate_uid()
    for number in range(3):
        ds = dicom_of(
            rows(ramp(21, 17, np.int16, number)),
            sop_class=CT_IMAGE,
            SeriesInstanceUID=series,
            ImageOrientationPatient=[-1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 2.5 * number],
            PixelSpacing=[0.5, 0.4],
        )
        save_dicom(ds, folder / f"{number}")
    return str(folder)


@pytest.fixture
def pictures(tmp_path):
    """Grey pictures of different sizes, one in each kind of container."""
    volume = np.random.default_rng(0).integers(0, 999, (15, 14, 4)).astype(np.int16)
    return [
        write_raster(tmp_path / "film.png", ramp(21, 17)),
        write_raster(tmp_path / "side.png", ramp(21, 17), exif=_sideways()),
        write_dicom(tmp_path / "film.dcm", rows(ramp(19, 23, np.uint16)), PhotometricInterpretation="MONOCHROME1"),
        write_itk(tmp_path / "volume.nii.gz", volume, spacing=(0.7, 0.9, 2.5), direction=np.diag([1, -1, -1]))
        + "#slice=2",
        write_series(tmp_path / "series") + "#slice=1",
    ]


def _sideways():
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    return exif


def test_the_reader_is_found_by_its_name_and_gives_float32(pictures):
    item = LoadImaged("image", reader=READER)({"image": pictures[0]})
    assert item["image"].dtype == torch.float32
    np.testing.assert_array_equal(item["image"].numpy(), ramp(21, 17))
    assert item["image"].meta["filename_or_obj"] == pictures[0]


def test_colours_become_channels(tmp_path):
    path = write_raster(tmp_path / "fundus.png", colours())
    image = LoadImage(reader=READER, ensure_channel_first=True)(path)
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(colours(), -1, 0))


def test_masks_of_one_case_are_stacked(tmp_path):
    left = write_raster(tmp_path / "left.png", ramp(seed=0))
    right = write_raster(tmp_path / "right.png", ramp(seed=1))
    image = LoadImage(reader=READER, labels=True, ensure_channel_first=True)([left, right])
    np.testing.assert_array_equal(image.numpy(), [ramp(seed=0), ramp(seed=1)])


def test_grey_masks_stored_as_rgb_can_be_stacked_and_coloured_ones_not(tmp_path):
    grey = write_raster(tmp_path / "grey.png", np.repeat(ramp()[..., np.newaxis], 3, axis=-1))
    coloured = write_raster(tmp_path / "coloured.png", colours())
    array, _ = PlanarReader(labels=True).get_data([grey, grey])
    np.testing.assert_array_equal(array, np.stack([ramp(), ramp()], axis=-1))
    with pytest.raises(UnsupportedImage, match=r"coloured\.png"):
        PlanarReader(labels=True).get_data([grey, coloured])


def test_masks_of_different_sizes_are_not_stacked(tmp_path):
    small, large = (write_raster(tmp_path / f"{width}.png", ramp(width)) for width in (7, 9))
    with pytest.raises(GeometryMismatch, match=r"9\.png: 9×5 does not match 7×5 of .*7\.png"):
        PlanarReader().get_data([small, large])


def test_an_error_of_ours_comes_through_and_no_other_reader_is_tried(tmp_path):
    path = tmp_path / "broken.png"
    path.write_text("no picture")
    with pytest.raises(UnreadableImage, match=r"broken\.png: not a PNG file"):
        LoadImage(reader=READER)(path)


@pytest.mark.parametrize("extension", [".png", ".nii.gz", ".mha"])
def test_a_mask_goes_through_resizing_collation_and_inversion_to_its_source_grid(pictures, tmp_path, extension):
    before = Compose(
        [LoadImaged("image", reader=READER), EnsureChannelFirstd("image"), Resized("image", (32, 32), mode="bilinear")]
    )
    batch = list_data_collate([before({"image": path}) for path in pictures])
    batch["pred"] = torch.cat([500 - batch["image"], batch["image"] - 500], dim=1)
    after = Compose(
        [
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", argmax=True),
            SaveImaged(
                "pred",
                writer=WRITER,
                output_dir=tmp_path / "out",
                output_postfix="mask",
                output_ext=extension,
                output_dtype=np.uint8,
                separate_folder=False,
                print_log=False,
                savepath_in_metadict=True,
            ),
        ]
    )
    for item, path in zip(decollate_batch(batch), pictures, strict=True):
        pred = after(item)["pred"]
        image, mask = read_picture(path), read_picture(pred.meta["saved_to"], labels=True)
        np.testing.assert_array_equal(mask.array, pred[0].numpy())
        assert mask.array.shape == image.array.shape
        if extension != ".png":
            np.testing.assert_allclose(mask.affine, image.affine, rtol=1e-6, atol=1e-5)
            assert mask.grid.stored_shape == image.grid.stored_shape


def test_float_output_is_written_as_probabilities(pictures, tmp_path):
    image = LoadImaged("image", reader=READER, ensure_channel_first=True)({"image": pictures[0]})
    image["image"] = torch.cat([image["image"]] * 2)
    SaveImaged("image", writer=WRITER, output_dir=tmp_path / "out", separate_folder=False, print_log=False)(image)
    import nibabel as nib

    assert nib.load(tmp_path / "out" / "film_trans.nii.gz").shape == (21, 17, 1, 2)


def test_several_channels_are_no_mask(pictures):
    writer = SourceGridWriter(output_dtype=np.uint8)
    writer.set_data_array(np.zeros((2, 21, 17)))
    writer.set_metadata(read_picture(pictures[0]).meta())
    with pytest.raises(InvalidOption, match="2 channels as a mask"):
        writer.write("never.png")


def test_metadata_without_a_source_grid_are_refused(tmp_path):
    writer = SourceGridWriter(output_dtype=np.uint8)
    writer.set_data_array(np.zeros((1, 7, 5)))
    writer.set_metadata({"affine": np.eye(4)})
    with pytest.raises(GeometryMismatch, match="PlanarReader"):
        writer.write(tmp_path / "never.png")


def test_scaling_is_refused_rather_than_ignored():
    with pytest.raises(InvalidOption, match="scale"):
        SourceGridWriter(scale=255)


def test_importing_the_readers_does_not_import_monai():
    import subprocess
    import sys

    heavy = {"monai", "torch", "pydicom", "nibabel", "SimpleITK"}
    code = f"import sys, pipeline.readers; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
