"""A pack holds all that is needed to check a run without MLflow, names nobody, and tells what was changed in it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from audited_runs import Story
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from pipeline.cli import main
from pipeline.errors import InvalidOption, InvalidPack, MissingFile, OutputExists
from pipeline.tasks.audit import Outcome, Verdict
from pipeline.tasks.audit.diff import diff_runs
from pipeline.tasks.audit.export import PackResult, export_run
from pipeline.tasks.audit.verify import verify
from pipeline.tasks.card import write_card
from pipeline.tracking.record import Record

Rewrite = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)


@pytest.fixture(scope="module")
def pack(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of the evaluation, with the training of its weights."""
    path = tmp_path_factory.mktemp("packs") / "evaluation.zip"
    export_run(story.evaluation, path, store=story.store)
    return path


@pytest.fixture
def rewritten(pack: Path, tmp_path: Path) -> Rewrite:
    """A function that writes the pack again with other files; with `listed` also its list, as a forger would."""

    def rewrite(changes: Mapping[str, bytes | None], *, listed: bool = False, source: Path = pack) -> Path:
        with zipfile.ZipFile(source) as archive:
            content: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
        content |= changes
        if listed:
            about = json.loads(content["pack.json"] or b"")
            about["files"] = {
                name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in sorted(content.items())
                if data is not None and name not in ("pack.json", "signature.json")
            }
            content["pack.json"] = json.dumps(about, indent=2).encode() + b"\n"
        out = tmp_path / "rewritten.zip"
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                if data is not None:
                    archive.writestr(name, data)
        return out

    return rewrite


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def failures(verdict: Verdict) -> dict[str, str]:
    return {check.about: " ".join(check.files) for check in verdict.checks if check.outcome is Outcome.FAIL}


def key_file(path: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """A new key and its public half, in PEM."""
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(password) if password is not None else serialization.NoEncryption()
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, form, encryption))
    public = path.with_suffix(".public.pem")
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path, public


# --- what is in it


@pytest.mark.parametrize("which", ["training", "evaluation"])
def test_a_pack_passes_and_lacks_nothing_but_the_images(story: Story, tmp_path: Path, which: str) -> None:
    result = export_run(getattr(story, which), tmp_path / "run.zip", store=story.store)
    assert result.notes == ()
    # With a training goes the latest evaluation of its weights, of which other tests may have made one.
    assert sorted(kind for kind, _ in result.runs) == ["evaluation", "training"]
    assert {story.training, getattr(story, which)} <= {run_id for _, run_id in result.runs}
    assert result.runs[0] == (which, getattr(story, which))
    verdict = verify(str(result.pack), store="sqlite:///nowhere.db")
    assert (verdict.outcome, verdict.run_id) == (Outcome.PASS, getattr(story, which))
    assert set(verdict.unseen) == {"signature", "bundle", "images", "scored again"}
    seen = {check.about for check in verdict.checks if check.outcome is Outcome.PASS}
    assert {"pack", "documents", "files", "numbers", "config", "record of data", "checkpoint", "loading"} <= seen


@pytest.mark.parametrize("which", ["training", "evaluation"])
def test_with_the_images_a_pack_is_scored_again(story: Story, tmp_path: Path, which: str) -> None:
    result = export_run(getattr(story, which), tmp_path / "run.zip", store=story.store)
    verdict = verify(str(result.pack), datalist=story.datalist)
    assert (verdict.outcome, verdict.unseen) == (Outcome.PASS, ("signature", "bundle"))
    assert "0.000000" in next(check.words for check in verdict.checks if check.about == "scored again")


