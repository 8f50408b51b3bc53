"""SYNs beside the one that opened the connection: another attempt, or one into an open connection (RFC 9293 §3.5.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import ACK, FIN, ORIGINATOR, RST
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.rule import NOTE, rule

#: How long Linux tries to open a connection: the last SYN after 67 s, and 64 s for its answer (`tcp_syn_retries` 6).
TRYING_NS = 131_000_000_000


@rule("syn-changed", NOTE, example="old-duplicate-syn.pcap")
def syn_changed(e: Evidence) -> Iterator[FindingRows]:
    """Another SYN of the same sockets, with another number, while the first attempt was still open.

    What it means. A kernel repeats a SYN with the same number; another number is another attempt. The program gave up
    and tried again from the same port, or the first SYN is an old duplicate, or a scanner or an evasion tool sends
    SYNs to confuse whoever follows the connection.

    Why it matters. Only the numbers of the SYN that the server answers count. An observer that keeps those of the first
    one loses the connection.

    Reported when. A connection of the same sockets before this one was not answered, or half-open, and its last SYN
    is less than 131 s old: so long Linux tries.

    Not reported when. An RST or an ICMP error had ended the first attempt, or it opened.

    Source. RFC 9293 §3.5 Figure 8, §3.8.1. Zeek SYN_seq_jump; Suricata stream.3whs_syn_resend_diff_seq_on_syn_recv.
    """
    table = e.table
    if not len(table):
        return
    again = np.append(False, table["conversation"][1:] == table["conversation"][:-1])
    again[1:] &= e.handshake("unanswered", "half-open")[:-1]
    at = np.flatnonzero(again)
    if not len(at):
        return
    asked, before = e.first_among(e.syn_rows), e.last_among(e.syn_rows)
    reset = e.counted(e.events.resets.row) > 0
    at = at[(asked[at] >= 0) & (before[at - 1] >= 0) & ~reset[at - 1]]
    first, second = before[at - 1], asked[at]
    waited = e.between_ns(first, second)
    # From the same end: the key of the conversation is the same, and so is who asks.
    keep = (waited >= 0) & (waited <= TRYING_NS)
    keep &= table["originator_is_higher"][at] == table["originator_is_higher"][at - 1]
    at, first, second, waited = at[keep], first[keep], second[keep], waited[keep]
    step = (e.rows.iss[at, ORIGINATOR] - e.rows.iss[at - 1, ORIGINATOR] + (1 << 31)) % (1 << 32) - (1 << 31)
    another = "another SYN of the same sockets, {waited:duration} later and {step} "
    unmet = " the first, which nothing had answered or acknowledged"
    yield from e.found_each(
        ((step > 0, another + "above" + unmet), (step < 0, another + "below" + unmet)),
        at,
        first,
        second,
        waited=waited,
        step=np.abs(step),
    )


@rule("syn-in-connection", NOTE, example="half-open-syn.pcap")
def syn_in_connection(e: Evidence) -> Iterator[FindingRows]:
    """A SYN came into an open connection, and changed nothing.

    What it means. The client has lost the connection (it crashed or restarted) and opens a new one from the same port;
    or the SYN is an old duplicate; or somebody forges it. Whatever its number, the server answers with a challenge ACK
    that names the numbers it expects. A client that has lost the connection answers that with an RST, and can open.
    After both FINs it is TIME-WAIT that refuses a SYN which is not above the old numbers.

    Why it matters. Without the challenge a forged SYN could end a connection. If no RST follows and the client tries
    again and again, its new connection does not open: a firewall drops the challenge ACK or the RST.

    Reported when. A SYN without ACK stands in a connection that has one with another number, and its receiver's next
    segment is not an answer to it.

    Not reported when. The server takes the SYN: then it begins the next connection of these sockets. A SYN with FIN is
    `control-bits-contradict`.

    Source. RFC 9293 §3.5.1 Figures 9 and 10, §3.10.7.4 (fourth); RFC 5961 §4. Suricata stream.est_syn_resend_diff_seq;
    Zeek SYN_inside_connection, active_connection_reuse.
    """
    rows = e.rows
    at = np.flatnonzero(rows.ignored_syn)
    at = at[(rows.flags[at] & FIN) == 0]
    if not len(at):
        return
    connection, first, count = e.first_of_each(at)
    answer = e.answered(first, ACK)
    reset = np.where(answer >= 0, e.answered(answer, RST), -1)
    fins = e.numbers.fin_row.reshape(-1, 2)[connection]
    over = (fins >= 0).all(axis=1) & (fins.max(axis=1) < first)
    told = (
        (
            where & which,
            f"{{count:count SYN}} of the {{who:end}} {place}, {{off:octets}} off the next number: {outcome}",
        )
        for where, place, reply in (
            (~over, "inside the connection", "a challenge ACK"),
            (over, "after both FINs", "an ACK of the old numbers"),
        )
        for which, outcome in (
            (reset >= 0, f"{reply} answers, and the {{who:end}} resets: it knows no such connection"),
            ((answer >= 0) & (reset < 0), f"{reply} answers, and nothing changes"),
            (answer < 0, "no answer to it was captured"),
        )
    )
    off = np.abs(rows.seq[first] - np.maximum(_expected(e, first), 0))
    yield from e.found_each(told, connection, first, answer, reset, count=count, who=rows.side[first], off=off)


def _expected(e: Evidence, at: Rows) -> Rows:
    """Return the number that the receiver of each row had acknowledged before it: the next one that it expects."""
    by_originator, by_responder = (e.before(at, acknowledged) for acknowledged in e.numbers.acknowledged_by)
    return np.where(e.rows.peer[at] & 1, by_responder, by_originator)
