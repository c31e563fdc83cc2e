"""The errors that a user may cause, in one tree.

Every message is one line that says what, where, expected, got, and what to do; the command line prints it as it is.
Each leaf is also a builtin, so that code that knows nothing of Planar can still catch it::

    PlanarError
    ├── UnreadableImage (ValueError)        a file that is there but cannot be decoded
    ├── UnsupportedImage (ValueError)       a file that decodes, but is not a picture that Planar works on
    │   └── NoPicture (ValueError)          a DICOM object that is no image by its kind
    ├── MissingFile (FileNotFoundError)     a path that the user named and that is not there
    ├── GeometryMismatch (ValueError)       two grids that should be one
    ├── UnknownLabel (ValueError)           a mask value that the task does not know
    ├── InvalidDatalist (ValueError)        a datalist.json that cannot be used
    ├── InvalidFingerprint (ValueError)     a fingerprint.json that cannot be used
    ├── InvalidSplit (ValueError)           a split that the subjects do not allow
    ├── InvalidBundle (ValueError)          a folder that is not the bundle it should be
    ├── InvalidEvaluation (ValueError)      an evaluation that cannot be read, or compared with another
    ├── InvalidPack (ValueError)            a pack of a run's record that cannot be read
    ├── InvalidOption (ValueError)          options that contradict each other or the data
    ├── OutputExists (FileExistsError)      a result that would overwrite another
    ├── Diverged (ArithmeticError)          a training whose weights are no numbers any more
    ├── IncompleteResult (RuntimeError)     a result that would speak for cases that were not done
    ├── DownloadFailed (ConnectionError)    a public set that cannot be fetched, or is not what it should be
    ├── TrackingUnreachable (ConnectionError)  an MLflow store that cannot be opened
    ├── ArchiveUnreachable (ConnectionError)  a DICOMweb archive that does not answer, or lets nobody in
    ├── ClusterUnreachable (ConnectionError)  a Ray cluster that does not answer, or whose workers cannot begin
    ├── ArchiveRefusal (RuntimeError)       what an archive that answers does not give, or does not take
    ├── NoMemory (MemoryError)              a GPU whose memory does not suffice for what was asked
    ├── NoRoom (OSError)                    a disk that takes no more of what was begun
    └── MissingExtra (ImportError)          an optional part that is not installed
"""

import re

__all__ = [
    "ArchiveRefusal",
    "ArchiveUnreachable",
    "ClusterUnreachable",
    "Diverged",
    "DownloadFailed",
    "GeometryMismatch",
    "IncompleteResult",
    "InvalidBundle",
    "InvalidDatalist",
    "InvalidEvaluation",
    "InvalidFingerprint",
    "InvalidOption",
    "InvalidPack",
    "InvalidSplit",
    "MissingExtra",
    "MissingFile",
    "NoMemory",
    "NoPicture",
    "NoRoom",
    "OutputExists",
    "PlanarError",
    "TrackingUnreachable",
    "UnknownLabel",
    "UnreadableImage",
    "UnsupportedImage",
    "user_error_within",
]


class PlanarError(Exception):
    """Base of all errors that a user can mend."""


class UnreadableImage(PlanarError, ValueError):
    """A file that is there but cannot be decoded: truncated, empty, damaged, of an unknown format."""


class UnsupportedImage(PlanarError, ValueError):
    """A file that can be decoded but is not a picture that Planar works on."""


class NoPicture(UnsupportedImage, ValueError):
    """A DICOM object that is no image by its kind, as they lie in a study: a report, a segmentation."""


class MissingFile(PlanarError, FileNotFoundError):
    """A path that the user named and that is not there."""


class GeometryMismatch(PlanarError, ValueError):
    """Two grids that should be the same and are not."""


class UnknownLabel(PlanarError, ValueError):
    """A mask value that the label coding does not know."""


class InvalidDatalist(PlanarError, ValueError):
    """A datalist that cannot be used."""


class InvalidFingerprint(PlanarError, ValueError):
    """A fingerprint that cannot be used."""


class InvalidSplit(PlanarError, ValueError):
    """A split that the given subjects do not allow."""


class InvalidBundle(PlanarError, ValueError):
    """A folder that is not the bundle it should be."""


class InvalidEvaluation(PlanarError, ValueError):
    """A folder that is not the evaluation it should be, or evaluations that do not go together."""


class InvalidPack(PlanarError, ValueError):
    """A pack of a run's record that cannot be read."""


class InvalidOption(PlanarError, ValueError):
    """Options that contradict each other or the data."""


class OutputExists(PlanarError, FileExistsError):
    """A result that would overwrite another."""


class Diverged(PlanarError, ArithmeticError):
    """A training whose weights are no numbers any more."""


class IncompleteResult(PlanarError, RuntimeError):
    """A result that would speak for cases that were not done, and is therefore not written."""


class ClusterUnreachable(PlanarError, ConnectionError):
    """A Ray cluster does not answer, or its workers cannot begin."""


class DownloadFailed(PlanarError, ConnectionError):
    """A public set that cannot be fetched whole, or is not what it should be."""


class TrackingUnreachable(PlanarError, ConnectionError):
    """An MLflow store that cannot be opened."""


class ArchiveUnreachable(PlanarError, ConnectionError):
    """A DICOMweb archive that does not answer, or lets nobody in: nothing more can be asked of it."""


class ArchiveRefusal(PlanarError, RuntimeError):
    """What an archive that answers does not give, or does not take; the rest may go on."""


class NoMemory(PlanarError, MemoryError):
    """A GPU whose memory does not suffice for what was asked of it."""


class NoRoom(PlanarError, OSError):
    """A disk that takes no more of what was begun."""


class MissingExtra(PlanarError, ImportError):
    """An optional part that is not installed."""


def user_error_within(error: BaseException | None) -> PlanarError | OSError | None:
    """The error of the user's making that a library wrapped into its own, or None.

    MONAI wraps what a transform raises into ``RuntimeError("applying transform …")``, several times over; the cause
    chain still carries the line that the user needs. An `OSError` counts only if it was wrapped on purpose (``from``):
    one that code was busy handling when it met a bug must not hide the bug.
    """
    seen: set[int] = set()
    on_purpose = True
    while error is not None and id(error) not in seen:
        if isinstance(error, PlanarError) or (on_purpose and isinstance(error, OSError)):
            return error
        told = _told_by_worker(str(error))
        if told is not None:
            return told
        seen.add(id(error))
        if error.__cause__ is not None:
            error = error.__cause__
        else:
            on_purpose = False
            error = None if error.__suppress_context__ else error.__context__
    return None


def _told_by_worker(text: str) -> PlanarError | None:
    """The error that a data loader's worker process sent home: PyTorch keeps its traceback as text and no more."""
    if not text.startswith("Caught "):
        return None
    lines = re.findall(r"^pipeline\.errors\.(\w+): (.+)$", text, flags=re.MULTILINE)
    leaf = globals().get(lines[-1][0]) if lines else None
    return leaf(lines[-1][1]) if isinstance(leaf, type) and issubclass(leaf, PlanarError) else None
