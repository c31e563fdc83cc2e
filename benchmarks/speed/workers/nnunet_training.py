"""nnU-Net's own trainer, loader, augmentation and step, in its environment: python -m … SETTINGS."""

from benchmarks.speed.workers.turns import Channel, StepTurns, settings


def main():
    """Train until told to stop; leaves a checkpoint for the inference."""
    channel, given = Channel(), settings()

    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(given["cores"])  # as nnUNetv2_train does
    trainer = get_trainer_from_args(given["dataset"], "2d", 0, plans_identifier=given["plans"], device=device)
    trainer.on_train_start()
    trainer.save_checkpoint(str(given["checkpoint"]))
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()

    def facts():
        patch = [int(side) for side in trainer.configuration_manager.patch_size]
        count = sum(one.numel() for one in trainer.network.parameters())
        return {"patch": patch, "batch": int(trainer.batch_size), "parameters": count}

    turns = StepTurns(channel, given["warm"], given["settle"], facts)
    while True:
        batch = next(trainer.dataloader_train)
        trainer.train_step(batch)
        turns.step(len(batch["data"]))


if __name__ == "__main__":
    main()
