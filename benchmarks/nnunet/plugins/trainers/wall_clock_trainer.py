"""nnU-Net's own trainer, with an end by the clock. It runs in nnU-Net's environment and imports nothing of ours.

nnU-Net finds it through `nnUNet_extTrainer`, which names this folder. What differs from `nnUNetTrainer`:

- Training ends before the step that would pass the deadline, not after 1000 epochs of 250 steps.
- The learning rate follows nnU-Net's own polynomial, with the share of the time in place of the share of the epochs,
  step by step: the schedule ends with the budget whatever the speed.
- No validation in between and none at the end: neither changes `checkpoint_final.pth`, from which nnU-Net predicts, and
  their time goes to training.

Network, loss, optimiser, sampling, augmentation and batch are nnU-Net's and its plan's.
"""

import json
import os
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

DEADLINE = "WALL_CLOCK_DEADLINE"  # seconds since the epoch
REPORT = "wall_clock.json"


class WallClockTrainer(nnUNetTrainer):
    """Trains until the deadline."""

    def run_training(self):
        """As nnU-Net's, in one epoch of as many steps as there is time for."""
        deadline = float(os.environ[DEADLINE])
        self.on_train_start()
        self.network.train()
        began = time.time()
        schedule = self.lr_scheduler
        schedule.max_steps = max(deadline - began, 1e-3)
        losses, seconds = [], []
        while True:
            start = time.time()
            # The longest of the last steps: the first is slow, and one that is begun is finished.
            if seconds and start + max(seconds[-5:]) > deadline:
                break
            schedule.step(min(start - began, schedule.max_steps))
            losses.append(float(self.train_step(next(self.dataloader_train))["loss"]))
            seconds.append(time.time() - start)
            self.print_to_log_file(f"step {len(seconds)}: loss {losses[-1]:.4f}, {seconds[-1]:.2f} s")
        ended = time.time()
        self._best_ema = None
        self.current_epoch = 1
        self.on_train_end()
        report = {
            "steps": len(seconds),
            "batch_size": self.batch_size,
            "patch_size": [int(side) for side in self.configuration_manager.patch_size],
            "spacing": [float(size) for size in self.configuration_manager.spacing],
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "seconds_in_steps": ended - began,
            "seconds_a_step": sorted(seconds)[len(seconds) // 2],
            "ended": ended,
            "last_learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "losses": losses,
            "threads": torch.get_num_threads(),
        }
        Path(self.output_folder, REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    def perform_actual_validation(self, save_probabilities=False):
        """Left out: the test cases are predicted by `nnUNetv2_predict`, for every peer alike."""


class WallClockTrainerBF16(WallClockTrainer):
    """The same with the network's forward pass in bfloat16 on CPU, where nnU-Net itself computes in float32.

    nnU-Net autocasts on CUDA alone, because CPUs used to be slow at it; those with AVX512-BF16 or AMX are not.
    """

    def train_step(self, batch):
        """nnU-Net's step, with autocast on CPU."""
        if self.device.type != "cpu":
            return super().train_step(batch)
        data = batch["data"].to(self.device)
        target = batch["target"]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.network(data)
        output = [o.float() for o in output] if isinstance(output, (list, tuple)) else output.float()
        loss = self.loss(output, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().numpy()}
