"""What was answered in a lesson: how many rightly, and what deserves another look.

In: questions and answers. Out: counts, and the topics of `explain` to read, in the order in which they came up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from handshake_inspect.lesson.question import Question


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question that was put."""

    question: Question
    #: None: it was shown without an answer.
    answer: str | None

    @property
    def is_right(self) -> bool:
        """Was it the right answer?"""
        return self.answer == self.question.right


@dataclass
class Score:
    """All of one lesson."""

    answered: list[AnsweredQuestion] = field(default_factory=list)

    def note(self, question: Question, answer: str | None) -> AnsweredQuestion:
        """Keep one answer."""
        self.answered.append(AnsweredQuestion(question, answer))
        return self.answered[-1]

    @property
    def right(self) -> int:
        """How many answers were right."""
        return sum(one.is_right for one in self.answered)

    @property
    def shown(self) -> int:
        """How many questions were left to be shown."""
        return sum(one.answer is None for one in self.answered)

    @property
    def to_look_at(self) -> dict[str, list[AnsweredQuestion]]:
        """Topic -> what was not known about it."""
        found: dict[str, list[AnsweredQuestion]] = {}
        for one in self.answered:
            if not one.is_right:
                found.setdefault(one.question.topic, []).append(one)
        return found
