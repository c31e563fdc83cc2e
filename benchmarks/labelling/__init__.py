"""The labelling server under several annotators at once: failures, time of an inference, memory.

load        clients that ask a server for masks until the time is over
steadiness  memory of the server's processes over time
table       what came out
"""
