"""`python -m benchmarks.dicom.inference BUNDLE ADDRESS OUT TIMES.json`: the command with a clock in it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.dicom.clock import Clock

# In the thread that computes, and in the two that wait for the archive.
COMPUTING = ("decoding", "preparing", "network", "judging", "to masks", "writing")
ARCHIVE = ("asking", "retrieving", "storing")


def main(bundle: str, address: str, out: str, times: str) -> int:
    """Run the inference and write what it took."""
    began = time.perf_counter()
    import pipeline.cli.main  # before torch is loaded: says how threads wait, as the command does
    import pipeline.dicom_seg.source
    import pipeline.readers.dicom
    import pipeline.tasks.infer.earlier
    import pipeline.tasks.infer.quality
    import pipeline.tasks.infer.retrieved
    import pipeline.tasks.infer.returned
    import pipeline.tasks.infer.run
    import pipeline.tasks.infer.units
    import pipeline.tasks.infer.working
    from pipeline.dicomweb import Selection
    from pipeline.tasks.infer import FromArchive
    from pipeline.tasks.infer.predictor import Predictor
    from pipeline.tasks.infer.watching import Watch

    clock = Clock()
    clock.put_into(pipeline.readers.dicom, "read_dicom", "decoding")
    clock.put_into(pipeline.tasks.infer.quality, "verdict_of", "judging")
    clock.put_into(Watch, "__call__", "judging")
    clock.put_into(pipeline.tasks.infer.working, "write_results", "writing")
    clock.put_into(pipeline.tasks.infer.working, "images_of", "writing")
    clock.put_into(pipeline.tasks.infer.retrieved, "retrieve", "retrieving")
    for module in (pipeline.tasks.infer.earlier, pipeline.tasks.infer.returned):
        clock.put_into(module, "present", "asking")
    clock.put_into(pipeline.tasks.infer.units, "instances_of", "asking")
    clock.put_into(pipeline.tasks.infer.returned, "store", "storing")
    clock.put_into(Predictor, "finish", "to masks")
    original = Predictor.__init__

    def timed_init(self: Predictor, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.preprocessing = clock.timed("preparing", self.preprocessing)
        self.network.forward = clock.timed("network", self.network.forward)

    Predictor.__init__ = timed_init  # type: ignore[method-assign]
    before_s = time.process_time()
    selection = Selection.of(address, (), "Modality=DX")
    result = pipeline.tasks.infer.run.infer(bundle, [], Path(out), archive=FromArchive(selection), formats=["dicomseg"])
    returned = result.returned
    assert returned is not None
    document = {
        "whole_s": time.perf_counter() - began,
        "loop_s": result.seconds,
        # Of all threads; what to read where the machine was not quite idle.
        "processor_s": time.process_time() - before_s,
        "segmented": result.segmented,
        "stored": returned.sources,
        "earlier": returned.earlier,
        "refused": [one.reason for one in result.refused] + [one.reason for one in returned.unstored],
        "computing_s": {part: clock.seconds[part] for part in COMPUTING},
        "archive_s": {part: clock.seconds[part] for part in ARCHIVE},
        "calls": dict(clock.calls),
    }
    Path(times).write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
