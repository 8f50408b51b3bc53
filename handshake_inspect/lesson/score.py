"""The answers given in a lesson: how many were right, and which topics to review.

In: questions and answers. Out: counts, and the topics of `explain` to read, in the order in which they came up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from handshake_inspect.lesson.question import Question


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question that was asked."""

    question: Question
    #: None: the solution was shown without an answer.
    answer: str | None

    @property
    def is_right(self) -> bool:
        """Was it the right answer?"""
        return self.answer == self.question.right


@dataclass
class Score:
    """All answers of one lesson."""

    answered: list[AnsweredQuestion] = field(default_factory=list)

    def note(self, question: Question, answer: str | None) -> AnsweredQuestion:
        """Add one answer."""
        self.answered.append(AnsweredQuestion(question, answer))
        return self.answered[-1]

    @property
    def right(self) -> int:
        """Count of right answers."""
        return sum(one.is_right for one in self.answered)

    @property
    def shown(self) -> int:
        """Count of questions whose solution was shown without an answer."""
        return sum(one.answer is None for one in self.answered)

    @property
    def to_look_at(self) -> dict[str, list[AnsweredQuestion]]:
        """Topic -> the questions about it that were not answered rightly."""
        found: dict[str, list[AnsweredQuestion]] = {}
        for one in self.answered:
            if not one.is_right:
                found.setdefault(one.question.topic, []).append(one)
        return found
