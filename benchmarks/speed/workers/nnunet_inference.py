"""nnU-Net's predictor on all files, over and over in one process, in its environment: python -m … SETTINGS."""

import shutil
import time
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
    turns = FileTurns(channel, settle=2)  # of few files; its processes start anew each time
    out = Path(given["out"])
    for _ in turns.passes():
        shutil.rmtree(out, ignore_errors=True)
        predictor.predict_from_files(
            given["images"],
            given["out"],
            num_processes_preprocessing=given["processes"],
            num_processes_segmentation_export=given["processes"],
        )
        # Its own processes write them: when, their files say.
        since = time.perf_counter() - time.time()
        written = [path.stat().st_mtime + since for path in out.glob("*.png")]
        if len(written) != given["count"]:
            raise SystemExit(f"nnU-Net wrote {len(written)} masks of {given['count']}")
        for at in written:
            turns.file(at=at)


if __name__ == "__main__":
    main()
