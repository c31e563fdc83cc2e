"""What `planar label start` checks and sets before the server runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.bundle import find_bundle
from pipeline.cli.label.start import command
from pipeline.errors import InvalidBundle, InvalidOption, MissingExtra, MissingFile
from pipeline.label_app import start
from pipeline.label_app.own_copy import own_copy

BUNDLE = "cxr_lung_segmentation"


def test_without_monai_label_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    done = CliRunner().invoke(command, ["--studies", str(tmp_path), "--bundle", BUNDLE])
    assert isinstance(done.exception, MissingExtra)
    assert "'.[label]'" in str(done.exception) and "make label" in str(done.exception)


def test_the_addresses_are_those_that_clients_need(tmp_path: Path) -> None:
    server = start.prepare(str(tmp_path), [BUNDLE], work=tmp_path / "work")
    assert (server.address, server.ohif) == ("http://127.0.0.1:8000", "")
    archive = start.prepare("http://127.0.0.1:8042/dicom-web", [BUNDLE], host="0.0.0.0", port=8001, work=tmp_path / "w")
    assert (archive.address, archive.ohif) == ("http://127.0.0.1:8001", "http://127.0.0.1:8001/ohif/")
    assert any("Everybody" in line for line in archive.remarks)


def test_what_cannot_be_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no such folder"):
        start.prepare(str(tmp_path / "gone"), [BUNDLE])
    with pytest.raises(InvalidBundle):
        start.prepare(str(tmp_path), ["no_bundle"])
    with pytest.raises(InvalidOption, match="Two bundles"):
        start.prepare(str(tmp_path), [BUNDLE, BUNDLE])
    with pytest.raises(InvalidOption, match="holds a user or a password"):
        start.prepare("http://user:secret@127.0.0.1:8042/dicom-web", [BUNDLE])
    with pytest.raises(MissingFile, match="htpasswd"):
        start.prepare(str(tmp_path), [BUNDLE], users=tmp_path / "users")


def test_monai_label_is_started_with_our_app_and_a_temporary_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: object())
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", ["planar"])
    monkeypatch.setattr("tempfile.tempdir", None)
    server = start.prepare(str(tmp_path), [BUNDLE], work=tmp_path / "work", conf=[("key", "value")], port=8123)
    called: list[list[str]] = []
    start.serve(server, lambda: called.append(sys.argv[1:]))
    (arguments,) = called
    conf = {arguments[k + 1]: arguments[k + 2] for k, word in enumerate(arguments) if word == "--conf"}
    assert conf["key"] == "value"
    (bundle,) = json.loads(conf["bundles"])
    assert Path(bundle) == tmp_path / "work" / "bundles" / BUNDLE
    assert Path(os.environ["TMPDIR"]).is_relative_to(tmp_path / "work")
    assert "PlanarLabelApp" in (tmp_path / "work" / "main.py").read_text()
    assert os.environ["PLANAR_LABEL_ORIGIN"] == "http://127.0.0.1:8123"


def test_a_shipped_bundle_is_copied_and_one_of_the_users_is_not(tmp_path: Path) -> None:
    shipped = find_bundle(BUNDLE)
    copy = own_copy(shipped, tmp_path / "bundles")
    assert copy.root == tmp_path / "bundles" / BUNDLE
    assert copy.weights.read_bytes() == shipped.weights.read_bytes()
    # Once it was trained it stays.
    copy.weights.write_bytes(b"better")
    (copy.root / "models" / "decisions.jsonl").write_text("")
    assert own_copy(shipped, tmp_path / "bundles").weights.read_bytes() == b"better"
    assert own_copy(copy, tmp_path / "others") == copy
