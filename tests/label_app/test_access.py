"""Users, tokens, and how large a request may be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from benchmarks.label_server import LabelServer, client_of

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"
NAME, PASSWORD = "reader", "a password with spaces"


@pytest.fixture(scope="module")
def guarded(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    import bcrypt

    folder = tmp_path_factory.mktemp("guarded")
    (folder / "studies").mkdir()
    shutil.copy(films / "film_png.png", folder / "studies")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=5)).decode()
    (folder / "users").write_text(f"# who may\n{NAME}:{hashed}\n")
    arguments = ["--studies", folder / "studies", "--bundle", BUNDLE, "--users", folder / "users", "--max-upload", "1"]
    running = LabelServer(folder, arguments)
    try:
        yield running.start()
    finally:
        running.stop()


def test_nobody_is_let_in_without_a_password(guarded: LabelServer) -> None:
    for path in ("/info/", "/datastore/?output=all", "/ohif/", "/openapi.json", "/logs/"):
        answer = requests.get(f"{guarded.uri}{path}", timeout=60)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert requests.get(f"{guarded.uri}/health", timeout=60).status_code == 200
    for wrong in ((NAME, "wrong"), ("nobody", PASSWORD), ("", "")):
        assert requests.get(f"{guarded.uri}/info/", auth=wrong, timeout=60).status_code == 401
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZWFkZXIifQ."}
    assert requests.get(f"{guarded.uri}/info/", headers=forged, timeout=60).status_code == 401


def test_a_browser_logs_in_with_name_and_password(guarded: LabelServer) -> None:
    assert requests.get(f"{guarded.uri}/info/", auth=(NAME, PASSWORD), timeout=60).status_code == 200


def test_slicer_logs_in_for_a_token_and_its_user_stands_beside_the_label(guarded: LabelServer) -> None:
    client = client_of(guarded.uri, guarded.folder)
    assert client.auth_enabled()
    with pytest.raises(Exception, match="401"):
        client.auth_token(NAME, "wrong")
    client.update_auth(client.auth_token(NAME, PASSWORD))
    assert client.auth_valid_token()
    file, _ = client.infer(BUNDLE, "film_png", {})
    client.save_label("film_png", file)
    assert client.datastore()["objects"]["film_png"]["labels"]["final"]["info"]["client_id"] == NAME


def test_a_request_that_is_too_large_is_refused(guarded: LabelServer, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > 1 << 20
    with (tmp_path / "large.png").open("rb") as file:
        answer = requests.put(f"{guarded.uri}/datastore/image", files={"file": file}, auth=(NAME, PASSWORD), timeout=60)
    assert answer.status_code == 413
    assert not (guarded.folder / "studies" / "large.png").exists()


def test_passwords_are_in_no_log(guarded: LabelServer) -> None:
    assert PASSWORD not in guarded.log.read_text() + (guarded.work / "logs" / "app.log").read_text()
