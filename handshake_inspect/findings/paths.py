"""What lies between the ends: routers that count the TTL down, boxes that answer or rewrite (RFC 9293 §3.9.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.connections.answers import NONE
from handshake_inspect.connections.found import Found
from handshake_inspect.connections.moments import Mask, Rows
from handshake_inspect.connections.quotes import NEVER_SENT
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule, run_rule
from handshake_inspect.findings.run import Run
from handshake_inspect.table import frame_numbers

#: With what TTLs hosts send: 64 Linux, macOS, BSD; 128 Windows; 255 routers, Solaris. Every router counts one down.
FIRST_TTLS = np.array([64, 128, 255])
#: Between the two places where one SYN is captured.
ON_THE_WAY_NS = 1_000_000_000


@rule("syn-ack-ttl", NOTE, example="syn-ack-other-ttl.pcap")
def syn_ack_ttl(e: Evidence) -> Iterator[Found]:
    """The SYN-ACK came with another TTL than what followed: likely another machine answered the SYN.

    What it means. Hosts begin at a TTL of 64, 128 or 255, and each router counts one down. The two TTLs begin at
    different ones of these: a SYN proxy, a load balancer or a firewall answers for the server and hands the connection
    on, a forged SYN-ACK was faster than the real one, or (seldom) one stack sends its SYN-ACKs so.

    Why it matters. The handshake shows that the box is up, not the server: a connection may open, and the server never
    hear of it. The round trip that it measures is that to the box.

    Reported when. The SYN-ACK and the first segment of the same end after it lie in one capture, and their TTLs are not
    what one first TTL leaves.

    Not reported when. They differ by some routers only (`path-changed`), or the next segment is an RST.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit); RFC 4987 §3.8 (proxies).
    """
    responder = e.responder
    syn_ack, following = e.numbers.syn_ack_row[responder], e.numbers.ack_row[responder]
    at = np.flatnonzero(_ttl_differs(e, syn_ack, following))
    at = at[_other_machine(e, syn_ack[at], following[at])]
    yield e.found(
        "the SYN-ACK has a TTL of {first:d}, the {who:end}'s next segment one of {later:d}: likely not of one machine",
        at,
        syn_ack[at],
        following[at],
        who=np.ones_like(at),
        first=e.rows.ttl[syn_ack[at]].astype(np.int64),
        later=e.rows.ttl[following[at]].astype(np.int64),
    )


@rule("ttl-changed", NOTE)
def ttl_changed(e: Evidence) -> Iterator[Found]:
    """The TTL of an end changes in the middle of the connection: likely not all its segments are of one machine.

    What it means. Hosts begin at a TTL of 64, 128 or 255, and each router counts one down. The segments of this end
    begin at different ones: a proxy or a load balancer opened the connection and handed it on, or somebody injects
    segments.

    Why it matters. Of what a proxy sends the other end learns nothing about the host behind it. An injected segment
    that is believed changes what the program reads.

    Reported when. Of an end's SYN without ACK, first ACK, first data and FIN two lie in one capture, and their TTLs are
    not what one first TTL leaves.

    Not reported when. They differ by some routers only (`path-changed`); for SYN-ACKs (`syn-ack-ttl`) and RSTs.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit).
    """
    ends, first, later = _changes(e, e.numbers.bare_syn_row)
    other = _other_machine(e, first, later)
    text = "the {who:end}'s TTL goes from {first:d} to {later:d}: likely not all its segments are of one machine"
    yield _changed(e, text, ends[other], first[other], later[other])


@rule("path-changed", CHAT)
def path_changed(e: Evidence) -> Iterator[Found]:
    """The TTL of an end changes a little in the middle of the connection: its segments took another way.

    What it means. A route changed, or routers share the load segment by segment. Segments of one connection then pass
    different routers, and may overtake each other.

    Why it matters. What comes out of order looks like loss for a moment. A box that sees one of the ways only does not
    see the whole connection.

    Reported when. Of an end's SYN, first ACK, first data and FIN two lie in one capture, and their TTLs differ, but
    began at the same one.

    Not reported when. They began at different ones (`ttl-changed`, `syn-ack-ttl`), or the capture shows segments twice:
    then the two may be of two places.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit).
    """
    ends, first, later = _changes(e, e.numbers.syn_row)
    same = (e.table["duplicates"][ends >> 1] == 0) & ~_other_machine(e, first, later)
    text = "the {who:end}'s TTL goes from {first:d} to {later:d}: its segments took another way"
    yield _changed(e, text, ends[same], first[same], later[same])


@rule("icmp-never-sent", WARN, example="forged-icmp-error.server.pcap")
def icmp_never_sent(e: Evidence) -> Iterator[Found]:
    """An ICMP error quotes a number that was never sent.

    What it means. Somebody who knows the sockets but not the numbers forges errors to end the connection, or to make
    its segments small; or a box on the way rewrites numbers, and passes errors on as they come.

    Why it matters. TCP must compare the quoted number with what it has sent and not yet heard of. A stack that does not
    can be made to give up the connection from anywhere.

    Reported when. The quoted number lies below the SYN or above the highest that this end sent or had acknowledged.

    Not reported when. The end itself was not captured, or its SYN was not and the number lies before what was: then it
    cannot be told. Nor if the number is only old: what was acknowledged long ago was sent all the same.

    Source. RFC 5927 §4.1, §5; RFC 9293 §3.9.2.2.
    """
    errors = e.verdicts.icmp_errors
    if not len(errors):
        return
    spoke = np.stack([e.table[name] for name in ("segments_o", "segments_r")]) > 0
    at = np.flatnonzero((errors["was_sent"] == NEVER_SENT) & spoke[errors["side"], errors["connection"]])
    connection, first, count = np.unique(errors["connection"][at], return_index=True, return_counts=True)
    at = at[first]
    side, relative = errors["side"][at].astype(np.int64), errors["relative_seq"][at]
    reached = np.where(side, e.table["last_seq_r"][connection], e.table["last_seq_o"][connection])
    for text, which, distance in (
        ("{distance:octets} above all that it sent", relative > reached, relative - reached),
        ("{distance:octets} below its SYN", relative <= reached, -relative),
    ):
        yield Found(
            f"{{count:count ICMP error}} about a segment that the {{who:end}} never sent: its number is {text}",
            connection[which],
            (frame_numbers(errors["capture"][at], errors["frame"][at])[which],),
            {"count": count[which], "who": side[which], "distance": distance[which]},
        )


@run_rule("isn-rewritten", NOTE)
def isn_rewritten(run: Run) -> Iterator[Found]:
    """A box on the way gives a connection another initial sequence number.

    What it means. Two captures show the same SYN, with the same options and the same timestamp, but with another number
    in each. Firewalls do so to hide the predictable numbers of old hosts, and SYN proxies because they have answered
    with a number of their own.

    Why it matters. All numbers and acknowledgments differ by so much between the two captures. If the box forgets the
    connection, or misses a segment, both ends are out of step; SACK blocks that it does not rewrite as well are wrong.
    What is the SYN in one capture is listed as a connection of its own.

    Reported when. Two SYNs without ACK between the same sockets lie in two captures, within 1 s, have the same
    timestamp and the same options, and different numbers.

    Not reported when. They have no timestamps: then nothing tells them from two connections.

    Source. RFC 9293 §3.4.1; RFC 6528 §3.
    """
    if len(run.captures) < 2:
        return
    table = run.table
    stamped = np.flatnonzero((table["syn_timestamp_o"] > 0) & (table["iss_o"] != NONE))
    if len(stamped) < 2:
        return
    order = stamped[np.lexsort([table[name][stamped] for name in ("first_ns", "syn_timestamp_o", "conversation")])]
    one, other = order[:-1], order[1:]
    same = np.ones(len(one), np.bool_)
    for name in ("conversation", "originator_is_higher", "syn_timestamp_o", "options_o"):
        same &= table[name][one] == table[name][other]
    same &= table["first_capture"][one] != table["first_capture"][other]
    same &= table["first_ns"][other] - table["first_ns"][one] <= ON_THE_WAY_NS
    same &= table["iss_o"][one] != table["iss_o"][other]
    one, other = one[same], other[same]
    if not len(one):
        return
    by_row = np.argsort(other)
    one, other = one[by_row], other[by_row]
    apart = (table["iss_o"][other] - table["iss_o"][one]) & 0xFFFFFFFF
    frames = [frame_numbers(table["first_capture"][rows], table["first_frame"][rows]) for rows in (one, other)]
    streams = run.connections.stream_of[one]
    for word, so, distance in (
        ("lower", apart < 1 << 31, apart),
        ("higher", apart >= 1 << 31, (1 << 32) - apart),
    ):
        yield Found(
            f"its SYN stands in another capture too, there with a number {{distance:,}} {word} (stream {{stream:,}})",
            other[so],
            (frames[0][so], frames[1][so]),
            {"stream": streams[so], "distance": distance[so]},
        )


def _ttl_differs(e: Evidence, first: Rows, later: Rows) -> Mask:
    """Have both segments been captured, in one capture, with different TTLs?"""
    rows = e.rows
    differs: Mask = (first >= 0) & (later >= 0) & (rows.ttl[first] != rows.ttl[later])
    differs &= rows.capture[first] == rows.capture[later]
    return differs


def _other_machine(e: Evidence, first: Rows, later: Rows) -> Mask:
    """Did the TTLs of these segments begin at different ones?"""
    ttl = e.rows.ttl
    different: Mask = np.searchsorted(FIRST_TTLS, ttl[first]) != np.searchsorted(FIRST_TTLS, ttl[later])
    return different


def _changes(e: Evidence, syn_row: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the ends whose TTL changes, and the rows of the segments before and after the first change.

    Looked at are the SYN, the first ACK, the first data and the FIN: no other row is sure to be kept.
    """
    ends = np.flatnonzero(e.numbers.ack_row >= 0)
    first, later = np.full(len(ends), -1, np.int64), np.full(len(ends), -1, np.int64)
    before = syn_row[ends]
    for row in (e.numbers.ack_row[ends], e.data_row[ends], e.numbers.fin_row[ends]):
        new = np.flatnonzero((first < 0) & _ttl_differs(e, before, row))
        first[new], later[new] = before[new], row[new]
        before = np.where(row >= 0, row, before)
    changed = first >= 0
    return ends[changed], first[changed], later[changed]


def _changed(e: Evidence, text: str, ends: Rows, first: Rows, later: Rows) -> Found:
    before, after = (e.rows.ttl[row].astype(np.int64) for row in (first, later))
    return e.found(text, ends >> 1, first, later, who=ends & 1, first=before, later=after)
