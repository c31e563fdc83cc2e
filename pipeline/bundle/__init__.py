"""MONAI bundles on disk: finding them, reading their configs without running them, copying and editing them."""

from pipeline.bundle.copying import apply_settings, copy_bundle
from pipeline.bundle.digests import config_digests
from pipeline.bundle.find import Bundle, find_bundle, shipped_bundles, shipped_folder
from pipeline.bundle.mirroring import without_mirroring
from pipeline.bundle.overrides import parse_overrides
from pipeline.bundle.recipe import Recipe, find_recipe, shipped_recipes

__all__ = [
    "Bundle",
    "Recipe",
    "apply_settings",
    "config_digests",
    "copy_bundle",
    "find_bundle",
    "find_recipe",
    "parse_overrides",
    "shipped_bundles",
    "shipped_folder",
    "shipped_recipes",
    "without_mirroring",
]
