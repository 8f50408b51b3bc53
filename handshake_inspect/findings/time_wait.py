"""TIME-WAIT and what comes of it: who owes it, how it ended, sockets that are used again, ports that run out.

These rules look at the run: whether TIME-WAIT is over the profile says, and another connection may end it. Read RFC
9293 §3.6.1, RFC 1337 and RFC 6191 first. `Connections.time_waits` is computed only where a rule has something to ask:
TIME-WAIT in itself is ordinary.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.answers import CUTS, NONE
from handshake_inspect.connections.at_once import at_once, number_groups
from handshake_inspect.connections.found import Found
from handshake_inspect.connections.ledger import TimeWaitLedger
from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.owing import Sockets, opening_ends
from handshake_inspect.connections.port_use import PortUse
from handshake_inspect.connections.rows import RESPONDER
from handshake_inspect.connections.time_waits import (
    FORGOTTEN,
    KILLED,
    REUSED,
    REUSED_EARLY,
    RULES,
)
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, run_rule
from handshake_inspect.findings.run import About, Run
from handshake_inspect.quantities import counted, duration
from handshake_inspect.table import frame_numbers
from handshake_inspect.tcp.seqnum import MODULUS
from handshake_inspect.tcp.time_wait import SECOND_NS

#: Of how many listeners it is said that they owe TIME-WAIT: those that owe most.
MOST_LISTENERS = 10
#: From which part of the ephemeral ports on they are said to run out.
LOW_SHARE = 0.75
#: A rate of connections tells nothing if it was seen for a shorter time, or of fewer connections.
LEAST_RATE_NS, LEAST_RATE_CONNECTIONS = SECOND_NS, 100


@run_rule("time-wait-at-server", CHAT, example="server-first.pcap")
def time_wait_at_server(run: Run) -> Iterator[About]:
    """A server closes first, so it owes TIME-WAIT, not its clients.

    What it means. The end that closes first keeps the pair of sockets for 2 MSL (Linux: 60 s), to answer a FIN that
    comes again and to let old segments die. Here that is the accepting end.

    Why it matters. Each costs a busy server some memory (Linux: 256 octets), and no port: all of them use that of the
    listener. But a server that is restarted cannot bind() to it for 60 s, unless the old and the new one set
    SO_REUSEADDR; and a client that comes from the same port again may be refused.

    Reported when. Connections that a listener accepted left TIME-WAIT to it; of a run the 10 listeners that owe most.

    Not reported when. The opening was not captured: then who accepted cannot be told. The FINs crossed
    (`simultaneous-close`).

    Source. RFC 9293 §3.6.1; RFC 1122 §4.2.2.13.
    """
    waits = run.connections.verdicts.waits
    rows, side = waits["connection"], waits["side"].astype(np.int64)
    if not side.any():
        return
    crossed = run.judged(lambda one: one.teardown_kind == "simultaneous-close")
    mine = np.flatnonzero((side == RESPONDER) & ~crossed[rows])
    mine = mine[opening_ends(run.connections, rows[mine], side[mine])[1]]
    if not len(mine):
        return
    local = Sockets.of(run.connections, rows[mine], side[mine])
    group, example = number_groups([*local.host, local.port])
    entered, until = waits["entered_ns"][mine], run.connections.time_waits.until_ns[mine]
    count, peak = np.bincount(group), at_once(group, entered, until, len(example)).peak
    for one in np.lexsort((example, -count))[:MOST_LISTENERS].tolist():
        endpoint = local.endpoint(int(example[one]))
        first = int(mine[np.flatnonzero(group == one)[0]])
        yield About(
            about=str(endpoint),
            message=f"accepted {counted(int(count[one]), 'connection')} and closed first: it owes TIME-WAIT, up to "
            f"{int(peak[one]):,} at once ({run.connections.profile.assumption})",
            connections=int(count[one]),
            frames=(run.frame(int(waits["capture"][first]), int(waits["frame"][first])),),
        )


@run_rule("time-wait-killed", NOTE, example="time-wait-killed.pcap")
def time_wait_killed(run: Run) -> Iterator[Found]:
    """An RST came into TIME-WAIT and ended it before its time.

    What it means. The end in TIME-WAIT received an RST with exactly the number it expected. By RFC 9293 that closes the
    connection at once. Mostly its peer is gone: an old FIN or SYN comes late, TIME-WAIT acknowledges it, and the peer,
    which has no connection any more, resets that acknowledgment.

    Why it matters. RFC 1337 calls it TIME-WAIT assassination: old segments can fall into the next connection between
    the two sockets. It asks to ignore RSTs in TIME-WAIT; Linux does with tcp_rfc1337 = 1, which is not the default.

    Reported when. The RST is at the next number expected, in TIME-WAIT, before it is over by the profile.

    Not reported when. Later segments show that it was ignored.

    Source. RFC 1337; RFC 9293 §3.10.7.4 (second).
    """
    for who, found, lasted, frames in _cut(run, KILLED, "killed"):
        yield Found(
            "an RST came into the TIME-WAIT of the {who:end} after {lasted:duration} of {length:duration}: it is over, "
            "unless its system ignores RSTs there (RFC 1337)",
            found,
            frames,
            {"who": who, "lasted": lasted, "length": np.full(len(found), run.connections.profile.length_ns)},
        )


@run_rule("time-wait-forgotten", NOTE, example="time-wait-overflow.pcap")
def time_wait_forgotten(run: Run) -> Iterator[Found]:
    """The end that owes TIME-WAIT answered with an RST: it had no TIME-WAIT any more.

    What it means. TIME-WAIT answers everything but an RST with an ACK. Only who has no connection answers with an RST.
    Its system keeps no TIME-WAIT, or ended it early: Linux does where it has no room for more (tcp_max_tw_buckets),
    other systems after a shorter time, and a load balancer may never have had one.

    Why it matters. If the last ACK is lost, the other end's close ends in an error; and old segments can fall into the
    next connection.

    Reported when. An end that owes TIME-WAIT by its segments sends an RST before that is over by the profile; or its
    socket refuses the next connection with one.

    Not reported when. The other end sent the RST (`time-wait-killed`).

    Source. RFC 9293 §3.6.1, §3.10.7.1, §3.10.7.4 (eighth).
    """
    for who, found, lasted, frames in _cut(run, FORGOTTEN, "forgotten"):
        yield Found(
            "the {who:end} owes TIME-WAIT, and answered with an RST {lasted:duration} after it began: it has none",
            found,
            frames,
            {"who": who, "lasted": lasted},
        )


def _cut(run: Run, outcome: int, how: str) -> Iterator[tuple[Rows, Rows, Rows, tuple[Rows, ...]]]:
    """Yield whose TIME-WAITs ended so before their time, of which connections, how long they lasted, and the frames."""
    table = run.connections.verdicts.waits
    if not (table["cut_short"] == CUTS.index(how)).any() and not (outcome == FORGOTTEN and _sockets_used_again(run)):
        return
    waits = run.connections.time_waits
    at = np.flatnonzero((waits.outcome == outcome) & (waits.ended_ns >= table["entered_ns"]))
    frames = (
        frame_numbers(table["capture"][at], table["frame"][at]),
        frame_numbers(waits.ended_capture[at], waits.ended_frame[at]),
    )
    yield table["side"][at], table["connection"][at], (waits.ended_ns - table["entered_ns"])[at], frames


def _sockets_used_again(run: Run) -> bool:
    """Is there a conversation of more than one connection?"""
    conversation = run.table["conversation"]
    return bool((conversation[1:] == conversation[:-1]).any())


@run_rule("time-wait-restarted", CHAT, example="time-wait-restarted.pcap")
def time_wait_restarted(run: Run) -> Iterator[Found]:
    """Segments that came into TIME-WAIT started its time again.

    What it means. A FIN that comes again says that its sender has not heard the last ACK: TIME-WAIT acknowledges it,
    and waits for 2 MSL from then on. Linux does so for whatever has an ACK: late octets, a bare acknowledgment.

    Why it matters. The sockets are free only so much later. Who sends into TIME-WAIT again and again keeps them.

    Reported when. What came restarts TIME-WAIT by the rules of the profile.

    Not reported when. An RST answers it: there was no TIME-WAIT (`time-wait-forgotten`).

    Source. RFC 9293 §3.10.7.4 (eighth, TIME-WAIT); Linux: tcp_timewait_state_process().
    """
    restarts = run.connections.verdicts.restarts
    if not len(restarts):
        return
    waits = run.connections.time_waits
    restarts = restarts.take(waits.restarts)
    if not len(restarts):
        return
    key, first, times = np.unique(2 * restarts["connection"] + restarts["side"], return_index=True, return_counts=True)
    last = first + times - 1
    at = np.searchsorted(2 * waits.table["connection"] + waits.table["side"], key)
    later = restarts["time_ns"][last] - waits.table["entered_ns"][at]
    known = later >= 0  # else the clock was set
    key, first, last, times, later = (column[known] for column in (key, first, last, times, later))
    yield Found(
        "the TIME-WAIT of the {who:end} began anew {times:count time}, the last time after {later:duration}",
        key >> 1,
        tuple(frame_numbers(restarts["capture"][one], restarts["frame"][one]) for one in (first, last)),
        {"who": key & 1, "times": times, "later": later},
    )


@run_rule("time-wait-reused", CHAT, example="time-wait-reused.pcap")
def time_wait_reused(run: Run) -> Iterator[Found]:
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
    if not len(run.connections.verdicts.waits) or not _sockets_used_again(run):
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


@run_rule("time-wait-reused-early", WARN)
def time_wait_reused_early(run: Run) -> Iterator[Found]:
    """A connection took the sockets of a TIME-WAIT before it was over, though its SYN could be an old segment.

    What it means. Neither is the timestamp of the SYN newer than the last one of its sender, nor its number above the
    last one. Who took it keeps no TIME-WAIT, or a shorter one than the profile says, or a box between the ends (NAT)
    mixed two clients up.

    Why it matters. Octets of the old connection can lie in the window of the new one.

    Reported when. The next connection between the sockets opens before TIME-WAIT is over by the profile, and neither
    rule holds.

    Not reported when. The last numbers of the old connection are not known.

    Source. RFC 9293 §3.6.1 (MAY-2); RFC 6191 §2; RFC 7323 §5. Wireshark tcp.reused_ports; Zeek SYN_after_close,
    premature_connection_reuse.
    """
    if not len(run.connections.verdicts.waits) or not _sockets_used_again(run):
        return
    waits, following = run.connections.time_waits, run.connections.time_waits.next
    early = (waits.outcome == REUSED_EARLY) & (following.last_seq != NONE)
    stamped = (following.timestamp != NONE) & (following.last_timestamp != NONE)
    text = "a SYN took the sockets {after:duration} into the TIME-WAIT of the {who:end}, of {length:duration}: "
    above = (following.initial_seq - following.last_seq) % MODULUS < MODULUS // 2
    for some, why in (
        (~stamped, "its number is {behind:octets} below the last one used"),
        (stamped & above, "its timestamp is {older} below the last one, which no number makes good"),
        (stamped & ~above, "its timestamp is {older} below the last one, its number {behind:octets}"),
    ):
        yield from _reuse(run, early & some, text + why)


def _reuse(run: Run, which: Mask, text: str) -> Iterator[Found]:
    """Yield a finding of the connections that took the sockets of these TIME-WAITs."""
    waits, following, table = run.connections.time_waits, run.connections.time_waits.next, run.table
    at = np.flatnonzero(which)
    at = at[np.argsort(following.row[at], kind="stable")]
    row = following.row[at]
    yield Found(
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
def sockets_reused(run: Run) -> Iterator[Found]:
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
    if not _sockets_used_again(run):
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
        yield Found(
            f"it uses the sockets of the connection before, {how}, {{after:duration}} after the last segment of that",
            row + 1,
            (
                frame_numbers(table["last_capture"][row], table["last_frame"][row]),
                frame_numbers(table["first_capture"][row + 1], table["first_frame"][row + 1]),
            ),
            {"after": table["first_ns"][row + 1] - table["last_ns"][row]},
        )


@run_rule("ephemeral-ports-low", WARN)
def ephemeral_ports_low(run: Run) -> Iterator[About]:
    """The ports from which a host can connect to one remote socket are running out.

    What it means. Each connection takes one of the host's ephemeral ports for one remote socket, from its SYN until its
    TIME-WAIT is over. At the rate seen here, or as many as were taken at once, there are hardly any left.

    Why it matters. connect() fails with EADDRNOTAVAIL, or takes long to find a port. Keep connections open and use them
    again; let the server close first; more local or remote addresses; a wider range; on Linux tcp_tw_reuse.

    Reported when. Three quarters of the ports of the profile were taken at once; or in a stretch of at least 1 s so
    many connections left TIME-WAIT, 100 or more, that at this rate no port is left before the first one is free again.

    Not reported when. The server closes first: its TIME-WAIT takes no port of the client's.

    Source. RFC 9293 §3.6.1; RFC 6335 §6; RFC 6056 §3.2.
    """
    if len(run.connections.verdicts.waits) < LEAST_RATE_CONNECTIONS:
        return
    if np.bincount(run.paths[0]).max(initial=0) < LEAST_RATE_CONNECTIONS:
        return
    times = [time for one in run.captures for time in (one.first_ns, one.last_ns) if time is not None]
    captured_ns = (min(times, default=0), max(times, default=0))
    ledger = TimeWaitLedger(run.connections, None, run.connections.profile.ports, captured_ns)
    for use in ledger.port_use(MOST_LISTENERS):
        low = use.share >= LOW_SHARE
        rate_known = use.window_ns >= LEAST_RATE_NS and use.opened_in_window >= LEAST_RATE_CONNECTIONS
        if low or (rate_known and use.seen_per_s >= use.runs_out_at_per_s):
            yield About(f"{use.ip} to {use.remote}", _ports_in_words(use), use.connections)


def _ports_in_words(use: PortUse) -> str:
    taken = (
        f"{use.peak:,} of the {use.ports.count:,} ports {use.ports} taken at once, {use.peak_time_waits:,} by TIME-WAIT"
    )
    rate = f"{use.opened_in_window:,} connections in {duration(use.window_ns)} left TIME-WAIT"
    if use.seen_per_s < use.runs_out_at_per_s:
        return f"{taken}; {rate}"
    return f"{taken}; {rate}: at that rate none is left after {duration(round(use.ports.count / use.seen_per_s * 1e9))}"
