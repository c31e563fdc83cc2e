"""A bundle whose program is there in half."""

import pytest

from pipeline.bundle import Bundle
from pipeline.exported import program_files, program_of


def test_a_bundle_without_a_program_needs_no_reason(random_bundle: Bundle) -> None:
    assert program_of(random_bundle) == (None, "")


@pytest.mark.parametrize(("there", "gone"), [(0, "program.json"), (1, "program.onnx")])
def test_a_program_of_which_one_file_is_gone_is_told(random_bundle: Bundle, there: int, gone: str) -> None:
    program_files(random_bundle)[there].touch()
    found, why = program_of(random_bundle)
    assert found is None
    assert why.startswith(f"{gone} is missing beside program.")
    assert why.endswith("makes a new one")
