"""The score of a lesson, and what it says to read."""

from __future__ import annotations

from handshake_inspect.explain.collected import written_pages
from handshake_inspect.lesson.score import Score
from handshake_inspect.lesson.telling import score_lines
from tests.lesson.test_question import OWNER, STATE, TIMER


def test_the_score_counts_right_and_shown_answers() -> None:
    score = Score()
    assert score.note(STATE, "FIN-WAIT-1").is_right
    assert not score.note(STATE, "TIME-WAIT").is_right
    assert not score.note(OWNER, None).is_right
    assert (score.right, score.shown, len(score.answered)) == (1, 1, 3)
    assert [*score.to_look_at] == ["FIN-WAIT-1", "who-waits"]
    assert [line.plain for line in score_lines(score, 80)] == [
        "Score      1 of 3 questions right, 1 shown.",
        "Look again FIN-WAIT-1 (you said TIME-WAIT): handshake-inspect explain FIN-WAIT-1",
        "Look again who-waits: handshake-inspect explain who-waits",
    ]


def test_topics_are_pages() -> None:
    topics = {page.name for page in written_pages()}
    assert {OWNER.topic, TIMER.topic} <= topics
