"""The process that predicts the test cases with Planar's trained bundle."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Write a mask of every test case on its source grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--no-tta", action="store_true", help="without the flips that the bundle averages over")
    given = parser.parse_args()

    from benchmarks.cases import cases_of, save_mask
    from pipeline.bundle import find_bundle
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.workflow import quiet_libraries

    cases = cases_of(given.data, ["test"])
    bundle = find_bundle(given.bundle)
    with quiet_libraries():
        predict = Predictor(bundle, (bundle.weights,), {}, test_time_flips=not given.no_tta)
        for case in cases:
            (prediction,) = predict([case.image])
            save_mask(prediction.mask, case, given.masks)


if __name__ == "__main__":
    main()
