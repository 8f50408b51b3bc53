"""Segments that are too large for the path, of which no ICMP error says so: black holes (RFC 2923 §2.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN, UNKNOWN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.option_lists import of_lists
from handshake_inspect.findings.rule import WARN, rule
from handshake_inspect.findings.segment_sizes import DEFAULT_MSS, offered_mss, path_mtu_errors
from handshake_inspect.plain import mutable
from handshake_inspect.sets import first_of_equal, first_of_runs

#: A segment that is lost so often, while others pass, is not lost by chance.
SENT_TOO_LARGE = 4
#: The same, if its octets pass in smaller segments.
SENT_BEFORE_SMALLER = 3
#: A segment of this size passes nearly everywhere, over IPv4 too: each link of IPv6 takes 1,280 octets (RFC 8200 §5).
#: If one that is no larger is dropped, that is for its contents, as a filter drops the first segment of TLS.
FITS_ANYWHERE = DEFAULT_MSS[6]
#: No kernel tries smaller segments (Linux: half of tcp_base_mss, which is 1,024), but probes of a closed window are.
SMALLEST_TRIED = 256


def repeated_in_vain(e: Evidence) -> Rows:
    """Return the rows with the lowest octets of their end that were never acknowledged, without SYN and RST, rising."""
    rows = e.rows
    data = rows.rows_of(e.unacknowledged)
    data = data[rows.payload[data] > 0]
    reached = e.finally_acknowledged.take(rows.peer.take(data))
    seq, behind = rows.seq.take(data), rows.seq.take(data) + rows.payload.take(data)
    lost = data[(seq <= reached) & (reached < behind) & (reached > UNKNOWN)]
    found: Rows = lost[(rows.flags[lost] & (SYN | RST)) == 0]
    return found


def swallowed(e: Evidence) -> Mask:
    """Say of which ends what they repeat in vain is most likely too large for the path. Shape (2m,).

    What of the end had arrived before is compared as a whole, since the sizes of its segments are folded: all of it is
    less than the smallest of what is repeated.
    """
    rows, ends, at = e.rows, np.arange(2 * len(e)), e.shared(repeated_in_vain)
    often: Mask = np.bincount(rows.end[at], minlength=len(ends)) >= SENT_TOO_LARGE
    if not often.any():
        return often
    second = e.first_of_end(at[at > e.first_of_end(at)[rows.end[at]]])
    smallest = _smallest_of_end(e, at)
    arrived = e.finally_acknowledged[e.peer_of(ends)] - 1
    found = often & rows.iss_known.reshape(-1)
    found &= (smallest > FITS_ANYWHERE) & (arrived < smallest)
    heard = e.last_word(e.peer_of(ends))
    found &= (second >= 0) & (heard > second) & (rows.window[heard] != 0)
    return found & ~_is_unheard(e, found)


def _smallest_of_end(e: Evidence, at: Rows) -> Rows:
    """Return the smallest payload among these segments of each end; a very large number if there is none. (2m,)."""
    smallest = np.full(2 * len(e), 1 << 40)
    np.minimum.at(smallest, e.rows.end[at], e.rows.payload[at])
    return smallest


def _is_unheard(e: Evidence, ends: Mask) -> Mask:
    """Mark those of these ends (a mask) whose ACKs are lost too: their peer repeats what they acknowledge."""
    rows, at = e.rows, e.data_rows
    at = at[ends[rows.peer[at]] & ~e.is_probe[at]]
    told = np.where(rows.peer[at] & 1, e.numbers.acknowledged_by[1][at], e.numbers.acknowledged_by[0][at])
    unheard: Mask = np.bincount(rows.peer[at[rows.seq_end[at] <= told]], minlength=2 * len(e)) > 0
    return unheard


@mutable
class _Parted:
    """Octets that passed only in smaller segments: for each end the first ones. Arrays of shape (k,)."""

    #: The first repetition of the large segment, how often it was repeated, and the first smaller one in its place.
    large: Rows
    repeated: Rows
    small: Rows


def _parted(e: Evidence) -> _Parted:
    """Find what an end repeated in vain as large as its peer allows, and then in a smaller segment that arrived."""
    rows = e.rows
    at = e.data_rows[rows.payload.take(e.data_rows) > FITS_ANYWHERE]
    often = np.bincount(rows.end.take(at), minlength=2 * len(e)) >= SENT_BEFORE_SMALLER - 1
    if not often.any():
        return _Parted(at[:0], at[:0], at[:0])
    at = e.data_rows[often.take(rows.end.take(e.data_rows))]
    again = at[(rows.seq.take(at) < e.sent_before(at)) & ((rows.flags.take(at) & SYN) == 0)]
    again = again[np.lexsort((again, rows.seq[again], rows.end[again]))]
    first = first_of_runs(rows.end[again], rows.seq[again])
    count = np.diff(first, append=len(again))
    payload = rows.payload[again]
    # The octets of one number, again and again: as large as the first one, then smaller to the last one.
    which, largest = np.repeat(np.arange(len(first)), count), np.repeat(payload[first], count)
    repeated = np.bincount(which, payload == largest, len(first)).astype(np.int64)
    parted = (repeated >= SENT_BEFORE_SMALLER - 1) & (repeated < count) & (payload[first] > FITS_ANYWHERE)
    parted &= np.bincount(which, payload < largest, len(first)) == count - repeated
    first, repeated = first[parted], repeated[parted]
    # Nothing as large comes behind the first smaller one, if the first `repeated` ones are all that are.
    large, small, last_large = again[first], again[first + repeated], again[first + repeated - 1]
    ends = rows.end[large]
    passed = (rows.payload[last_large] == rows.payload[large]) & (rows.payload[small] >= SMALLEST_TRIED)
    passed &= e.finally_acknowledged[e.peer_of(ends)] >= rows.seq_end[small]
    passed &= rows.payload[large] <= _largest_allowed(e, ends)
    told = np.zeros(len(e), np.bool_)
    told[e.verdicts.icmp_errors["connection"][path_mtu_errors(e)]] = True
    passed &= ~told[ends >> 1]
    large, repeated, small, ends = (one[passed] for one in (large, repeated, small, ends))
    one_each = first_of_equal(ends)
    return _Parted(large[one_each], repeated[one_each], small[one_each])


def _largest_allowed(e: Evidence, ends: Rows) -> Rows:
    """Return the MSS that the peer of each of these ends has offered, NONE if it was not captured.

    What is captured as larger is no segment of the wire yet: the card cuts it up.
    """
    connection = ends >> 1
    offered = np.where(ends & 1, e.table["options_o"][connection], e.table["options_r"][connection])
    return np.where(offered == NONE, NONE, of_lists(e, offered_mss, offered))


@rule("mtu-black-hole", WARN, example="mtu-black-hole.pcap", needs=ACK)
def mtu_black_hole(e: Evidence) -> Iterator[FindingRows]:
    """Large segments of an end do not pass, small ones do, and no ICMP error says so.

    What it means. A link on the way takes only smaller packets: a tunnel, PPPoE, a VPN. Its router drops what is larger
    and says so by ICMP, but somebody filters that, or the sender does not heed it. The connection opens, and hangs with
    the first large segment: "small pages load, large ones do not".

    Why it matters. The program waits; Linux repeats for about 15 minutes (tcp_retries2) before it fails with ETIMEDOUT.
    Let "fragmentation needed" (ICMPv6 "packet too big") through, or lower the MSS of the SYNs at the narrow link. Linux
    looks for a size that passes if tcp_mtu_probing is 1 (RFC 4821).

    Reported when. More than 1,220 octets were sent four times or more and never acknowledged, the peer went on
    speaking, and all that had arrived before is fewer octets than that segment has. Or the same segment, no larger than
    the peer's MSS, was sent three times or more, then its octets in smaller ones, which were acknowledged.

    Not reported when. An ICMP error told what fits (`path-mtu`), the peer's window is closed, the peer is silent
    (`peer-silent`), or it repeats what was acknowledged to it: then nothing of this end arrives.

    Source. RFC 2923 §2.1; RFC 4821 §7.7; RFC 8899 §1.1.
    """
    if e.shared(swallowed).any():
        yield from _never_passed(e)
    yield from _passed_in_parts(e)


def _never_passed(e: Evidence) -> Iterator[FindingRows]:
    rows, at = e.rows, e.shared(repeated_in_vain)
    stuck = np.flatnonzero(e.shared(swallowed))
    first, last = e.first_of_end(at)[stuck], e.last_of_end(at)[stuck]
    times = np.bincount(rows.end[at], minlength=2 * len(e))[stuck]
    octets = _smallest_of_end(e, at)[stuck]
    alike = np.bincount(rows.end[at], rows.payload[at], 2 * len(e))[stuck] == octets * times
    same = "the {who:end} sent the same {n:octets} {times:d} times in {during:duration}: "
    expected = (
        "the {who:end} sent the octet that the {peer:end} expects {times:d} times in {during:duration}, with "
        "{n:octets} or more at once: "
    )
    why = (
        "the {peer:end} speaks, but has acknowledged nothing that large: most likely the path takes no such packets, "
        "and the ICMP error that says so is filtered or not heeded"
    )
    yield from e.found_each(
        ((alike, same + why), (~alike, expected + why)),
        stuck >> 1,
        first,
        last,
        who=stuck & 1,
        peer=e.peer_of(stuck) & 1,
        n=octets,
        times=times,
        during=e.between_ns(first, last),
    )


def _passed_in_parts(e: Evidence) -> Iterator[FindingRows]:
    rows, parted = e.rows, _parted(e)
    ends = rows.end[parted.large]
    yield e.found(
        "the {who:end} sent {n:octets} {times:d} times in vain; the first {small:octets} of them, sent alone "
        "{during:duration} after the first repetition, arrived: the path takes no such packets, and no ICMP error says "
        "so",
        ends >> 1,
        parted.large,
        parted.small,
        who=ends & 1,
        n=rows.payload[parted.large],
        times=parted.repeated + 1,
        small=rows.payload[parted.small],
        during=e.between_ns(parted.large, parted.small),
    )
