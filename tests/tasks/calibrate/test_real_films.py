"""The shipped bundle's gate on real films: a hip and a leg are no chest."""

from pathlib import Path

import pytest

from pipeline.bundle import find_bundle
from pipeline.gate import gate_path
from pipeline.tasks.infer import infer

FILMS = "dicom/dicom-test-files/data/WG04"


@pytest.mark.real_data
def test_a_chest_film_is_accepted_and_other_body_parts_are_reviewed(planar_data: Path, tmp_path: Path) -> None:
    bundle = find_bundle("cxr_lung_segmentation")
    if not gate_path(bundle).is_file():
        pytest.skip("the shipped bundle has no models/gate.json")
    films = [planar_data / FILMS / name for name in ("J2KI/RG1_J2KI", "RLE/RG2_RLE", "JLSL/RG3_JLSL", "J2KI/CT2_J2KI")]
    result = infer(str(bundle.root), [str(film) for film in films], tmp_path / "out")
    assert not result.not_judged
    assert {Path(one.file).name: one.verdict.decision for one in result.judged} == {
        "RG1_J2KI": "accept",
        "RG2_RLE": "review",
        "RG3_JLSL": "review",
        "CT2_J2KI": "review",
    }
