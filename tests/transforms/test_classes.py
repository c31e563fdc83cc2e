"""The quick arg-max against MONAI's."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscreted

from pipeline.transforms import AsClassesd


@pytest.mark.parametrize("classes", [1, 2, 3, 6])
def test_it_is_the_transform_of_monai(classes: int) -> None:
    scores = torch.rand(classes, 9, 7, generator=torch.Generator().manual_seed(classes))
    scores[:, 0] = 0.5  # equal scores: the first class
    label = torch.randint(classes, (1, 9, 7)).float()
    for options in ({"argmax": True}, {"argmax": [True, False], "to_onehot": classes}):
        keys = ["pred", "label"] if "to_onehot" in options else "pred"
        ours, theirs = (kind(keys, **options)({"pred": scores, "label": label}) for kind in (AsClassesd, AsDiscreted))
        for key in ("pred", "label"):
            assert torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(theirs[key]))
            assert ours[key].dtype == theirs[key].dtype


def test_metadata_stay() -> None:
    scores = MetaTensor(torch.rand(2, 4, 4), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0])), meta={"name": "a"})
    found = AsClassesd("pred", argmax=True)({"pred": scores})["pred"]
    assert found.meta["name"] == "a"
    assert torch.equal(found.affine, scores.affine)
    assert found.shape == (1, 4, 4)
