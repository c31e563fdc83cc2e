"""nnU-Net's predictor on all files, over and over in one process, in its environment: python -m … SETTINGS."""

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    channel, given = Channel(), settings()

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    predictor = nnUNetPredictor(use_mirroring=given["flips"], device=device, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(given["model"], (0,), "checkpoint_final.pth")
    turns = FileTurns(channel)
    for _ in turns.passes():
        predictor.predict_from_files(
            given["images"],
            given["out"],
            num_processes_preprocessing=given["processes"],
            num_processes_segmentation_export=given["processes"],
        )
        turns.file(given["count"])


if __name__ == "__main__":
    main()
