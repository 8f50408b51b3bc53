"""RSTs of an end that has no connection any more, in answer to a segment (RFC 9293 §3.5.1, §3.5.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import FIN, RST, SYN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.reset_causes import IDLE_NS, Cause, ResetCauses
from handshake_inspect.findings.reset_marks import has_other_hops
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.sets import first_of_runs

ACK_OF_NEW_SYN = "the ACK with which the {peer:end} met its new SYN"
#: What an RST answers.
ANSWERED = (
    ACK_OF_NEW_SYN,
    "a keep-alive of the {peer:end}",
    "{n:octets} of the {peer:end}",
    "the FIN of the {peer:end}",
    "an ACK of the {peer:end}",
)


@rule("connection-unknown", WARN, example="server-crash.pcap", needs=RST)
def connection_unknown(e: Evidence) -> Iterator[FindingRows]:
    """A segment of an open connection was answered as if there were none: the connection was half-open.

    What it means. One end has lost the connection without a word and the other did not know: its host crashed and
    restarted, its kernel gave up (keep-alive, TCP_USER_TIMEOUT), an RST or a FIN of it was lost or not captured, a
    load balancer sends to another host now, or a NAT or firewall has forgotten the connection and answers for it.

    Why it matters. The program gets ECONNRESET or EPIPE, and what it sent last is lost, though connect() succeeded
    long ago. If it happens after pauses of equal length, look for an idle timeout and set keep-alives below it.

    Reported when. The opening is not known to have failed, neither end had reset it, and an RST without ACK has
    exactly the number for which the peer's last segment asked, though its end had sent no FIN. If its TTL is another
    one (`reset-from-elsewhere`), that is said: then the end itself may know the connection well.

    Not reported when. A FIN of that end was captured (`data-after-close`), the RST answers a SYN (`refused`) or a
    SYN-ACK (`abandoned`), its end sent nothing but a SYN-ACK (`opened-only-by-client`) or goes on
    (`suspected-injection`).

    Source. RFC 9293 §3.5.1 (Figures 9, 10 and 11), §3.10.7.1; RFC 5961 §4.
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.NO_CONNECTION)
    if not len(which):
        return
    only_asked = e.handshake("three-way")[causes.connection[which]] & e.is_syn_ack[causes.said[which]]
    which = which[~only_asked | (causes.said[which] < 0)]
    heard, said = causes.heard[which], causes.said[which]
    answered = _answered(e, heard, said)
    by_own_syn = answered == ANSWERED.index(ACK_OF_NEW_SYN)
    silent = np.where(said >= 0, e.between_ns(said, causes.at[which]), -1)
    why = "; it crashed, restarted or timed out, or its FIN or RST was not captured"
    since_own = ", {silent:duration} after its own last segment"
    timer = "; most likely a timer ran out, its own or a middlebox's, else it crashed or restarted"
    unknown = "the {who:end} has no such connection: its RST answers "
    elsewhere = has_other_hops(e, which)
    forged, by = "an RST in the name of the {who:end} answers ", ": by its TTL a box on the way made it, or a forger"
    told = (
        (forged, by, elsewhere),
        (unknown, why, ~elsewhere & ((silent < 0) | by_own_syn)),
        (unknown, since_own + why, ~elsewhere & (silent >= 0) & (silent < IDLE_NS) & ~by_own_syn),
        (unknown, since_own + timer, ~elsewhere & (silent >= IDLE_NS) & ~by_own_syn),
    )
    yield from e.found_each(
        (
            ((answered == number) & fits, claim + what + since)
            for number, what in enumerate(ANSWERED)
            for claim, since, fits in told
        ),
        causes.connection[which],
        heard,
        causes.at[which],
        who=causes.sender[which] & 1,
        peer=causes.receiver[which] & 1,
        n=e.rows.payload[heard],
        silent=silent,
    )


def _answered(e: Evidence, heard: Rows, said: Rows) -> Rows:
    """Return the place in `ANSWERED` of the segments that were heard; `said`: whether the end had sent one before."""
    rows = e.rows
    probe, fin, data = e.is_probe[heard], (rows.flags[heard] & FIN) != 0, rows.payload[heard] > 0
    own_syn = (said >= 0) & rows.ignored_syn[said]
    return np.select([own_syn, probe, data, fin], [0, 1, 2, 3], 4)