def test_a_pack_is_checked_where_there_is_no_mlflow(story: Story, pack: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('mlflow', 'mlflow.exceptions'):\n    sys.modules[name] = None\n"
        "from pipeline.cli import main\nmain(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, "audit", "verify", str(pack), "--data", str(story.datalist)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"\nPASS: evaluation {story.evaluation}" in done.stdout
    assert not list(tmp_path.glob("mlruns*"))


def test_people_find_report_card_checklist_and_what_it_is(story: Story, pack: Path) -> None:
    for name in ("report.html", "model_card.md", "checklist.md", "README.txt", "pack.json"):
        assert read(pack, name)
    card, checklist = (read(pack, name).decode() for name in ("model_card.md", "checklist.md"))
    for text in (card, checklist):
        assert story.training in text
    assert "CLAIM 2020" in checklist and "by no person" in checklist
    assert "At random with the seed 0" in checklist
    assert story.evaluation in read(pack, "README.txt").decode()


def test_no_name_of_a_file_or_folder_is_in_a_pack(story: Story, pack: Path) -> None:
    content = json.loads(story.datalist.read_text())
    names = {str(story.folder), story.folder.name}
    for item in (item for part in ("training", "validation", "test") for item in content[part]):
        names |= {Path(item["image"]).name, Path(item["label"]).name, Path(item["image"]).stem}
    with zipfile.ZipFile(pack) as archive:
        assert len(archive.namelist()) > 30
        for member in archive.namelist():
            data = archive.read(member)
            for name in names:
                assert name.encode() not in data, f"{name} in {member}"
                assert name not in member


def test_the_same_record_gives_the_same_bytes(story: Story, pack: Path, tmp_path: Path) -> None:
    again = export_run(story.evaluation, tmp_path / "other name.zip", store=story.store).pack
    assert again.read_bytes() == pack.read_bytes()


def test_a_pack_holds_the_weights_once_or_not_at_all(story: Story, pack: Path, tmp_path: Path) -> None:
    def checkpoints(path: Path) -> list[str]:
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if name.endswith(".pt")]

    (one,) = checkpoints(pack)
    assert hashlib.sha256(read(pack, one)).hexdigest() == hashlib.sha256(story.weights.read_bytes()).hexdigest()
    result = export_run(story.training, tmp_path / "light.zip", store=story.store, weights=False)
    assert checkpoints(result.pack) == []
    assert "--checkpoint" in result.notes[0]
    assert verify(str(result.pack)).status == 3
    assert verify(str(result.pack), checkpoint=story.weights).status == 0


def test_a_pack_for_everybody_shows_no_case_and_holds(story: Story, tmp_path: Path) -> None:
    result = export_run(story.training, tmp_path / "open.zip", store=story.store, weights=False, pictures=False)
    with zipfile.ZipFile(result.pack) as archive:
        names = archive.namelist()
        assert "No image or picture of a case" in archive.read("README.txt").decode()
    assert not [name for name in names if name.endswith((".png", ".webp", "report.html"))]
    assert any("no pictures of cases" in note for note in result.notes)
    verdict = verify(str(result.pack), checkpoint=story.weights)
    assert verdict.status == 0
    assert "pictures/curves.png" in next(check.words for check in verdict.checks if check.about == "files")


def test_what_others_added_to_a_run_is_not_in_its_pack(story: Story, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "Meier, Anna.txt").write_text("Meier")
    record = Record.begin(f"sqlite:///{tmp_path / 'runs.db'}", "x", tags={"planar.kind": "inference"})
    record.text("what was recorded", "tables/results.txt")
    record.end("FINISHED")
    MlflowClient(record.uri).log_artifact(record.run_id, str(tmp_path / "Meier, Anna.txt"))
    result = export_run(record.run_id, tmp_path / "run.zip", store=record.uri)
    assert [note.partition(":")[0] for note in result.notes] == [
        "No model card, checklist and report",
        "Not in the pack",
    ]
    with zipfile.ZipFile(result.pack) as archive:
        assert not [name for name in archive.namelist() if "Meier" in name]
        assert f"runs/{record.run_id}/artifacts/tables/results.txt" in archive.namelist()
    assert "1 recorded files" in next(c.words for c in verify(str(result.pack)).checks if c.about == "files")


