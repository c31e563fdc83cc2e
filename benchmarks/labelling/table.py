"""What came out, as Markdown and as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.chart import Axis, Chart, colour

__all__ = ["chart", "markdown"]

STANDALONE = (
    'xmlns="http://www.w3.org/2000/svg" style="--font:system-ui,sans-serif;--soft:#59616d;--rule:#d9dde2;'
    'color:#1a1d21;background:#fff" '
)


def markdown(document: Mapping[str, Any]) -> str:
    """The figures of a run."""
    times, memory, machine = document["seconds"], document["memory"], document["machine"]
    minutes = document["minutes"]
    lines = [
        "# The labelling server under several annotators",
        "",
        f"`python -m benchmarks.labelling`: {document['clients']} clients of MONAI Label's own, {minutes:g} minutes, "
        f"{document['images']} images (files: {document['kinds']}), `{document['bundle']}` with flips and gate. "
        f"{machine['processor']}, {machine['cores']} cores; load of the machine before: {document['load_before']:.2f}. "
        f"{document['note']}".rstrip(),
        "",
        "| | |",
        "|---|---|",
        f"| masks | {document['inferences']} ({document['inferences'] / minutes:.1f} a minute) |",
        f"| labels saved | {document['saved']} |",
        f"| failures | {len(document['failures'])} |",
        f"| errors in the server's log | {document['errors_in_log']} |",
        f"| a mask, as the client waits: median, 95 % | {_both(times['waited'])} |",
        f"| of that the server computes: median, 95 % | {_both(times['computed'])} |",
        f"| memory of the server at the beginning | {memory['begin_mib']:.0f} MiB |",
        f"| at the end | {memory['end_mib']:.0f} MiB |",
        f"| slope in between | {memory['mib_a_minute']:+.1f} MiB a minute |",
        f"| at most | {memory['most_mib']:.0f} MiB |",
        "",
        "The server computes one mask at a time: a client waits for those of the others. Memory is that of what "
        "follows the first quarter of the time: means of its first and its last third, and the slope of least squares.",
    ]
    lines += [f"- {line}" for line in sorted({f"{what}: {kind}" for _, what, kind in document["failures"]})]
    return "\n".join(lines) + "\n"


def chart(document: Mapping[str, Any]) -> str:
    """Memory of the server over time."""
    samples = [(seconds / 60, mib) for seconds, mib in document["memory_over_time"]]
    drawn = Chart(
        Axis("minutes", 0.0, max(minute for minute, _ in samples)),
        Axis.around("resident memory, MiB", [mib for _, mib in samples], include=(0.0,)),
        width=560.0,
    )
    drawn.line(samples, colour(0))
    return str(drawn.svg("Memory of the server over time")).replace("<svg ", f"<svg {STANDALONE}", 1) + "\n"


def _both(times: Mapping[str, float]) -> str:
    return f"{times['median']:.2f} s, {times['p95']:.2f} s"
