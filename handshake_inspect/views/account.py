"""The account below a ladder: times, the verdict, the books of both directions, and who owes TIME-WAIT.

In: a connection and its steps. Out: short sentences under headings, which can be read aloud; and their lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.text import Text

from handshake_inspect.connections.connection import Connection, End, Pair, Step
from handshake_inspect.quantities import capital, counted, duration, listed, octets_in_words, seconds
from handshake_inspect.views.finding_lines import finding_text
from handshake_inspect.views.icmp_lines import sentences
from handshake_inspect.views.ladder_layout import wrap
from handshake_inspect.views.styled import styled
from handshake_inspect.views.time_wait_lines import time_wait
from handshake_inspect.views.words import HANDSHAKE_SENTENCES, TEARDOWN_SENTENCES, Clock, moment

HEADING = 11


#: A heading, and the sentences that stand beside it.
Paragraph = tuple[str, Sequence[Text]]


def paragraphs(
    connection: Connection,
    steps: Sequence[Step],
    *,
    names: Pair[str],
    clock: Clock,
    zero_ns: int,
    place: Callable[[Step], str],
) -> list[Paragraph]:
    """Return the paragraphs below the ladder of `connection`, whose time column begins at `zero_ns`.

    `place` says where the ladder shows a segment.
    """

    def when(time_ns: int) -> str:
        return f"{seconds(time_ns - zero_ns)} s" if clock == "relative" else moment(time_ns, clock)

    return [
        ("Opening", opening(connection, names)),
        ("Times", times(connection, steps)),
        ("ICMP", list(sentences(connection.icmp_errors, names))),
        ("Closing", closing(connection, names)),
        ("Books", books(connection, steps, names)),
        ("TIME-WAIT", time_wait(connection, steps, names, when, place)),
        ("Findings", findings(connection, steps)),
    ]


def paragraphs_as_lines(told: Iterable[Paragraph], width: int) -> Iterator[Text]:
    """Yield each heading with its sentences beside it; paragraphs without sentences are left out."""
    for heading, said in told:
        for index, sentence in enumerate(said):
            for number, line in enumerate(wrap(sentence, width - HEADING, indent=0)):
                first = heading if index == number == 0 else ""
                yield Text().append(first.ljust(HEADING), "bold").append_text(line)


def opening(connection: Connection, names: Pair[str]) -> list[Text]:
    """Say how the connection opened, and why the opening has this name."""
    handshake = connection.handshake
    why = HANDSHAKE_SENTENCES.get(handshake.kind, "").format(o=names.originator, r=f"the {names.responder}")
    extra = [f"{why}."]
    if handshake.missing:
        extra.append(f"Not captured, but proven by later numbers: {listed(handshake.missing)}.")
    repeats = [
        f"the {what} was sent {count + 1} times"
        for what, count in (
            ("SYN", handshake.syn_retransmissions), ("SYN-ACK", handshake.syn_ack_retransmissions),
        ) if count
    ]  # fmt: skip
    if repeats:
        extra.append(f"{capital(listed(repeats))}.")
    if handshake.fast_open is not None and handshake.kind != "fast-open":
        extra.append(f"Fast Open was {handshake.fast_open} (RFC 7413).")
    return [styled(*_verdict(handshake.kind, handshake.complete), " ".join(extra))]


def times(connection: Connection, steps: Sequence[Step]) -> list[Text]:
    """Return both handshake times and their sum, and whether a retransmission makes them ambiguous."""
    handshake = connection.handshake
    known = [
        f"{name} {duration(length)}"
        for name, length in (
            ("SYN → SYN-ACK", handshake.syn_to_syn_ack_ns),
            ("SYN-ACK → ACK", handshake.syn_ack_to_ack_ns),
            ("SYN → ACK", handshake.initial_rtt_ns),
        )
        if length is not None
    ]
    if not known:
        return []
    copied = copied_before_the_answer(steps) if handshake.rtt_ambiguous else []
    doubt = f" (which copy of the {' and of the '.join(copied)} was answered cannot be told: no time across it is a"
    return [Text(", ".join(known) + f"{doubt} round-trip time)" * bool(copied) + ".")]


def copied_before_the_answer(steps: Sequence[Step]) -> list[str]:
    """Return which segments were captured more than once before the answer: "SYN", "SYN-ACK", both, or neither.

    A copy that comes after the answer makes no time doubtful (Karn): the answer was to the one before it.
    """
    said = [set(step.flags.split(",")) & {"SYN", "ACK", "RST"} for step in steps]
    copied = []
    for what, bits, answer in (("SYN", {"SYN"}, {"SYN", "ACK"}), ("SYN-ACK", {"SYN", "ACK"}, {"ACK"})):
        first = said.index(bits) if bits in said else len(said)
        answered = said.index(answer, first) if answer in said[first:] else len(said)
        if any(said[at] == bits and steps[at].retransmission for at in range(first, answered)):
            copied.append(what)
    return copied


#: `teardown.kind` in which nothing was left to close -> what is said of an end that sent a FIN all the same.
_FIN_WITHOUT_EFFECT = {"aborted": "sent a FIN after that: it closed nothing", "none": "sent a FIN all the same"}


def closing(connection: Connection, names: Pair[str]) -> list[Text]:
    """Say how the connection closed, who closed first, and why the closing has this name."""
    teardown = connection.teardown
    said = [f"{TEARDOWN_SENTENCES.get(teardown.kind, '')}."]
    if teardown.closed_first in ("originator", "responder"):
        did = _FIN_WITHOUT_EFFECT.get(teardown.kind, "closed first")
        said.append(f"The {_name(names, teardown.closed_first)} {did}.")
    if teardown.half_closed_ns:
        said.append(f"Between the two FINs: {duration(teardown.half_closed_ns)}.")
    if teardown.reset_by is not None:
        who = "both ends" if teardown.reset_by == "both" else f"the {_name(names, teardown.reset_by)}"
        said.append(f"Reset by {who}.")
    if teardown.missing:
        said.append(f"Not captured, but proven by later numbers: {listed(teardown.missing)}.")
    if teardown.fin_retransmissions:
        said.append(f"{capital(counted(teardown.fin_retransmissions, 'FIN retransmission'))}.")
    return [styled(*_verdict(teardown.kind, teardown.complete), " ".join(said))]


def books(connection: Connection, steps: Sequence[Step], names: Pair[str]) -> list[Text]:
    """Close the books of each direction: the FIN's number is the initial one, plus one, plus every octet sent."""
    if connection.octets.originator == connection.octets.responder == 0 and connection.handshake.complete is False:
        return []
    lines = []
    # A self-connect is one socket: its books are one.
    ends = connection.own_ends
    for end, iss in zip(ends, "xy", strict=False):
        letter = fin_letter(steps, end)
        sent, missing = connection.sent_octets[end], connection.missing_octets[end]
        captured = connection.octets[end]
        if sent is None:
            unknown = [name for name, known in (("SYN", connection.initial_seq[end] is not None), ("FIN", letter))
                       if not known]  # fmt: skip
            said = f"{counted(captured, 'octet')} captured; how many were sent cannot be told"
            lines.append(Text(f"{names[end]}: {said}{f' without its {listed(unknown)}' if unknown else ''}."))
            continue
        sum_ = f"{letter} = {iss} + 1 + {octets_in_words(sent)}" if letter else octets_in_words(sent)
        again = sum(one.payload_octets for one in steps if one.sender == end and one.retransmission)
        told = f"{names[end]}: {sum_} sent, {captured:,} captured{f' ({again:,} of them again)' if again else ''}, "
        if missing is None:
            lines.append(Text(f"{told}how many are missing cannot be told"))
        else:
            lines.append(styled(f"{told}{missing:,} missing", (" ✗", "red") if missing else (" ✓", "green")))
    return lines