def test_a_run_that_was_killed_is_packed_with_a_word(tmp_path: Path) -> None:
    record = Record.begin(f"sqlite:///{tmp_path / 'runs.db'}", "x", tags={"planar.kind": "training"})
    record.end("KILLED")
    result = export_run(record.run_id, tmp_path / "run.zip", store=record.uri)
    assert any("KILLED" in note for note in result.notes)
    assert verify(str(result.pack)).status == 3


def test_a_run_that_was_recorded_with_names_of_files_is_not_packed(tmp_path: Path) -> None:
    record = Record.begin(f"sqlite:///{tmp_path / 'runs.db'}", "x", tags={"planar.kind": "training"})
    record.text(json.dumps({"training": [{"image": "Meier.png"}]}), "data/datalist.json")
    record.end("FINISHED")
    with pytest.raises(InvalidOption, match="names of files"):
        export_run(record.run_id, tmp_path / "run.zip", store=record.uri)
    assert not (tmp_path / "run.zip").exists()


def test_card_and_comparison_come_from_a_pack_as_from_the_store(story: Story, pack: Path, tmp_path: Path) -> None:
    import shutil

    found = diff_runs(str(pack), story.evaluation, store=story.store)
    assert (found.differences, found.unknown) == ((), ())
    cards = []
    for number, run in enumerate((str(pack), story.evaluation)):
        shutil.copytree(story.bundle, tmp_path / f"{number}" / "bundle")
        cards.append(write_card(run, str(tmp_path / f"{number}" / "bundle"), store=story.store).card.read_text())
    assert cards[0] == cards[1]


# --- what is refused before anything is written


def test_a_pack_is_not_overwritten_without_being_asked(story: Story, tmp_path: Path) -> None:
    out = tmp_path / "run.zip"
    out.write_text("mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        export_run(story.training, out, store=story.store)
    assert out.read_text() == "mine"
    assert isinstance(export_run(story.training, out, store=story.store, overwrite=True), PackResult)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".part")] == []


