from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption, UnsupportedImage
from pipeline.readers import read_picture
from pipeline.tasks.infer import infer
from pipeline.tasks.serving import ServedBundle, _load_pyfunc


def picture(seed: int = 0, shape: tuple[int, ...] = (90, 70), top: int = 256) -> np.ndarray:
    """A grey picture with a smooth blob, rows first."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    blob = np.exp(-(((rows - 40) / 20) ** 2) - ((columns - 20 - seed) / 9) ** 2) * (top - 1)
    return blob.astype(np.uint8 if top <= 256 else np.uint16)


def text(array: np.ndarray, form: str = "PNG") -> str:
    out = io.BytesIO()
    Image.fromarray(array).save(out, format=form)
    return base64.b64encode(out.getvalue()).decode()


def decoded(answer: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))))


@pytest.fixture
def served(random_bundle: Bundle) -> ServedBundle:
    return _load_pyfunc(str(random_bundle.root))


def test_a_png_as_base64_gets_the_mask_that_infer_writes(
    served: ServedBundle, random_bundle: Bundle, tmp_path: Path
) -> None:
    Image.fromarray(picture()).save(tmp_path / "film.png")
    infer(str(random_bundle.root), [str(tmp_path / "film.png")], tmp_path / "out")
    expected = read_picture(tmp_path / "out" / "film_mask.png", labels=True).array.T
    sent = text(picture())
    for given in (pd.DataFrame({"image": [sent]}), [{"image": f"data:image/png;base64,{sent}"}], sent):
        (answer,) = served.predict(given)
        assert (decoded(answer["mask"]) == expected).all()
        assert answer["labels"] == {"0": "background", "1": "lung"}
    assert 0 < expected.mean() < 1


def test_an_array_gets_an_array_and_the_same_mask(served: ServedBundle) -> None:
    array = picture()
    table = pd.DataFrame({"image": [array.tolist(), text(array)]})
    rows, encoded = (answer["mask"] for answer in served.predict(table))
    assert np.asarray(rows).shape == array.shape
    assert (np.asarray(rows) == decoded(encoded)).all()
    # As a server that decodes JSON, or a caller in Python, may give it.
    for given in ({"image": array}, [array], array):
        pictures = given if not isinstance(given, dict) else pd.DataFrame({"image": [array.tolist()]})
        assert served.predict(pictures)[0]["mask"] == rows


def test_the_form_of_the_mask_can_be_chosen(served: ServedBundle) -> None:
    (as_array,) = served.predict([text(picture())], {"mask_as": "array"})
    (as_png,) = served.predict([picture()], {"mask_as": "png"})
    assert (decoded(as_png["mask"]) == np.asarray(as_array["mask"])).all()
    with pytest.raises(InvalidOption, match=r"no form 'gif'.*png, array"):
        served.predict([text(picture())], {"mask_as": "gif"})


def test_deep_pictures_and_such_with_negative_values_keep_their_values(served: ServedBundle) -> None:
    deep = picture(top=4000)
    as_file, as_array = served.predict([text(deep), deep.tolist()])
    assert (decoded(as_file["mask"]) == np.asarray(as_array["mask"])).all()
    (hounsfield,) = served.predict([(deep.astype(np.int32) - 1024).tolist()])
    assert (
        np.asarray(hounsfield["mask"]) == np.asarray(as_array["mask"])
    ).mean() > 0.99  # scaled by its own percentiles


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        ("no base64!", InvalidOption, "no base64"),
        ([[1, 2], [3]], InvalidOption, "do not make an array"),
        ([[[1, 2]]], InvalidOption, r"shape \(1, 1, 2\)"),
        ([["a", "b"]], InvalidOption, "expected numbers"),
        ([[[300, 0, 0]]], InvalidOption, "colour picture has values from 0 to 300"),
    ],
)
def test_what_is_no_picture_is_told(served: ServedBundle, sent: object, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        served.predict([sent])


def test_a_stack_is_told_to_be_sent_slice_by_slice(served: ServedBundle) -> None:
    out = io.BytesIO()
    pages = [Image.fromarray(picture(seed)) for seed in range(3)]
    pages[0].save(out, format="TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(UnsupportedImage, match="slices one by one"):
        served.predict([base64.b64encode(out.getvalue()).decode()])
