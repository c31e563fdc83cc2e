"""MONAI bundles on disk: finding them, reading their configs without running them, copying and editing them."""

from pipeline.bundle.beginning import START_FILE, begin_with_start_file
from pipeline.bundle.copying import apply_settings, copy_bundle
from pipeline.bundle.digests import config_digests
from pipeline.bundle.find import Bundle, find_bundle, shipped_bundles, shipped_folder
from pipeline.bundle.mirroring import without_mirroring
from pipeline.bundle.other_classes import note_on_classes
from pipeline.bundle.overrides import OF_THE_MACHINE, parse_overrides
from pipeline.bundle.recipe import Recipe, find_recipe, shipped_recipes
from pipeline.bundle.single import deeply_supervised, keeps_last, knows_unions, single_network
from pipeline.bundle.values import checked_overrides, require_normalised

__all__ = [
    "OF_THE_MACHINE",
    "START_FILE",
    "Bundle",
    "Recipe",
    "apply_settings",
    "begin_with_start_file",
    "checked_overrides",
    "config_digests",
    "copy_bundle",
    "deeply_supervised",
    "find_bundle",
    "find_recipe",
    "keeps_last",
    "knows_unions",
    "note_on_classes",
    "parse_overrides",
    "require_normalised",
    "shipped_bundles",
    "shipped_folder",
    "shipped_recipes",
    "single_network",
    "without_mirroring",
]