def findings(connection: Connection, steps: Sequence[Step]) -> list[Text]:
    """Return the findings: in full if no segment shows them, else only their codes: the segment has the text."""
    if not connection.findings:
        return []
    drawn = {step.frame for step in steps} | {error.frame for error in connection.icmp_errors}
    found = [one for one in connection.findings if not drawn & {*one.frames}]
    named = [f"{one.severity} {one.code}" for one in connection.findings if drawn & {*one.frames}]
    return [*map(finding_text, found), *([Text(f"Above: {', '.join(named)}.")] if named else [])]


def fin_letter(steps: Sequence[Step], end: End) -> str:
    """Return the letter that the ladder gives the number of `end`'s FIN: "u" or "w"; "" if it sent none."""
    for step in steps:
        if step.sender == end and "FIN" in step.flags:
            named = [line.name for line in step.arithmetic if line.name in ("u", "w")]
            return named[0] if named else step.symbolic_seq if step.symbolic_seq in ("u", "w") else "its FIN"
    return ""


def _verdict(kind: str, complete: bool | None) -> tuple[tuple[str, str], str]:
    style = {True: "bold green", False: "bold red", None: "bold yellow"}[complete]
    return (kind, style), {True: " (complete): ", False: " (not complete): ", None: ": "}[complete]


def _name(names: Pair[str], end: str) -> str:
    return names.originator if end == "originator" else names.responder
