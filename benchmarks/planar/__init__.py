"""Planar as one of the peers.

contestant     the bundle, the number of epochs that fits, training and prediction, each in a process of its own
clock          the handler that keeps the time
training       that process: trains until the deadline
prediction     that process: masks of the test cases
"""
