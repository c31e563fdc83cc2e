"""The random transforms of Planar's bundle on pictures in memory, by MONAI or by the batch: python -m … SETTINGS."""

from benchmarks.speed.workers.turns import Channel, StepTurns, settings


def main():
    """Augment until told to stop."""
    import pipeline.cli.main  # noqa: F401 - says how threads wait, as the command does

    channel, given = Channel(), settings()

    import torch
    import yaml
    from monai.bundle import ConfigParser
    from monai.data import DataLoader, Dataset
    from monai.transforms import Compose

    from pipeline.augmentation import BatchAugmentation

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with open(given["config"], encoding="utf-8") as file:  # noqa: PTH123
        config = yaml.safe_load(file)
    steps = [one for one in config["train"]["random_transforms"] if isinstance(one, dict)]
    parser = ConfigParser({"steps": [*steps, config["validate"]["normalise"]], "image_size": [given["size"]] * 2})
    transforms = parser.get_parsed_content("steps")
    side, count = given["size"], given["batch"]
    cases = []
    for _ in range(count):
        film = torch.nn.functional.interpolate(torch.rand(1, 1, 9, 9), size=(side, side), mode="bicubic")[0].clamp(0, 1)
        cases.append({"image": film, "label": (film > 0.6).float()})
    turns = StepTurns(channel, given["warm"], given["settle"], lambda: {"threads": torch.get_num_threads()})
    if given["by"] == "batch":
        augment = BatchAugmentation(transforms)
        batch = {key: torch.stack([case[key] for case in cases]).to(device) for key in ("image", "label")}
        while True:
            augment(batch)
            turns.step(count)
    loader = DataLoader(
        Dataset(cases * 4, Compose(transforms)),
        batch_size=count,
        num_workers=given["workers"],
        persistent_workers=given["workers"] > 0,
    )
    while True:
        for batch in loader:
            for value in batch.values():
                value.to(device)
            turns.step(count)


if __name__ == "__main__":
    main()
