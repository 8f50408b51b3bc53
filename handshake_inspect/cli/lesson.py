"""The dialogue of a lesson: it asks before each segment that changes a state, and draws the ladder row by row.

On a terminal it waits for answers. Elsewhere `--step` prints questions and answers without waiting, and `--quiz` reads
its answers from standard input, a line each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from rich.text import Text

from handshake_inspect.cli.ladders import Scene, alike_connections, ladder_of, more_alike
from handshake_inspect.cli.output import write_lines
from handshake_inspect.connections.connection import Connection, End, Step
from handshake_inspect.lesson.ending import ending_questions
from handshake_inspect.lesson.errors import ErrorStop, error_stops
from handshake_inspect.lesson.question import AnswerError, Question, understood
from handshake_inspect.lesson.score import Score
from handshake_inspect.lesson.stops import Stop, stops_of
from handshake_inspect.lesson.telling import HOW_TO, Narration, score_lines
from handshake_inspect.tcp.states import State
from handshake_inspect.views.escape import printable
from handshake_inspect.views.ladder import LadderOptions, LadderParts, SocketCall
from handshake_inspect.views.rungs import ErrorRung, FoldRung, Row, Rung, Standing

#: What a learner types to leave.
LEAVE = ("q", "quit", "exit")


#: Whose state, from where to where.
Move = tuple[End | None, State | None, str]


class LeftError(Exception):
    """The learner has left: by q, by Ctrl-C, or at the end of input."""


@dataclass
class Lesson:
    """One lesson, and the answers so far."""

    options: LadderOptions
    #: Answers are read, be it from a pipe; else what is asked is shown at once.
    waits: bool
    #: The score is told at the end.
    is_quiz: bool
    score: Score = field(default_factory=Score)
    #: Moves that need not be asked about any more.
    known: set[Move] = field(default_factory=set)
    #: The line before is free.
    is_apart: bool = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Print how to answer; at the end, or when the learner leaves, print the score."""
        if self.waits:
            write_lines([Text(HOW_TO, "italic"), Text()])
        try:
            yield
        except (LeftError, KeyboardInterrupt):
            self.gap()
        if self.is_quiz:
            write_lines(score_lines(self.score, self.options.width))

    def walk_scene(self, scene: Scene) -> None:
        """Walk through the connections of a scene; of several equal ones through the first.

        What was answered rightly about one is not asked about the next.
        """
        for alike in alike_connections(scene.inspection.connections, most=1):
            connection = alike[0]
            self.known = {move_of(one.question) for one in self.score.answered if one.is_right}
            parts, calls = ladder_of(scene, connection, self.options), scene.calls_of(connection)
            self.walk(connection, scene.inspection.steps(connection.stream), parts, calls)
            write_lines(more_alike(alike))

    def walk(
        self, connection: Connection, steps: Sequence[Step], parts: LadderParts, calls: Sequence[SocketCall]
    ) -> None:
        """Walk through one connection with these lines of its ladder."""
        telling = Narration(connection, self.options, parts.indent)
        stops, errors = iter(stops_of(connection, steps, calls)), iter(error_stops(connection.icmp_errors))
        self.draw(parts.head)
        passed: list[Text] = []
        for row, lines in parts.rows:
            if isinstance(row, Rung):
                self.stop_at(next(stops), [*passed, *lines], telling)
                passed = []
            elif isinstance(row, ErrorRung):
                self.stop_at_error(next(errors), lines, telling)
            elif isinstance(row, Standing) and row.time:
                passed += lines  # on the way within the next segment, which is asked about first
            else:
                self.draw(lines)
                pass_over(stops, row)
        for question in ending_questions(connection):
            self.gap()
            self.put(question, telling)
            write_lines(telling.ended(question))
        self.draw([*parts.foot, Text()])
        self.is_apart = True

    def stop_at(self, stop: Stop, lines: Sequence[Text], telling: Narration) -> None:
        """Ask about one segment, then draw and explain it."""
        questions = [one for one in stop.questions if move_of(one) not in self.known]
        if questions:
            self.gap()
            write_lines(telling.announced(stop.step))
        for question in questions:
            self.put(question, telling, stop.step)
        self.show(highlighted(lines, stop), telling.explained(stop), apart=bool(questions))

    def stop_at_error(self, stop: ErrorStop, lines: Sequence[Text], telling: Narration) -> None:
        """Ask about one ICMP error, then draw and explain it."""
        if stop.question is not None:
            self.gap()
            write_lines(telling.announced_error(stop.error))
            self.put(stop.question, telling)
        self.show(lines, telling.explained_error(stop), apart=stop.question is not None)

    def put(self, question: Question, telling: Narration, step: Step | None = None) -> None:
        """Ask one question, and print the right answer."""
        write_lines(telling.asked(question, step))
        answer = self.answer(question, telling) if self.waits else None
        write_lines(telling.verdict(self.score.note(question, answer)))
        self.is_apart = False

    def answer(self, question: Question, telling: Narration) -> str | None:
        """Read an answer; None if the learner asks for it. Raises LeftError."""
        while True:
            self.is_apart = False
            typed = read_line(telling.indent).strip()
            if not typed:
                return None
            if typed.casefold() in LEAVE:
                raise LeftError
            if typed == "?":
                write_lines(telling.hint(question))
                continue
            try:
                return understood(typed, question)
            except AnswerError as error:
                write_lines(telling.barred([Text(printable(str(error)))]))

    # Lines, and the free lines between them.

    def show(self, lines: Sequence[Text], said: Sequence[Text], *, apart: bool) -> None:
        """Print a row of the ladder with its explanation; `apart`: after a free line."""
        if apart:
            self.gap()
        self.draw(lines)
        if said:
            write_lines(said)
            self.gap()

    def draw(self, lines: Sequence[Text]) -> None:
        """Print lines of the ladder."""
        write_lines(lines)
        self.is_apart = False

    def gap(self) -> None:
        """Print one free line between the ladder and the explanation."""
        if not self.is_apart:
            write_lines([Text()])
        self.is_apart = True


