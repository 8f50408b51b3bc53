"""What can be expected of a connection: one class for each kind of expectation.

In: the value of a key, as it stands in a file (`CLAIMS`); a `Subject`. Out: what is not as expected (`Unmet`), each
with the row of the ladder that shows it. Words are those of the contract. `originator` and `responder` are there in
every connection; `client` and `server` only where the capture shows who is who.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from typing import Any, Protocol, TypeVar

from handshake_inspect.connections.connection import Connection, End
from handshake_inspect.connections.found import Severity
from handshake_inspect.expect.amounts import MOST, Amount, amount, is_count
from handshake_inspect.expect.subject import At, Row, Subject
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.quantities import listed, milliseconds
from handshake_inspect.tcp.states import State
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS, nearest

T = TypeVar("T")
#: What an end may be called, and which it is.
ENDS: Mapping[str, End] = {
    "client": "originator", "server": "responder", "originator": "originator", "responder": "responder",
}  # fmt: skip
#: Which no file can expect.
NOT_KNOWN = "not known"
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
        if not {word, subject.named(word)} & {*self.words}:
            expected = listed([*dict.fromkeys(map(subject.named, self.words))], "or")
            nobody = any(subject.lacks(one) for one in self.words)
            detail = _nobody_known(subject) if nobody else ""
            yield Unmet(self.key, expected, subject.named(word), subject.at(row_of), detail)


@dataclass(frozen=True)
class States:
    """An end passes through these states, and no others."""

    #: As it was written: "client".
    end: str
    states: tuple[str, ...]

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it passes through others."""
        end, key, expected = ENDS[self.end], f"states of the {subject.named(self.end)}", " > ".join(self.states)
        seen = subject.connection.states[end]
        if subject.lacks(self.end):
            yield Unmet(key, expected, _nobody_known(subject))
        elif seen != self.states:
            said = " > ".join(seen) if seen else "nothing proven of it"
            yield Unmet(key, expected, said, subject.at(lambda one: one.departs(end, self.states)))


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
        return Unmet("max_handshake_ms", f"at most {self.most_ms:g} ms", seen, subject.at(Subject.opening))


@dataclass(frozen=True)
class Retransmissions:
    """So many segments are sent again at most, by both ends: SYN, SYN-ACK, data, FIN."""

    most: int

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if more were."""
        count = retransmissions(subject)
        if count > self.most:
            at = subject.at(lambda one: one.repeat_beyond(self.most))
            yield Unmet("max_retransmissions", f"at most {self.most:,}", f"{count:,}", at)


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
                seen = f"{finding.severity} {finding.code}: {finding.message}"
                yield Unmet("findings", self.said, seen, subject.at_frames(finding.frames[::-1]))


@dataclass(frozen=True)
class Octets:
    """An end sends so many octets: by its numbers, each counted once; those captured where its numbers do not tell."""

    #: As it was written: "client".
    end: str
    amount: Amount

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield it if it sent another number."""
        end, key = ENDS[self.end], f"octets of the {subject.named(self.end)}"
        count = octets_sent(subject.connection, end)
        if subject.lacks(self.end):
            yield Unmet(key, str(self.amount), _nobody_known(subject))
        elif count is None:
            yield Unmet(key, str(self.amount), "not captured")
        elif not self.amount.holds(count):
            at = subject.at(lambda one: one.last(lambda step: step.sender == end and step.payload_octets > 0))
            yield Unmet(key, str(self.amount), f"{count:,}", at)


def octets_sent(connection: Connection, end: End) -> int | None:
    """Return how many octets an end sent, as far as the capture tells; None: it spoke, and nothing was captured."""
    sent = connection.sent_octets[end]
    is_one_socket = connection.handshake.kind == "self-connect"  # all that it sent is the originator's
    if sent is None and not connection.segments[end] and connection.states[end] is not None and not is_one_socket:
        return None
    return connection.octets[end] if sent is None else sent


def closed_first(connection: Connection) -> str:
    """Return whose FIN came first: "originator", "responder", "both", "none", or that it is not known."""
    teardown = connection.teardown
    return teardown.closed_first or (NOT_KNOWN if teardown.kind == "partial" else "none")


def waits(connection: Connection) -> str:
    """Return who owes TIME-WAIT: "originator", "responder", "both" or "none"."""
    owners = {one.owner for one in connection.time_wait}
    return "both" if len(owners) > 1 else next(iter(owners), "none")


