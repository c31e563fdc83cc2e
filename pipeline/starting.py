"""What a training begins with: another training's weights, as far as they fit, and the seed of its draws."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pipeline.errors import InvalidBundle
from pipeline.tensor_files import read_state

__all__ = ["begin_with", "seed_of"]

MEMBER = "networks.0."  # of the ensembles of a cross-validation: the first of them


def begin_with(network: nn.Module, weights: str | Path) -> list[str]:
    """Load weights into a network, those whose name and shape fit; the others keep their random values.

    A network for other classes differs in its last layer alone, and learns that anew.

    Args:
        network: Changed in place.
        weights: A state dict, as `models/model.pt` of a bundle.
    Returns: Names of the network's tensors that nothing was loaded into.
    Raises: InvalidBundle: if the file is no state dict, or less than half of the network's numbers would be loaded.
    """
    state = read_state(weights)
    found = {str(k).removeprefix(MEMBER): value for k, value in state.items() if isinstance(value, torch.Tensor)}
    if not found:
        raise InvalidBundle(
            f"{weights}: no weights of a network: it holds {', '.join(map(str, state)) or 'nothing'}, and no tensors "
            "by their names. Give a bundle that was trained, or its models/model.pt."
        )
    shapes = {name: value.shape for name, value in found.items()}
    wanted = network.state_dict()
    fits = {name: found[name] for name, value in wanted.items() if shapes.get(name) == value.shape}
    loaded, total = (sum(value.numel() for value in some.values()) for some in (fits, wanted))
    if 2 * loaded < total:
        raise InvalidBundle(
            f"{weights}: weights of another network: {loaded} of {total} numbers fit this one's. "
            "Begin with a bundle of the same channels and strides, or plan again with its options."
        )
    network.load_state_dict(fits, strict=False)
    return [name for name in wanted if name not in fits]


def seed_of(seed: int, folder: str | Path, resume: bool) -> int:
    """The seed that a training draws from: its own, and another one for each time that it goes on.

    With its own seed again the epochs to come would be shuffled and augmented as the first ones were.

    Args:
        seed: Of the training.
        folder: Of its checkpoints and `history.csv`, which has a row for each epoch that it has behind it.
        resume: Whether it goes on.
    """
    history = Path(folder) / "history.csv"
    if not resume or not history.is_file():
        return seed
    return seed + max(0, len(history.read_text(encoding="utf-8").splitlines()) - 1)
