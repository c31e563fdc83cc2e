"""Nothing that names a patient is in the record, whatever hospitals put into DICOM files and their names."""

from __future__ import annotations

import csv
import json
import re
import shutil
import unicodedata
from pathlib import Path

import pydicom
import pytest

from pipeline.errors import PlanarError
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.folds import train_folds
from pipeline.tasks.index import IndexOptions, LabelOptions, index_set
from pipeline.tasks.infer import infer
from pipeline.tasks.phantom import make_phantoms
from pipeline.tasks.train import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SMALL = (
    "max_epochs=2",
    "val_interval=1",
    "image_size=[64, 64]",
    "num_workers=0",
    "batch_size=4",
    "network_def#channels=[4, 8]",
    "network_def#strides=[2]",
)
# Parts of what each patient is called; none of them may be found anywhere. The letters are such as no hexadecimal
# digest holds, and a date stands by itself, so that none is found by chance in the digests and figures of a record.
FAMILIES = ("Vogelsang", "Abendroth", "Müllerová", "Katzbichler")
BORN, NUMBER, ACCESSION = "19310{}17", "PIDKW77{}0031", "ACN904{}77"
SECRETS = [name.lower() for name in FAMILIES] + ["hildegard", "pidkw77", "acn904"]
BIRTHDAY = re.compile(rb"(?<![0-9])1931-?0[1-9]-?17(?![0-9])")


def naming(number: int) -> dict[str, str]:
    """Who the patient of that number is."""
    digit = f"{number:02d}"
    return {
        "PatientName": f"{FAMILIES[number % len(FAMILIES)]}^Hildegard",
        "PatientID": NUMBER.format(digit),
        "PatientBirthDate": BORN.format(number % 9 + 1),
        "AccessionNumber": ACCESSION.format(digit),
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DICOM films and their masks, whose headers, names and folders tell whose they are."""
    folder = tmp_path_factory.mktemp("clinic")
    make_phantoms(folder / "plain", number=16, size=64, workers=1, format="dicom")
    rows = csv.DictReader((folder / "plain" / "index.csv").read_text().splitlines())
    for number, row in enumerate(rows):
        who = naming(number)
        data = pydicom.dcmread(folder / "plain" / row["dicom_path"])
        data.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in who.items():
            setattr(data, keyword, value)
        name = "_".join((who["PatientName"].replace("^", "_"), who["PatientID"], who["PatientBirthDate"]))
        for kind, suffix in (("films", ".dcm"), ("masks", ".png")):
            place = folder / kind / who["PatientName"] / f"{name}_{who['AccessionNumber']}{suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "films":
                data.save_as(place)
            else:
                shutil.copyfile(folder / "plain" / row["mask_path"], place)
    shutil.rmtree(folder / "plain")
    return folder


def searched(folder: Path) -> int:
    """Search every file, and every name of one, for what names a patient; the number of files."""
    count = 0
    for path in folder.rglob("*"):
        where = str(path.relative_to(folder)).lower()
        content = path.read_bytes().lower() if path.is_file() else b""
        count += path.is_file()
        for part in (where.encode(), content):
            assert not (found := BIRTHDAY.search(part)), f"{where}: {found}"
        for secret in SECRETS:
            assert secret not in where, f"{where} is called by {secret}"
            for form in ("NFC", "NFD"):
                for written in (secret, json.dumps(secret)[1:-1]):
                    there = unicodedata.normalize(form, written).encode()
                    found = content.find(there)
                    assert found < 0, f"{where}: {content[max(0, found - 80) : found + 60]!r}"
    return count


class Trap:
    """Ends a training with an error that names a film, as readers' errors do."""

    def __init__(self, film: Path) -> None:
        self.film = film

    def attach(self, engine: object) -> None:
        from ignite.engine import Events

        engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), self.spring)  # type: ignore[attr-defined]

    def spring(self, engine: object) -> None:
        raise PlanarError(f"{self.film}: damaged. See {self.film.parent} and {self.film.name}, {self.film.stem}.")


def test_nothing_that_names_a_patient_is_in_the_database_or_an_artifact(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, state = tmp_path / "store", tmp_path / "state"
    store.mkdir()
    monkeypatch.chdir(store)  # artifacts go there as well
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlruns.db'}")
    monkeypatch.setenv("PLANAR_STATE", str(state))
    datalist = films / "datalist.json"
    options = IndexOptions(labels=LabelOptions(class_names=("lung",)), workers=1, name="films")
    index_set(films / "films", [films / "masks"], datalist, options)
    first = next((films / "films").rglob("*.dcm"))

    result = train("cxr_lung_segmentation", datalist, tmp_path / "b", SMALL, register_as="lungs", champion=True)
    with pytest.raises(RuntimeError):  # MONAI wraps it
        train("cxr_lung_segmentation", datalist, tmp_path / "trapped", SMALL, handlers=[Trap(first)])
    evaluate(str(result.bundle.root), datalist, "test", tmp_path / "eval")
    train_folds("cxr_lung_segmentation", datalist, tmp_path / "cv", (*SMALL[1:], "max_epochs=1"), folds=2)

    (first.parent / "Vogelsang_Hildegard_cut.dcm").write_bytes(first.read_bytes()[:2000])
    for inputs in ([str(films / "films")], [str(first)], [str(first.parent)]):
        infer(str(result.bundle.root), inputs, tmp_path / "masks", overwrite=True, tracking=True)
    monkeypatch.chdir(first.parent)
    infer(str(result.bundle.root), [first.name], tmp_path / "masks", overwrite=True, tracking=True)

    assert searched(store) > 100
    # Where the data lie is known on this machine, and nowhere else.
    assert list((state / "runs").iterdir())
    assert not list((state / "records").iterdir())
