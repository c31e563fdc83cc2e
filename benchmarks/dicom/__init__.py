"""Films in several transfer syntaxes, from an archive to DICOM Segmentations in it: how fast, and what takes the time.

films       the phantom's, compressed by pydicom's encoders and DCMTK's
clock       what each part of an inference takes, in the thread that does it
inference   the command in a process of its own, with the clock
memory      the most that processes hold
table       what came out, for people
"""
