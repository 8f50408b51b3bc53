"""A lesson as text: announcements, questions and explanations, in lines that can be read aloud.

In: stops, questions, answers. Out: `rich` text, complete without colour. Questions and answers are aligned below the
states of the ladder; explanations of a segment have a bar at the left, so that the ladder itself stands out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from handshake_inspect.connections.connection import Connection, End, IcmpError, StateAt, Step, end_names
from handshake_inspect.lesson.ending import BOTH, NOBODY
from handshake_inspect.lesson.errors import ErrorStop
from handshake_inspect.lesson.fired import FiredCell
from handshake_inspect.lesson.question import Question
from handshake_inspect.lesson.score import AnsweredQuestion, Score
from handshake_inspect.lesson.stops import Change, Stop
from handshake_inspect.quantities import capital, counted, listed
from handshake_inspect.tcp.sections import REPEATED, RULES, Rule
from handshake_inspect.tcp.states import TRANSITIONS, Event, State
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.views.escape import printable
from handshake_inspect.views.icmp_lines import details, label
from handshake_inspect.views.ladder_calls import texts_of
from handshake_inspect.views.ladder_cells import Cells, LadderOptions
from handshake_inspect.views.ladder_layout import flow, wrap
from handshake_inspect.views.ladder_states import CLOSING_STYLE, STATE_STYLES
from handshake_inspect.views.words import assumption

BAR = "│ "
HOW_TO = "Answer by number or by name: ? is a hint, Enter shows it, q ends the lesson."
#: Sentence that says how a state is known; {end}: the end in that state.
KNOWN = {
    "sent": "Known: it is the {end}'s own act.",
    "acknowledged": "Proven: the {end}'s own numbers acknowledge what it received.",
    "shown": "Proven by these numbers: something that was not captured lies before them.",
    "assumed": "Assumed: no number proves yet that this segment arrived.",
    "assumed-sender": "Assumed: no number proves yet that what was sent to the {end} has arrived.",
    "assumed-rst": "Assumed: nothing ever acknowledges an RST.",
    "disproved": "Assumed here, and disproved below: the segment was lost, or not taken.",
    "timer": "By a timer, which no segment shows.",
}


@dataclass(frozen=True)
class Narration:
    """The texts of one lesson, about these two ends, in this width."""

    connection: Connection
    options: LadderOptions
    #: Columns before questions and explanations: as many as before the states of the ladder.
    indent: int

    @property
    def is_one_socket(self) -> bool:
        """Is it a socket connected to itself?"""
        return self.connection.originator == self.connection.responder

    def name(self, end: End) -> str:
        """Return the name of an end."""
        return "socket" if self.is_one_socket else end_names(self.connection.handshake.kind)[end]

    # Before a segment.

    def announced(self, step: Step) -> list[Text]:
        """Announce a segment: "The client sends FIN,ACK seq=u ack=v"."""
        line = Text(f"The {self.name(step.sender)} sends {'itself ' if self.is_one_socket else ''}")
        line.append_text(Cells(self.options, {}).label(step)).append(".")
        return self.indented([line])

    def announced_error(self, error: IcmpError) -> list[Text]:
        """Announce an error: "ICMP network unreachable goes to the client, from 192.0.2.1; it quotes SYN seq=x"."""
        source, quoted, *_ = details(error, self.options.numbers)
        to = f" goes to the {self.name(error.quotes)}, "
        return self.indented([Text.assemble(label(error), to, source, "; it ", quoted, ".")])

    def asked(self, question: Question, step: Step | None = None) -> list[Text]:
        """Return a question and its choices; `step` is its segment, if any."""
        words = self.state_question(question, step) if step else self.other_question(question)
        choices = [
            Text.assemble((f"{number} ", "bold"), (choice, style_of(choice)))
            for number, choice in enumerate(question.choices, start=1)
        ]
        return self.indented([Text(words, "bold"), *flow(choices, self.room, "   ")])

    def state_question(self, question: Question, step: Step) -> str:
        """Return a question for a state; if it is not proven yet, on condition that the segment arrives."""
        assert question.end is not None and question.known is not None
        end = self.name(question.end)
        assumed = question.known.basis == "assumed"
        stays = question.before is not None and question.before.label == question.right
        if question.end != step.sender:
            return f"{'If it arrives, which' if assumed or stays else 'Which'} state is the {end} in then?"
        if assumed and step.ignored is None:
            return f"If all sent to it has arrived, which state is the {end} in now?"
        return f"Which state is the {end} in now?"

    def other_question(self, question: Question) -> str:
        """Return a question about an ICMP error, or about the time after the last segment."""
        if question.kind == "error":
            return "What is TCP to do about it?"
        if question.kind == "owner":
            over = any(one.ended_ns is not None for one in self.connection.time_wait)
            return f"That was the last segment. {'Who came to' if over else 'Who owes'} TIME-WAIT?"
        profile = profile_of(self.connection.time_wait[0].profile)
        system, colon, _ = profile.assumption.partition(":")
        return f"How long is TIME-WAIT at the least, {f'by the rules of {system}' if colon else 'as it was asked for'}?"

    def hint(self, question: Question) -> list[Text]:
        """Return the row of the table of states in which an end was, or the topic to read."""
        if question.kind != "state" or question.before is None:
            return self.barred([Text(f"handshake-inspect explain {question.topic}", "cyan")])
        row = TRANSITIONS[question.before]
        ways: dict[str, list[str]] = {}
        for event, after in row.items():
            ways.setdefault(after.label, []).append(event.words)
        here = question.before.label
        lines = [Text.assemble("From ", (here, style_of(here)), " the table of states leads")]
        for name, events in ways.items():
            if name != here:
                lines.append(Text.assemble("  to ", (name, style_of(name)), f" by {listed(events, 'or')}"))
        if here in ways:
            lines.append(Text(f"  and nowhere by {listed(ways[here], 'or')}"))
        return self.barred(lines)

    def verdict(self, answered: AnsweredQuestion) -> list[Text]:
        """Say whether an answer was right."""
        right = Text(answered.question.right, style_of(answered.question.right))
        if answered.answer is None:
            return self.indented([Text("→ ").append_text(right)])
        if answered.is_right:
            return self.indented([Text.assemble(("✓ ", "bold green"), right)])
        said = Text.assemble(("✗ ", "bold red"), f"not {answered.answer}: ")
        return self.indented([said.append_text(right)])

    # After it.

    def explained(self, stop: Stop) -> list[Text]:
        """Explain what a segment has changed, and why."""
        lines: list[Text] = []
        for change in stop.changes:
            lines += self.change_lines(change, stop)
        moved = {change.end for change in stop.changes}
        for one in stop.fired:
            if one.end not in moved:
                lines += self.stays(one)
        asked = [question.end for question in stop.questions if question.end not in moved]
        if stop.step.retransmission and stop.step.sender in asked:
            lines.append(Text(f"The same again ({REPEATED.section}). {sentence(REPEATED)}"))
        if stop.step.retransmission and any(end not in (None, stop.step.sender) for end in asked):
            rule = RULES[State.TIME_WAIT][Event.RECEIVE_FIN]
            lines.append(Text(f"In TIME-WAIT ({rule.section}): {rule.says}."))
        return self.barred(lines)

    def change_lines(self, change: Change, stop: Stop) -> list[Text]:
        """Explain the change of one end."""
        end, after = self.name(change.end), change.after
        if change.is_proof and not change.disproves:
            return [Text.assemble(f"{end} ", state(after), " is proven now, by these numbers.")]
        fired = [one for one in stop.fired if one.end == change.end]
        if change.disproves:
            head = Text.assemble(f"{end} ", state(after), ", and not ", state(change.before))
            return [
                head,
                Text("  What it repeats is not answered yet, for it: the segment was lost, or not taken."),
            ]
        names = [change.before.state, *(one.after.label for one in fired), after.state]
        path = [name for name, _ in groupby(name for name in names if name)]
        head = Text(f"{end} ").append_text(Text(" → ").join(Text(name, style_of(name)) for name in path))
        if after.state is None:
            head.append(" → a closing state, but which one the capture cannot tell")
        lines = [head]
        lines += map(self.rule_line, fired)
        if change.end == stop.step.sender:
            calls = [texts_of(call, payload=self.options.payload_octets > 0)[0] for call in stop.calls]
            lines += [Text(f"  {printable(call)} asked for it.", "italic blue") for call in calls]
        if after.state is not None:
            lines.append(Text(f"  {self.known_by(after, change.end, stop.step)}", "dim"))
        return lines

    def explained_error(self, stop: ErrorStop) -> list[Text]:
        """Explain how TCP must react to an ICMP error; in full only once."""
        if stop.question is None:
            return []
        said = Text(f"{capital(stop.rule.says)} ({stop.rule.section}).")
        return self.barred([Text("No state changes by that alone."), said])

    def stays(self, one: FiredCell) -> list[Text]:
        """Explain why an event left the state of an end unchanged."""
        stays = Text.assemble(f"{self.name(one.end)} stays ", (one.after.label, style_of(one.after.label)))
        return [stays, self.rule_line(one)]

    def rule_line(self, one: FiredCell) -> Text:
        """Return the event of an end, the section of the RFC, and its rule."""
        return Text.assemble("  ", (one.words, "bold"), f" ({one.rule.section}). {sentence(one.rule)}")

    def known_by(self, at: StateAt, end: End, step: Step) -> str:
        """Return a sentence that says how a state is known."""
        kind: str = "disproved" if at.disproved else at.basis or ""
        if kind == "assumed":
            kind += "-rst" if "RST" in step.flags.split(",") else "-sender" if end == step.sender else ""
        elif kind == "acknowledged" and end != step.sender:
            kind = "shown"
        return KNOWN[kind].format(end=self.name(end))

    def ended(self, question: Question) -> list[Text]:
        """Explain the answer to a question after the last segment."""
        if question.kind == "owner":
            return self.barred([Text(self.why_owner(question.right))])
        rule = RULES[State.TIME_WAIT][Event.TIMEOUT_2MSL]
        head = Text.assemble(("TIME-WAIT", style_of("TIME-WAIT")), " → ", ("CLOSED", style_of("CLOSED")))
        profile = profile_of(self.connection.time_wait[0].profile)
        return self.barred(
            [
                head,
                Text.assemble("  ", (Event.TIMEOUT_2MSL.words, "bold"), f" ({rule.section}). {sentence(rule)}"),
                Text(f"  {assumption(profile)}."),
                Text(f"  {KNOWN['timer']}", "dim"),
            ]
        )

    def why_owner(self, right: str) -> str:
        """Explain why that end holds TIME-WAIT."""
        teardown = self.connection.teardown
        if right == BOTH:
            return "The FINs crossed: both closed first, and both have a last ACK that may be lost (RFC 9293 §3.6.1)."
        if right != NOBODY:
            return f"{capital(right)} closed first, and has sent the last ACK, which may be lost (RFC 9293 §3.6.1)."
        if teardown.reset_by is not None:
            return "A reset ends a connection at both ends, and there is nothing to wait for (RFC 9293 §3.5.3)."
        if self.connection.handshake.complete is False:
            return "The connection never opened, so there is nothing to close (RFC 9293 §3.6)."
        return "No end has both sent and received a FIN, and had its own acknowledged (RFC 9293 §3.6.1)."

    # Lines.

    @property
    def room(self) -> int:
        """Columns available for text."""
        return self.options.width - self.indent - len(BAR)

    def indented(self, lines: Sequence[Text]) -> list[Text]:
        """Return lines wrapped and indented to the ladder's states."""
        return [Text(" " * self.indent).append_text(part) for line in lines for part in wrap(line, self.room)]

    def barred(self, lines: Sequence[Text]) -> list[Text]:
        """Return lines wrapped, after a bar; indented ones continue below their first word."""
        start = Text(" " * self.indent).append(BAR, "dim")
        found = []
        for line in lines:
            deep = len(line.plain) - len(line.plain.lstrip(" "))
            parts = wrap(line[deep:], self.room - deep)
            found += [start.copy().append(" " * deep).append_text(part) for part in parts]
        return found


def state(at: StateAt) -> Text:
    """Return a state in its colour."""
    return Text(at.state or "", style_of(at.state or ""))


def sentence(rule: Rule) -> str:
    """Return the rule of the RFC as a sentence."""
    return f"{capital(rule.says)}."


def style_of(name: str) -> str:
    """Return the style of an answer: that of the state in the ladder, bold if it is no state."""
    is_state = any(name == state.label for state in State)
    return STATE_STYLES.get(name, CLOSING_STYLE if is_state else "bold")


def score_lines(score: Score, width: int) -> Iterator[Text]:
    """Yield the score of a lesson, and the topics to read."""
    asked = len(score.answered)
    shown = f", {score.shown} shown" if score.shown else ""
    line = Text.assemble("Score      ", (f"{score.right} of {counted(asked, 'question')} right", "bold"), shown)
    yield line.append(".")
    for topic, missed in score.to_look_at.items():
        said = listed(list(dict.fromkeys(one.answer for one in missed if one.answer)), "and")
        why = f" (you said {said})" if said else ""
        look = Text.assemble("Look again ", (topic, style_of(topic)), f"{why}: ")
        yield from wrap(look.append(f"handshake-inspect explain {topic}", "cyan"), width, indent=11)
