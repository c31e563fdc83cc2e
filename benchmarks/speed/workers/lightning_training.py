"""PyTorch Lightning, segmentation_models.pytorch and Albumentations, as their manuals put them together.

python -m … SETTINGS, in an environment with `lightning segmentation-models-pytorch albumentations`.
"""

from benchmarks.speed.workers.turns import Channel, StepTurns, prepare_torchvision, settings


def main():
    """Train until told to stop."""
    channel, given = Channel(), settings()

    import torch

    prepare_torchvision()
    import albumentations as A  # noqa: N812
    import lightning
    import numpy as np
    import segmentation_models_pytorch as smp
    from albumentations.pytorch import ToTensorV2
    from PIL import Image

    side = given["size"]
    augment = A.Compose(
        [
            A.Resize(side, side),
            A.HorizontalFlip(p=0.5),
            A.Affine(scale=(0.85, 1.15), rotate=(-15, 15), translate_percent=0.1, p=0.7),
            A.RandomGamma(p=0.3),
            A.GaussNoise(p=0.3),
            A.Normalize(mean=0.5, std=0.25),
            ToTensorV2(),
        ]
    )

    class Films(torch.utils.data.Dataset):
        def __init__(self, pairs):
            self.pairs = pairs

        def __len__(self):
            return len(self.pairs)

        def __getitem__(self, number):
            image, mask = (np.asarray(Image.open(path).convert("L")) for path in self.pairs[number])
            changed = augment(image=image[..., None], mask=(mask > 127).astype(np.int64))
            return changed["image"], changed["mask"].long()

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = smp.Unet("resnet18", encoder_weights=None, in_channels=1, classes=2)
            self.loss = smp.losses.DiceLoss("multiclass")
            self.turns = StepTurns(
                channel,
                given["warm"],
                given["settle"],
                lambda: {"parameters": sum(one.numel() for one in self.network.parameters())},
            )

        def training_step(self, batch, number):
            image, mask = batch
            return self.loss(self.network(image), mask)

        def on_train_batch_end(self, outputs, batch, number):
            self.turns.step(len(batch[0]))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), 1e-3)

    gpu = torch.cuda.is_available()
    workers = given["cores"] if given["cores"] > 2 else 0
    loader = torch.utils.data.DataLoader(
        Films(given["pairs"] * given["repeats"]),
        batch_size=given["batch"],
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=gpu,
    )
    trainer = lightning.Trainer(
        max_epochs=10_000,
        accelerator="gpu" if gpu else "cpu",
        devices=1,
        precision="bf16-mixed" if gpu else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(), loader)


if __name__ == "__main__":
    main()
