"""Index a set: pair images with masks, check them, split by subject, write datalist.json."""

from pipeline.planning import TaskSpec, read_task_spec
from pipeline.tasks.index.coding import LabelOptions
from pipeline.tasks.index.download import Downloaded, download_set
from pipeline.tasks.index.options import IndexOptions, PairingOptions, SubjectOptions
from pipeline.tasks.index.run import IndexResult, index_set, require_free
from pipeline.tasks.index.sides import SplitOptions

__all__ = [
    "Downloaded",
    "IndexOptions",
    "IndexResult",
    "LabelOptions",
    "PairingOptions",
    "SplitOptions",
    "SubjectOptions",
    "TaskSpec",
    "download_set",
    "index_set",
    "read_task_spec",
    "require_free",
]
