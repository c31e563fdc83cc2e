"""What tests of several parts share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them the commands that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """One compute thread: those that wait for one another on a busy machine take ten times as long.

    Before each test and its fixtures, for trainings set their own number.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _records_of_tests_are_not_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANAR_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield


@pytest.fixture(autouse=True)
def _settings_of_this_shell_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "PLANAR_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def planar_data() -> Path:
    """The folder of public image sets; tests that read it carry the mark `real_data` too."""
    where = os.environ.get("PLANAR_DATA")
    if not where:
        pytest.skip("PLANAR_DATA is not set: the public image sets are not here")
    folder = Path(where)
    assert folder.is_dir(), f"PLANAR_DATA is {folder}, which is no folder"
    return folder


@pytest.fixture(scope="session")
def phantom_datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of sixteen small phantom films, which lie beside it in `phantom/`."""
    from pipeline.tasks.index import IndexOptions, LabelOptions, SubjectOptions, index_set
    from pipeline.tasks.phantom import make_phantoms

    folder = tmp_path_factory.mktemp("films")
    make_phantoms(folder / "phantom", number=16, size=96, workers=1)
    subjects = SubjectOptions(column=f"{folder / 'phantom' / 'index.csv'}:subject")
    options = IndexOptions(labels=LabelOptions(class_names=("lung",)), subjects=subjects, workers=1)
    path = folder / "datalist.json"
    index_set(folder / "phantom" / "images", [folder / "phantom" / "masks"], path, options)
    return path


@pytest.fixture
def random_bundle(tmp_path: Path) -> Bundle:
    """A copy of the chest film bundle whose weights are random but always the same."""
    import torch

    from pipeline.bundle import copy_bundle, find_bundle
    from pipeline.networks import UNetWithHead

    source = find_bundle("cxr_lung_segmentation")
    bundle = copy_bundle(source, tmp_path / "random_bundle", source.labels())
    definition = yaml.safe_load(bundle.config("inference").read_text())["network_def"]
    definition.pop("_target_")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNetWithHead(**(definition | {"out_channels": 2}))
    torch.save(network.state_dict(), bundle.weights)
    return bundle
