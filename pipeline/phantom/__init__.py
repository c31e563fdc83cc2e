"""A digital thorax phantom: analytic solids, and the radiographs and CT slices of one and the same body.

    body = thorax(seed=3)
    film = radiograph(body, seed=3)               # film.image, film.labels, film.affine
    hu, labels = body.ct((256, 256, 20), affine)  # on any grid, oblique and flipped ones too
    body.label_at(points_lps_mm)                  # exact ground truth anywhere

No patient is involved: sizes and positions are drawn around an adult's.
"""

from pipeline.phantom.parts import Label
from pipeline.phantom.radiograph import FILM_LABELS, Radiograph, radiograph
from pipeline.phantom.slices import CtSeries, ct_series
from pipeline.phantom.thorax import Thorax, thorax

__all__ = ["FILM_LABELS", "CtSeries", "Label", "Radiograph", "Thorax", "ct_series", "radiograph", "thorax"]
