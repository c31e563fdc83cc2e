"""A network by itself on one synthetic batch that is on the device: no data, no metrics, no handlers.

What a training loop can reach at best: python -m … SETTINGS.
"""

from benchmarks.speed.workers.turns import Channel, StepTurns, settings


def main():
    """Train until told to stop."""
    channel, given = Channel(), settings()

    import torch
    from monai.bundle import ConfigParser
    from monai.losses import DiceCELoss

    from pipeline.networks import with_autocast

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parser = ConfigParser({"network_def": given["network"]})
    network = parser.get_parsed_content("network_def").to(device).train()
    layout = torch.channels_last if given.get("channels_last") else torch.contiguous_format
    network = network.to(memory_format=layout)
    network = with_autocast(network, device, enabled=given["precision"] == "bf16")
    if given.get("compile"):
        network = torch.compile(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=given.get("fused", True))
    loss = DiceCELoss(softmax=True, to_onehot_y=True)
    side = given["size"]
    image = torch.randn(given["batch"], given["network"]["in_channels"], side, side, device=device)
    image = image.to(memory_format=layout)
    label = (image[:, :1] > 0).float()
    turns = StepTurns(channel, given["warm"], given["settle"], lambda: {"threads": torch.get_num_threads()})
    while True:
        optimizer.zero_grad(set_to_none=True)
        loss(network(image), label).backward()
        optimizer.step()
        turns.step(given["batch"])


if __name__ == "__main__":
    main()
