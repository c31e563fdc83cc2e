"""How fast Planar trains, predicts and starts beside what a user would pick instead.

    python -m benchmarks.speed --out DIR        or: make bench

__main__     the command
contest      the measurements in their order, contestants in turns
contestants  who takes part in what, and with which settings
process      a contestant's process: started once, then told to run for a while, again and again
cold         whole commands, from start to end
material     films, datalists and bundles that all of them get
floor        what the machine can do, and what a network must cost at least on it
summary      from turns to medians, spread and ratios; Markdown
quality      a command of its own: what the quick training learns, beside the plain one
masks        likewise: masks of every quick way of inference, beside the plain one's
peers/       what the environments of peers hold
stock/       a MONAI bundle in the model zoo's style, the peer that the ratios are about
workers/     what runs in the contestants' processes, some of them in environments of their own
"""
