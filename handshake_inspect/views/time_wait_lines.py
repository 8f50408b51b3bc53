"""What stands below a ladder about TIME-WAIT: who owes it, until when on what assumption, and how it ended.

In: a connection and its steps. Out: sentences that can be read aloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from rich.text import Text

from handshake_inspect.connections.connection import Connection, Pair, Reuse, Step, TimeWait
from handshake_inspect.quantities import counted, duration, listed
from handshake_inspect.tcp.time_wait import profile_of
from handshake_inspect.views.styled import styled
from handshake_inspect.views.words import assumption

#: What restarted it, in words.
SEGMENTS = {"FIN": "repeated FIN", "data": "late data segment", "ACK": "late ACK"}


def time_wait(
    connection: Connection,
    steps: Sequence[Step],
    names: Pair[str],
    when: Callable[[int], str],
    place: Callable[[Step], str],
) -> list[Text]:
    """Say who owes TIME-WAIT, from which segment until when, and on what assumption."""
    waits = connection.time_wait
    if not waits:
        why = _nobody_waits(connection)
        return [Text(f"Nobody owes it: {why}.")] if why else []
    lines = [_time_wait_line(wait, _begin(wait, steps, names, when, place), names, when) for wait in waits]
    is_one_socket = connection.originator == connection.responder
    if len(waits) == 1 and waits[0].outcome == "not-captured" and not is_one_socket:  # else how it ended was said
        lines.append(_what_it_means(waits[0], connection, names))
    return lines


def _begin(
    wait: TimeWait,
    steps: Sequence[Step],
    names: Pair[str],
    when: Callable[[int], str],
    place: Callable[[Step], str],
) -> str:
    """Say from when: "its ACK at 402.474 ms", as the ladder shows that segment."""
    segments = [step for step in steps if step.frame == wait.entered_frame]
    if not segments:
        return when(wait.entered_ns)
    whose = "its" if segments[-1].sender == wait.owner else f"the {names[segments[-1].sender]}'s"
    return f"{whose} {segments[-1].flags} {place(segments[-1])}"


def _time_wait_line(wait: TimeWait, begin: str, names: Pair[str], when: Callable[[int], str]) -> Text:
    more = [said for said in (_restarted(wait, when), ended(wait, names, when)) if said]
    why = f" at the earliest ({assumption(profile_of(wait.profile))})."
    until = when(wait.earliest_end_ns), "bold yellow"
    return styled(f"The {names[wait.owner]} owes it from {begin} until ", until, " ".join([why, *more]))


def _restarted(wait: TimeWait, when: Callable[[int], str]) -> str:
    """Say what restarted it: a repeated FIN does everywhere, other segments by the rules of the profile."""
    if not wait.restarts:
        return ""
    times = Counter(SEGMENTS[one.segment] for one in wait.restarts)
    restarted = listed([f"a {name}" if count == 1 else counted(count, name) for name, count in times.items()])
    last = f"{'last ' if len(wait.restarts) > 1 else ''}at {when(wait.restarts_ns[-1])}"
    why = "" if times.keys() == {SEGMENTS["FIN"]} else " (by RFC 9293 only a FIN does)"
    return f"{restarted[0].upper()}{restarted[1:]} restarted it{why}, {last}."


def ended(wait: TimeWait, names: Pair[str], when: Callable[[int], str]) -> str:
    """Say how it ended and when; of a reuse also by which rule, with the numbers."""
    if wait.ended_ns is None:
        return ""
    at, early = when(wait.ended_ns), duration(wait.earliest_end_ns - wait.ended_ns)
    if wait.reuse is not None:
        opened = f"the {names[wait.reuse.by]} opened stream {wait.reuse.stream} between the same sockets"
        if wait.outcome == "expired":
            return f"It ran out; at {at} {opened}."
        allowed = "as the rules allow" if wait.reuse.rules else "which no rule allows"
        proofs = listed(list(_proofs(wait.reuse)))
        return f"At {at}, {early} before its time, {opened}, {allowed}: {proofs}.{_answer(wait, wait.reuse, names)}"
    if wait.outcome == "killed":
        return f"An RST killed it at {at}, {early} before its time (RFC 1337)."
    if wait.outcome == "forgotten":
        return f"But it had forgotten the connection by then: it sent an RST itself, at {at}."
    return f"It ran out: what comes at {at} finds it over."


def _proofs(reuse: Reuse) -> Iterator[str]:
    """Yield, with the numbers, what makes a reuse legal; what speaks against it if nothing does."""
    if "timestamps" in reuse.rules and reuse.last_timestamp is None:
        yield "it has timestamps, and the old connection had none (RFC 6191)"
    elif "timestamps" in reuse.rules:
        yield f"its timestamp {reuse.timestamp} is newer than the last one {reuse.last_timestamp} (RFC 6191)"
    elif reuse.timestamp is not None and reuse.last_timestamp not in (None, reuse.timestamp) and not reuse.rules:
        yield f"its timestamp {reuse.timestamp} is older than the last one {reuse.last_timestamp}"
        return
    if "initial-number" in reuse.rules:
        yield f"its initial number {reuse.initial_seq} is above the last one {reuse.last_seq} (RFC 6191)"
    elif not reuse.rules and reuse.last_seq is None:
        yield f"the last number before its initial one {reuse.initial_seq} is not known"
    elif not reuse.rules:
        yield f"its initial number {reuse.initial_seq} is not above the last one {reuse.last_seq}"


def _answer(wait: TimeWait, reuse: Reuse, names: Pair[str]) -> str:
    """Say whether an owner that was asked keeps to its own part: a number above all of its old ones."""
    if reuse.by == wait.owner or reuse.answer_is_higher is None:
        return ""
    compared, as_asked = ("above", "as") if reuse.answer_is_higher else ("not above", "which is not what")
    return (
        f" The {names[wait.owner]} begins with {reuse.answer_seq}, {compared} its own last one {reuse.last_answer_seq},"
        f" {as_asked} RFC 9293 asks for (§3.6.1, MAY-2)."
    )


def _what_it_means(wait: TimeWait, connection: Connection, names: Pair[str]) -> Text:
    if wait.owner == "originator":
        return Text(f"The {names.responder}'s port {connection.responder.port} is free at once.")
    return Text(
        f"Until then the {names.responder} cannot bind port {connection.responder.port} again,"
        " unless the old listener and the new one both set SO_REUSEADDR."
    )


def _nobody_waits(connection: Connection) -> str:
    closing_kind, opening_kind = connection.teardown.kind, connection.handshake.kind
    if connection.teardown.reset_by is not None:
        return "a reset ends a connection without it"
    if closing_kind == "none" or opening_kind in ("refused", "unanswered", "unreachable"):
        return "the connection never opened"
    if closing_kind in ("half-closed", "incomplete"):
        return "no end has got as far"
    return "no end was seen to close" if closing_kind == "open" else ""
