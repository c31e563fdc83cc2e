"""What a model card and a checklist are made of: a training, and the evaluations of its weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pipeline.datalist import sets_in
from pipeline.report.evaluation import EvaluationView
from pipeline.report.limits import Limit, limits_of
from pipeline.report.material import Material
from pipeline.split import PARTS
from pipeline.tracking.facts import Point, RunFacts
from pipeline.tracking.headline import SELECTING
from pipeline.tracking.recorded import config_artifact, datalist_artifact, merkle_roots, recorded_cases

__all__ = ["CardFacts", "PartFacts", "ScoredRun"]


@dataclass(frozen=True)
class PartFacts:
    """One part of the data.

    Attributes:
        name: "training", "validation" or "test".
        cases: Number of images.
        subjects: Whose they are; None if that is not known.
        merkle_root: Digest over all pixels; empty if it was not recorded.
    """

    name: str
    cases: int
    subjects: int | None
    merkle_root: str


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """An evaluation and what it came to.

    Attributes:
        run: Its record.
        view: Its tables.
    """

    run: RunFacts
    view: EvaluationView

    def figure(self, label: str, metric: str, level: str = "per_image", which: str = "mean") -> float | None:
        """A figure of the summary; None if it was not measured."""
        value = self.view.summary.get(label, {}).get(level, {}).get(metric, {}).get(which)
        return None if value is None else float(value)

    @property
    def rows(self) -> list[str]:
        """What the table of scores has a row of: the classes, and their mean if there are several."""
        return [*self.view.classes, *(["mean_of_classes"] if len(self.view.classes) > 1 else [])]


@dataclass(frozen=True, eq=False)
class CardFacts:
    """A training, or what is known of it, with the evaluations of its weights.

    Attributes:
        training: Its record; None if only evaluations are known.
        evaluations: The latest of each data set and part, test parts first.
        metadata: The bundle's `metadata.json`; empty if there is none.
        fingerprint: The bundle's own; None if there is none.
    """

    training: RunFacts | None
    evaluations: tuple[ScoredRun, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Mapping[str, Any] | None = None

    @property
    def main(self) -> RunFacts:
        """The run that the data and settings are taken from."""
        return self.training if self.training is not None else self.evaluations[0].run

    @property
    def model_sha256(self) -> str:
        """Digest of the weights; empty if it was not recorded."""
        return self.main.tags.get("planar.model_sha256", "")

    @cached_property
    def datalist(self) -> Mapping[str, Any]:
        """The recorded datalist."""
        path = datalist_artifact(self.main)
        return self.main.json(path) if path is not None else {}

    @property
    def data(self) -> str:
        """Name of the data set that it was trained on."""
        return str(self.datalist.get("name") or "unnamed data")

    @property
    def modality(self) -> str:
        """DICOM modality, or "unknown"."""
        said = self.datalist.get("modality")
        return str(next(iter(said.values()), "unknown")) if isinstance(said, Mapping) else "unknown"

    @property
    def classes(self) -> list[str]:
        """Names of the classes by index, background first."""
        labels = self.datalist.get("labels")
        if isinstance(labels, Mapping) and labels:
            return [str(name) for name in labels.values()]
        return ["background", *(self.evaluations[0].view.classes if self.evaluations else [])]

    @property
    def title(self) -> str:
        """What the model is called."""
        return str(self.metadata.get("name") or f"Segmentation of {', '.join(self.classes[1:])}")

    @cached_property
    def parts(self) -> list[PartFacts]:
        """The parts of the data that have cases."""
        cases = recorded_cases(self.main) or []
        roots = merkle_roots(self.main)
        found = []
        for part in PARTS:
            own = [case for case in cases if case.part == part]
            subjects = {case.subject for case in own}
            if own:
                root = next(iter(roots.get(part, {}).values()), "")
                found.append(PartFacts(part, len(own), None if "" in subjects else len(subjects), root))
        return found

    @cached_property
    def subjects_on_two_sides(self) -> int | None:
        """Subjects that are in more than one part; None if subjects are not known."""
        sides: dict[str, set[str]] = defaultdict(set)
        for case in recorded_cases(self.main) or ():
            sides[case.subject].add(case.part)
        if not sides or "" in sides:
            return None
        return sum(len(parts) > 1 for parts in sides.values())

    @property
    def split(self) -> Mapping[str, Any]:
        """How the data were divided: "seed", "fractions" …, as far as it was recorded."""
        said = self.datalist.get("split")
        return said if isinstance(said, Mapping) else {}

    @property
    def findings(self) -> tuple[Counter[str], Counter[str]]:
        """How many files the index refused, and warned of, for which reason."""
        both = (self.datalist.get(key) for key in ("refused", "warnings"))
        first, second = (Counter(said) if isinstance(said, Mapping) else _codes(said) for said in both)
        return first, second

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of the training."""
        return self.training.params if self.training is not None else {}

    @property
    def best(self) -> Point | None:
        """The validation that the weights are of."""
        return self.training.kept(SELECTING) if self.training is not None else None

    @property
    def epochs(self) -> int | None:
        """Epochs that were run."""
        steps = [point.step for point in self.training.metrics.get("train_loss", ())] if self.training else []
        return max(steps, default=None)

    @property
    def environment(self) -> Mapping[str, Any]:
        """What it was made with: "versions", "machine"."""
        content = self.main.json("environment.json")
        return content if isinstance(content, Mapping) else {}

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The executed config of the training."""
        path = config_artifact(self.main)
        content = self.main.json(path) if path is not None else None
        return content if isinstance(content, Mapping) else {}

    @property
    def date(self) -> str:
        """The day on which the training began, UTC."""
        return f"{datetime.fromtimestamp(self.main.started_ms / 1000, tz=UTC):%Y-%m-%d}"

    @property
    def duration(self) -> str:
        """How long the training took; empty if that is not known."""
        run = self.training
        if run is None or run.ended_ms is None:
            return ""
        seconds = (run.ended_ms - run.started_ms) / 1000
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"

    @property
    def limits(self) -> list[Limit]:
        """What the scores do not show, of all evaluations, each once."""
        found: dict[str, Limit] = {}
        for scored in self.evaluations:
            for limit in limits_of(Material(evaluation=scored.view, fingerprint=self.fingerprint)):
                # The tables alone cannot tell subjects that are known from files that count as one each, nor what the
                # other evaluations are of.
                known = {"subjects_unknown": self._subjects_known, "same_set": self.tested_elsewhere}
                if not known.get(limit.code, False):
                    found.setdefault(limit.text, limit)
        if self.began_with:
            text = (
                f"It began with the weights of {self.began_with[0]}: whether these had seen pictures of the test part "
                "is not in this record."
            )
            found.setdefault(text, Limit("start_weights", text, True))
        return sorted(found.values(), key=lambda limit: not limit.grave)

    @property
    def began_with(self) -> tuple[str, str] | None:
        """Name and SHA-256 of the weights that the training began with; None if it began at random."""
        tags = self.training.tags if self.training is not None else {}
        name = tags.get("planar.start_from")
        return (name, tags.get("planar.start_from_sha256", "")) if name else None

    @property
    def _subjects_known(self) -> bool:
        return any(part.subjects is not None and part.subjects < part.cases for part in self.parts)

    @property
    def tested_elsewhere(self) -> bool:
        """Whether it was scored on data other than those it was trained on."""
        return bool(self.elsewhere)

    @property
    def elsewhere(self) -> list[ScoredRun]:
        """The evaluations on sets of which none was trained on."""
        return [scored for scored in self.evaluations if not sets_in(scored.view.data) & sets_in(self.data)]


def _codes(findings: Any) -> Counter[str]:
    """Of a datalist with its findings in full."""
    listed: Sequence[Any] = findings if isinstance(findings, list) else []
    return Counter(str(one.get("code")) for one in listed if isinstance(one, Mapping))
