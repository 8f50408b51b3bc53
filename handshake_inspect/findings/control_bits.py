"""Control bits that contradict each other, or are missing (RFC 9293 §3.1, §3.10.7)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, SYN, flag_names
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import NOTE, WARN, rule
from handshake_inspect.sets import set_of


def _by_bits(e: Evidence, at: Rows) -> Iterator[tuple[str, Rows, Rows, Rows]]:
    """Group connections by the control bits of the first of these rows in each.

    Yields the bits in words, the connections, their first such rows, and how many each has.
    """
    if not len(at):
        return
    connection, row, count = e.first_of_each(at)
    for bits in set_of(e.rows.flags[row]).tolist():
        which = e.rows.flags[row] == bits
        yield flag_names(bits) or "no control bits", connection[which], row[which], count[which]


@rule("control-bits-contradict", WARN, example="syn-fin.server.pcap")
def control_bits_contradict(e: Evidence) -> Iterator[FindingRows]:
    """A segment opens and closes at once: SYN with FIN, SYN with RST, or FIN with RST.

    What it means. No TCP sends these together. Scanners do, to tell systems apart by their answers or to pass filters
    that look at single bits, and so do tools that test whoever follows connections.

    Why it matters. Receivers differ: RFC 9293 has them look at RST first, then at SYN, at FIN last; others drop such
    segments. So observer and receiver may disagree about what happened.

    Reported when. SYN and FIN, SYN and RST, or FIN and RST are set in one segment.

    Not reported when. The bits are unusual and do not contradict each other (PSH, URG, ECE, CWR with any).

    Source. RFC 9293 §3.10.7.2, §3.10.7.4 (order of the checks). Suricata stream.fin_syn; Zeek baroque_SYN and
    TCP_christmas.
    """
    which = e.rows.flags & (SYN | FIN | RST)
    several = np.flatnonzero(which & (which - 1))  # what is left without the lowest one
    for bits, connection, row, count in _by_bits(e, several):
        yield e.found(
            f"the {{who:end}} sends {{count:count segment}} with control bits that contradict each other: {bits}",
            connection,
            row,
            count=count,
            who=e.rows.side[row],
        )


@rule("ack-bit-missing", WARN, example="no-control-bit.server.pcap")
def ack_bit_missing(e: Evidence) -> Iterator[FindingRows]:
    """A segment has neither ACK nor SYN nor RST.

    What it means. After the SYN every segment carries ACK. Without any bit it is a "null" probe, with FIN, PSH and URG
    a "Christmas tree": scanners send them, since a closed port answers with an RST and an open one with nothing; and
    tools that hide data from whoever follows connections.

    Why it matters. The receiver drops it whatever its numbers are, data and FIN included. An observer that takes them
    sees what the receiver never saw.

    Reported when. SYN, RST and ACK are clear.

    Not reported when. It is an RST, which answers a segment with ACK without having one itself.

    Source. RFC 9293 §3.1 (ACK), §3.10.7.4 (fifth: if the ACK bit is off, drop the segment). Zeek TCP_christmas (only
    with SYN, FIN and RST).
    """
    for bits, connection, row, count in _by_bits(e, np.flatnonzero((e.rows.flags & (SYN | RST | ACK)) == 0)):
        yield e.found(
            f"the {{who:end}} sends {{count:count segment}} without ACK ({bits}), which its receiver drops",
            connection,
            row,
            count=count,
            who=e.rows.side[row],
        )


@rule("ack-field-without-ack", NOTE, example="ack-field-without-ack.server.pcap")
def ack_field_without_ack(e: Evidence) -> Iterator[FindingRows]:
    """The acknowledgment field of a segment is not 0, though its ACK bit is clear.

    What it means. The field means nothing then, and common stacks send 0. Scanners and generators leave a number there,
    sometimes to know their own probes again; a covert channel may use it; or a middlebox cleared the bit.

    Why it matters. The receiver does not look at it. It speaks for something else than an ordinary kernel.

    Reported when. The ACK bit is clear, it is no RST, and the field is not 0.

    Not reported when. It is an RST: some stacks leave the number there.

    Source. RFC 9293 §3.1. Wireshark tcp.ack.nonzero (also for RST); Suricata stream.pkt_broken_ack.
    """
    field = e.decided.stored["ack"]
    at = np.flatnonzero((e.rows.flags & (ACK | RST)) == 0)
    at = at[field[at] != 0]
    if not len(at):
        return
    for bits, connection, row, _ in _by_bits(e, at):
        yield e.found(
            f"{{number:d}} in the acknowledgment field of a segment without ACK ({bits})",
            connection,
            row,
            number=field[row].astype(np.int64),
        )
