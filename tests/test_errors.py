from __future__ import annotations

import builtins

import pytest

import pipeline.errors
from pipeline.errors import MissingFile, PlanarError, UnreadableImage, user_error_within

LEAVES = [getattr(pipeline.errors, name) for name in pipeline.errors.__all__ if name[0].isupper()]
LEAVES.remove(PlanarError)


def wrapped(inner: BaseException, times: int = 3) -> RuntimeError:
    """As MONAI's `apply_transform` does, once for each nested Compose."""
    for number in range(times):
        outer = RuntimeError(f"applying transform {number}")
        outer.__cause__ = inner
        inner = outer
    return inner


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_leaf_is_a_planar_error_and_a_builtin_with_the_message_as_it_is(leaf: type[PlanarError]) -> None:
    assert issubclass(leaf, PlanarError)
    other = leaf.__bases__[1]
    assert getattr(builtins, other.__name__) is other
    assert str(leaf("a.png: expected this, got that.")) == "a.png: expected this, got that."


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_docstring_draws_each_leaf_with_its_builtin(leaf: type[PlanarError]) -> None:
    assert f"── {leaf.__name__} ({leaf.__bases__[1].__name__})" in (pipeline.errors.__doc__ or "")


def test_the_users_error_is_found_below_monais_wrapping() -> None:
    inner = UnreadableImage("a.png: truncated.")
    assert user_error_within(wrapped(inner)) is inner


def test_an_operating_system_error_is_the_users_too() -> None:
    inner = PermissionError(13, "Permission denied", "/out")
    assert user_error_within(wrapped(inner)) is inner


def test_the_outermost_of_two_user_errors_is_told() -> None:
    outer = UnreadableImage("a.png is no image")
    outer.__cause__ = OSError("header")
    assert user_error_within(outer) is outer


def test_a_bug_met_while_a_missing_file_was_handled_is_not_called_a_missing_file() -> None:
    try:
        try:
            raise FileNotFoundError(2, "No such file", "optional.json")
        except FileNotFoundError:
            raise TypeError("a bug")  # noqa: B904 - the implicit context is what is tested
    except TypeError as error:
        assert user_error_within(error) is None


def test_a_planar_error_is_told_even_if_cleaning_up_after_it_failed() -> None:
    inner = MissingFile("a.png is not there.")
    try:
        try:
            raise inner
        except MissingFile:
            raise ValueError("closing failed")  # noqa: B904 - the implicit context is what is tested
    except ValueError as error:
        assert user_error_within(error) is inner


def test_a_suppressed_context_stays_suppressed() -> None:
    try:
        try:
            raise MissingFile("a.png is not there.")
        except MissingFile:
            raise ValueError("something else") from None
    except ValueError as error:
        assert user_error_within(error) is None


def test_a_bug_is_not_the_users() -> None:
    assert user_error_within(wrapped(KeyError("label"))) is None
    assert user_error_within(None) is None


def test_a_ring_of_causes_ends() -> None:
    first, second = RuntimeError("1"), RuntimeError("2")
    first.__cause__, second.__cause__ = second, first
    assert user_error_within(first) is None


def test_the_line_comes_home_from_a_data_loaders_worker() -> None:
    from torch._utils import ExceptionWrapper

    try:
        try:
            raise UnreadableImage("films/a.png: truncated. Export it again.")
        except UnreadableImage as inner:
            raise RuntimeError("applying transform LoadImaged") from inner
    except RuntimeError:
        sent = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(RuntimeError, match=r"^Caught RuntimeError in DataLoader worker") as caught:
        sent.reraise()
    found = user_error_within(caught.value)
    assert type(found) is UnreadableImage
    assert str(found) == "films/a.png: truncated. Export it again."


def test_a_workers_bug_stays_a_bug() -> None:
    assert user_error_within(RuntimeError("Caught KeyError in DataLoader worker process 0.\nKeyError: 'label'")) is None
    assert user_error_within(RuntimeError("Caught X.\npipeline.errors.__name__: no class\n")) is None
