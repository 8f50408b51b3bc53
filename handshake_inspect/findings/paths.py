"""What lies between the ends: routers that count the TTL down, boxes that answer or rewrite (RFC 9293 §3.9.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.quotes import NEVER_SENT
from handshake_inspect.connections.splitting.rows import ACK
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule, run_rule
from handshake_inspect.findings.run import Run
from handshake_inspect.quantities import listed
from handshake_inspect.sets import set_of
from handshake_inspect.table import frame_numbers

#: With what TTLs hosts send: 64 Linux, macOS, BSD; 128 Windows; 255 routers, Solaris. Every router counts one down.
FIRST_TTLS = np.array([64, 128, 255])
#: Between the two places where one SYN is captured.
ON_THE_WAY_NS = 1_000_000_000
#: As much may the clocks of two captures differ.
CLOCKS_APART_NS = 3_600_000_000_000


@rule("syn-ack-ttl", NOTE, example="syn-ack-other-ttl.pcap", needs=ACK)
def syn_ack_ttl(e: Evidence) -> Iterator[FindingRows]:
    """The SYN-ACK came with another TTL than what followed: likely another machine answered the SYN.

    What it means. Hosts begin at a TTL of 64, 128 or 255, and each router counts one down. The two TTLs begin at
    different ones of these: a SYN proxy, a load balancer or a firewall answers for the server and hands the connection
    on, a forged SYN-ACK was faster than the real one, or (seldom) one stack sends its SYN-ACKs so.

    Why it matters. The handshake shows that the box is up, not the server: a connection may open, and the server never
    hear of it. The round trip that it measures is that to the box.

    Reported when. The SYN-ACK and the first segment of the same end after it were captured at one place, and their TTLs
    are not what one first TTL leaves.

    Not reported when. They differ by some routers only (`path-changed`), or the next segment is an RST.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit); RFC 4987 §3.8 (proxies).
    """
    ends = e.shared(_of_several_ttls)
    at = ends[ends == e.responder[ends >> 1]] >> 1
    if not len(at):
        return
    syn_ack, following = (e.rows.of_responders(row) for row in (e.numbers.syn_ack_row, e.numbers.ack_row))
    at = at[_ttl_differs(e, syn_ack[at], following[at])]
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


@rule("ttl-changed", NOTE, example="ttl-changed.server.pcap", needs=ACK)
def ttl_changed(e: Evidence) -> Iterator[FindingRows]:
    """The TTL of an end changes in the middle of the connection: likely not all its segments are of one machine.

    What it means. Hosts begin at a TTL of 64, 128 or 255, and each router counts one down. The segments of this end
    begin at different ones: a proxy or a load balancer opened the connection and handed it on, or somebody injects
    segments.

    Why it matters. Of what a proxy sends the other end learns nothing about the host behind it. An injected segment
    that is believed changes what the program reads.

    Reported when. Of an end's SYN without ACK, first ACK, first data and FIN two were captured at one place, and their
    TTLs are not what one first TTL leaves.

    Not reported when. They differ by some routers only (`path-changed`); for SYN-ACKs (`syn-ack-ttl`) and RSTs.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit).
    """
    ends, first, later = _changes(e, e.numbers.bare_syn_row)
    if not len(ends):
        return
    other = _other_machine(e, first, later)
    text = "the {who:end}'s TTL goes from {first:d} to {later:d}: likely not all its segments are of one machine"
    yield _changed(e, text, ends[other], first[other], later[other])


@rule("path-changed", CHAT, example="path-changed.pcap", needs=ACK)
def path_changed(e: Evidence) -> Iterator[FindingRows]:
    """The TTL of an end changes a little in the middle of the connection: its segments took another way.

    What it means. A route changed, or routers share the load segment by segment. Segments of one connection then pass
    different routers, and may overtake each other. Or a box a hop or two away speaks in the name of this end at first,
    as one does that answers SYNs with cookies for a server.

    Why it matters. What comes out of order looks like loss for a moment. A box that sees one of the ways only does not
    see the whole connection.

    Reported when. Of an end's SYN, first ACK, first data and FIN two were captured at one place, and their TTLs differ,
    but began at the same one.

    Not reported when. They began at different ones (`ttl-changed`, `syn-ack-ttl`), or the capture shows segments twice:
    then the two may be of two places.

    Source. RFC 791 §3.2; RFC 8200 §3 (hop limit).
    """
    ends, first, later = _changes(e, e.numbers.syn_row)
    if not len(ends):
        return
    same = (e.table["duplicates"][ends >> 1] == 0) & ~_other_machine(e, first, later)
    text = "the {who:end}'s TTL goes from {first:d} to {later:d}: its segments took another way"
    yield _changed(e, f"{text}, or a box on the way speaks for it", ends[same], first[same], later[same])


@rule("icmp-never-sent", WARN, example="forged-icmp-error.server.pcap")
def icmp_never_sent(e: Evidence) -> Iterator[FindingRows]:
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
        yield FindingRows(
            f"{{count:count ICMP error}} about a segment that the {{who:end}} never sent: its number is {text}",
            connection[which],
            (frame_numbers(errors["capture"][at], errors["frame"][at])[which],),
            {"count": count[which], "who": side[which], "distance": distance[which]},
        )


@run_rule(
    "isn-rewritten",
    NOTE,
    example="isn-rewritten.pcap+isn-rewritten.server.pcap",
    explains=("syn-ack-wrong-ack", "syn-changed", "fin-out-of-window", "ack-of-unsent", "desynchronized"),
)
def isn_rewritten(run: Run) -> Iterator[FindingRows]:
    """A box on the way gives a connection another initial sequence number.

    What it means. Two captures show the same SYN, with the same options and the same timestamp, but with another number
    in each. Firewalls do so to hide the predictable numbers of old hosts, and SYN proxies because they have answered
    with a number of their own.

    Why it matters. All numbers and acknowledgments differ by so much between the two captures. If the box forgets the
    connection, or misses a segment, both ends are out of step; SACK blocks that it does not rewrite as well are wrong.
    What is the SYN in one capture is listed as a connection of its own.

    Reported when. Two SYNs without ACK between the same sockets lie in two captures of the same time, within 1 s, have
    the same timestamp and the same options, and different numbers.

    Not reported when. They have no timestamps: then nothing tells them from two connections.

    Source. RFC 9293 §3.4.1; RFC 6528 §3.
    """
    table = run.table
    stamped = (table["syn_timestamp_o"] > 0) & (table["iss_o"] != NONE)
    alike = ("conversation", "originator_is_higher", "syn_timestamp_o", "options_o")
    one, other = _in_two_captures(run, stamped, alike, ON_THE_WAY_NS)
    rewritten = table["iss_o"][one] != table["iss_o"][other]
    one, other = one[rewritten], other[rewritten]
    if not len(one):
        return
    apart = (table["iss_o"][other] - table["iss_o"][one]) & 0xFFFFFFFF
    streams = run.connections.stream_of[one]
    for word, so, distance in (
        ("lower", apart < 1 << 31, apart),
        ("higher", apart >= 1 << 31, (1 << 32) - apart),
    ):
        yield FindingRows(
            f"its SYN stands in another capture too, there with a number {{distance:,}} {word} (stream {{stream:,}})",
            other[so],
            _first_frames(run, one[so], other[so]),
            {"stream": streams[so], "distance": distance[so]},
        )


@run_rule("address-translated", CHAT, example="nat.pcap+nat.server.pcap")
def address_translated(run: Run) -> Iterator[FindingRows]:
    """A connection stands in two captures with different addresses or ports: a translator is between them.

    What it means. A router that shares one address among many hosts writes its own address, and mostly another port,
    into what they send; a load balancer writes the address of the server it chose. Numbers stay as they are.

    Why it matters. It is one connection, and is listed twice. The router forgets it after a while of silence (RFC 5382
    asks for two hours and four minutes at least, not all wait so long): then both ends are ESTABLISHED and nothing
    passes.

    Reported when. Two connections of two captures begin within an hour of each other, as the clocks of two hosts may
    differ, and the initial numbers of both ends are equal: 64 bits that are chosen at random.

    Not reported when. One end's number is not known, nothing but what is around the packet (a tunnel) differs, or they
    begin within 1 s in files that follow each other: then they were captured at one place.

    Source. RFC 3022 §2.2; RFC 5382 §5.
    """
    table = run.table
    known = (table["iss_o"] != NONE) & (table["iss_r"] != NONE)
    one, other = _in_two_captures(run, known, ("iss_o", "iss_r"), CLOCKS_APART_NS)
    if not len(one):
        return
    differs = np.zeros(len(one), np.int64)
    parts = ("client's address", "client's port", "server's address", "server's port")
    for bit, columns in enumerate(
        columns for ends in (run.clients, run.servers) for columns in (ends.host[:2], [ends.port])
    ):
        changed = np.any([column[one] != column[other] for column in columns], axis=0)
        differs |= changed.astype(np.int64) << bit
    streams = run.connections.stream_of[one]
    for number in set_of(differs[differs > 0]).tolist():
        names = listed([part for bit, part in enumerate(parts) if number >> bit & 1])
        so = differs == number
        yield FindingRows(
            f"stream {{stream:,}} of another capture is the same connection, but for the {names}: translated",
            other[so],
            _first_frames(run, one[so], other[so]),
            {"stream": streams[so]},
        )


def _in_two_captures(run: Run, among: Mask, alike: Sequence[str], within_ns: int) -> tuple[Rows, Rows]:
    """Return pairs of connections of two captures that are equal in these columns and begin within this time.

    In files that follow each other they lie at one place, unless it is longer from one to the other than a packet is on
    its way: then a clock is wrong.
    """
    nothing = np.zeros(0, np.int64)
    if len(run.captures) < 2:
        return nothing, nothing
    table, at = run.table, np.flatnonzero(among)
    at = at[np.lexsort([table[name][at] for name in ("first_ns", *alike)])]
    one, other = at[:-1], at[1:]
    same = table["first_capture"][one] != table["first_capture"][other]
    apart_ns = table["first_ns"][other] - table["first_ns"][one]
    same &= (apart_ns <= within_ns) & ((apart_ns > ON_THE_WAY_NS) | ~run.at_one_place(one, other))
    for name in alike:
        same &= table[name][one] == table[name][other]
    by_row = np.argsort(other[same])
    return one[same][by_row], other[same][by_row]


def _first_frames(run: Run, *connections: Rows) -> tuple[Rows, ...]:
    """Return the frame numbers of the first segments of connections."""
    table = run.table
    return tuple(frame_numbers(table["first_capture"][rows], table["first_frame"][rows]) for rows in connections)


def _of_several_ttls(e: Evidence) -> Rows:
    """Return the ends whose first segments (SYN, SYN-ACK, ACK, data, FIN) have not all the same TTL."""
    ttl, numbers = e.rows.ttl, e.numbers
    own, differs = ttl.take(numbers.ack_row), np.zeros(2 * len(e), np.bool_)
    for row in (numbers.bare_syn_row, numbers.syn_ack_row, e.data_row, numbers.fin_row):
        differs |= (ttl.take(row) != own) & (row >= 0)
    return np.flatnonzero(differs & (numbers.ack_row >= 0))


def _ttl_differs(e: Evidence, first: Rows, later: Rows) -> Mask:
    """Mark the pairs of segments with different TTLs at one place."""
    rows, differs = e.rows, np.zeros(len(first), np.bool_)
    at = np.flatnonzero((first >= 0) & (later >= 0))
    at = at[rows.ttl.take(first.take(at)) != rows.ttl.take(later.take(at))]
    differs[at] = e.at_one_place(first[at], later[at])
    return differs


def _other_machine(e: Evidence, first: Rows, later: Rows) -> Mask:
    """Mark the pairs of segments whose initial TTLs differ."""
    ttl = e.rows.ttl
    different: Mask = np.searchsorted(FIRST_TTLS, ttl[first]) != np.searchsorted(FIRST_TTLS, ttl[later])
    return different


def _changes(e: Evidence, syn_row: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the ends whose TTL changes, and the rows of the segments before and after the first change.

    Looked at are the SYN, the first ACK, the first data and the FIN: no other row is sure to be kept.
    """
    ends = e.shared(_of_several_ttls)
    if not len(ends):
        return ends, ends, ends
    first, later = np.full(len(ends), -1, np.int64), np.full(len(ends), -1, np.int64)
    before = syn_row[ends]
    for row in (e.numbers.ack_row[ends], e.data_row[ends], e.numbers.fin_row[ends]):
        new = np.flatnonzero((first < 0) & _ttl_differs(e, before, row))
        first[new], later[new] = before[new], row[new]
        before = np.where(row >= 0, row, before)
    changed = first >= 0
    return ends[changed], first[changed], later[changed]


def _changed(e: Evidence, text: str, ends: Rows, first: Rows, later: Rows) -> FindingRows:
    before, after = (e.rows.ttl[row].astype(np.int64) for row in (first, later))
    return e.found(text, ends >> 1, first, later, who=ends & 1, first=before, later=after)
