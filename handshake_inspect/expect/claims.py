"""What can be expected of a connection: one class for each kind of expectation.

In: the value of a key, as it stands in a file (`CLAIMS`); a `Subject`. Out: what is not as expected (`Unmet`), each
with the row of the ladder that shows it. Words are those of the contract; `client` and `server` stand for originator
and responder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from typing import Any, Protocol

from handshake_inspect.connections.connection import Connection, End
from handshake_inspect.connections.found import Severity
from handshake_inspect.expect.amounts import Amount, amount, is_count
from handshake_inspect.expect.subject import At, Row, Subject
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.quantities import listed, milliseconds
from handshake_inspect.tcp.states import State
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS, nearest

#: What an end may be called, and which it is.
ENDS: Mapping[str, End] = {
    "client": "originator", "server": "responder", "originator": "originator", "responder": "responder",
}  # fmt: skip
OWNERS = ("client", "server", "both", "none")
STATES = tuple(dict.fromkeys(state.label for state in State))


@dataclass(frozen=True)
class Unmet:
    """One thing that is not as expected."""

    #: The key: "teardown".
    key: str
    #: In words.
    expected: str
    seen: str
    #: Where it went another way; None if no row of the ladder shows it.
    at: At | None = None
    #: More about what was seen, which the ladder says anyway.
    detail: str = ""

    @property
    def short(self) -> str:
        """The same for somebody who sees the row."""
        return f"{self.key}: expected {self.expected}, seen {self.seen}"

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.short}{detail}" + ("" if self.at is None else f" ({self.at.said})")


class Claim(Protocol):
    """One expectation of a connection."""

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield what is not so."""
        ...


@dataclass(frozen=True)
class OneOf:
    """A word of the connection is one of these: kinds of handshake and teardown, who closed first, who waits."""

    key: str
    words: tuple[str, ...]

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it is another word."""
        word_of, row_of = _WORDS[self.key]
        word = word_of(subject.connection)
        if word not in self.words:
            expected = listed([_end_named(one, subject) for one in self.words], "or")
            yield Unmet(self.key, expected, _end_named(word, subject), subject.at(row_of(subject)))


@dataclass(frozen=True)
class States:
    """An end passes through these states, and no others."""

    end: End
    states: tuple[str, ...]

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it passes through others."""
        seen = subject.connection.states[self.end]
        if seen != self.states:
            said = " > ".join(seen) if seen else "nothing proven of it"
            row = subject.departs(self.end, self.states)
            yield Unmet(f"states of the {subject.names[self.end]}", " > ".join(self.states), said, subject.at(row))


@dataclass(frozen=True)
class HandshakeTime:
    """SYN to third segment takes so many milliseconds at most."""

    most_ms: float

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it took longer, or if the capture does not tell."""
        time_ns = subject.connection.handshake.initial_rtt_ns
        if time_ns is None:
            kind = subject.connection.handshake.kind
            yield self._unmet(f"no time: {kind} handshake", subject)
        elif time_ns > self.most_ms * 1_000_000:
            yield self._unmet(f"{milliseconds(time_ns)} ms", subject)

    def _unmet(self, seen: str, subject: Subject) -> Unmet:
        return Unmet("max_handshake_ms", f"at most {self.most_ms:g} ms", seen, subject.at(subject.opening()))


@dataclass(frozen=True)
class Retransmissions:
    """So many segments are sent again at most, by both ends: SYN, SYN-ACK, data, FIN."""

    most: int

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if more were."""
        count = retransmissions(subject)
        if count > self.most:
            row = subject.repeat_beyond(self.most)
            yield Unmet("max_retransmissions", f"at most {self.most:,}", f"{count:,}", subject.at(row))


@dataclass(frozen=True)
class Found:
    """This is found of the connection."""

    code: str

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it is not."""
        codes = dict.fromkeys(one.code for one in subject.connection.findings)
        if self.code not in codes:
            yield Unmet("findings", self.code, listed([*codes]) if codes else "none")


@dataclass(frozen=True)
class NotFound:
    """None of this is found of the connection, but for what a claim beside it names (`Found`)."""

    codes: frozenset[str]
    #: As it was written: "no reset-*", "none of severity warn or above".
    said: str

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield each that is."""
        for finding in subject.connection.findings:
            if finding.code in self.codes:
                row = subject.row_of(finding.frames[-1]) if finding.frames else None
                yield Unmet(
                    "findings", self.said, f"{finding.severity} {finding.code}: {finding.message}", subject.at(row)
                )


