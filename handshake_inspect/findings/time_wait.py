"""TIME-WAIT: which servers owe it, what starts it again, and what ends it before its time.

These rules look at the run: whether TIME-WAIT is over the profile says, and another connection may end it. Read RFC
9293 §3.6.1, RFC 1337 and RFC 6191 first. `Connections.time_waits` is computed only where a rule has something to ask:
TIME-WAIT in itself is ordinary.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import CUTS
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.deciding.time_waits import (
    FORGOTTEN,
    KILLED,
)
from handshake_inspect.connections.ledger.at_once import at_once, number_groups
from handshake_inspect.connections.ledger.owing import opening_ends
from handshake_inspect.connections.sockets import Sockets
from handshake_inspect.connections.splitting.rows import RESPONDER
from handshake_inspect.findings.rule import CHAT, NOTE, about_rule, run_rule
from handshake_inspect.findings.run import About, Run
from handshake_inspect.quantities import counted
from handshake_inspect.table import frame_numbers

#: Of how many listeners it is said that they owe TIME-WAIT: those that owe most.
MOST_LISTENERS = 10


@about_rule("time-wait-at-server", CHAT, example="server-first.pcap")
def time_wait_at_server(run: Run) -> Iterator[About]:
    """A server closes first, so it owes TIME-WAIT, not its clients.

    What it means. The end that closes first keeps the pair of sockets for 2 MSL (Linux: 60 s), to answer a FIN that
    comes again and to let old segments die. Here that is the accepting end.

    Why it matters. Each costs a busy server some memory (Linux: 256 octets), and no port: all of them use that of the
    listener. But a server that is restarted cannot bind() to it for 60 s, unless the old and the new one set
    SO_REUSEADDR; a client that comes from the same port again is let in only if its
    SYN is newer than the old connection, and gets an ACK of the old numbers else.

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
def time_wait_killed(run: Run) -> Iterator[FindingRows]:
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
        yield FindingRows(
            "an RST came into the TIME-WAIT of the {who:end} after {lasted:duration} of {length:duration}: it is over, "
            "unless its system ignores RSTs there (RFC 1337)",
            found,
            frames,
            {"who": who, "lasted": lasted, "length": np.full(len(found), run.connections.profile.length_ns)},
        )


@run_rule("time-wait-forgotten", NOTE, example="time-wait-overflow.pcap")
def time_wait_forgotten(run: Run) -> Iterator[FindingRows]:
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
        yield FindingRows(
            "the {who:end} owes TIME-WAIT, but sent an RST {lasted:duration} after that should have begun: it kept "
            "none",
            found,
            frames,
            {"who": who, "lasted": lasted},
        )


def _cut(run: Run, outcome: int, how: str) -> Iterator[tuple[Rows, Rows, Rows, tuple[Rows, ...]]]:
    """Yield whose TIME-WAITs ended so before their time, of which connections, how long they lasted, and the frames."""
    table = run.connections.verdicts.waits
    if not (table["cut_short"] == CUTS.index(how)).any() and not (outcome == FORGOTTEN and run.sockets_used_again):
        return
    waits = run.connections.time_waits
    at = np.flatnonzero((waits.outcome == outcome) & (waits.ended_ns >= table["entered_ns"]))
    frames = (
        frame_numbers(table["capture"][at], table["frame"][at]),
        frame_numbers(waits.ended_capture[at], waits.ended_frame[at]),
    )
    yield table["side"][at], table["connection"][at], (waits.ended_ns - table["entered_ns"])[at], frames


@run_rule("time-wait-restarted", CHAT, example="time-wait-restarted.pcap")
def time_wait_restarted(run: Run) -> Iterator[FindingRows]:
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
    yield FindingRows(
        "the TIME-WAIT of the {who:end} was restarted {times:count time}, last {later:duration} after it began",
        key >> 1,
        tuple(frame_numbers(restarts["capture"][one], restarts["frame"][one]) for one in (first, last)),
        {"who": key & 1, "times": times, "later": later},
    )
