"""lungmask's U-Net (R231) on each file, in an environment with lungmask: python -m … SETTINGS.

lungmask is for CT; a film is given to it as one slice of −1000 to 600 HU. What it finds there is not looked at.
Where its weights cannot be downloaded, its network takes as long with weights that find nothing, and it says so.
"""

from pathlib import Path

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    channel, given = Channel(), settings()

    import numpy as np
    from PIL import Image

    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    inferer, note = _inferer(given, out)
    turns = FileTurns(channel)
    for _ in turns.passes(lambda: note):
        for name in given["images"]:
            with Image.open(name) as opened:
                film = np.asarray(opened.convert("L"), dtype=np.float32)
            mask = inferer.apply((film * (1600 / 255) - 1000)[None])[0]
            Image.fromarray((mask > 0).astype(np.uint8)).save(out / f"{Path(name).stem}.png")
            turns.file()


def _inferer(given, out):
    """lungmask, and what is to be known of it."""
    from lungmask import LMInferer

    usual = {"force_cpu": not given["gpu"], "tqdm_disable": True, "batch_size": 1}
    try:
        return LMInferer(**usual), {}
    except OSError:
        return LMInferer(modelpath=str(_empty_weights(out)), **usual), {"note": "weights that find nothing"}


def _empty_weights(out):
    """A file of weights of lungmask's network that calls everything background."""
    import torch
    from lungmask.resunet import UNet

    state = UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False).state_dict()
    *_, weight, bias = state
    state[weight].zero_()
    state[bias].copy_(torch.tensor([1.0, 0.0, 0.0]))
    path = out.with_name(f"{out.name}_weights.pth")
    torch.save(state, path)
    return path


if __name__ == "__main__":
    main()
