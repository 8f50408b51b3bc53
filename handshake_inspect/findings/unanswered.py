"""SYNs that nobody answered, SYN-ACKs that nobody acknowledged: what others of that listener tell of the cause."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.ledger.at_once import number_groups
from handshake_inspect.findings.rule import NOTE, WARN, run_rule
from handshake_inspect.findings.run import Run
from handshake_inspect.sets import set_of
from handshake_inspect.table import frame_numbers
from handshake_inspect.tcp.options import is_cut, parse

#: RFC 6298 §2.1: before this time has passed a SYN is not sent again; until then it is not unanswered, only not yet.
FIRST_RETRY_NS = 1_000_000_000
#: How long a third segment may take, if no other connection of the listener shows how long they take.
ON_ITS_WAY_NS = 50_000_000


@run_rule("unanswered", NOTE, example="unanswered.pcap")
def unanswered(run: Run) -> Iterator[FindingRows]:
    """Nothing answered the SYN.

    What it means. The client asked for a connection, and no SYN-ACK, no RST and no ICMP error came back. What the
    capture shows of others ranks the causes. The same port opened connections with other sockets: the SYN was lost, or
    the listener's accept queue or SYN queue was full; Linux then drops a SYN silently. If all those are signed, by MD5
    or TCP-AO, and this SYN is not, the listener drops it for that, as silently. The host answered other SYNs
    only, at other ports or with an RST: a filter drops what goes to this port, or the SYN was lost. It answered nobody:
    there is no such host, a filter hides it, or its answers take another way than the one captured.

    Why it matters. connect() blocks until the retries are used up: more than two minutes on Linux.

    Reported when. A SYN was captured, and no segment of the other end in this connection, and for a second neither the
    capture ends nor the same sockets try again with another number (`syn-changed`).

    Not reported when. An RST answers (`refused`) or an ICMP error (`unreachable`).

    Source. RFC 9293 §3.8.3, §3.10.7.3; RFC 6298 §2.1; RFC 2385 §2; RFC 5925 §7.3. Zeek conn_state S0.
    """
    table = run.table
    unanswered = run.judged(lambda one: one.handshake_kind == "unanswered" and not one.handshake_missing)
    at = np.flatnonzero(unanswered)
    waited = np.maximum(_until_ns(run)[at] - table["first_ns"][at], 0)
    at, waited = at[waited >= FIRST_RETRY_NS], waited[waited >= FIRST_RETRY_NS]
    if not len(at):
        return
    tries = table["syn_retransmissions"][at].astype(np.int64) + 1
    listener = run.listeners.number
    host, _ = number_groups(run.servers.take(run.listeners.example).host)
    answered = table["segments_r"] > 0
    opened = answered & ~run.judged(lambda one: one.handshake_kind == "refused")
    # Another attempt of the same two sockets is not another client.
    same = 2 * table["conversation"].astype(np.int64) + (table["originator_is_higher"] != 0)
    by_port = _others(opened, listener, same)[at]
    by_host = _others(answered, host[listener], same)[at]
    itself = np.isin(same[at], same[answered])
    lacks = np.zeros_like(by_port)
    lacks[by_port] = _lacks_signature(run, opened, at[by_port])
    for which, hint in (
        (by_port & ~lacks, "the port answered others: lost, or dropped by a full queue"),
        (lacks, "the port answered others, which are signed, as this is not: dropped for that, or lost"),
        (by_host & ~by_port, "the host answered other SYNs: filtered, or lost"),
        (itself & ~by_host, "another attempt of the same sockets was answered: lost, or dropped"),
        (~by_host & ~itself, "that host answered nobody: filtered, or no host there"),
    ):
        one = at[which]
        yield FindingRows(
            f"{{tries:count SYN}} to port {{port:d}}, no answer within {{waited:duration}}; {hint}",
            one,
            (
                frame_numbers(table["first_capture"][one], table["first_frame"][one]),
                frame_numbers(table["last_capture"][one], table["last_frame"][one]),
            ),
            {"tries": tries[which], "port": run.servers.port[one], "waited": waited[which]},
        )


def _others(which: Mask, group: Rows, same: Rows) -> Mask:
    """Is there such a connection in the group of each, of other sockets than its own? Shape (m,)."""
    of_group, of_same = (np.bincount(number[which], minlength=int(number.max()) + 1) for number in (group, same))
    others: Mask = of_group[group] > of_same[same]
    return others


def _lacks_signature(run: Run, opened: Mask, at: Rows) -> Mask:
    """Are these SYNs unsigned, unlike those of all connections that their listener opened? Shape of `at`."""
    listener, lists = run.listeners.number, run.table["options_o"]
    wanted = np.zeros(len(run.listeners.example), np.bool_)
    wanted[listener[at]] = True
    others = np.flatnonzero(opened & wanted[listener])
    signed = _is_signed(run, lists[others])
    if not signed.any():
        return np.zeros(len(at), np.bool_)
    wanted[listener[others[~signed]]] = False
    whole = np.array(
        [number != NONE and not is_cut(run.connections.names.options[number]) for number in lists[at].tolist()]
    )
    found: Mask = wanted[listener[at]] & whole & ~_is_signed(run, lists[at])
    return found


def _is_signed(run: Run, numbers: Rows) -> Mask:
    """Mark the option lists, by their numbers, that have a signature; NONE has none."""
    lists = run.connections.names.options
    signed = [one for one in set_of(numbers).tolist() if one != NONE and parse(lists[one]).signature]
    return np.isin(numbers, signed)


def _until_ns(run: Run) -> Rows:
    """Until when an answer to each connection would be one to it: the next of its sockets begins, or the end. (m,)."""
    if not run.sockets_used_again:
        return run.until_ns
    conversation, until = run.table["conversation"], run.until_ns.copy()
    again = np.flatnonzero(conversation[1:] == conversation[:-1])
    until[again] = np.minimum(until[again], run.table["first_ns"][again + 1])
    return until


@run_rule("half-open", WARN, example="syn-flood.pcap")
def half_open(run: Run) -> Iterator[FindingRows]:
    """The SYN-ACK was never acknowledged: the server waits for the third segment.

    What it means. The server is in SYN-RECEIVED and holds an entry of its SYN queue. The client is gone, never was
    there (a forged address), or its ACK is lost. If it sends its SYN again, the SYN-ACK does not reach it.

    Why it matters. Each such connection takes one place of the backlog until the server gives up: Linux repeats the
    SYN-ACK five times, the last after 31 s, and drops the entry after 63 s. Many of them at once are a SYN flood.

    Reported when. A SYN and its SYN-ACK were captured, nothing that acknowledges the SYN-ACK was, and the third segment
    is not just on its way: the capture goes on for a second, or longer than any third segment of that listener took
    (and 50 ms).

    Not reported when. An RST ended the attempt (`abandoned`), or the SYN was not captured: then the client's segments
    may have taken another way.

    Source. RFC 9293 §3.5, §3.10.7.4; RFC 4987 §2. Zeek conn_state S1 (it takes the SYN-ACK for the end of the opening).
    """
    table = run.table
    at = np.flatnonzero(run.judged(lambda one: one.handshake_kind == "half-open") & (table["syn_to_syn_ack_ns"] >= 0))
    if not len(at):
        return
    since = run.until_ns[at] - table["first_ns"][at] - table["syn_to_syn_ack_ns"][at]
    keep = since >= np.minimum(_slowest_third_segment_ns(run)[run.listeners.number[at]], FIRST_RETRY_NS)
    at, since = at[keep], since[keep]
    syns = table["syn_retransmissions"][at].astype(np.int64) + 1
    for which, more in ((syns == 1, ""), (syns > 1, ", though the SYN came {syns:d} times")):
        one = at[which]
        yield FindingRows(
            f"half-open for {{since:duration}}: {{tries:count SYN-ACK}}, none acknowledged{more}",
            one,
            (
                frame_numbers(table["first_capture"][one], table["first_frame"][one]),
                frame_numbers(table["last_capture"][one], table["last_frame"][one]),
            ),
            {
                "since": since[which],
                "tries": table["syn_ack_retransmissions"][one].astype(np.int64) + 1,
                "syns": syns[which],
            },
        )


def _slowest_third_segment_ns(run: Run) -> Rows:
    """Return how long after the SYN-ACK the slowest third segment of each listener came; at least `ON_ITS_WAY_NS`."""
    took = run.table["syn_ack_to_ack_ns"]
    slowest = np.full(len(run.listeners.example), ON_ITS_WAY_NS, np.int64)
    known = took > ON_ITS_WAY_NS
    np.maximum.at(slowest, run.listeners.number[known], took[known])
    return slowest
