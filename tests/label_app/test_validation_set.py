"""Which subjects a training validates on."""

import pytest

from pipeline.errors import InvalidSplit
from pipeline.label_app.annotated import is_for_validation

SUBJECTS = [f"subject-{number}" for number in range(200)]


def test_the_set_stays_put_when_others_come() -> None:
    first = is_for_validation(SUBJECTS[:60], 0.2)
    later = is_for_validation(SUBJECTS, 0.2)
    assert later & set(SUBJECTS[:60]) == first
    assert 0.1 < len(later) / len(SUBJECTS) < 0.3


def test_the_order_of_the_subjects_does_not_matter() -> None:
    assert is_for_validation(SUBJECTS[::-1], 0.2) == is_for_validation(SUBJECTS, 0.2)


@pytest.mark.parametrize("share", [1e-9, 0.2, 0.999])
def test_both_sides_have_someone(share: float) -> None:
    for number in range(2, 12):
        chosen = is_for_validation(SUBJECTS[:number], share)
        assert 0 < len(chosen) < number


def test_one_subject_cannot_be_divided() -> None:
    with pytest.raises(InvalidSplit, match="1 subject with labels"):
        is_for_validation(["a"], 0.2)
