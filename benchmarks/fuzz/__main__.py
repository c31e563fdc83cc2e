"""`python -m benchmarks.fuzz --number 2000 FILES…`: damage DICOM files and read them."""

from __future__ import annotations

import argparse
import json
import random
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import mutate

SECONDS, MIB = 10.0, 2048
# A file is read in five ways; beside other programs a second of work may take longer.
WAYS, SHORT_OF_TIME = 5, 6
BAD = ("error", "unclear", "crash", "hang")


class Reader:
    """A process that reads files, started again when it has died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        """How reading a file went: outcome, what was said, seconds, peak memory in MiB."""
        process = self.process or self._start()
        assert process.stdin is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        line = self._line(process, SECONDS * WAYS * SHORT_OF_TIME)
        if line:
            return dict(json.loads(line))
        outcome = "hang" if line is None else "crash"
        process.kill()
        said = f"status {process.wait()}"
        self.process = None
        return {"outcome": outcome, "said": said, "seconds": SECONDS, "peak_mib": 0}

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.fuzz.reading"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line(self.process, 120.0)
        return self.process

    def _line(self, process: subprocess.Popen[str], seconds: float) -> str | None:
        """The next line: "" if the process has ended, None if nothing came in time."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(seconds) else None


def main() -> int:
    """Run it; the exit status is 1 if a file crashed, hung, took too much memory or was not refused in one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="whole DICOM files, or folders of them")
    parser.add_argument("--number", type=int, default=2000, help="damaged files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that were not handled well")
    parser.add_argument("--out", type=Path, help="JSON with all results")
    options = parser.parse_args()
    files = sorted(
        f for given in options.files for f in (given.rglob("*") if given.is_dir() else [given]) if f.is_file()
    )
    rng = random.Random(options.seed)
    reader, results = Reader(), []
    with tempfile.TemporaryDirectory(prefix="planar-fuzz-") as folder:
        for number in range(options.number):
            source = rng.choice(files)
            done, content = mutate(rng, source.read_bytes())
            path = Path(folder) / f"damaged{number}.dcm"
            path.write_bytes(content)
            result = reader.read(path) | {"number": number, "source": source.name, "damage": done}
            if result["peak_mib"] > MIB or result["seconds"] > SECONDS:
                result["outcome"] = "hang" if result["seconds"] > SECONDS else "memory"
            results.append(result)
            if result["outcome"] in (*BAD, "memory"):
                print(json.dumps(result), flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{options.seed}-{number}-{source.name}").write_bytes(content)
            path.unlink()
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
    counts = Counter(result["outcome"] for result in results)
    print(
        f"{len(results)} files of {len(files)}: {dict(counts)}; slowest {max(r['seconds'] for r in results):.2f} s, "
        f"largest {max(r['peak_mib'] for r in results)} MiB"
    )
    return int(any(counts[outcome] for outcome in (*BAD, "memory")))


if __name__ == "__main__":
    sys.exit(main())
