"""What is agreed on beyond RFC 9293: congestion notification (RFC 3168, RFC 9768) and several paths (RFC 8684)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, AE, CWR, ECE, ORIGINATOR
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.option_lists import by_offers
from handshake_inspect.findings.rule import CHAT, rule
from handshake_inspect.tcp.options import MP_CAPABLE, MP_JOIN, Options

ECN_BITS = AE | CWR | ECE


@rule("ecn", CHAT, example="ecn.pcap", needs=ACK | ECE | CWR)
def ecn(e: Evidence) -> Iterator[FindingRows]:
    """Both ends agreed on explicit congestion notification.

    What it means. A SYN with ECE and CWR offers it, a SYN-ACK with ECE alone accepts. A SYN that has AE too offers
    Accurate ECN; a SYN-ACK with CWR, or with AE alone, accepts that, and one with ECE alone the older kind.

    Why it matters. Routers may mark packets instead of dropping them, and the receiver tells the sender. From here on
    ECE and CWR have another meaning than in the handshake.

    Reported when. The SYN and the SYN-ACK have these bits.

    Not reported when. The SYN-ACK has none of them, or the same ones as the SYN (`ecn-declined`).

    Source. RFC 3168 §6.1.1; RFC 9768 §3.1.
    """
    at, offer, answer = e.shared(_ecn_offered)
    accepts = (answer != 0) & (answer != offer)
    classic = accepts & (answer == ECE)
    accurate = accepts & (offer == ECN_BITS) & ~classic & (answer != AE | ECE)  # AE with ECE is reserved
    told = (
        (classic & (offer != ECN_BITS), "both ends agreed on ECN"),
        (classic & (offer == ECN_BITS), "Accurate ECN was offered, and the older ECN agreed on"),
        (accurate, "both ends agreed on Accurate ECN"),
    )
    yield from e.found_each(told, at, *e.syns_of(at))


@rule("ecn-declined", CHAT, example="ecn-declined.pcap", needs=ACK | ECE | CWR)
def ecn_declined(e: Evidence) -> Iterator[FindingRows]:
    """One end offered explicit congestion notification, and the other one did not take it.

    What it means. The other end has it switched off, does not know it, or a box on the way cleared the bits. A SYN-ACK
    with the same bits as the SYN is that of a broken host that sends reserved bits back as they came.

    Why it matters. On this connection congestion shows as loss.

    Reported when. The SYN has ECE and CWR, and the SYN-ACK has none of ECE, CWR and AE, or the same ones as the SYN.

    Not reported when. The SYN-ACK was not captured, or the SYN was sent again without the bits, as RFC 3168 §6.1.1.1
    advises when it is not answered.

    Source. RFC 3168 §6.1.1, §6.1.1.1; RFC 9768 §3.1.
    """
    at, offer, answer = e.shared(_ecn_offered)
    told = (
        (answer == 0, "the {offers:end} offered ECN, the {declines:end} did not"),
        (answer == offer, "the {declines:end} sends the ECN bits of the {offers:end}'s SYN back as they came: no ECN"),
    )
    yield from e.found_each(told, at, *e.syns_of(at), offers=np.zeros_like(at), declines=np.ones_like(at))


@rule("multipath", CHAT, example="mptcp.pcap")
def multipath(e: Evidence) -> Iterator[FindingRows]:
    """Both ends agreed on Multipath TCP, or this is a further path of such a connection.

    What it means. Both SYNs have the MPTCP option: MP_CAPABLE opens a connection of several paths, MP_JOIN adds one to
    a connection that is open.

    Why it matters. Data of one connection of the programs may go over several TCP connections: what is missing here may
    be there, and a path that is closed or reset need not end what the programs see.

    Reported when. The SYN and the SYN-ACK have MP_CAPABLE, or both have MP_JOIN.

    Not reported when. The SYN-ACK has no such option (`multipath-declined`).

    Source. RFC 8684 §3.1, §3.2.
    """
    for (subtype, version), at in by_offers(e, lambda syn, answer: _multipath(syn, answer, accepted=True)):
        text = (
            f"both ends agreed on Multipath TCP, version {version}"
            if subtype == MP_CAPABLE
            else "a further path of a Multipath TCP connection (MP_JOIN)"
        )
        yield e.found(text, at, *e.syns_of(at))


@rule("multipath-declined", CHAT, example="mptcp-declined.pcap")
def multipath_declined(e: Evidence) -> Iterator[FindingRows]:
    """One end offered Multipath TCP, and the other one did not.

    What it means. The other end does not know it, its program did not ask for it, or a box on the way took the option
    out. The connection is an ordinary one.

    Why it matters. The connection ends with its path: no second one can take over.

    Reported when. The SYN has MP_CAPABLE or MP_JOIN, and the SYN-ACK has not.

    Not reported when. The SYN-ACK was not captured.

    Source. RFC 8684 §3.1, §3.2, §3.7.
    """
    for (subtype, version), at in by_offers(e, lambda syn, answer: _multipath(syn, answer, accepted=False)):
        offered = f"Multipath TCP, version {version}" if subtype == MP_CAPABLE else "a further path (MP_JOIN)"
        yield e.found(
            f"the {{offers:end}} offered {offered}, the {{declines:end}} did not",
            at,
            *e.syns_of(at),
            offers=np.zeros_like(at),
            declines=np.ones_like(at),
        )


def is_multipath(e: Evidence) -> Mask:
    """Of which connections did both SYNs agree on Multipath TCP? Shape (m,)."""
    found = np.zeros(len(e), np.bool_)
    for _, at in by_offers(e, lambda syn, answer: _multipath(syn, answer, accepted=True)):
        found[at] = True
    return found


def _multipath(syn: Options | None, answer: Options | None, *, accepted: bool) -> tuple[int, int] | None:
    """Return subtype and version (-1 for none) of the MPTCP option of a SYN that was accepted, or was not."""
    if syn is None or answer is None or syn.mptcp_subtype not in (MP_CAPABLE, MP_JOIN):
        return None
    if (answer.mptcp_subtype == syn.mptcp_subtype) != accepted:
        return None
    return syn.mptcp_subtype, -1 if syn.mptcp_version is None else syn.mptcp_version


def _ecn_offered(e: Evidence) -> tuple[Rows, Rows, Rows]:
    """Return the connections with a SYN that offers ECN and a SYN-ACK, and the bits of both."""
    rows, numbers = e.rows, e.numbers
    syn, answer = numbers.bare_syn_row[ORIGINATOR::2], rows.of_responders(numbers.syn_ack_row)
    both = np.flatnonzero((syn >= 0) & (answer >= 0))
    offers: Mask = rows.flags[syn[both]] & (ECE | CWR) == ECE | CWR
    at = both[offers]
    if len(at):  # sent again without the bits: which one was answered cannot be told (RFC 3168 §6.1.1.1)
        without = e.syn_rows[(rows.flags[e.syn_rows] & (ECE | CWR)) == 0]
        at = at[e.counted(without)[at] == 0]
    return at, (rows.flags[syn[at]] & ECN_BITS).astype(np.int64), (rows.flags[answer[at]] & ECN_BITS).astype(np.int64)
