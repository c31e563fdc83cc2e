"""A MONAI Label app on bundles: annotate with them in 3D Slicer or OHIF, and train them from what was annotated.

MONAI Label is imported here and nowhere else. What does not need it (labels on disk, the settings of the server) has
files of its own, so that it can be used and tested without.
"""
