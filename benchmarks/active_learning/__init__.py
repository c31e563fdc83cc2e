"""What the choice of the next film is worth: Dice against number of labels, for the strategies of the labelling app.

pool        films whose masks are known, as images that an annotator has not seen yet
rounds      one round: train on what is labelled, score, choose what is labelled next
outcome     means over seeds, as a table and as a chart
"""
