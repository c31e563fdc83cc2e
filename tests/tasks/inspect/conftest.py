"""A set of small pictures on disk, with one copy across the split."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage


def picture(number):
    random = np.random.default_rng(number)
    fine, coarse = (ndimage.gaussian_filter(random.normal(size=(100, 80)), width) for width in (1.5, 7))
    return np.clip(120 + 25 * fine / fine.std() + 40 * coarse / coarse.std(), 0, 255).astype(np.uint8)


def write_set(folder):
    for part in ("images", "masks"):
        (folder / "set" / part).mkdir(parents=True)
    names = [f"p{k}" for k in range(8)] + ["t0", "t1"]
    items = []
    for k, name in enumerate(names):
        image = np.minimum(picture(1)[:, ::-1] * 1.2, 255).astype(np.uint8) if name == "t1" else picture(k)
        mask = np.zeros((100, 80), np.uint8)
        mask[20 : 50 + k, 10:40] = 255
        Image.fromarray(image).save(folder / "set" / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "set" / "masks" / f"{name}.png")
        files = {"image": f"set/images/{name}.png", "label": f"set/masks/{name}.png"}
        items.append(files | {"label_coding": "threshold:127", "subject": f"{k % 9:016x}"})
    document = {
        "name": "small <set>",
        "format": "planar-datalist/1",
        "modality": {"0": "CR"},
        "labels": {"0": "background", "1": "box"},
        "training": items[:6],
        "validation": items[6:8],
        "test": items[8:],
        "refused": [{"file": "set/images/bad.png", "code": "unreadable", "reason": "cut short"}],
        "warnings": [{"file": f"set/masks/p{k}.png", "code": "stray_values", "reason": "1 %"} for k in range(12)],
    }
    path = folder / "datalist.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def small_set(tmp_path):
    """A datalist of ten pictures; the test picture `t1` is `p1` seen in a mirror, and brighter."""
    return write_set(tmp_path)


@pytest.fixture(scope="session")
def kept_set(tmp_path_factory):
    """The same, for tests that only read it."""
    return write_set(tmp_path_factory.mktemp("kept"))