def move_of(question: Question) -> Move:
    """Return what a question asks, independent of the connection."""
    return question.end, question.before, question.right


def pass_over(stops: Iterator[Stop], row: Row) -> None:
    """Pass over the stops of segments that are folded: nothing is asked about them."""
    for _ in row.folded.steps if isinstance(row, FoldRung) else ():
        next(stops)


def read_line(indent: int) -> str:
    """Ask for a line, and return it. Raises LeftError when no more come."""
    try:
        sys.stdout.write(" " * indent + "> ")
        sys.stdout.flush()
        octets = sys.stdin.buffer.readline()
    except KeyboardInterrupt:
        octets = b""
    if not octets:
        sys.stdout.write("\n")
        raise LeftError
    text = octets.decode("utf-8", "replace").rstrip("\r\n")
    if not sys.stdin.isatty():  # nobody saw it being typed
        sys.stdout.write(f"{printable(text)}\n")
    return text


def highlighted(lines: Sequence[Text], stop: Stop) -> list[Text]:
    """Return the lines of a segment with the states that it changed highlighted."""
    labels = [change.after.state for change in stop.changes if change.after.state]
    shown = [line.copy() for line in lines]
    for line in shown:
        line.highlight_words(labels, "reverse not dim")
    return shown


def lesson_for(options: LadderOptions, *, quiz: bool) -> Lesson:
    """Return a lesson that asks if it is a quiz, or if standard input and output are a terminal."""
    return Lesson(options, waits=quiz or (sys.stdin.isatty() and sys.stdout.isatty()), is_quiz=quiz)


def refuse_lesson(files: Sequence[str], format_: str, dissect: int | None, *, quiz: bool) -> None:
    """Refuse options of `show` that do not fit a lesson."""
    if format_ != "text" or dissect is not None:
        other = "--dissect" if dissect is not None else f"--format {format_}"
        raise click.UsageError(f"a lesson (--step, --quiz) is text: it does not go with {other}")
    if quiz and "-" in files:
        raise click.UsageError("--quiz reads its answers from standard input, so the capture must be a file")
