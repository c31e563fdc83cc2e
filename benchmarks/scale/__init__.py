"""Thousands of films through every stage: whether time is linear in their number, and memory flat.

    python -m benchmarks.scale --films 200 --films 400 --out DIR

__main__    the command
stages      the stages, each a command that a user would give
measuring   time, processor time and memory of a command with all its processes
summary     what a film costs, and what a number of films would take

ray         a command of its own: a cohort over a Ray cluster that loses a worker
processes   likewise: training by several processes of torchrun
"""
