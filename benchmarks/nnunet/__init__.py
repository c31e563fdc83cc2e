"""Planar beside nnU-Net v2 2D, each from its own package, on the same cases for the same wall clock.

__main__       the command
contest        the stages in their order: convert, prepare, train, predict, score
conversion     a datalist as nnU-Net's raw dataset
environment    nnU-Net's own environment: its programs, its folders, its settings
contestant     nnU-Net as one of the peers
fitting        the plan with which it gets somewhere in the time that there is
plugins/       what runs inside nnU-Net's environment: the trainer that stops in time, the times of a step
"""
