"""What is done to the masks of each class, decided one thing after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.tasks.find_best.candidates import Candidate, ReferenceRegions, fills_of, removals_of
from pipeline.tasks.find_best.observed import Observed
from pipeline.tasks.find_best.rule import Interval, Verdict, mean_interval, verdict
from pipeline.tasks.find_best.scoring import dice_of, refine, score_candidates, subject_means, transforms_of

__all__ = ["Decision", "Refinement", "decide_flips", "decide_refinement"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """One thing that was decided.

    Attributes:
        about: The class, or "flips".
        what: The best candidate, or what was looked at where none gains.
        verdict: What the rule says of it.
        looked_at: Each candidate with its mean gain.
        step: What is written into the bundle if it is kept.
    """

    about: str
    what: str
    verdict: Verdict
    looked_at: tuple[tuple[str, float], ...]
    step: Mapping[str, Any] | None = None

    def line(self) -> str:
        """In a line."""
        found = self.verdict
        subjects = f"{found.changed} subject{'s' * (found.changed != 1)} changed"
        if found.kept:
            return f"{self.what}: Dice {found.gain}, {subjects}; leave-fold-out {found.leave_fold_out}"
        return f"{self.what}: not kept, {found.why} (Dice {found.gain}, {subjects})"

    def record(self) -> dict[str, Any]:
        """For the record."""
        return {
            "about": self.about,
            "what": self.what,
            "kept": self.verdict.kept,
            **{key: value for key, value in asdict(self.verdict).items() if key not in ("best", "kept")},
            "candidates": [{"what": what, "mean_gain": gain} for what, gain in self.looked_at],
        }


@dataclass(frozen=True)
class Refinement:
    """What is done to finished masks.

    Attributes:
        steps: As a config has them, in order.
        decisions: On each class.
        before: Mean Dice over images by class, without them.
        after: The same with them.
        gain: Mean over classes, paired by subject.
    """

    steps: tuple[Mapping[str, Any], ...]
    decisions: tuple[Decision, ...]
    before: dict[str, float]
    after: dict[str, float]
    gain: Interval


def decide_flips(without: Array, with_flips: Array, cases: Sequence[Observed]) -> Decision:
    """Whether pictures are flipped at test time.

    Args:
        without: Dice of each class in each case, (cases, classes).
        with_flips: The same, averaged over flips.
        cases: In the same order.
    """
    gains, folds = subject_means(with_flips - without, cases)
    found = verdict(gains.mean(axis=1, keepdims=True), folds, gains[:, None, :])
    what = "average over test-time flips"
    return Decision("flips", what, found, ((what, found.gain.mean),))


def decide_refinement(
    cases: Sequence[Observed],
    labels: Mapping[int, str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Refinement:
    """For each class whether regions are removed, and then whether holes are filled.

    Args:
        cases: Out of fold.
        labels: Class index → name; 0 is background.
        on_progress: Told of cases done and in all.
    """
    foreground = [index for index in labels if index != 0]
    regions = {index: ReferenceRegions() for index in foreground}
    shown = np.zeros((len(cases), len(foreground)))
    for number, case in enumerate(cases):
        _, reference = case.masks()
        for column, index in enumerate(foreground):
            regions[index].add(reference == index)
            shown[number, column] = (reference == index).any()
    done, total = 0, len(cases) * len(foreground)

    def one_more() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    decisions: list[Decision] = []
    for column, index in enumerate(foreground):
        removals, fills = removals_of(index, regions[index]), fills_of(index)
        scores = score_candidates(cases, index, len(labels), removals, fills, one_more)
        removal = _decide(labels[index], removals, scores[:, 1:, 0], scores[:, 0, 0], column, cases, shown)
        decisions += [removal] if removal else []
        chosen = (
            1 + removal.verdict.best if removal and removal.verdict.kept and removal.verdict.best is not None else 0
        )
        fill = _decide(labels[index], fills, scores[:, chosen, 1:], scores[:, chosen, 0], column, cases, shown)
        decisions += [fill] if fill else []
    # What takes away comes before what fills: a region that is removed may leave a hole in another class.
    kept = [decision for decision in decisions if decision.verdict.kept and decision.step is not None]
    steps = [d.step for d in sorted(kept, key=lambda d: str(d.step).find("FillHolesd") >= 0) if d.step is not None]
    before, after = _together(cases, len(labels), steps)
    gains, _ = subject_means(after - before, cases)
    named = {labels[index]: column for column, index in enumerate(foreground)}
    return Refinement(
        steps=tuple(steps),
        decisions=tuple(decisions),
        before={name: float(before[:, column].mean()) for name, column in named.items()},
        after={name: float(after[:, column].mean()) for name, column in named.items()},
        gain=mean_interval(gains.mean(axis=1)),
    )


def _decide(
    name: str,
    candidates: Sequence[Candidate],
    changed: Array,
    unchanged: Array,
    column: int,
    cases: Sequence[Observed],
    shown: Array,
) -> Decision | None:
    """Apply the rule to the candidates for one class.

    Args:
        name: The class.
        candidates: For it.
        changed: Dice of each class in each case, (cases, candidates, classes).
        unchanged: The same without them, (cases, classes).
        column: Of the class.
        cases: In the same order.
        shown: 1 where a case's reference has a class, else 0, (cases, classes).
    """
    if not candidates:
        return None
    gains, folds = subject_means(changed - unchanged[:, None], cases)
    # What takes a class away everywhere is right wherever the class is not: that must not pay for where it is.
    where_shown, _ = subject_means((changed - unchanged[:, None])[..., column] * shown[:, None, column], cases)
    others = np.concatenate([np.delete(gains, column, axis=-1), where_shown[..., None]], axis=-1)
    found = verdict(gains[..., column], folds, others)
    chosen = candidates[found.best or 0]
    looked_at = tuple(
        (candidate.said, float(gain))
        for candidate, gain in zip(candidates, gains[..., column].mean(axis=0), strict=True)
    )
    what = chosen.said if found.best is not None or len(candidates) == 1 else "keep or remove regions"
    return Decision(name, what, found, looked_at, chosen.step if found.kept else None)


def _together(cases: Sequence[Observed], classes: int, steps: Sequence[Mapping[str, Any]]) -> tuple[Array, Array]:
    """Dice of each class in each case, before and after all steps."""
    transforms = transforms_of([dict(step) for step in steps])
    before, after = (np.empty((len(cases), classes - 1)) for _ in range(2))
    for number, case in enumerate(cases):
        prediction, reference = case.masks()
        before[number] = dice_of(prediction, reference, classes)
        after[number] = dice_of(refine(prediction, transforms), reference, classes) if transforms else before[number]
    return before, after
