"""Degradations: the same for the same seed, each of them a change, geometry undone."""

import numpy as np
import pytest
import torch

from pipeline.gate import DEGRADATIONS, degrade, draw_steps, restore
from pipeline.gate.degradation import Step

STRENGTHS = {
    "gamma": 2.0,
    "cover": 0.3,
    "rotation": 40.0,
    "shrinking": 0.6,
    "blur": 0.02,
    "noise": 0.2,
    "clipping": 0.5,
}


def picture(channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Two dark discs on a bright, uneven ground, (1, C, 96, 80), and their mask, (96, 80)."""
    x, y = torch.arange(96)[:, None] / 96, torch.arange(80)[None] / 80
    mask = (((x - 0.3) ** 2 + (y - 0.5) ** 2 < 0.03) | ((x - 0.7) ** 2 + (y - 0.4) ** 2 < 0.03)).long()
    ground = 0.7 + 0.2 * x + 0.1 * torch.sin(9 * y)
    image = torch.where(mask > 0, 0.2 * ground, ground)
    return torch.stack([image * (1 + k) for k in range(channels)])[None], mask


@pytest.mark.parametrize("kind", DEGRADATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_kind_changes_the_picture_and_leaves_the_original(kind: str, channels: int) -> None:
    image, mask = picture(channels)
    before = image.clone()
    out = degrade(image, mask, [Step(kind, STRENGTHS.get(kind, 1.0), 7)])
    assert torch.equal(image, before)
    assert out.shape == image.shape
    assert torch.isfinite(out).all()
    assert float((out - image).abs().mean()) > 0.01
    torch.testing.assert_close(out.mean(), image.mean(), atol=1e-3, rtol=1e-3)


def test_the_same_seed_makes_the_same_picture() -> None:
    image, mask = picture()
    made = [degrade(image, mask, draw_steps(np.random.default_rng([3, k]))) for k in (0, 0, 1)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_steps_are_one_to_three_of_different_kinds() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_steps(rng) for _ in range(300)]
    assert {len(steps) for steps in drawn} == {1, 2, 3}
    assert all(len({step.kind for step in steps}) == len(steps) for steps in drawn)
    assert {step.kind for steps in drawn for step in steps} == set(DEGRADATIONS)


@pytest.mark.parametrize(
    "steps",
    [
        [("rotation", 35.0)],
        [("shrinking", 0.6)],
        [("rotation", 90.0)],
        [("rotation", -20.0), ("shrinking", 0.7), ("gamma", 1.5)],
    ],
)
def test_the_answer_to_a_moved_picture_is_brought_back(steps: list[tuple[str, float]]) -> None:
    _, mask = picture()
    one_hot = torch.nn.functional.one_hot(mask, 2).permute(2, 0, 1)[None].float()
    made = [Step(kind, strength, 0) for kind, strength in steps]
    # A network that is always right: the mask, moved as the picture was.
    moved = degrade(one_hot[:, 1:], mask, [step for step in made if step.kind != "gamma"])
    right = ((moved - moved.min()) / (moved.max() - moved.min())).clamp(0, 1)
    back = restore(torch.cat([1 - right, right], dim=1), made)
    torch.testing.assert_close(back.sum(dim=1), torch.ones(1, 96, 80))
    found = back[0, 1] > 0.5
    assert 2 * int((found & (mask > 0)).sum()) / int(found.sum() + (mask > 0).sum()) > 0.93


def test_what_is_not_moved_is_not_brought_back() -> None:
    answer = torch.rand(1, 2, 20, 20)
    assert restore(answer, [Step("noise", 0.2, 0), Step("cover", 0.3, 1)]) is answer


def test_a_picture_without_any_object_gets_no_opacity() -> None:
    image, mask = picture()
    torch.testing.assert_close(degrade(image, torch.zeros_like(mask), [Step("opacity", 1.0, 0)]), image)
