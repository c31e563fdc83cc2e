"""lungmask's U-Net (R231) on each file, in an environment with lungmask: python -m … SETTINGS.

lungmask is for CT; a film is given to it as one slice of −1000 to 600 HU. What it finds there is not looked at.
"""

from pathlib import Path

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    channel, given = Channel(), settings()

    import numpy as np
    from lungmask import LMInferer
    from PIL import Image

    inferer = LMInferer(force_cpu=not given["gpu"], tqdm_disable=True, batch_size=1)
    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    turns = FileTurns(channel)
    for _ in turns.passes():
        for name in given["images"]:
            with Image.open(name) as opened:
                film = np.asarray(opened.convert("L"), dtype=np.float32)
            mask = inferer.apply((film * (1600 / 255) - 1000)[None])[0]
            Image.fromarray((mask > 0).astype(np.uint8)).save(out / f"{Path(name).stem}.png")
            turns.file()


if __name__ == "__main__":
    main()
