"""The window of 8-bit CT slices, estimated where it is known."""

import numpy as np
import pytest

from benchmarks.release.window import brightest, tissue_peak


@pytest.mark.parametrize(("low", "high"), [(-1024.0, 3700.0), (-750.0, 1000.0)])
def test_a_known_window_is_found_again(low: float, high: float) -> None:
    generator = np.random.default_rng(0)
    hu = generator.normal(-1000, 8, (128, 128))
    hu[20:110, 20:110] = generator.normal(42, 8, (90, 90))
    lung = np.zeros(hu.shape, bool)
    lung[30:60, 40:80] = True
    hu[lung] = generator.normal(-860, 30, int(lung.sum()))
    grey = np.clip((hu - low) * 255 / (high - low), 0, 255).round()
    found = brightest(low, tissue_peak(grey, lung, (20, 250)), tissue_peak(hu, lung, (0, 150)))
    assert found == pytest.approx(high, rel=0.03)  # a grey value is 7 to 19 HU wide


def test_lungs_and_their_edges_have_no_say() -> None:
    picture = np.full((40, 40), 80.0)
    lung = np.zeros(picture.shape, bool)
    lung[5:35, 5:35] = True
    picture[lung] = 30.0
    assert tissue_peak(picture, lung, (20, 250)) == pytest.approx(80.5, abs=3)