@dataclass(frozen=True)
class Octets:
    """An end sends so many octets: by its numbers, each counted once; those captured where its numbers do not tell."""

    end: End
    amount: Amount

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it sent another number."""
        count = octets_sent(subject.connection, self.end)
        if not self.amount.holds(count):
            row = subject.last(lambda step: step.sender == self.end and step.payload_octets > 0)
            yield Unmet(f"octets of the {subject.names[self.end]}", str(self.amount), f"{count:,}", subject.at(row))


def octets_sent(connection: Connection, end: End) -> int:
    """Return how many octets an end sent, as far as the capture tells."""
    sent = connection.sent_octets[end]
    return connection.octets[end] if sent is None else sent


def waits(connection: Connection) -> str:
    """Return who owes TIME-WAIT: "originator", "responder", "both" or "none"."""
    owners = {one.owner for one in connection.time_wait}
    return "both" if len(owners) > 1 else next(iter(owners), "none")


def retransmissions(subject: Subject) -> int:
    """Return how many segments were sent again, by both ends."""
    if _is_free_of_repeats(subject.connection):
        return 0
    return sum(step.retransmission for step in subject.steps)


def _is_free_of_repeats(connection: Connection) -> bool:
    """Do the counts alone prove that nothing was sent again? Then no segment need be looked at."""
    handshake, teardown = connection.handshake, connection.teardown
    if handshake.syn_retransmissions or handshake.syn_ack_retransmissions or teardown.fin_retransmissions:
        return False
    return all(_is_sent_once(connection, end) for end in ("originator", "responder"))


def _is_sent_once(connection: Connection, end: End) -> bool:
    """Were as many octets captured of an end as it sent?"""
    sent, missing, captured = connection.sent_octets[end], connection.missing_octets[end], connection.octets[end]
    return captured == 0 if sent is None or missing is None else captured == sent - missing


def _time_wait_row(subject: Subject) -> Row | None:
    entered = [one.entered_frame for one in subject.connection.time_wait]
    return subject.row_of(entered[0]) if entered else subject.closing()


#: Key -> the word of a connection, and the row that decided it.
_WORDS: Mapping[str, tuple[Callable[[Connection], str], Callable[[Subject], Row | None]]] = {
    "handshake": (lambda one: one.handshake.kind, Subject.opening),
    "teardown": (lambda one: one.teardown.kind, Subject.closing),
    "closed_first": (lambda one: one.teardown.closed_first or "none", lambda one: one.first_fin() or one.closing()),
    "time_wait": (waits, _time_wait_row),
}


def _end_named(word: str, subject: Subject) -> str:
    """Return a word as the ladder of this connection has it: the originator is its client, if it has one."""
    end = ENDS.get(word)
    return word if end is None else subject.names[end]


# From what stands in a file. Each raises ValueError with one line: what is wrong with the value, and what it may be.


def _one_of(key: str, known: Sequence[str], value: Any) -> Iterator[Claim]:
    words = _texts(value)
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is none of {listed([*known])}.{nearest(word, [*known])}")
    yield OneOf(key, tuple(str(ENDS.get(word, word)) for word in words))


def _states(value: Any) -> Iterator[Claim]:
    for end, listing in _by_end(value):
        states = tuple(listing.replace(">", " ").split()) if isinstance(listing, str) else tuple(_texts(listing))
        for state in states:
            if state not in STATES:
                raise ValueError(
                    f"{state!r} is no state.{nearest(state, [*STATES]) or f' States are {listed(STATES)}.'}"
                )
        yield States(end, states)


def _handshake_time(value: Any) -> Iterator[Claim]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError("expected is a number of milliseconds above 0")
    yield HandshakeTime(value)


def _retransmissions(value: Any) -> Iterator[Claim]:
    if not is_count(value):
        raise ValueError("expected is a whole number")
    yield Retransmissions(value)


def _findings(value: Any) -> Iterator[Claim]:
    for code in _texts(value):
        if code not in BY_CODE:
            raise ValueError(f"there is no finding {code!r}.{nearest(code, [*BY_CODE])}")
        yield Found(code)


def _no_findings(value: Any) -> Iterator[Claim]:
    for text in _texts(value):
        yield none_of(text)


@cache
def none_of(text: str) -> NotFound:
    """Expect nothing of a code, of codes that a pattern matches, or of a severity or above. Raises ValueError."""
    severities = [one.word for one in Severity]
    if text in severities:
        codes = {
            word for word, rule in BY_CODE.items() if rule.code.severity.word in severities[severities.index(text) :]
        }
        return NotFound(frozenset(codes), f"none of severity {text}{' or above' * (text != severities[-1])}")
    codes = {code for code in BY_CODE if fnmatchcase(code, text)}
    if not codes:
        raise ValueError(f"there is no finding {text!r}, nor severity.{nearest(text, [*BY_CODE, *severities])}")
    return NotFound(frozenset(codes), "none" if text == "*" else f"no {text}")


def _octets(value: Any) -> Iterator[Claim]:
    for end, count in _by_end(value):
        yield Octets(end, amount(count))


def _texts(value: Any) -> list[str]:
    """Return one or several words."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(one, str) for one in texts):
        raise ValueError('expected is a word, or several: ["...", "..."]')
    return [*texts]


def _by_end(value: Any) -> Iterator[tuple[End, Any]]:
    """Yield what is said of each end."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("expected is a value for an end, or for each: { client = ..., server = ... }")
    for name in value:
        if name not in ENDS:
            raise ValueError(f"{name!r} is no end: client or server (originator or responder).")
        yield ENDS[name], value[name]


Reading = Callable[[Any], Iterator[Claim]]
#: Key -> how its value is understood.
CLAIMS: Mapping[str, Reading] = {
    "handshake": partial(_one_of, "handshake", HANDSHAKE_KINDS),
    "teardown": partial(_one_of, "teardown", TEARDOWN_KINDS),
    "closed_first": partial(_one_of, "closed_first", (*ENDS, "both", "none")),
    "states": _states,
    "time_wait": partial(_one_of, "time_wait", (*ENDS, "both", "none")),
    "max_handshake_ms": _handshake_time,
    "max_retransmissions": _retransmissions,
    "findings": _findings,
    "no_findings": _no_findings,
    "octets": _octets,
}