@pytest.mark.parametrize(
    ("run", "out", "message"),
    [
        ("training", "pack.tar", "ends in .zip"),
        ("pack.zip", "other.zip", "is a pack already"),
        ("nobody", "pack.zip", "has no run 'nobody'"),
    ],
)
def test_what_cannot_be_packed_is_told(story: Story, tmp_path: Path, run: str, out: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        export_run(getattr(story, run, run), tmp_path / out, store=story.store)
    assert list(tmp_path.iterdir()) == []


# --- tampering: each is named

ARTIFACTS = "runs/{evaluation}/artifacts"
FILES = {
    "the figures of the card": "model_card.md",
    "an answer of the checklist": "checklist.md",
    "the report": "report.html",
    "a metric": "runs/{evaluation}/run.json",
    "the tables": "runs/{evaluation}/artifacts/tables/cases.csv",
    "the list of cases": "runs/{evaluation}/artifacts/data/datalist.json",
    "the manifest": "runs/{evaluation}/artifacts/manifest.json",
    "the weights": "runs/{training}/artifacts/checkpoints/model.pt",
}


def name_of(story: Story, file: str) -> str:
    return file.format(training=story.training, evaluation=story.evaluation)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_one_changed_byte_of_any_file_is_named(story: Story, pack: Path, rewritten: Rewrite, file: str) -> None:
    name = name_of(story, file)
    content = bytearray(read(pack, name))
    content[len(content) // 2] ^= 1
    try:
        verdict = verify(str(rewritten({name: bytes(content)})))
    except InvalidPack as error:
        assert name in str(error)
    else:
        assert name in failures(verdict)["pack"]
        assert verdict.status == 1


@pytest.mark.parametrize("change", ["gone", "added", "cut"])
def test_files_that_are_gone_added_or_cut_are_named(story: Story, pack: Path, rewritten: Rewrite, change: str) -> None:
    name = name_of(story, FILES["the tables"])
    changes: dict[str, bytes | None] = {
        "gone": {name: None},
        "added": {"notes.txt": b"all is well"},
        "cut": {name: read(pack, name)[:-20]},
    }[change]
    told = failures(verify(str(rewritten(changes))))["pack"]
    assert ("notes.txt (added)" if change == "added" else name) in told


def test_a_figure_of_the_card_is_told_by_the_record_though_the_list_was_changed_too(
    pack: Path, rewritten: Rewrite
) -> None:
    card = read(pack, "model_card.md").decode()
    assert "| lung | 0." in card
    changed = rewritten({"model_card.md": card.replace("| lung | 0.", "| lung | 0.9", 1).encode()}, listed=True)
    assert failures(verify(str(changed))) == {"documents": "model_card.md"}


def test_a_metric_is_told_by_the_manifest_though_the_list_was_changed_too(
    story: Story, pack: Path, rewritten: Rewrite
) -> None:
    name = name_of(story, FILES["a metric"])
    run = json.loads(read(pack, name))
    run["metrics"]["dice_lung"][0][1] = 0.99
    found = failures(verify(str(rewritten({name: json.dumps(run).encode()}, listed=True))))
    assert found["numbers"] == "dice_lung"
    assert "dice_lung" in found["tables"]


def test_a_record_that_is_not_even_one_fails_and_does_not_break_the_check(
    story: Story, pack: Path, rewritten: Rewrite
) -> None:
    name = name_of(story, FILES["the list of cases"])
    content = json.loads(read(pack, name)) | {"training": 5}
    verdict = verify(str(rewritten({name: json.dumps(content).encode()}, listed=True)))
    assert {"files", "data"} <= failures(verdict).keys()


def test_a_pack_that_was_changed_is_not_run(story: Story, pack: Path, rewritten: Rewrite, tmp_path: Path) -> None:
    folder = f"{name_of(story, ARTIFACTS)}/config/"
    with zipfile.ZipFile(pack) as archive:
        (name,) = [one for one in archive.namelist() if one.startswith(folder)]
    config = json.loads(read(pack, name))
    config["device"] = f"$__import__('pathlib').Path({str(tmp_path / 'was run')!r}).touch()"
    verdict = verify(str(rewritten({name: json.dumps(config).encode()})), datalist=story.datalist)
    assert {"pack", "config", "files"} <= failures(verdict).keys()
    assert "scored again" in verdict.unseen
    assert not (tmp_path / "was run").exists()


# --- signatures


@pytest.fixture
def signed(story: Story, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A signed pack, its key, and the public half."""
    key, public = key_file(tmp_path / "key.pem")
    result = export_run(story.evaluation, tmp_path / "signed.zip", store=story.store, key=key)
    assert len(result.public_key) == 64
    return result.pack, key, public


def test_a_signed_pack_passes_with_its_key_and_says_whose_it_is_without(signed: tuple[Path, Path, Path]) -> None:
    path, key, public = signed
    for given in (public, key):
        verdict = verify(str(path), key=given)
        assert verdict.outcome is Outcome.PASS
        assert "signed with the key that was given" in {check.words for check in verdict.checks}
    words = next(check.words for check in verify(str(path)).checks if check.about == "signature")
    assert "--key" in words


def test_another_key_fails(signed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, other = key_file(tmp_path / "other.pem")
    verdict = verify(str(signed[0]), key=other)
    assert "signature" in failures(verdict)
    assert verdict.status == 1


def test_a_list_that_was_changed_after_the_signature_fails(signed: tuple[Path, Path, Path], rewritten: Rewrite) -> None:
    path, _, public = signed
    changed = rewritten({"README.txt": b"all is well"}, listed=True, source=path)
    for key in (public, None):
        assert failures(verify(str(changed), key=key)) == {"signature": "signature.json"}


@pytest.mark.parametrize("content", [b"{}", b"no JSON", b'{"algorithm": "rsa", "public_key": "", "signature": ""}'])
def test_a_signature_that_is_none_fails(signed: tuple[Path, Path, Path], rewritten: Rewrite, content: bytes) -> None:
    changed = rewritten({"signature.json": content}, source=signed[0])
    assert failures(verify(str(changed))) == {"signature": "signature.json"}


def test_a_signature_that_was_taken_away_fails_where_a_key_is_given(
    signed: tuple[Path, Path, Path], rewritten: Rewrite
) -> None:
    changed = rewritten({"signature.json": None}, source=signed[0])
    assert failures(verify(str(changed), key=signed[2])) == {"signature": "signature.json (missing)"}
    verdict = verify(str(changed))
    assert verdict.outcome is Outcome.PASS and "signature" in verdict.unseen


def test_keys_that_cannot_be_used_are_told_before_anything_is_done(story: Story, pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zip"
    locked, public = key_file(tmp_path / "locked.pem", password=b"secret")
    rsa = tmp_path / "rsa.pem"
    rsa.write_bytes(
        generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for key, message in ((locked, "without a passphrase"), (rsa, "another kind"), (public, "no private key")):
        with pytest.raises(InvalidOption, match=message):
            export_run(story.training, out, store=story.store, key=key)
    with pytest.raises(MissingFile, match=r"none\.pem is not there"):
        export_run(story.training, out, store=story.store, key=tmp_path / "none.pem")
    with pytest.raises(MissingFile, match=r"none\.pem is not there"):
        verify(str(pack), key=tmp_path / "none.pem")
    with pytest.raises(InvalidOption, match="--key is for packs"):
        verify(story.training, store=story.store, key=public)
    assert not out.exists()


# --- files that are no packs


def test_a_cut_zip_an_empty_one_and_another_file_are_told_in_one_line(pack: Path, tmp_path: Path) -> None:
    content = pack.read_bytes()
    for number, data in enumerate((content[: len(content) // 2], content[:-1], b"", b"no zip")):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        with pytest.raises(InvalidPack) as caught:
            verify(str(path))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(InvalidPack, match=r"no pack: it has no pack\.json"):
        verify(str(tmp_path / "other.zip"))
    with pytest.raises(MissingFile, match="is not there"):
        verify(str(tmp_path / "none.zip"))


def test_a_damaged_stream_is_named(story: Story, pack: Path, tmp_path: Path) -> None:
    name = name_of(story, FILES["the list of cases"])
    with zipfile.ZipFile(pack) as archive:
        info = archive.getinfo(name)
    content = bytearray(pack.read_bytes())
    content[info.header_offset + 30 + len(name) + info.compress_size // 2] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(bytes(content))
    assert name in failures(verify(str(tmp_path / "damaged.zip")))["pack"]


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "runs\\outside.txt", "C:outside.txt"])
def test_a_file_is_never_written_outside_the_folder(pack: Path, rewritten: Rewrite, tmp_path: Path, name: str) -> None:
    found = failures(verify(str(rewritten({name: b"x"}, listed=True))))
    assert "no name for a file of a pack" in found["pack"]
    assert not list(tmp_path.rglob("*outside*"))


# --- the command


def test_the_command_says_what_it_packed_and_how_to_check_it(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, public = key_file(tmp_path / "key.pem")

    def planar(*args: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *args])
        return int(ended.value.code or 0)

    arguments = ("export", story.training, "-o", str(tmp_path / "run.zip"), "--store", story.store)
    assert planar(*arguments, "--sign", str(key)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"training {story.training}, evaluation ")
    assert f"Check:  planar audit verify {tmp_path / 'run.zip'} --key public.pem" in out
    assert planar("verify", str(tmp_path / "run.zip"), "--key", str(public)) == 0
    assert "PASS     signature" in capsys.readouterr().out
    assert planar(*arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert planar(*arguments, "--overwrite", "--json") == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert (runs[0], len(runs)) == (story.training, 2)
