"""Whether the numbers of the logged models, which MLflow's Models page shows, are those of the runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tracking import RunFacts
from pipeline.tracking.facts import ModelUse

__all__ = ["check_models"]

ABOUT = "models"


def check_models(material: AuditMaterial) -> Iterator[Check]:
    """Each number of a model that the run has made or applies, against the run that has measured it.

    A training has validated the weights at the model's epoch; evaluations have scored them since, of which the record
    may not hold all.
    """
    wrong, elsewhere, untold, compared = [], set(), [], 0
    for use in material.run.models:
        for name, value in use.metrics.items():
            place = f"{name} of the model {use.name} ({use.model_id})"
            known = [(run, points) for run in _runs(material, use) if (points := _points(run, use, name))]
            said = [(run, points) for run, points in known if run.run_id == use.runs.get(name)]
            if any(_same(value, point) for _, points in said or known for point in points):
                compared += 1
            elif said or (known and name.startswith("val_")):
                wrong.append(f"{place} is {value:.6f}, the run has {(said or known)[0][1][0]:.6f}")
            elif name in use.runs:
                elsewhere.add(name)
            else:  # an older record does not say which run has measured it
                untold.append(place)
    if wrong:
        yield failed(ABOUT, f"{len(wrong)} numbers of logged models are not those of the runs", wrong)
    elif untold:
        words = f"{len(untold)} numbers of logged models are of no run that is here: {', '.join(untold[:3])}"
        yield skipped(ABOUT, words + (" …" if len(untold) > 3 else ""), essential=False)
    elif compared:
        more = f"; not compared, of a run that is not here: {', '.join(sorted(elsewhere))}" if elsewhere else ""
        yield passed(ABOUT, f"{compared} numbers of logged models are those of the runs{more}")


def _runs(material: AuditMaterial, use: ModelUse) -> Sequence[RunFacts]:
    """Those that may have measured a model, each once."""
    training = material.training
    digest = use.tags.get("sha256") or material.run.tags.get("planar.model_sha256")
    found = [material.run, *([training] if training is not None else []), *(material.scored(digest) if digest else ())]
    return list({run.run_id: run for run in found}.values())


def _points(run: RunFacts, use: ModelUse, name: str) -> list[float]:
    """What a run has measured of a model: a training at the model's epoch."""
    made = next((one for one in run.models if one.model_id == use.model_id and one.made), None)
    points = run.metrics.get(name, ())
    return [point.value for point in points if made is None or point.step == made.step]


def _same(of_model: float, of_run: float) -> bool:
    if math.isnan(of_run):  # MLflow keeps 0 for it with a model; newer records give it none
        return math.isnan(of_model) or of_model == 0
    return math.isclose(of_model, of_run, rel_tol=1e-9, abs_tol=1e-12)
