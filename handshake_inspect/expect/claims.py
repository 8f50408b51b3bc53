"""What can be expected of a connection: one class for each kind of expectation.

In: a `Subject`. Out: what is not as expected (`Unmet`), each with the row of the ladder that shows it. Words are those
of the contract. `originator` and `responder` are there in every connection; `client` and `server` only where the
capture shows who is who.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from handshake_inspect.connections.connection import Connection, End
from handshake_inspect.expect.amounts import Amount
from handshake_inspect.expect.subject import Row, RowName, Subject
from handshake_inspect.quantities import listed, milliseconds

#: What an end may be called, and which it is.
ENDS: Mapping[str, End] = {
    "client": "originator", "server": "responder", "originator": "originator", "responder": "responder",
}  # fmt: skip
#: Which no file can expect.
NOT_KNOWN = "not known"
#: The columns that decide how many segments are retransmitted, and how many octets are sent (`expect.alike`).
RETRANSMISSIONS_COLUMNS = frozenset({
    "judgement", "history", "codes", "retransmissions", "syn_retransmissions", "syn_ack_retransmissions",
    "fin_retransmissions",
})  # fmt: skip
OCTETS_COLUMNS = frozenset({
    "judgement", "history", "octets_by_segments", "octets_o", "octets_r", "sent_octets_o", "sent_octets_r",
    "segments_o", "segments_r",
})  # fmt: skip


@dataclass(frozen=True)
class Unmet:
    """One expectation that is not met."""

    #: The key: "teardown".
    key: str
    #: In words.
    expected: str
    seen: str
    #: The row of the ladder that shows it; None if no row does.
    at: RowName | None = None
    #: More about what was seen, for readers without the ladder.
    detail: str = ""

    @property
    def short(self) -> str:
        """The sentence for a reader who sees the row."""
        return f"{self.key}: expected {self.expected}, seen {self.seen}"

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.short}{detail}" + ("" if self.at is None else f" ({self.at.said})")


class Claim(Protocol):
    """One expectation of a connection."""

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide whether it is met; connections equal in them are checked once (`expect.alike`)."""
        ...

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield what differs from it."""
        ...


@dataclass(frozen=True)
class OneOf:
    """A word of the connection is one of these: handshake, teardown, who closed first, who owes TIME-WAIT."""

    key: str
    words: tuple[str, ...]

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return frozenset({"judgement", "time_wait"} if self.key == "time_wait" else {"judgement"})

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the word that was seen if it is none of these."""
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

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return frozenset({"judgement"})

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the states that were seen if they differ."""
        end, key, expected = ENDS[self.end], f"states of the {subject.named(self.end)}", " > ".join(self.states)
        seen = subject.connection.states[end]
        if subject.lacks(self.end):
            yield Unmet(key, expected, _nobody_known(subject))
        elif seen != self.states:
            said = " > ".join(seen) if seen else "nothing proven of it"
            yield Unmet(key, expected, said, subject.at(lambda one: one.departs(end, self.states)))


@dataclass(frozen=True)
class HandshakeTime:
    """SYN to third segment takes at most so many milliseconds."""

    most_ms: float

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return frozenset({"judgement", "initial_rtt_ns"})

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the time if it is longer or not known."""
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
    """At most so many segments are retransmitted, by both ends: SYN, SYN-ACK, data, FIN."""

    most: int

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return RETRANSMISSIONS_COLUMNS

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the number if it is greater."""
        count = retransmissions(subject)
        if count > self.most:
            at = subject.at(lambda one: one.repeat_beyond(self.most))
            yield Unmet("max_retransmissions", f"at most {self.most:,}", f"{count:,}", at)


@dataclass(frozen=True)
class HasFinding:
    """The connection has this finding."""

    code: str

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return frozenset({"codes"})

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the findings that it has instead."""
        codes = dict.fromkeys(one.code for one in subject.connection.findings)
        if self.code not in codes:
            yield Unmet("findings", self.code, listed([*codes]) if codes else "none")


