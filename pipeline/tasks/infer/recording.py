"""What MLflow is told of an inference: which weights, on which pixels, with which masks; never whose."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle
from pipeline.datalist import pixel_digest
from pipeline.digests import file_sha256
from pipeline.tasks.infer.sources import Refusal, Source
from pipeline.tasks.workflow import tracking_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.gate import Verdict
    from pipeline.readers import Picture
    from pipeline.tasks.infer.returned import Returned
    from pipeline.tracking import RunRecorder

__all__ = ["InferenceRecord", "open_recorder", "record_row", "recorded", "tell_recorder"]

Tell = Callable[
    [Sequence[Mapping[str, Any]], Sequence[Refusal], float, "Returned | None", "BaseException | None"], None
]

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
    """Keeps a row for each source, and tells a run of them at the end.

    Args:
        tell: What is told at the end: the rows, the refusals, the seconds, what went back to an archive, and what ended
            it early; None for no run.
        recorder: Of the run, where that is open already.
    """

    def __init__(self, tell: Tell | None = None, recorder: RunRecorder | None = None) -> None:
        self.recorder = recorder
        self.rows: list[dict[str, Any]] = []
        self.told_later = False
        self._tell = tell
        self._began = time.perf_counter()

    @property
    def wanted(self) -> bool:
        """Whether there is a run to be told."""
        return self._tell is not None

    def add(self, row: Mapping[str, Any]) -> None:
        """A source that got its masks, from `record_row`."""
        if self.wanted:
            self.rows.append(dict(row))

    def finish(self, refused: Sequence[Refusal], seconds: float, returned: Returned | None = None) -> None:
        """Tell the run, and end it."""
        if self._tell is not None:
            self._tell(self.rows, refused, seconds, returned, None)

    def stop(self, error: BaseException) -> None:
        """Tell the run as far as it came, and end it as failed or killed."""
        if self._tell is not None:
            self._tell(self.rows, (), time.perf_counter() - self._began, None, error)


def record_row(
    source: Source, picture: Picture, mask: NDArray[Any], masks: Sequence[Path], verdict: Verdict | None
) -> dict[str, Any]:
    """The row of a source: digests of its pixels, of the class indices, and of each file in order."""
    image = pixel_digest(picture.array)
    files = [file for path in masks for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    judged = {"decision": verdict.decision, "predicted_dice": verdict.predicted_dice} if verdict else {}
    return {
        "case": f"case-{image[:12]}",
        "image_sha256": image,
        "slices": len(source.slices),
        "mask_sha256": pixel_digest(mask),
        "files_sha256": " ".join(map(file_sha256, files)),
        **judged,
    }


def tell_recorder(
    recorder: RunRecorder,
    done: Sequence[Mapping[str, Any]],
    refused: Sequence[Refusal],
    seconds: float,
    returned: Returned | None = None,
    error: BaseException | None = None,
    *,
    status: str = "FINISHED",
) -> None:
    """Log the table of an inference, the digests over all of it, and the figures; end the run.

    Args:
        recorder: Of the run.
        done: The rows of sources that got their masks.
        refused: The other sources.
        seconds: How long it took.
        returned: What came of an archive's images.
        error: What ended it early.
        status: How the run ends where no error says so.
    """
    from pipeline.tracking import DatasetFacts, case_leaf, merkle_root, status_after

    record, names = recorder.record, recorder.names
    rows = [*done, *({"case": names.case(one.file), "refused": one.reason} for one in refused)]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    record.text(text.getvalue(), "tables/cases.csv")
    given = merkle_root(case_leaf(row["image_sha256"]) for row in done)
    made = merkle_root(case_leaf(row["image_sha256"], row["mask_sha256"]) for row in done)
    count = len(done)
    roots = {"inference": {"root": given, "cases": count}, "results": {"root": made, "cases": count}}
    record.text(json.dumps(roots, indent=2) + "\n", "data/merkle.json")
    record.tags({"planar.inputs_merkle": given, "planar.results_merkle": made})
    if count:
        record.dataset(DatasetFacts("inputs", given, count), "inference")
    dice = [float(row["predicted_dice"]) for row in rows if row.get("predicted_dice") is not None]
    figures = {
        "sources": float(len(rows)),
        "slices": float(sum(row["slices"] for row in done)),
        "refused": float(len(refused)),
        "to_review": float(sum(row.get("decision") == "review" for row in rows)),
        "seconds": seconds,
        **({"stored": float(returned.sources), "stored_earlier": float(returned.earlier)} if returned else {}),
        **({"predicted_dice": sum(dice) / len(dice)} if dice else {}),
    }
    recorder.log_metrics(figures, step=0)
    if error is not None:
        recorder.close(status_after(error), error)
    elif status != "FINISHED":
        recorder.close(status)
    else:
        recorder.finish()


@contextmanager
def recorded(
    bundle: Bundle,
    weights: Sequence[Path],
    named: Sequence[str],
    out: Path,
    params: Mapping[str, Any],
    *,
    tracking: bool,
    soon_over: bool = False,
) -> Iterator[InferenceRecord]:
    """Within it an MLflow run is open; an error, Ctrl-C or SIGTERM ends it with the right status.

    Args:
        bundle: Whose inference.
        weights: That are used; the first one is looked up in MLflow.
        named: The files and folders that there are to segment: what the record must not say.
        out: Where the results go.
        params: Of the run.
        tracking: Whether there is to be a run.
        soon_over: The inference takes less time than opening a store: where that is a SQLite file, the run is written
            afterwards, by a process of its own.
    Raises: TrackingUnreachable: if the store cannot be opened.
    """
    if not tracking:
        yield InferenceRecord()
        return
    if soon_over:
        from pipeline.tasks.infer.told import require_sqlite

        uri = require_sqlite(tracking_settings(bundle).get("tracking_uri"))
        if uri is not None:
            record = _told_later(bundle, weights, named, out, params, uri)
            try:
                yield record
            except BaseException as error:
                record.stop(error)
                raise
            return
    recorder = open_recorder(bundle, weights, named, out, params)
    record = InferenceRecord(partial(tell_recorder, recorder), recorder)
    try:
        yield record
    except BaseException as error:
        from pipeline.tracking import status_after

        with suppress(Exception):  # what ended the inference is what is to be said
            record.stop(error)
        recorder.close(status_after(error), error)
        raise
    recorder.close("FAILED")  # unless it was finished


def open_recorder(
    bundle: Bundle,
    weights: Sequence[Path],
    named: Sequence[str],
    out: Path,
    params: Mapping[str, Any],
    *,
    uri: str | None = None,
) -> RunRecorder:
    """The recorder of a run that has begun; arguments as of `recorded`.

    Raises: TrackingUnreachable: if the store cannot be opened.
    """
    from pipeline.tracking import RunRecorder

    said = tracking_settings(bundle)
    recorder = RunRecorder(
        experiment=str(said.get("experiment_name") or bundle.name),
        run_name=said.get("run_name"),
        uri=uri or said.get("tracking_uri"),
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
    return recorder


def _told_later(
    bundle: Bundle, weights: Sequence[Path], named: Sequence[str], out: Path, params: Mapping[str, Any], uri: str
) -> InferenceRecord:
    """A record that is put down as a file, from which another process writes the run."""

    def tell(
        rows: Sequence[Mapping[str, Any]],
        refused: Sequence[Refusal],
        seconds: float,
        returned: Returned | None,
        error: BaseException | None,
    ) -> None:
        from pipeline.tasks.infer.told import keep, start_writing

        status = "FINISHED"
        if error is not None:
            from pipeline.tracking.open_run import status_after

            status = status_after(error)
        content = {
            "uri": uri,
            "bundle": str(bundle.root),
            "name": bundle.name,
            "weights": [str(path.absolute()) for path in weights],
            "named": [str(Path(name).absolute()) for name in named],
            "out": str(out.absolute()),
            "params": dict(params),
            "rows": list(rows),
            "refused": [asdict(one) for one in refused],
            "seconds": seconds,
            "status": status,
        }
        try:
            keep(content)
        except OSError:  # without a folder for it the run is written here, which takes its time
            recorder = open_recorder(bundle, weights, named, out, params, uri=uri)
            tell_recorder(recorder, rows, refused, seconds, returned, error)
            return
        start_writing()
        record.told_later = True

    record = InferenceRecord(tell)
    return record


def _names(named: Sequence[str]) -> Any:
    """What texts call the sources: by their number, for their pixels are not known yet."""
    from pipeline.tracking import Pseudonyms

    names = Pseudonyms.of({"image": path, "case": f"input-{number}"} for number, path in enumerate(named, 1))
    # A folder that all sources have in common may well be the patient's.
    for folder in {Path(path).absolute().parent for path in named}:
        for part in folder.parts[-2:]:
            names.add_word(part, "a folder")
    return names
