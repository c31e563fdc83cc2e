"""The weights that a training is asked to begin with: found, and put into its folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundle import START_FILE, Bundle, begin_with_start_file, find_bundle
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, InvalidOption, MissingFile, user_error_within

__all__ = ["StartWeights", "find_start"]


@dataclass(frozen=True)
class StartWeights:
    """Weights to begin with.

    Attributes:
        path: Where they were found.
        name: What they are called: the bundle's folder, or the file.
    """

    path: Path
    name: str

    @property
    def tags(self) -> dict[str, str]:
        """For the MLflow run."""
        return {"planar.start_from": self.name, "planar.start_from_sha256": file_sha256(self.path)}

    def require_readable(self) -> None:
        """Raise InvalidBundle for a file that holds no weights, by its own name; this loads torch."""
        from pipeline.tensor_files import read_state

        read_state(self.path)

    def refusal(self, error: BaseException, bundle: Bundle) -> InvalidBundle | None:
        """What a training said of weights that do not fit, of the file that the user knows: its copy is gone."""
        cause, copied = user_error_within(error), str(bundle.root / START_FILE)
        if not isinstance(cause, InvalidBundle) or copied not in str(cause):
            return None
        return InvalidBundle(str(cause).replace(copied, str(self.path)))

    def put_into(self, bundle: Bundle) -> None:
        """Copy them into a training's folder, which then depends on no other, and let it begin with them."""
        shutil.copyfile(self.path, bundle.root / START_FILE)
        begin_with_start_file(bundle)


def find_start(name_or_path: str) -> StartWeights:
    """Find weights by a bundle's name or folder, or a checkpoint's file.

    Raises:
        InvalidOption: if there is no such bundle.
        MissingFile: if it has no weights.
    """
    path = Path(name_or_path)
    if path.is_file():
        of_bundle = path.resolve().parent.name == "models"
        return StartWeights(path, path.resolve().parents[1].name if of_bundle else path.name)
    try:
        bundle = find_bundle(name_or_path)
    except InvalidBundle as error:
        raise InvalidOption(f"--start-from: {error}") from None
    if not bundle.weights.is_file():
        raise MissingFile(f"{bundle.weights} is not there; expected the weights of a bundle that was trained.")
    return StartWeights(bundle.weights, bundle.name)
