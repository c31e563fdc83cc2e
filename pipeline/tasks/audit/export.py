"""Pack the record of a run, so that it can be checked elsewhere and without MLflow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption, OutputExists
from pipeline.report.card_facts import CardFacts
from pipeline.tasks.audit.check import Outcome
from pipeline.tasks.audit.contents import PackContents, contents_of, names_files, require_no_names
from pipeline.tasks.audit.documents import README, REPORT, documents_of, readme_of, report_of, wording
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_record import check_record
from pipeline.tasks.audit.opening import Opened, open_run
from pipeline.tasks.audit.pack import WEIGHTS, is_pack, write_pack
from pipeline.tasks.audit.signing import signature_of
from pipeline.tasks.card.gather import gather
from pipeline.tracking import RunFacts

__all__ = ["PackResult", "export_run"]

Progress = Callable[[int], Callable[[], None]]
SCORED = ("training", "evaluation")


@dataclass(frozen=True)
class PackResult:
    """A pack that was written.

    Attributes:
        pack: The zip file.
        size_bytes: Its size.
        files: Number of files that its list has.
        runs: Kind and id of each run in it, the one that it is about first.
        public_key: Of the signature, hexadecimal; empty if it is not signed.
        notes: What the user should know.
    """

    pack: Path
    size_bytes: int
    files: int
    runs: tuple[tuple[str, str], ...]
    public_key: str
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        return {**vars(self), "pack": str(self.pack), "runs": [run_id for _, run_id in self.runs]}


def export_run(
    run: str,
    out: Path | None = None,
    *,
    store: str | None = None,
    key: Path | None = None,
    weights: bool = True,
    pictures: bool = True,
    overwrite: bool = False,
    progress: Progress = lambda total: lambda: None,
) -> PackResult:
    """Write the pack of a run: its record and that of the runs that belong to it, and documents for people.

    With an evaluation goes the training that made its weights, with a training the latest evaluation of each data set
    and part and the trainings that it went on from, with a cross-validation its folds. The same record gives the same
    bytes.

    Args:
        run: A run's id, the beginning of one, or its name.
        out: The zip file; "<first eight digits of the id>.zip" by default.
        store: Tracking URI; see `tracking_uri`.
        key: Private ed25519 key to sign it with.
        weights: Whether the weights go in; without them they are known by their digest alone.
        pictures: Whether pictures of cases go in, and the report, which has such: a pack for everybody has none.
        overwrite: Replace a file that is there.
        progress: Told the number of artifacts to fetch; what it returns is called after each.

    Raises:
        TrackingUnreachable: if the store is not there or does not answer.
        InvalidOption: if there is no such run, or several, or it cannot be packed, or the key cannot be used.
        MissingFile: if the key is not there.
        OutputExists: if the file is there.
    """
    if is_pack(run):
        raise InvalidOption(f"{run}: is a pack already; expected a run of an MLflow store. planar runs lists them.")
    if out is not None:
        _require_free(out, overwrite)
    public_key = str(json.loads(signature_of(b"", key))["public_key"]) if key is not None else ""
    with tempfile.TemporaryDirectory(prefix="planar-audit-") as name:
        folder = Path(name)
        found = open_run(run, folder, store=store)
        main = found.run
        out = out or Path(f"{main.run_id[:8]}.zip")
        _require_free(out, overwrite)
        require_no_names(main)
        facts, notes = _facts(_without_names(found), folder / "tables")
        runs = _belonging(found, facts)
        on_file = progress(sum(len(one.files) for one in runs))
        contents = contents_of(runs, weights=weights, pictures=pictures, on_file=on_file)
        notes += [*_state(AuditMaterial.of(main, folder)), *_add_weights(contents, main, folder, weights)]
        notes += _add_documents(contents, facts, main, pictures)
        about = {
            "planar": __version__,
            "wording": wording(),
            "left_out": {run_id: sorted(paths) for run_id, paths in sorted(contents.left_out.items())},
        }
        write_pack(out, main.run_id, contents.files, about, key)
    if contents.unknown:
        shown = ", ".join(contents.unknown[:3]) + (", …" if len(contents.unknown) > 3 else "")
        notes.append(f"Not in the pack: {len(contents.unknown)} files that others have added to the runs ({shown}).")
    kinds = tuple((one.kind or "run", one.run_id) for one in runs)
    return PackResult(out, out.stat().st_size, len(contents.files), kinds, public_key, tuple(notes))


def _require_free(out: Path, overwrite: bool) -> None:
    if not is_pack(out.name):
        raise InvalidOption(f"{out}: a pack is a zip file. Give a name that ends in .zip with -o.")
    if out.is_dir():
        raise OutputExists(f"{out} is a folder; expected the name of a zip file. Give one with -o.")
    if out.exists() and not overwrite:
        raise OutputExists(f"{out} exists. Give --overwrite to replace it, or another name with -o.")


def _without_names(found: Opened) -> Opened:
    """Without evaluations that were recorded with names of files."""
    scored = found.scored
    return replace(found, scored=lambda sha256: [one for one in scored(sha256) if not names_files(one)])


def _facts(found: Opened, folder: Path) -> tuple[CardFacts | None, list[str]]:
    """What the documents are made of; None, and why, where there can be none."""
    if found.run.kind not in SCORED:
        what = f"a run of the kind '{found.run.kind or 'unknown'}' has no scores"
        return None, [f"No model card, checklist and report: {what}."]
    try:
        return gather(found, folder), []
    except InvalidOption as error:
        return None, [f"No model card, checklist and report: {error}"]


def _belonging(found: Opened, facts: CardFacts | None) -> list[RunFacts]:
    """The run and those that it cannot be understood without, each once.

    The folds of a cross-validation, the training that made the weights, the trainings which that one went on from, and
    the evaluations that the card speaks of.
    """
    main = found.run
    made_by = main.tags.get("planar.training_run")
    training = facts.training if facts is not None else found.related(made_by) if made_by else None
    runs = [main, *found.children(main.run_id), *_with_resumed(found, training)]
    runs += [scored.run for scored in facts.evaluations] if facts is not None else []
    runs = [main, *(one for one in runs if not names_files(one))]
    return list({one.run_id: one for one in runs}.values())


def _with_resumed(found: Opened, training: RunFacts | None) -> list[RunFacts]:
    """A training, the one that it has resumed, and so on back to the first."""
    chain: list[RunFacts] = []
    while training is not None and training not in chain:
        chain.append(training)
        resumed = training.tags.get("planar.resumes")
        training = found.related(resumed) if resumed else None
    return chain


def _state(material: AuditMaterial) -> list[str]:
    """What a check of the pack is going to say of the record itself."""
    checks = check_record(material)
    return [f"{check.about}: {check.words}." for check in checks if check.outcome is not Outcome.PASS]


def _add_weights(contents: PackContents, main: RunFacts, folder: Path, wanted: bool) -> list[str]:
    """The weights that lie here, if the record has only their digest."""
    said = main.tags.get("planar.model_sha256")
    if contents.holds_weights or said is None:
        return []
    if not wanted:
        return ["The weights are not in the pack: whoever checks it names them with --checkpoint."]
    here = AuditMaterial.of(main, folder).checkpoint
    if here is None or file_sha256(here) != said:
        return ["The weights are neither in the record nor where the run had them: they are not in the pack."]
    contents.files[WEIGHTS] = here
    contents.holds_weights = True
    return []


def _add_documents(contents: PackContents, facts: CardFacts | None, main: RunFacts, pictures: bool) -> list[str]:
    """What people read; what is missing of it."""
    notes = []
    documents: dict[str, Path | bytes] = {}
    if facts is not None:
        documents |= {name: text.encode("utf-8") for name, text in documents_of(facts).items()}
        report = report_of(facts) if pictures else None
        if report is not None:
            documents[REPORT] = report
        elif not pictures:
            notes.append("No report and no pictures of cases, as it was asked for.")
        elif facts.evaluations:
            notes.append("No report: the evaluation has recorded none.")
        else:
            notes.append("No report: the weights were not evaluated yet, and the model card says so.")
    what = f"the {main.kind or 'run'} {main.run_id}"
    documents[README] = readme_of(what, __version__, [*documents], pictures=pictures).encode("utf-8")
    contents.files.update(documents)
    return notes