@dataclass(frozen=True)
class HasNoFinding:
    """The connection has none of these findings, except those that a claim beside this one names (`HasFinding`)."""

    codes: frozenset[str]
    #: As it was written: "no reset-*", "none of severity warn or above".
    said: str

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return frozenset({"codes"})

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield each of them that it has."""
        for finding in subject.connection.findings:
            if finding.code in self.codes:
                seen = f"{finding.severity} {finding.code}: {finding.message}"
                yield Unmet("no_findings", self.said, seen, subject.at_frames(finding.frames[::-1]))


@dataclass(frozen=True)
class Octets:
    """An end sends so many octets, each counted once (`octets` of the contract includes retransmissions)."""

    #: As it was written: "client".
    end: str
    amount: Amount

    @property
    def depends_on(self) -> frozenset[str]:
        """The columns that decide it."""
        return OCTETS_COLUMNS

    def unmet(self, subject: Subject) -> Iterator[Unmet]:
        """Yield the number of octets if it differs."""
        end, key = ENDS[self.end], f"octets of the {subject.named(self.end)}"
        count = octets_sent(subject, end)
        if subject.lacks(self.end):
            yield Unmet(key, str(self.amount), _nobody_known(subject))
        elif count is None:
            yield Unmet(key, str(self.amount), "not captured")
        elif not self.amount.holds(count):
            at = subject.at(lambda one: one.last(lambda step: step.sender == end and step.payload_octets > 0))
            yield Unmet(key, str(self.amount), f"{count:,}", at)


def octets_sent(subject: Subject, end: End) -> int | None:
    """Return how many octets an end sent, each counted once; None: it sent segments, and none was captured.

    If its numbers do not tell, as without its FIN, the captured octets are counted.
    """
    connection = subject.connection
    sent, captured = connection.sent_octets[end], connection.octets[end]
    is_one_socket = connection.handshake.kind == "self-connect"  # all that it sent is the originator's
    if sent is None and not connection.segments[end] and connection.states[end] is not None and not is_one_socket:
        return None
    if sent is not None or "t" not in connection.history.lower():  # Zeek's letter for data sent again
        return captured if sent is None else sent
    return _different_octets(subject, end)


def _different_octets(subject: Subject, end: End) -> int:
    """Return how many different octets of an end were captured."""
    ranges = sorted(
        (step.relative_seq, step.relative_seq + step.payload_octets)
        for step in subject.steps
        if step.sender == end and step.payload_octets
    )
    count, reached = 0, -math.inf
    for begin, stop in ranges:
        count += max(0, stop - int(max(begin, reached)))
        reached = max(reached, stop)
    return count


def closed_first(connection: Connection) -> str:
    """Return whose FIN came first: "originator", "responder", "both", "none", or that it is not known."""
    teardown = connection.teardown
    return teardown.closed_first or (NOT_KNOWN if teardown.kind == "partial" else "none")


def waits(connection: Connection) -> str:
    """Return who owes TIME-WAIT: "originator", "responder", "both", "none", or that it is not known."""
    owners = {one.owner for one in connection.time_wait}
    if not owners and connection.teardown.kind == "partial":
        return NOT_KNOWN
    return "both" if len(owners) > 1 else next(iter(owners), "none")


def retransmissions(subject: Subject) -> int:
    """Return the number of retransmitted segments of both ends, as the ladder counts them."""
    if _is_free_of_repeats(subject.connection):
        return 0
    return subject.retransmissions


def _is_free_of_repeats(connection: Connection) -> bool:
    """Do the columns of the connection prove that nothing was retransmitted? Then no steps need be made."""
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
    """Return the first FIN; the second one if the FINs crossed; the RST if there is no FIN."""
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
    """Return why no end is client: the SYNs crossed, a socket is both ends, or the opening was not captured."""
    return f"no end is known to be client or server ({subject.connection.handshake.kind} handshake)"
