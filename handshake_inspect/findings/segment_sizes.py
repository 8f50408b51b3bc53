"""How large segments may be: the MSS that each end offers, and what the path carries (RFC 9293 §3.7)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.quotes import NEVER_SENT
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.option_lists import by_offers, of_lists
from handshake_inspect.findings.rule import CHAT, NOTE, rule
from handshake_inspect.table import frame_numbers
from handshake_inspect.tcp.icmp import kind
from handshake_inspect.tcp.options import Options

#: RFC 9293 §3.7.1, by IP version: what is assumed without an MSS option.
DEFAULT_MSS = {4: 536, 6: 1220}


@rule("mss-missing", NOTE, example="syn-without-mss.server.pcap")
def mss_missing(e: Evidence) -> Iterator[FindingRows]:
    """A SYN has no MSS option: its sender gets only small segments.

    What it means. Its sender is a very plain implementation or builds its own segments, as scanners do, or a box on the
    way took the options out.

    Why it matters. The peer must assume 536 octets (with IPv6 1,220), a third of what Ethernet carries. Of a host that
    sends such SYNs to many ports it tells that they are not its kernel's.

    Reported when. The first SYN or the SYN-ACK of a connection has no MSS option, or one of a wrong length.

    Not reported when. That segment was not captured.

    Source. RFC 9293 §3.7.1 (MUST-15). Wireshark tcp.options.mss.absent.
    """
    for lacks, at in by_offers(e, _without_mss):
        assumed = np.where(e.ip_version[at] == 4, DEFAULT_MSS[4], DEFAULT_MSS[6])
        if len(lacks) == 2:
            yield e.found("neither SYN has an MSS: {mss:octets} are assumed", at, *e.syns_of(at), mss=assumed)
        else:
            yield e.found(
                "the SYN of the {who:end} has no MSS: {mss:octets} are assumed",
                at,
                e.syns_of(at)[lacks[0]],
                who=np.full_like(at, lacks[0]),
                mss=assumed,
            )


@rule("mss-small", NOTE, example="small-mss.pcap")
def mss_small(e: Evidence) -> Iterator[FindingRows]:
    """An end takes only segments that are smaller than what it would get without saying so.

    What it means. A program set TCP_MAXSEG, a box lowered the MSS too far, the host is tiny, or somebody wants the peer
    to work hard: with an MSS of 48 each 8 octets of data cost 40 of header and as many of options.

    Why it matters. Throughput falls, and the cost per octet rises for the peer: CVE-2019-11477 and CVE-2019-11479 use
    that. Since then Linux sends no smaller segments than `tcp_min_snd_mss` (48) says.

    Reported when. A SYN or SYN-ACK has an MSS below 536, the default of IPv4.

    Not reported when. The option is missing (`mss-missing`).

    Source. RFC 9293 §3.7.1.
    """
    for small, at in by_offers(e, _small_mss):
        for side, mss in small:
            yield e.found(
                "the {who:end} takes segments of {mss:octets} at most",
                at,
                e.syns_of(at)[side],
                who=np.full_like(at, side),
                mss=np.full_like(at, mss),
            )


@rule("mss-clamped", NOTE, example="mss-clamped.pcap+mss-clamped.server.pcap")
def mss_clamped(e: Evidence) -> Iterator[FindingRows]:
    """A box on the way lowered the MSS of a SYN.

    What it means. The same SYN was captured in two places, with another MSS in each. A router in front of a tunnel or a
    PPPoE link does so, that segments fit into it.

    Why it matters. It keeps connections working where ICMP is filtered and path MTU discovery fails. But it tells that
    somebody on the way rewrites options, and of two captures only the one before that box shows what the host sent.

    Reported when. A run has the captures of both ends, or shows both sides of a router, and the MSS of one SYN differs.

    Not reported when. The SYN was captured once: what its sender wrote cannot be told then.

    Source. RFC 9293 §3.7.1; RFC 2923 §2.1 (the black hole that it avoids).
    """
    elsewhere = e.decided.stored["options_elsewhere"]
    if not elsewhere.any():
        return
    rows = np.flatnonzero(elsewhere)
    here, there = (of_lists(e, offered_mss, number) for number in (e.rows.options[rows], elsewhere[rows]))
    clamped = (here != there) & (here != NONE) & (there != NONE)
    rows, high, low = rows[clamped], np.maximum(here, there)[clamped], np.minimum(here, there)[clamped]
    yield e.found(
        "the {who:end}'s MSS is {high:octets} in one place and {low:octets} in another: lowered on the way",
        e.rows.conn[rows],
        rows,
        who=e.rows.side[rows],
        high=high,
        low=low,
    )


@rule("path-mtu", CHAT, example="path-mtu.pcap")
def path_mtu(e: Evidence) -> Iterator[FindingRows]:
    """A router says that packets are too large for the next link.

    What it means. Path MTU discovery at work: the router drops the packet, says what fits, and the sender sends the
    data again in smaller segments.

    Why it matters. It costs a round trip at the first large segment of a transfer. Where the message is filtered the
    connection opens, and hangs with the first large segment instead (`mtu-black-hole`).

    Reported when. An ICMP "fragmentation needed" or an ICMPv6 "packet too big" quotes a segment of the connection.

    Not reported when. It quotes a number that was never sent (`icmp-never-sent`).

    Source. RFC 9293 §3.7.2; RFC 1191 §4; RFC 8201 §4.
    """
    errors, at = e.verdicts.icmp_errors, e.shared(path_mtu_errors)
    if not len(at):
        return
    connection, first = np.unique(errors["connection"][at], return_index=True)
    at, count = at[first], np.bincount(errors["connection"][at], minlength=len(e))[connection]
    mtu = errors["mtu"][at].astype(np.int64)
    frames = frame_numbers(errors["capture"][at], errors["frame"][at])
    for text, some in (
        ("{count:count ICMP error}: a packet of the {who:end} is too large, {mtu:octets} pass", mtu > 0),
        ("{count:count ICMP error}: a packet of the {who:end} is too large, what passes is not said", mtu == 0),
    ):
        values = {"count": count[some], "who": errors["side"][at][some], "mtu": mtu[some]}
        yield FindingRows(text, connection[some], (frames[some],), values)


def path_mtu_errors(e: Evidence) -> Rows:
    """Return the places of the ICMP errors that report an MTU and quote a segment that was sent."""
    errors = e.verdicts.icmp_errors
    sent = np.flatnonzero(errors["was_sent"] != NEVER_SENT)
    messages, which = errors.messages(sent)
    return sent[np.array([kind(*message) == "path-mtu" for message in messages], np.bool_).take(which)]


def _without_mss(syn: Options | None, answer: Options | None) -> tuple[int, ...] | None:
    """Return the sides whose SYNs have no MSS."""
    return tuple(side for side, one in enumerate((syn, answer)) if one is not None and one.mss is None) or None


def _small_mss(syn: Options | None, answer: Options | None) -> tuple[tuple[int, int], ...] | None:
    """Return side and MSS of the SYNs with a small one."""
    offered = ((side, one.mss) for side, one in enumerate((syn, answer)) if one is not None and one.mss is not None)
    return tuple((side, mss) for side, mss in offered if mss < DEFAULT_MSS[4]) or None


def offered_mss(options: Options) -> int:
    """Return the MSS of an option list, NONE without one."""
    return NONE if options.mss is None else options.mss
