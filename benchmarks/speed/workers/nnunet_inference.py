"""nnU-Net's predictor on all files, over and over in one process, in its environment: python -m … SETTINGS."""

import shutil
from pathlib import Path

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
    out = Path(given["out"])
    for _ in turns.passes():
        shutil.rmtree(out, ignore_errors=True)
        predictor.predict_from_files(
            given["images"],
            given["out"],
            num_processes_preprocessing=given["processes"],
            num_processes_segmentation_export=given["processes"],
        )
        # Its own processes, which start anew in each pass, write them: when, their files say.
        written = sorted(path.stat().st_mtime for path in out.glob("*.png"))
        if len(written) != given["count"]:
            raise SystemExit(f"nnU-Net wrote {len(written)} masks of {given['count']}")
        turns.file(len(written) - 1)
        turns.took(written[-1] - written[0])


if __name__ == "__main__":
    main()