def retransmissions(subject: Subject) -> int:
    """Return how many segments were sent again, by both ends, as the ladder says."""
    if _is_free_of_repeats(subject.connection):
        return 0
    return sum(step.retransmission for step in subject.steps)


def _is_free_of_repeats(connection: Connection) -> bool:
    """Do its own numbers prove that nothing was sent again? Then no segment need be looked at."""
    handshake, teardown, history = connection.handshake, connection.teardown, connection.history
    if handshake.syn_retransmissions or handshake.syn_ack_retransmissions or teardown.fin_retransmissions:
        return False
    # Zeek's letters: t for data sent again; a second f for a FIN with another number.
    has_more = "t" in history.lower() or any(history.count(letter) > 1 for letter in "Ff")
    return not has_more and all(one.code != "syn-in-connection" for one in connection.findings)


def _time_wait_row(subject: Subject) -> Row | None:
    entered = [one.entered_frame for one in subject.connection.time_wait]
    return subject.row_of(entered[0]) if entered else subject.closing()


def _closed_first_row(subject: Subject) -> Row | None:
    """Return the first FIN; where they crossed, the second, with which they did; the RST, where there is none."""
    crossed = subject.connection.teardown.closed_first == "both"
    return subject.closing() if crossed else subject.first_fin() or subject.closing()


#: Key -> the word of a connection, and the row that decided it.
_WORDS: Mapping[str, tuple[Callable[[Connection], str], Callable[[Subject], Row | None]]] = {
    "handshake": (lambda one: one.handshake.kind, Subject.opening),
    "teardown": (lambda one: one.teardown.kind, Subject.closing),
    "closed_first": (closed_first, _closed_first_row),
    "time_wait": (waits, _time_wait_row),
}


def _nobody_known(subject: Subject) -> str:
    """Say why there is no client: the SYNs crossed, a socket is both ends, or the opening was not captured."""
    return f"no end is known to be client or server ({subject.connection.handshake.kind} handshake)"


class OfEndError(ValueError):
    """What is said of an end cannot be understood."""

    def __init__(self, end: str, message: str) -> None:
        super().__init__(message)
        self.end = end


# From what stands in a file. Each raises ValueError with one line: what is wrong with the value, and what it may be.


def _one_of(key: str, known: Sequence[str], value: Any) -> Iterator[Claim]:
    words = _texts(value)
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is none of {listed([*known])}.{nearest(word, [*known])}")
    yield OneOf(key, tuple(words))


def _states(listing: Any) -> tuple[str, ...]:
    states = tuple(listing.replace(">", " ").split()) if isinstance(listing, str) else tuple(_texts(listing))
    if not states:
        raise ValueError('expected are states: "CLOSED > SYN-SENT > ESTABLISHED"')
    for state in states:
        if state not in STATES:
            raise ValueError(f"{state!r} is no state.{nearest(state, [*STATES]) or f' States are {listed(STATES)}.'}")
    return states


def _handshake_time(value: Any) -> Iterator[Claim]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST:
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


def _texts(value: Any) -> list[str]:
    """Return one or several words."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(one, str) for one in texts):
        raise ValueError('expected is a word, or several: ["...", "..."]')
    return [*texts]


def _by_end(make: Callable[[str, T], Claim], read: Callable[[Any], T], value: Any) -> Iterator[Claim]:
    """Yield what is claimed of each end, as it is called there."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("expected is a value for an end, or for each: { client = ..., server = ... }")
    for end, said in value.items():
        if end not in ENDS:
            raise OfEndError(end, "that is no end: client or server (originator or responder)")
        try:
            yield make(end, read(said))
        except ValueError as error:
            raise OfEndError(end, str(error)) from None
    if len({ENDS[end] for end in value}) < len(value):
        raise ValueError(f"{listed([*value])}: one end is named twice; the originator is the client, if there is one")


Reading = Callable[[Any], Iterator[Claim]]
#: Key -> how its value is understood.
CLAIMS: Mapping[str, Reading] = {
    "handshake": partial(_one_of, "handshake", HANDSHAKE_KINDS),
    "teardown": partial(_one_of, "teardown", TEARDOWN_KINDS),
    "closed_first": partial(_one_of, "closed_first", (*ENDS, "both", "none")),
    "states": partial(_by_end, States, _states),
    "time_wait": partial(_one_of, "time_wait", (*ENDS, "both", "none")),
    "max_handshake_ms": _handshake_time,
    "max_retransmissions": _retransmissions,
    "findings": _findings,
    "no_findings": _no_findings,
    "octets": partial(_by_end, Octets, amount),
}
