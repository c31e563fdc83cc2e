"""One item of a checklist, and how far a record answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pipeline.report.card_facts import CardFacts

__all__ = ["Answer", "ChecklistItem", "Mark", "Question"]

# From the facts to what the record says; empty if it says nothing.
Answer = Callable[[CardFacts], str]


class Mark(Enum):
    """How far the record answers an item."""

    RECORDED = "[x]"
    IN_PART = "[/]"
    NOT_RECORDED = "[-]"
    FOR_PEOPLE = "[ ]"


@dataclass(frozen=True)
class Question:
    """What a checklist asks.

    Attributes:
        number: In its source.
        asks: What for.
        answer: Where the record has it; None if only people know.
        left: What people must say besides, whatever the record says; empty if nothing.
    """

    number: str
    asks: str
    answer: Answer | None = None
    left: str = ""


@dataclass(frozen=True)
class ChecklistItem:
    """A question with what the record says to it.

    Attributes:
        question: What is asked.
        says: What the record says; empty if it says nothing.
    """

    question: Question
    says: str

    @classmethod
    def of(cls, question: Question, facts: CardFacts) -> ChecklistItem:
        """The item of a question, answered from a record."""
        return cls(question, " ".join(question.answer(facts).split()) if question.answer is not None else "")

    @property
    def mark(self) -> Mark:
        """How far it is answered."""
        if self.question.answer is None:
            return Mark.FOR_PEOPLE
        if not self.says:
            return Mark.NOT_RECORDED
        return Mark.IN_PART if self.question.left else Mark.RECORDED

    @property
    def text(self) -> str:
        """The cell of a table: what is recorded, and what people must say."""
        if self.mark is Mark.FOR_PEOPLE:
            return "*for people to state*"
        said = self.says or "*not recorded*"
        return f"{said} *For people to state: {self.question.left}.*" if self.question.left else said
