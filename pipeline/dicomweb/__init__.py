"""A DICOMweb archive as a source of images and a place for results.

`dicomweb-client` is imported here and nowhere else. It searches (QIDO-RS) and stores (STOW-RS); images are retrieved
(WADO-RS) by its connection straight onto the disk. Whatever else uses an archive needs five names::

    archive = open_archive("dicomweb://localhost:8042/dicom-web")     # or one line that says why not
    stored = store(archive, Path("film_seg.dcm"), study)              # and found again, in its study
    present(archive, stored.study, stored.series, [stored.instance])
    retrieve(archive, study, series, instances, folder)
    archive.close()
"""

from pipeline.dicomweb.address import Address
from pipeline.dicomweb.ahead import Behind, ahead
from pipeline.dicomweb.archive import Archive, open_archive
from pipeline.dicomweb.choosing import Choice, are_slices, choose
from pipeline.dicomweb.credentials import Credentials
from pipeline.dicomweb.listing import Instance, Series, find_series, instances_of
from pipeline.dicomweb.patience import Patience
from pipeline.dicomweb.query import Query
from pipeline.dicomweb.references import referenced_series
from pipeline.dicomweb.retrieving import file_of, retrieve
from pipeline.dicomweb.selection import Selection
from pipeline.dicomweb.storing import StoredObject, present, store

__all__ = [
    "Address",
    "Archive",
    "Behind",
    "Choice",
    "Credentials",
    "Instance",
    "Patience",
    "Query",
    "Selection",
    "Series",
    "StoredObject",
    "ahead",
    "are_slices",
    "choose",
    "file_of",
    "find_series",
    "instances_of",
    "open_archive",
    "present",
    "referenced_series",
    "retrieve",
    "store",
]
