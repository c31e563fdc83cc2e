"""torchvision on a torch that its operators were not built for: the Python parts work, the operators are not there.

The registry's torchvision is built for CUDA. On a CPU build of torch its library does not load, and the import of its
Python parts ends with `operator torchvision::nms does not exist`, because they describe operators that nobody has
declared. MONAI Label needs the Python parts alone. `mend_environment` puts this very file into the environment's
site-packages, and a `.pth` file that runs it when Python starts: the two schemas are declared right before torchvision
is imported, in every process of the environment. It is done only where the import fails for that reason.

    python -m pipeline.label_app.torchvision_mend
"""

import importlib.abc
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["declare_before_import", "mend_environment"]

NAME = "planar_torchvision_mend"
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
SYMPTOM = "operator torchvision::nms does not exist"
_kept: list[object] = []  # the declarations end with the object that made them


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds nothing; declares the operators when torchvision is looked for."""

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        """Called for each import."""
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for schema in SCHEMAS:
                library.define(schema)
            _kept.append(library)


def declare_before_import() -> None:
    """Have the operators declared when torchvision is imported for the first time."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, _BeforeTorchvision())


def mend_environment() -> str:
    """Mend this environment where it needs it.

    Returns: What was found and done, in one line.
    Raises: RuntimeError: if torchvision does not load for another reason, or still not.
    """
    target = Path(sysconfig.get_paths()["purelib"])
    module, start = target / f"{NAME}.py", target / f"{NAME}.pth"
    if start.is_file() and not _import_error():
        return "torchvision is mended already."
    start.unlink(missing_ok=True)
    said = _import_error()
    if not said:
        return "torchvision loads: nothing to mend."
    if SYMPTOM not in said:
        raise RuntimeError(f"torchvision does not load, and not for want of its operators: {said}")
    shutil.copyfile(__file__, module)
    start.write_text(f"import {NAME}; {NAME}.declare_before_import()\n", encoding="utf-8")
    if left := _import_error():
        raise RuntimeError(f"torchvision does not load although its operators are declared: {left}")
    return f"torchvision's operators do not load on this torch; its Python parts do now ({start})."


def _import_error() -> str:
    """The last line of what importing torchvision in a new process says; "" if it works."""
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["no reason was given"])[-1]


if __name__ == "__main__":
    print(mend_environment())
