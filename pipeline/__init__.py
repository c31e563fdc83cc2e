"""Planar: a folder of X-rays or CT slices and their masks becomes a trained MONAI bundle."""

__version__ = "0.1.0"

# Of the DICOM objects that are made here.
MANUFACTURER = "Planar"
