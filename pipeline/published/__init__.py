"""What published projects used and MONAI has not, for the recipes in `configs/recipes`."""

from pipeline.published.classic_unet import ClassicUNet
from pipeline.published.losses import OnGreyLevels, OnSigmoids, Powered, Total
from pipeline.published.outputs import GreyLevels, NestedSigmoids, grey_value, nested_logits
from pipeline.published.scores import grey_levels
from pipeline.published.unaveraged import Unaveraged

__all__ = [
    "ClassicUNet",
    "GreyLevels",
    "NestedSigmoids",
    "OnGreyLevels",
    "OnSigmoids",
    "Powered",
    "Total",
    "Unaveraged",
    "grey_levels",
    "grey_value",
    "nested_logits",
]
