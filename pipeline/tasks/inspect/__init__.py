"""Looking at a set before anything is planned from it."""

from pipeline.tasks.inspect.run import (
    Inspected,
    Inspection,
    fingerprint_of,
    inspect_set,
    refuse_existing,
    write_fingerprint,
)

__all__ = ["Inspected", "Inspection", "fingerprint_of", "inspect_set", "refuse_existing", "write_fingerprint"]
