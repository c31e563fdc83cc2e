"""Planar beside other tools: same pictures, same split, same time, same scores.

    python -m benchmarks.nnunet --data datalist.json --minutes 10 --out DIR    nnU-Net v2 2D, from its own package
    python -m benchmarks.tracking --data datalist.json --out DIR               what the record of a training costs
    python -m benchmarks.dicom --out FILE                                      from an archive to masks in it
    python -m benchmarks.active_learning --data datalist.json --out DIR        what the choice of the next film is worth
    python -m benchmarks.labelling --out FILE                                  several annotators at one server

Nothing of this is part of the installed package, and `pipeline` imports nothing of it. What every comparison shares:

    cases       the cases of a datalist under plain names, their pixels, and where masks are kept
    stages      steps that are done once, with what they took; a comparison that was stopped goes on where it was
    commands    another program: its log, its time, its end
    machine     what the numbers were measured on
    scoring     the masks of any tool scored by Planar's metrics; paired differences
    table       Markdown and JSON of what came out
    orthanc     a DICOMweb archive of one's own
    label_server    a labelling server of one's own
    planar      Planar as one of the peers: trained for a wall-clock budget
"""
