"""The ladder as a diagram of Mermaid: every line is one of the few forms that we write, whatever a capture says.

That Mermaid itself takes the diagrams, and shows the worst texts as they are, was tried with its release 11.17.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given

from handshake_inspect.inspector import inspect
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder_rows import ladder_of
from handshake_inspect.views.pictures.mermaid import diagram
from handshake_inspect.views.rungs import Rung, Standing
from tests.views.pictures.hostile import TEXTS, WORST, hostile_ladder, ladders

PCAPS = Path(__file__).parents[3] / "pcaps"
#: Text: what stands for itself, a character by its number, a line break of ours. No # and ; but of a number, no colon.
TEXT = r"(?:[^#;:<>{}%&\"\\\x00-\x1f]|#\d+;|<br/>)+"
LINE = re.compile(
    rf"sequenceDiagram|    participant [LR] as {TEXT}|    Note (?:over L,R|left of L|right of R): {TEXT}"
    rf"|    (?:L(?:->>|-x|--x|-->>)R|R(?:->>|-x|--x|-->>)L): {TEXT}"
)
#: The word that a diagram must not have (as the documentation of Mermaid says).
END = re.compile(r"\bend\b", re.IGNORECASE)


def read(line: str) -> str:
    """Return a line as it is shown."""
    return unescape(re.sub(r"#(\d+);", r"&#\1;", line.replace("<br/>", "")))


def test_every_line_has_a_known_form() -> None:
    for ladder in ladders():
        lines = [*diagram(ladder, title="echo", facts=["11 segments"])]
        assert lines[0] == "sequenceDiagram"
        assert all(LINE.fullmatch(line) for line in lines)


@given(said=TEXTS)
def test_no_text_of_a_capture_becomes_another_line(said: str) -> None:
    ladder, words = hostile_ladder(said)
    lines = [*diagram(ladder, **words)]  # type: ignore[arg-type]
    assert all(LINE.fullmatch(line) for line in lines)
    said_of = [line.partition(": ")[2] for line in lines]
    assert not any(END.search(re.sub(r"#\d+;|<br/>", "#", one)) for one in said_of)


@pytest.mark.parametrize("said", [*WORST, "end", "loop over L", "a;b#c:d #35; %%{init}%%"])
def test_what_a_capture_says_can_be_read(said: str) -> None:
    ladder, words = hostile_ladder(said)
    shown = read("".join(diagram(ladder, **words)))  # type: ignore[arg-type]
    assert shown.replace(" ", "").count(printable(said).replace(" ", "")) >= 6


@pytest.mark.parametrize("name", ["four-way", "simultaneous-close", "refused", "lost-third-ack", "blind-reset"])
def test_the_diagram_says_what_the_ladder_says(name: str) -> None:
    connection, steps = inspect(PCAPS / f"{name}.pcap").described(0)
    ladder = ladder_of(connection, steps)
    lines = [*diagram(ladder, title=name)]
    arrows = [line for line in lines if re.match(r"    [LR]-", line)]
    assert len(arrows) == sum(isinstance(row, Rung) for row in ladder.rows)
    for step, arrow in zip(steps, arrows, strict=True):
        assert arrow.startswith("    L" if step.sender == "originator" else "    R")
        assert ("--x" in arrow) == (step.ignored is not None)
        assert ("-x" in arrow) == ("RST" in step.flags or step.ignored is not None)
        assert all(f"{line.name}={line.symbolic} " in arrow for line in step.arithmetic)
    written = [at.state for row in ladder.rows if isinstance(row, Rung | Standing) for at in row.written if at]
    notes = [re.match(r"    Note (?:left|right) of [LR]: ([A-Z0-9-]+)(<br/>|$)", line) for line in lines]
    assert [note[1] for note in notes if note] == [state for state in written if state]


def test_one_socket_that_is_both_ends_leaves_time_wait_once() -> None:
    found = ladder_of(*inspect(PCAPS / "self-connect.pcap").described(0))
    (note,) = [line for line in diagram(found, title="echo") if "TIME-WAIT until" in line]
    assert note.startswith("    Note over L,R: ")
    assert note.endswith("CLOSED<br/>(by timer)")
