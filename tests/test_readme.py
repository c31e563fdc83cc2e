"""The commands of the README, run in their order in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_blocks_of_the_readme_run_in_order(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.M | re.S)
    assert len(blocks) >= 6
    (program,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)
    blocks.append(f"python - <<'END'\n{program}END\n")
    (tmp_path / "configs").symlink_to(README.parent / "configs")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**environment, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(list((tmp_path / "masks").glob("*_mask.png"))) == 24
    assert len(list((tmp_path / "python_masks").glob("*_mask.png"))) == len(list((tmp_path / "stock_masks").glob("*")))
    assert (tmp_path / "stock_scores" / "cases.csv").is_file()
    assert "Traceback" not in done.stdout + done.stderr
