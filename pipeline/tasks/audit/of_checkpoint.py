"""Whether the weights are those of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.digests import file_sha256
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tracking import RunFacts

__all__ = ["check_checkpoint", "load_weights", "recorded_weights", "weights_in_record"]

TAG = "planar.model_sha256"
BEST = "best"


def recorded_weights(run: RunFacts) -> tuple[str, ...]:
    """The artifacts that hold the run's best weights."""
    folders = ("checkpoints/", f"models/{BEST}/")
    return tuple(path for path in run.files if path.startswith(folders) and PurePosixPath(path).name == "model.pt")


def weights_in_record(material: AuditMaterial) -> tuple[RunFacts, tuple[str, ...]]:
    """The artifacts that hold the weights, and the run whose they are: an evaluation's are its training's."""
    own = recorded_weights(material.run)
    training = material.training if not own else None
    return (material.run, own) if training is None else (training, recorded_weights(training))


def check_checkpoint(material: AuditMaterial) -> Iterator[Check]:
    """The weights in the record and those that are here, by their digest; and whether they can be loaded."""
    run = material.run
    said = run.tags.get(TAG)
    if said is None:
        if run.kind == "cross-validation":
            yield skipped("checkpoint", "the runs of its folds have the weights: verify these", essential=False)
        else:
            yield skipped("checkpoint", "the run has recorded no digest of weights")
        return
    if training_id := run.tags.get("planar.training_run"):
        yield _training(material.training, training_id, said)
    yield _in_record(material, said)
    if material.checkpoint is not None:
        found = file_sha256(material.checkpoint)
        if found == said:
            yield passed("checkpoint here", f"{material.checkpoint.name} is the one of the run ({said[:12]})")
        else:
            words = f"it has {found[:12]}, recorded is {said[:12]}"
            yield failed("checkpoint here", words, [str(material.checkpoint)])
    elif not weights_in_record(material)[1]:
        yield skipped("checkpoint", "the weights are neither in the record nor here: name them with --checkpoint")


def _training(training: RunFacts | None, run_id: str, said: str) -> Check:
    if training is None:
        return skipped("training", f"the run {run_id[:8]} that made the weights is not there", essential=False)
    theirs = training.tags.get(TAG)
    if theirs != said:
        words = f"the run {run_id[:8]} has made the weights {str(theirs)[:12]}, not {said[:12]}"
        return failed("training", words, [f"tag planar.training_run: {run_id}"])
    return passed("training", f"the run {run_id[:8]} ({training.name}, {training.status}) has made these weights")


def _in_record(material: AuditMaterial, said: str) -> Check:
    holder, weights = weights_in_record(material)
    wrong = [path for path in weights if file_sha256(holder.fetch(path)) != said]
    models = [use for use in holder.models if use.made and use.name == BEST]
    wrong += [f"the logged model {use.model_id}" for use in models if use.tags.get("sha256", said) != said]
    if wrong:
        return failed("checkpoint", f"recorded is {said[:12]}, and that is not what the record holds", wrong)
    if not weights:
        given = "; those that were given come next" if material.checkpoint is not None else ""
        return skipped("checkpoint", f"the record holds no weights, only their digest{given}", essential=False)
    return passed("checkpoint", f"the weights in the record have the recorded digest ({said[:12]})")


def load_weights(path: Path) -> Check:
    """Whether a checkpoint is a state dict that PyTorch can read."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        count = sum(value.numel() for value in content.values())
    except Exception as error:  # whatever a damaged file makes torch raise
        return failed("loading", f"it is no checkpoint, or is damaged: {str(error).splitlines()[0][:120]}", [str(path)])
    return passed("loading", f"{path.name} loads: {count:,} values")
