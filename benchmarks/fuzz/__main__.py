"""`python -m benchmarks.fuzz FILES…`: damage DICOM files and read them; status 1 if one was not handled well."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from benchmarks.fuzz.run import BAD, fuzz


def main() -> int:
    """Print what was not handled well, then a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="whole DICOM files, or folders of them")
    parser.add_argument("--number", type=int, default=2000, help="damaged files (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed damages otherwise")
    parser.add_argument("--keep", type=Path, help="folder for files that were not handled well")
    parser.add_argument("--out", type=Path, help="JSON with all results")
    options = parser.parse_args()
    files = sorted(
        f for given in options.files for f in (given.rglob("*") if given.is_dir() else [given]) if f.is_file()
    )
    results = []
    for result in fuzz(files, options.number, seed=options.seed, keep=options.keep):
        results.append(result)
        if result["outcome"] in BAD:
            print(json.dumps(result), flush=True)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
    counts = Counter(result["outcome"] for result in results)
    slowest, largest = max(r["seconds"] for r in results), max(r["peak_mib"] for r in results)
    print(f"{len(results)} of {len(files)} files: {dict(counts)}; slowest {slowest:.2f} s, largest {largest} MiB")
    return int(any(counts[outcome] for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())
