"""MONAI transforms that MONAI does not have, each usable in a bundle's YAML by its dotted name."""

from pipeline.transforms.channels import AsChannelsd
from pipeline.transforms.classes import AsClassesd
from pipeline.transforms.collimation import RandCollimationd
from pipeline.transforms.colour_space import ToColourSpaced
from pipeline.transforms.devices import RandDevicesd
from pipeline.transforms.emptied import RandEmptiedd
from pipeline.transforms.exposure import RandExposureFieldd
from pipeline.transforms.hu_window import HUWindowd
from pipeline.transforms.local_contrast import RandLocalContrastd
from pipeline.transforms.masks import DecodeMaskd
from pipeline.transforms.on_disk import ComposeOnDisk, keep_slices
from pipeline.transforms.opacity import RandLungOpacityd
from pipeline.transforms.small_regions import RemoveSmallRegionsd
from pipeline.transforms.spacing import ToSpacingd
from pipeline.transforms.whole_picture import NormalizeAsPictured, PatchStatisticsd, PictureStatisticsd

__all__ = [
    "AsChannelsd",
    "AsClassesd",
    "ComposeOnDisk",
    "DecodeMaskd",
    "HUWindowd",
    "NormalizeAsPictured",
    "PatchStatisticsd",
    "PictureStatisticsd",
    "RandCollimationd",
    "RandDevicesd",
    "RandEmptiedd",
    "RandExposureFieldd",
    "RandLocalContrastd",
    "RandLungOpacityd",
    "RemoveSmallRegionsd",
    "ToColourSpaced",
    "ToSpacingd",
    "keep_slices",
]
