"""From the fingerprint of a data set and a task spec to a bundle, each choice with its reason."""

from pipeline.planning.machine import Machine, found_machine, parse_duration
from pipeline.planning.plan import Plan, PlanOptions, make_plan
from pipeline.planning.spec import TaskSpec, read_task_spec
from pipeline.planning.write import bundle_files, write_bundle

__all__ = [
    "Machine",
    "Plan",
    "PlanOptions",
    "TaskSpec",
    "bundle_files",
    "found_machine",
    "make_plan",
    "parse_duration",
    "read_task_spec",
    "write_bundle",
]
