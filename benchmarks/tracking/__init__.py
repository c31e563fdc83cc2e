"""What the MLflow record of a training costs: the same training with and without it, in turns.

__main__    the order of the trainings, and what is told
training    one training in a process of its own, with its clock
overhead    from the times of all to medians, spread and ratios
"""
