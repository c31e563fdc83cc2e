"""The bundles that a server offers."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.bundle import Bundle, find_bundle
from pipeline.errors import InvalidOption

__all__ = ["find_bundles"]


def find_bundles(names_or_paths: Iterable[str]) -> dict[str, Bundle]:
    """Bundles by the names that clients see.

    Args:
        names_or_paths: Of shipped bundles, or of folders.

    Raises:
        InvalidBundle: if one is none.
        InvalidOption: if two have one name, or there is none.
    """
    found: dict[str, Bundle] = {}
    for name_or_path in names_or_paths:
        bundle = find_bundle(name_or_path)
        if bundle.name in found:
            raise InvalidOption(f"Two bundles are called {bundle.name}: rename a folder.")
        found[bundle.name] = bundle
    if not found:
        raise InvalidOption("Name a bundle: --bundle NAME or the path of its folder.")
    return found
