"""The documents of a bundle, written from the record of its run, and whether they still say the same."""

from pipeline.tasks.card.check import check_card
from pipeline.tasks.card.write import CardResult, write_card

__all__ = ["CardResult", "check_card", "write_card"]
