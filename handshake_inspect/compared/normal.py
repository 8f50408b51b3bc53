"""The traits of a connection that are the same whenever the same programs run again.

In: a connection and its steps. Out: the same steps without times, absolute numbers and window sizes, and its verdict.
Initial numbers are chosen anew for each connection (RFC 9293 §3.4.1), and so is the client's port; a window depends on
free memory. The same are: who sent which control bits, the numbers counted from the SYN, the octets, the options, what
had to be ignored, and the states of both ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from handshake_inspect.connections.connection import Connection, End, IcmpError, Pair, Step, SynOptions
from handshake_inspect.findings.catalogue import BY_CODE

#: A segment, or an ICMP error that quotes one.
Row = Step | IcmpError
#: What is found of one run and not of another one of the same programs: chat that is a matter of times.
NOT_OF_EVERY_RUN = frozenset(code for code, rule in BY_CODE.items() if rule.code.by_times)


class SegmentTraits(NamedTuple):
    """The traits by which segments are compared."""

    sender: End
    flags: str
    #: Counted from the SYN of the sender, and of the receiver.
    seq: int
    ack: int | None
    payload_octets: int
    is_repeated: bool
    closes_window: bool
    offer: SynOptions | None
    ignored: str | None


class ErrorTraits(NamedTuple):
    """The traits by which ICMP errors are compared."""

    quotes: End
    type: int
    code: int
    flags: str | None
    seq: int | None
    mtu: int | None
    was_sent: bool | None


class Verdict(NamedTuple):
    """How a connection opened and closed."""

    handshake: str
    handshake_missing: tuple[str, ...]
    fast_open: str | None
    teardown: str
    teardown_missing: tuple[str, ...]
    closed_first: str | None
    reset_by: str | None
    states: Pair[tuple[str, ...] | None]
    #: Whose TIME-WAIT it leaves.
    time_wait: tuple[End, ...]
    #: Codes of what was found in every run.
    findings: tuple[str, ...]


def normal_rows(connection: Connection, steps: Sequence[Step]) -> list[Row]:
    """Return what happened, in order of time: segments without what differs from run to run, and ICMP errors."""
    rows: tuple[Sequence[Row], Sequence[Row]] = (steps, connection.icmp_errors)
    merged = heapq.merge(*rows, key=lambda row: row.time_ns)
    return [normal_step(row) if isinstance(row, Step) else row for row in merged]


def normal_step(step: Step) -> Step:
    """Return a segment without what differs from run to run; its frame still says which one it is."""
    seq, letters = _of_any_run(step.seq, step.relative_seq, step.symbolic_seq)
    ack, ack_letters = step.relative_ack, step.symbolic_ack
    if step.ack is not None and ack is not None and ack_letters is not None:
        ack, ack_letters = _of_any_run(step.ack, ack, ack_letters)
    ignored = step.ignored
    # RFC 9293 §3.5.2: an RST,ACK answers a segment without ACK and has the number 0, however far that is from others.
    if step.seq == 0 and {"RST", "ACK"} <= {*step.flags.split(",")}:
        seq, letters = 0, "0"
        ignored = ignored and "its number is 0, and not the next one expected"
    return replace(
        step,
        time_ns=0,
        seq=seq,
        ack=ack,
        relative_seq=seq,
        relative_ack=ack,
        symbolic_seq=letters,
        symbolic_ack=ack_letters,
        window=0,
        window_octets=0,
        at_closed_window=step.at_closed_window and step.window == 0,
        ignored=ignored,
        events=(),
        arithmetic=(),
        comments=(),
        sack=(),
    )


def _of_any_run(number: int, relative: int, letters: str) -> tuple[int, str]:
    """Return a relative number and its letters; of an end that only sent RSTs these are the absolute number: n."""
    if letters != str(number) or number == relative:
        return relative, letters
    return relative, "n" if relative == 1 else f"n{relative - 1:+d}"


def traits(row: Row) -> SegmentTraits | ErrorTraits:
    """Return the traits of a normal row; the sender of an ICMP error is none, because it depends on the path."""
    if isinstance(row, IcmpError):
        return ErrorTraits(row.quotes, row.type, row.code, row.flags, row.relative_seq, row.mtu, row.was_sent)
    return SegmentTraits(
        sender=row.sender,
        flags=row.flags,
        seq=row.relative_seq,
        ack=row.relative_ack,
        payload_octets=row.payload_octets,
        is_repeated=row.retransmission,
        closes_window=row.at_closed_window,
        offer=row.options,
        ignored=row.ignored,
    )


def verdict(connection: Connection) -> Verdict:
    """Return how a connection opened and closed, as two are compared."""
    handshake, teardown = connection.handshake, connection.teardown
    return Verdict(
        handshake=handshake.kind,
        handshake_missing=handshake.missing,
        fast_open=handshake.fast_open,
        teardown=teardown.kind,
        teardown_missing=teardown.missing,
        closed_first=teardown.closed_first,
        reset_by=teardown.reset_by,
        states=connection.states,
        time_wait=tuple(wait.owner for wait in connection.time_wait),
        findings=tuple(sorted({one.code for one in connection.findings} - NOT_OF_EVERY_RUN)),
    )
