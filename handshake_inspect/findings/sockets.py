"""Sockets that are used again, and whether they may be: TIME-WAIT that is reused, connections that were not closed.

Read RFC 9293 §3.5.1, §3.6.1 and RFC 6191 §2 first. A finding stands at the connection that takes the sockets.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.deciding.time_waits import (
    REUSED,
    REUSED_EARLY,
    RULES,
)
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, run_rule
from handshake_inspect.findings.run import Run
from handshake_inspect.table import frame_numbers
from handshake_inspect.tcp.options import is_cut
from handshake_inspect.tcp.seqnum import MODULUS

#: Columns of the option lists of a SYN and of its answer.
LISTS = ("options_o", "options_r")


@run_rule("time-wait-reused", CHAT, by_times=True, example="time-wait-reused.pcap")
def time_wait_reused(run: Run) -> Iterator[FindingRows]:
    """A connection took the sockets of a TIME-WAIT before that was over, as it may.

    What it means. One end still owed TIME-WAIT for the same pair of sockets. Its SYN, or the one it accepted, cannot be
    mistaken for an old segment: its timestamp is newer than the last one, or its number is above the last one.

    Why it matters. It is how a busy client goes on when its ports run short. Where Linux itself
    reuses a TIME-WAIT it begins 65,537 above the next number of the old connection.

    Reported when. The next connection between the sockets opens before TIME-WAIT is over by the profile, and one of the
    two rules holds.

    Not reported when. TIME-WAIT was over.

    Source. RFC 9293 §3.6.1 (MAY-2); RFC 6191 §2. Wireshark tcp.reused_ports; Zeek SYN_after_close.
    """
    if not len(run.connections.verdicts.waits) or not run.sockets_used_again:
        return
    waits, following = run.connections.time_waits, run.connections.time_waits.next
    number = "its number is {ahead:octets} above the last one used"
    stamp = "its timestamp is {newer} above the last one"
    has_last = following.last_timestamp != NONE
    both = RULES["timestamps"] | RULES["initial-number"]
    for rules, stamped, why in (
        (RULES["timestamps"], True, stamp),
        (RULES["timestamps"], False, "it has timestamps, which the last connection had not"),
        (RULES["initial-number"], None, number),
        (both, True, f"{stamp}, and {number}"),
        (both, False, number),
    ):
        holds = (waits.outcome == REUSED) & (following.rules == rules)
        if stamped is not None:
            holds &= has_last == stamped
        yield from _reuse(
            run, holds, "a SYN took the sockets {after:duration} into the TIME-WAIT of the {who:end}: " + why
        )


@run_rule("time-wait-reused-early", WARN, example="time-wait-reused-early.server.pcap")
def time_wait_reused_early(run: Run) -> Iterator[FindingRows]:
    """A connection took the sockets of a TIME-WAIT before it was over, though its SYN could be an old segment.

    What it means. Neither is the timestamp of the SYN newer than the last one of its sender, nor its number above the
    last one. Who took it keeps no TIME-WAIT, or a shorter one than the profile says, or a box between the ends (NAT)
    mixed two clients up.

    Why it matters. Octets of the old connection can lie in the window of the new one.

    Reported when. The next connection between the sockets opens before TIME-WAIT is over by the profile, and neither
    rule holds.

    Not reported when. The last numbers of the old connection are not known, or the timestamps of the new one: the
    snapshot length cut the options of its SYN or SYN-ACK.

    Source. RFC 9293 §3.6.1 (MAY-2); RFC 6191 §2; RFC 7323 §5. Wireshark tcp.reused_ports; Zeek SYN_after_close,
    premature_connection_reuse.
    """
    if not len(run.connections.verdicts.waits) or not run.sockets_used_again:
        return
    waits, following = run.connections.time_waits, run.connections.time_waits.next
    early = (waits.outcome == REUSED_EARLY) & (following.last_seq != NONE)
    early[_may_have_timestamps(run, np.flatnonzero(early & (following.timestamp == NONE)))] = False
    stamped = (following.timestamp != NONE) & (following.last_timestamp != NONE)
    text = "a SYN took the sockets {after:duration} into the TIME-WAIT of the {who:end}, of {length:duration}: "
    above = (following.initial_seq - following.last_seq) % MODULUS < MODULUS // 2
    for some, why in (
        (~stamped, "its number is {behind:octets} below the last one used"),
        (stamped & above, "its timestamp is {older} below the last one, which no number makes good"),
        (stamped & ~above, "its timestamp is {older} below the last one, its number {behind:octets}"),
    ):
        yield from _reuse(run, early & some, text + why)


def _may_have_timestamps(run: Run, at: Rows) -> Rows:
    """Return those of these TIME-WAITs whose next connection has a SYN or SYN-ACK with truncated options."""
    time_waits, lists = run.connections.time_waits, run.connections.names.options
    found = [
        any(number != NONE and is_cut(lists[number]) for number in pair)
        for pair in zip(*(time_waits.users[name][time_waits.next.row[at]].tolist() for name in LISTS), strict=True)
    ]
    return at[np.array(found, np.bool_)]


def _reuse(run: Run, which: Mask, text: str) -> Iterator[FindingRows]:
    """Yield a finding of the connections that took the sockets of these TIME-WAITs."""
    waits, following, table = run.connections.time_waits, run.connections.time_waits.next, run.table
    # Those that stay when the old one leaves are told of later.
    at = np.flatnonzero(which & (following.row < len(table)))
    at = at[np.argsort(following.row[at], kind="stable")]
    row = following.row[at]
    yield FindingRows(
        text,
        row,
        (frame_numbers(table["first_capture"][row], table["first_frame"][row]),),
        {
            # Of the new connection: its originator is the end of the old one that opened it.
            "who": (waits.table["side"][at] != following.by[at]).astype(np.int64),
            "after": table["first_ns"][row] - waits.table["entered_ns"][at],
            "length": np.full(len(at), run.connections.profile.length_ns),
            "ahead": (following.initial_seq - following.last_seq)[at] % MODULUS,
            "behind": (following.last_seq - following.initial_seq)[at] % MODULUS,
            "newer": (following.timestamp - following.last_timestamp)[at] % MODULUS,
            "older": (following.last_timestamp - following.timestamp)[at] % MODULUS,
        },
    )


@run_rule("sockets-reused", NOTE, example="half-open-syn.pcap")
def sockets_reused(run: Run) -> Iterator[FindingRows]:
    """The same two sockets are used for another connection soon after the one before.

    What it means. A client takes its ports one after the other; the same one within a minute was chosen by hand, or the
    ports run short, or its host crashed and started again. If the connection before was not closed, one end has
    forgotten it, or a box between the ends (NAT) gave the port to somebody else, or the capture missed its end.

    Why it matters. Segments of the old connection can fall into the new one; and the other end of one that was not
    closed answers the SYN with an ACK first (Figure 9), which costs a second.

    Reported when. A connection that had opened is followed by another one between the same sockets, before the time of
    TIME-WAIT by the profile has passed since its last segment; and no TIME-WAIT of it is known, or none that was taken.

    Not reported when. It never opened: a client tries again from the same port. The next one took a TIME-WAIT:
    `time-wait-reused`, `time-wait-reused-early`. Its client gave the next one up with an RST: an old copy of a SYN
    looks so (Figure 8).

    Source. RFC 9293 §3.5.1 (Figure 9), §3.6.1. Wireshark tcp.reused_ports; Zeek SYN_after_reset,
    active_connection_reuse, premature_connection_reuse, SYN_inside_connection.
    """
    if not run.sockets_used_again:
        return
    table = run.table
    conversation = table["conversation"]
    old = np.flatnonzero(conversation[1:] == conversation[:-1])
    opened = run.judged(lambda one: one.handshake_complete is not False)[old]
    opened &= run.judged(lambda one: one.handshake_kind != "abandoned")[old + 1]
    after = table["first_ns"][old + 1] - table["last_ns"][old]
    soon = (after >= 0) & (after < run.connections.profile.length_ns)
    soon &= table["first_clock"][old + 1] == table["last_clock"][old]
    old = old[opened & soon]
    waits = run.connections.time_waits
    taken = waits.table["connection"][np.isin(waits.outcome, (REUSED, REUSED_EARLY))] if len(waits) else old[:0]
    old = old[~np.isin(old, taken)]
    closed = run.judged(lambda one: one.teardown_complete is True)[old]
    reset = run.judged(lambda one: one.teardown_kind in ("aborted", "reset-after-fin"))[old]
    for some, how in (
        (reset, "which an RST had ended"),
        (closed & ~reset, "which was closed"),
        (~closed & ~reset, "which was not closed"),
    ):
        row = old[some]
        yield FindingRows(
            f"it uses the sockets of the connection before, {how}, {{after:duration}} after the last segment of that",
            row + 1,
            (
                frame_numbers(table["last_capture"][row], table["last_frame"][row]),
                frame_numbers(table["first_capture"][row + 1], table["first_frame"][row + 1]),
            ),
            {"after": table["first_ns"][row + 1] - table["last_ns"][row]},
        )
