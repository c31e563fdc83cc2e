"""The bundles in the repository are what `planar plan` writes from the fingerprints in them and the task specs."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.fingerprint import Fingerprint
from pipeline.gate import default_rules
from pipeline.planning import Machine, PlanOptions, bundle_files, make_plan, read_task_spec
from pipeline.planning.write import HISTORY, OF_TRAINING

TASKS = Path(__file__).parent.parent.parent / "configs" / "tasks"


def test_a_committed_bundle_is_what_plan_writes(bundle: Path) -> None:
    record = json.loads((bundle / "configs" / "plan.json").read_text())
    options = dict(record["options"])
    machine = Machine(options.pop("device"), options.pop("cores"), options.pop("memory_gb"))
    spec = read_task_spec(TASKS / f"{record['task']}.yaml")
    fingerprint = Fingerprint.from_json((bundle / "configs" / "fingerprint.json").read_text(encoding="utf-8"))
    plan = make_plan(fingerprint, spec, PlanOptions(machine=machine, **options))
    rules = default_rules(fingerprint, spec.labels, spec.plausibility)
    written = bundle_files(plan, bundle.name, rules)
    for name, text in written.items():
        if not name.startswith("configs/") or name == "configs/metadata.json":
            continue
        assert (bundle / name).read_text(encoding="utf-8") == text, f"{name}: plan the bundle again (ARCHITECTURE.md)"
    planned, committed = (
        json.loads(text)
        for text in (written["configs/metadata.json"], (bundle / "configs" / "metadata.json").read_text())
    )
    # What training, evaluation and people add to the metadata is theirs.
    for content in (planned, committed):
        for key in HISTORY:
            content.pop(key, None)
        for key in OF_TRAINING:
            content["planar"].pop(key, None)
    assert committed == planned


def test_each_task_spec_has_ten_lines_or_fewer() -> None:
    for path in TASKS.glob("*.yaml"):
        assert len(path.read_text().strip().splitlines()) <= 10, path.name
