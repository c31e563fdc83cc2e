"""What came out, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["markdown"]


def markdown(document: Mapping[str, Any]) -> str:
    """The result of `python -m benchmarks.dicom` as Markdown."""
    run, again = document["run"], document["again"]
    machine = document["machine"]
    films, loop = run["segmented"], run["loop_s"]
    syntaxes = ", ".join(f"{count} {name}" for name, count in document["syntaxes"].items())
    lines = [
        "# From an archive to DICOM Segmentations in it",
        "",
        f"`python -m benchmarks.dicom`: {films} films of the phantom, {document['size']} pixels along the longer side "
        f"({syntaxes}), from Orthanc {document['versions']['orthanc']} on the same machine through "
        f"`{document['bundle']}`, its gate and flips included, back into Orthanc; each SEG found again in its study. "
        f"{machine['processor']}, {machine['cores']} cores, {document['threads']} compute threads. Load of the machine "
        f"before: {document['load_before']:.2f}. {document['note']}".rstrip(),
        "",
        "| | |",
        "|---|---|",
        f"| films a second, first film to last | {films / loop:.2f} |",
        f"| processor time a film, all threads, weights loaded in it | {run['processor_s'] / films:.2f} s |",
        f"| whole command, libraries and weights loaded | {run['whole_s']:.1f} s |",
        f"| SEGs in the archive | {document['segs']} |",
        f"| most memory of the command | {document['peak_mib']['command']:.0f} MiB |",
        f"| most memory of Orthanc | {document['peak_mib']['orthanc']:.0f} MiB |",
        f"| the same command again (nothing to do) | {again['whole_s']:.1f} s, {again['stored']} stored |",
        "",
        "| thread that computes | s | share |",
        "|---|---|---|",
    ]
    rest = loop - sum(run["computing_s"].values())
    for part, seconds in {**run["computing_s"], "waiting, and the rest": rest}.items():
        lines.append(f"| {part} | {seconds:.1f} | {seconds / loop:.0%} |")
    lines += ["", "| threads beside it | s | of the time |", "|---|---|---|"]
    lines += [f"| {part} | {seconds:.1f} | {seconds / loop:.0%} |" for part, seconds in run["archive_s"].items()]
    lines += [
        "",
        "Decoding is reading a film's pixels, once for the network and for its grid. Preparing is "
        "resizing and normalisation; judging is the gate's, its own passes through the network included; to masks is "
        "the way back to the film's grid; writing makes and writes the SEG. Retrieving, storing (with finding again) "
        "and asking are done while the next or the former film is computed.",
    ]
    return "\n".join(lines) + "\n"
