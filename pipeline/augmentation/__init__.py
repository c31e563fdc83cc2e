"""Augmentation of whole batches, on the device that trains.

A bundle's random transforms stay what they are, MONAI's and ours; here they draw for each case and are applied to the
whole batch: one resampling instead of one a transform, a few large operations instead of many small ones, on CPU and
GPU alike. Equal parameters give MONAI's own result.

    batch       the augmentation as a whole, and as `prepare_batch` of a MONAI trainer
    kinds       which step stands for which transform
    steps       drawing for a case and applying to a batch
    drawing     what the transforms draw
    warps       flips, turns, zoom, affine, elastic as one grid
    intensity, blurring, films, fields    what is done to grey values
    subsets     the cases of a batch that something was drawn for
"""

from pipeline.augmentation.batch import AugmentedBatch, BatchAugmentation

__all__ = ["AugmentedBatch", "BatchAugmentation"]
