"""Names that are imported when they are asked for."""

import importlib
import pkgutil
from pathlib import Path

import pytest

import pipeline
from pipeline.lazy import lazily

ROOT = Path(pipeline.__path__[0]).parent
LAZY = sorted(
    ".".join(file.relative_to(ROOT).parent.parts)
    for file in (ROOT / "pipeline").rglob("__init__.py")
    if "__getattr__ = lazily(" in file.read_text(encoding="utf-8")
)


def test_a_name_comes_from_its_module_and_an_unknown_one_is_refused() -> None:
    get = lazily("pipeline.readers", {"PlanarReader": "monai_reader"})
    assert get("PlanarReader").__module__ == "pipeline.readers.monai_reader"
    with pytest.raises(AttributeError, match=r"module 'pipeline\.readers' has no attribute 'nothing'"):
        get("nothing")


@pytest.mark.parametrize("name", LAZY)
def test_all_names_of_a_lazy_package_are_there_and_none_is_hidden_by_a_module(name: str) -> None:
    package = importlib.import_module(name)
    assert not set(package.__all__) & {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert all(getattr(package, one) is not None for one in package.__all__)
