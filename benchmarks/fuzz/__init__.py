"""Damaged DICOM files: the reader must refuse each with one line or read it, in time and within memory.

See `python -m benchmarks.fuzz --help`.
"""