@rule("data-after-close", CHAT, example="data-after-close.pcap", needs=RST)
def data_after_close(e: Evidence) -> Iterator[FindingRows]:
    """An end had closed, and answered data that came after that with an RST.

    What it means. After close() nobody can read any more: the kernel answers data with an RST, at once or, if the
    FIN-WAIT-2 of the orphan has run out, because nothing is left of the connection. After shutdown() alone the data
    would have been acknowledged.

    Why it matters. These data are lost, and the next send() of the peer fails with EPIPE. Of TLS it is mostly the
    close_notify alert, some 31 octets: harmless.

    Reported when. An end sent a FIN, data of the peer came that it never acknowledged, and its RST without ACK stands
    at or right behind its FIN.

    Not reported when. Only a FIN or an ACK came (`fin-wait-2-ended`), or both ends had closed
    (`reset-after-close`).

    Source. RFC 9293 §3.6.1, §3.10.7.1; RFC 1122 §4.2.2.13; RFC 2525 §2.16.
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.DATA_AFTER_CLOSE)
    if not len(which):
        return
    sender, lost, at = causes.sender[which], causes.lost[which], causes.at[which]
    fin, fin_end = e.numbers.fin_row[sender], e.numbers.fin_end[sender]
    # Data that were acknowledged later have arrived after all: no segment of them is lost.
    shown, knew = lost >= 0, e.rows.ack[lost] >= fin_end
    met = (
        "the {who:end} had closed: {n:octets} of the {peer:end} were met by {times:count RST}, {after:duration} after "
        "the FIN"
    )
    yield from e.found_each(
        (
            (shown & knew, met + ", and are lost; the {peer:end} had acknowledged the FIN before it sent them"),
            (shown & ~knew, met + ", and are lost; the {peer:end} had not seen the FIN when it sent them"),
            (~shown, met),
        ),
        causes.connection[which],
        fin,
        lost,
        at,
        who=sender & 1,
        peer=causes.receiver[which] & 1,
        n=causes.unacknowledged[which],
        times=causes.of_end[which],
        after=e.between_ns(fin, at),
    )


@rule("reset-after-close", CHAT, example="time-wait-killed.pcap", needs=RST)
def reset_after_close(e: Evidence) -> Iterator[FindingRows]:
    """Both ends had closed and acknowledged it; a late segment was answered with an RST.

    What it means. Nothing is left of the connection at one end, and it says so to a FIN or an ACK that came again.

    Why it matters. All data had arrived. It shows that its end holds no TIME-WAIT, or that it ends the TIME-WAIT of
    the other end (RFC 1337).

    Reported when. Both FINs are acknowledged before the RST.

    Not reported when. One of them is not (`data-after-close`, `reset-instead-of-fin`).

    Source. RFC 9293 §3.10.7.1; RFC 1337.
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.ALL_CLOSED)
    if not len(which):
        return
    last_fin = np.maximum(e.numbers.fin_row[causes.sender[which]], e.numbers.fin_row[causes.receiver[which]])
    yield e.found(
        "both ends had closed; the {who:end} sent an RST, {after:duration} after the last FIN, to a late segment",
        causes.connection[which],
        causes.heard[which],
        causes.at[which],
        who=causes.sender[which] & 1,
        after=e.between_ns(last_fin, causes.at[which]),
    )


@rule("segments-after-reset", CHAT, example="lost-rst.pcap", needs=RST)
def segments_after_reset(e: Evidence) -> Iterator[FindingRows]:
    """Segments came after an RST that ended the connection.

    What it means. They were on their way already, or the RST did not reach their sender.

    Why it matters. In the first case nothing; in the second their sender holds a half-open connection until an RST
    answers it.

    Reported when. After the first RST that took effect, the other end sent something that is no RST.

    Not reported when. The RST's own end goes on (`suspected-injection`).

    Source. RFC 9293 §3.5.1, §3.10.5.
    """
    causes = e.shared(ResetCauses)
    rows, resets = e.rows, e.resets
    worked = np.flatnonzero((resets["valid"] == 1) & (causes.goes_on < 0) & e.events.resets.ends_sender)
    worked = worked[first_of_runs(causes.connection[worked])]
    worked = worked[causes.opened[worked]]
    reset = np.full(2 * len(e), len(rows), np.int64)
    reset[causes.receiver[worked]] = causes.at[worked]
    around = rows.rows_of(causes.connection[worked])
    late = around[around > reset[rows.end[around]]]
    of_another = ((rows.flags[late] & SYN) != 0) & (rows.seq[late] != 0)
    late = late[~e.is_rst[late] & ~of_another]
    if not len(late):
        return
    amounts = 1 + rows.folded_segments[late], rows.folded_octets[late] + rows.payload[late]
    count, octets = (np.bincount(rows.end[late], some, 2 * len(e)).astype(np.int64) for some in amounts)
    first = e.first_of_end(late)
    which = worked[count[causes.receiver[worked]] > 0]
    end = causes.receiver[which]
    yield e.found(
        "the {who:end} sent {n:count segment} ({octets:octets}) after the RST of the {peer:end}, the first "
        "{after:duration} later: on the way already, or the RST was lost or ignored",
        causes.connection[which],
        causes.at[which],
        first[end],
        who=end & 1,
        peer=causes.sender[which] & 1,
        n=count[end],
        octets=octets[end],
        after=e.between_ns(causes.at[which], first[end]),
    )


@rule("reset-alone", NOTE, example="reset-alone.pcap", needs=RST)
def reset_alone(e: Evidence) -> Iterator[FindingRows]:
    """Nothing of a connection was captured but RSTs of one end.

    What it means. The rest lies before the capture or on another path; or they are backscatter: a host far away was
    attacked in the name of the one that receives them.

    Why it matters. Alone it tells little. Many of them to addresses that asked nothing are the echo of a flood.

    Reported when. All segments of the connection are RSTs of one end.

    Not reported when. Anything else of it was captured.

    Source. RFC 4987 §2; RFC 9293 §3.5.2. Suricata stream.rst_but_no_session; Zeek spontaneous_RST (there: any RST
    before its receiver was seen).
    """
    causes = e.shared(ResetCauses)
    of_connection = e.rows.start[causes.connection + 1] - e.rows.start[causes.connection]
    which = np.flatnonzero(causes.of_end == of_connection)
    which = which[first_of_runs(causes.connection[which])]
    if not len(which):
        return
    yield e.found(
        "{n:count RST} to port {port:d} and nothing else of this connection: the rest was not captured, or it is the "
        "echo of an attack in the receiver's name",
        causes.connection[which],
        causes.at[which],
        n=causes.of_end[which],
        port=e.responder_port(causes.connection[which]),
    )
