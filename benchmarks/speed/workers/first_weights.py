"""Weights for the U-Net of the stock bundle: a minute's training, so that masks look like masks: python -m … SETTINGS.

A mask of noise takes longer to compress than one of lungs.
"""

from pathlib import Path

from benchmarks.speed.workers.turns import settings

SIDE = 128


def main():
    """Train for a few steps and write a state dict."""
    given = settings()

    import numpy as np
    import torch
    from monai.bundle import ConfigParser
    from monai.losses import DiceCELoss
    from PIL import Image

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = ConfigParser({"network_def": given["network"]}).get_parsed_content("network_def").to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    loss = DiceCELoss(softmax=True, to_onehot_y=True)

    def stacked(number):
        small = [Image.open(pair[number]).convert("L").resize((SIDE, SIDE)) for pair in given["pairs"]]
        return torch.from_numpy(np.stack([np.asarray(one, dtype=np.float32).T for one in small]))[:, None]

    images, masks = stacked(0).to(device), (stacked(1) > 127).float().to(device)
    images = (images - images.mean((2, 3), keepdim=True)) / images.std((2, 3), keepdim=True)
    for _ in range(given["steps"]):
        some = torch.randint(len(images), (min(8, len(images)),), device=device)
        optimizer.zero_grad()
        loss(network(images[some]), masks[some]).backward()
        optimizer.step()
    for path in map(Path, given["out"]):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({name: value.cpu() for name, value in network.state_dict().items()}, path)


if __name__ == "__main__":
    main()
