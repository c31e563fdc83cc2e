"""What MLflow is told of an inference: which weights, on which pixels, with which masks; never whose."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.datalist import pixel_digest
from pipeline.digests import file_sha256
from pipeline.tasks.infer.returned import Returned
from pipeline.tasks.infer.sources import Refusal, Source
from pipeline.tasks.workflow import tracking_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.gate import Verdict
    from pipeline.readers import Picture
    from pipeline.tracking import RunRecorder

__all__ = ["InferenceRecord", "recorded"]

COLUMNS = (
    "case",
    "image_sha256",
    "slices",
    "mask_sha256",
    "files_sha256",
    "decision",
    "predicted_dice",
    "refused",
)


class InferenceRecord:
    """Keeps a row for each source, and tells its run of them at the end; without a run it does nothing.

    Args:
        recorder: Of the run, or None.
    """

    def __init__(self, recorder: RunRecorder | None = None) -> None:
        self.recorder = recorder
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        source: Source,
        picture: Picture,
        mask: NDArray[Any],
        written: Sequence[Path],
        verdict: Verdict | None,
    ) -> None:
        """A source that got its masks: digests of its pixels, of the class indices, and of each file in order."""
        if self.recorder is None:
            return
        image = pixel_digest(picture.array)
        files = [file for path in written for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
        judged = {"decision": verdict.decision, "predicted_dice": verdict.predicted_dice} if verdict else {}
        self.rows.append(
            {
                "case": f"case-{image[:12]}",
                "image_sha256": image,
                "slices": len(source.slices),
                "mask_sha256": pixel_digest(mask),
                "files_sha256": " ".join(map(file_sha256, files)),
                **judged,
            }
        )

    def finish(self, refused: Sequence[Refusal], seconds: float, returned: Returned | None = None) -> None:
        """Log the table, the digests over all of it, and the figures; end the run."""
        if self.recorder is None:
            return
        from pipeline.tracking import DatasetFacts, case_leaf, merkle_root

        record, names = self.recorder.record, self.recorder.names
        rows = [*self.rows, *({"case": names.case(one.file), "refused": one.reason} for one in refused)]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        record.text(text.getvalue(), "tables/cases.csv")
        given = merkle_root(case_leaf(row["image_sha256"]) for row in self.rows)
        made = merkle_root(case_leaf(row["image_sha256"], row["mask_sha256"]) for row in self.rows)
        count = len(self.rows)
        roots = {"inference": {"root": given, "cases": count}, "results": {"root": made, "cases": count}}
        record.text(json.dumps(roots, indent=2) + "\n", "data/merkle.json")
        record.tags({"planar.inputs_merkle": given, "planar.results_merkle": made})
        if count:
            record.dataset(DatasetFacts("inputs", given, count), "inference")
        dice = [float(row["predicted_dice"]) for row in self.rows if row.get("predicted_dice") is not None]
        figures = {
            "sources": float(len(rows)),
            "slices": float(sum(row["slices"] for row in self.rows)),
            "refused": float(len(refused)),
            "to_review": float(sum(row.get("decision") == "review" for row in self.rows)),
            "seconds": seconds,
            **({"stored": float(returned.sources), "stored_earlier": float(returned.earlier)} if returned else {}),
            **({"predicted_dice": sum(dice) / len(dice)} if dice else {}),
        }
        self.recorder.log_metrics(figures, step=0)
        self.recorder.finish()


@contextmanager
def recorded(
    bundle: Bundle,
    weights: Sequence[Path],
    named: Sequence[str],
    out: Path,
    params: Mapping[str, Any],
    *,
    tracking: bool,
) -> Iterator[InferenceRecord]:
    """Within it an MLflow run is open; an error, Ctrl-C or SIGTERM ends it with the right status.

    Args:
        bundle: Whose inference.
        weights: That are used; the first one is looked up in MLflow.
        named: The files and folders that there are to segment: what the record must not say.
        out: Where the results go.
        params: Of the run.
        tracking: Whether there is to be a run.
    Raises: TrackingUnreachable: if the store cannot be opened.
    """
    if not tracking:
        yield InferenceRecord()
        return
    from pipeline.tracking import RunRecorder, status_after

    said = tracking_settings(bundle)
    recorder = RunRecorder(
        experiment=str(said.get("experiment_name") or bundle.name),
        run_name=said.get("run_name"),
        uri=said.get("tracking_uri"),
        params={**params, "checkpoints_sha256": " ".join(map(file_sha256, weights))},
        tags={"planar.kind": "inference"},
        config=bundle.config("inference"),
        names=_names(named),
        record_user=bool(said.get("record_user", True)),
        bundle=bundle.root,
        output=out,
        checkpoint=weights[0],
    )
    recorder.start()
    try:
        yield InferenceRecord(recorder)
    except BaseException as error:
        recorder.close(status_after(error), error)
        raise
    recorder.close("FAILED")  # unless it was finished


def _names(named: Sequence[str]) -> Any:
    """What texts call the sources: by their number, for their pixels are not known yet."""
    from pipeline.tracking import Pseudonyms

    names = Pseudonyms.of({"image": path, "case": f"input-{number}"} for number, path in enumerate(named, 1))
    # A folder that all sources have in common may well be the patient's.
    for folder in {Path(path).absolute().parent for path in named}:
        for part in folder.parts[-2:]:
            names.add_word(part, "a folder")
    return names
