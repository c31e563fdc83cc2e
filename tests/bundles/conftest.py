"""Each test here is made of every bundle in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_samples import BUNDLES, Sample, make_set, sample_of


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request: pytest.FixtureRequest) -> Path:
    """A bundle's folder."""
    root: Path = request.param
    return root


@pytest.fixture(scope="session")
def sample(bundle: Path) -> Sample:
    """What the bundle takes."""
    return sample_of(bundle)


@pytest.fixture(scope="session")
def datalist(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures that fit the bundle."""
    return make_set(sample, tmp_path_factory.mktemp(sample.root.name) / "set")
