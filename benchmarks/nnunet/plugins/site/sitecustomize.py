"""Lets `import torchvision` pass in an environment whose torchvision was built for another torch.

nnU-Net looks for a trainer by importing all of its own, some of which import timm and with it torchvision. Beside a CPU
build of torch, a torchvision that was built for CUDA cannot load its operators, and Python stops at the first that is
missing ("operator torchvision::nms does not exist"). Nothing here calls one; their names suffice. This folder is put on
PYTHONPATH, so the environment itself stays as it was installed.
"""

import importlib.metadata
import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class NamesOfOperators:
    """Waits for torchvision to be imported, once."""

    library = None

    def find_spec(self, name, path=None, target=None):
        """Declare the operators where they will be missing; the import itself goes its usual way."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            builds = [importlib.metadata.version(package) for package in ("torch", "torchvision")]
            if "+cpu" in builds[0] and "+cpu" not in builds[1]:
                import torch

                NamesOfOperators.library = torch.library.Library("torchvision", "DEF")
                for operator in OPERATORS:
                    NamesOfOperators.library.define(operator)


sys.meta_path.insert(0, NamesOfOperators())
