"""The released bundles, made anew from the public sets: indexed, planned, trained, calibrated, scored and shown."""
