"""Why a socket aborted its connection: RSTs that stand in the place of a FIN (RFC 9293 §3.10.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import RESPONDER, RST
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.extensions import is_multipath
from handshake_inspect.findings.reset_causes import Cause, ResetCauses
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.sets import first_of_runs


def _found_each(
    e: Evidence, told: Iterable[tuple[Mask, str]], which: Rows, **values: NDArray[Any]
) -> Iterator[FindingRows]:
    """Make findings of those of these RSTs, and the last segments their ends had received, that a mask marks."""
    causes = e.shared(ResetCauses)
    who, peer = causes.sender[which] & 1, causes.receiver[which] & 1
    heard, at = causes.heard[which], causes.at[which]
    return e.found_each(told, causes.connection[which], heard, at, who=who, peer=peer, **values)


def _found(e: Evidence, text: str, which: Rows, **values: NDArray[Any]) -> Iterator[FindingRows]:
    """Make a finding of each of these RSTs."""
    return _found_each(e, [(np.ones(len(which), np.bool_), text)], which, **values)


def _after(e: Evidence, which: Rows) -> Rows:
    """Return the time from the last segment that the end had received to each of these RSTs."""
    causes = e.shared(ResetCauses)
    return e.between_ns(causes.heard[which], causes.at[which])


@rule("abandoned", NOTE, example="reset-syn-received.pcap", needs=RST)
def abandoned(e: Evidence) -> Iterator[FindingRows]:
    """The client answered the SYN-ACK with an RST.

    What it means. The client's host has no connection for this SYN-ACK: connect() was given up or timed out while the
    answer was on its way, the SYN was made by a scanner that only asks whether the port is open, or somebody forged
    the client's address and the RST is the honest host's answer.

    Why it matters. The server goes back to LISTEN: no harm. Many of them from one host are a scan of ports; many from
    hosts that never send a third segment are the echo of forged addresses.

    Reported when. The opening is not complete, and an RST without ACK of the client has exactly the number for which
    its peer's SYN-ACK asked.

    Not reported when. The SYN-ACK acknowledges another number (RFC 9293 §3.5, Figure 8), or the RST comes from the
    server.

    Source. RFC 9293 §3.5.2, §3.10.7.1. Zeek conn_state RSTOS0 or RSTO without data.
    """
    which = e.shared(ResetCauses).of(Cause.ATTEMPT_GIVEN_UP)
    if not len(which):
        return
    yield from _found(
        e,
        "the {who:end} answered the SYN-ACK with an RST after {after:duration}: connect() was given up, or the SYN was "
        "a scanner's or had a forged address",
        which,
        after=_after(e, which),
    )


@rule("reset-unread", WARN, example="reset-unread.pcap", needs=RST)
def reset_unread(e: Evidence) -> Iterator[FindingRows]:
    """An end aborted instead of closing, most likely with data of its peer unread.

    What it means. close() of a socket in whose buffer data lie sends an RST, not a FIN (RFC 9293 §3.6.1). The same
    segment comes of SO_LINGER with time 0, of `ss -K`, of MPTCP's fast close, and if a listener is closed before its
    program accepted the connection: no capture tells them apart. The order is by evidence: the end's window was closed,
    so its buffer was full of what its program had not read; or the window of the RST is twice the last one or more, so
    close() emptied a buffer that its program had not, for a kernel tells such a window when a program reads; or the
    peer had spoken last, and its data were either not acknowledged yet, or the server's only answer to them was an
    acknowledgment.

    Why it matters. The peer's program learns that its data may never have been read; what was on its way to it is
    thrown away too: recv() fails with ECONNRESET, even if an answer had been sent before.

    Reported when. An RST that answers nothing has the next number of its sender, who had not heard a FIN, and the last
    window of its sender was 0, or at most half that of the RST, or it acknowledges data of the peer that no segment
    before it does, or has no ACK and there are such data; or the server sent it, whose peer had spoken last, with data
    that nothing answered.

    Not reported when. Its end had repeated something in vain (`gave-up`), nobody had spoken for 30 s (`reset-idle`),
    or nothing seems unread (`reset-linger`): data that were still on their way to it nobody can have left unread.

    Source. RFC 9293 §3.6.1, §3.8.6.2.2, §3.10.4, §3.10.5; RFC 1122 §4.2.2.13; RFC 2525 §2.17; Linux
    tcp_cleanup_rbuf().
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.UNREAD)
    if not len(which):
        return
    full = causes.window_closed[which]
    yield _behind_closed_window(e, which[full])
    which = which[~full]
    fresh, bare = causes.fresh[which] > 0, causes.is_bare[which]
    emptied = ~fresh & causes.window_jumps[which]
    yield from _found_each(
        e,
        (
            (
                fresh & bare,
                "the {who:end} aborted with an RST, {n:octets} of the {peer:end} not yet acknowledged, the last "
                "{after:duration} before: most likely closed with data unread, else SO_LINGER 0",
            ),
            (
                fresh & ~bare,
                "the {who:end} aborted with an RST, the first to acknowledge {n:octets} of the {peer:end}, the last "
                "{after:duration} before: most likely closed with data unread, else SO_LINGER 0",
            ),
            (
                emptied,
                "the {who:end} aborted with an RST, {after:duration} after the last segment, and the RST opens its "
                "window to twice the last one or more, which reading would have told before: most likely closed with "
                "data of the {peer:end} unread",
            ),
            (
                ~fresh & ~emptied,
                "the {who:end} aborted with an RST, {after:duration} after the last {n:octets} of the {peer:end}, "
                "acknowledged and unanswered: most likely closed with data unread, else SO_LINGER 0",
            ),
        ),
        which,
        n=np.where(fresh, causes.fresh[which], e.rows.payload[causes.heard[which]]),
        after=np.where(emptied, causes.silence_ns[which], _after(e, which)),
    )


def _behind_closed_window(e: Evidence, which: Rows) -> FindingRows:
    """Make findings of RSTs of ends that had closed their window: their buffer was full."""
    causes = e.shared(ResetCauses)
    said, at = causes.said[which], causes.at[which]
    return e.found(
        "the {who:end} aborted with an RST, {after:duration} after it had last said that its window is closed: its "
        "buffer was full of data of the {peer:end} that its program had not read",
        causes.connection[which],
        said,
        at,
        who=causes.sender[which] & 1,
        peer=causes.receiver[which] & 1,
        after=e.between_ns(said, at),
    )


@rule("reset-linger", NOTE, example="reset.pcap", needs=RST)
def reset_linger(e: Evidence) -> Iterator[FindingRows]:
    """An end aborted instead of closing: SO_LINGER 0, or data left unread, which nothing shows.

    What it means. A program that sets SO_LINGER with time 0 and closes sends an RST instead of a FIN, and owes no
    TIME-WAIT; some do so to save ports, or to end a connection of which they want no more. Data left unread have the
    same effect, and an answer does not show that all was read: a server may refuse a long request after its first
    lines. So have `ss -K` and MPTCP's fast close (RFC 8684 §3.5). A server that never sent anything may not have known
    the connection: who closes a listener aborts what accept() has not taken from its queue.

    Why it matters. What its own end had sent and the peer had not received is thrown away; the peer sees ECONNRESET
    instead of the end of the stream, and cannot tell it from a failure.

    Reported when. An RST that answers nothing has the next number of its sender, who had not heard a FIN, all of the
    peer that had come was acknowledged before, and the last window of its sender was open, and more than half that of
    the RST. Only if the peer never sent data is it said that none were left unread. If its end had sent a FIN before,
    that is said: it aborts what it had half closed. So is how much of the peer was still on its way: by its ACK the RST
    is older. Where both ends agreed on Multipath TCP its fast close is named first: MP_FASTCLOSE on an ACK is answered
    with an RST, or stands on one.

    Not reported when. The server's RST is its only answer to data (`reset-unread`), its end had repeated something in
    vain (`gave-up`), or nobody had spoken for 30 s (`reset-idle`).

    Source. RFC 9293 §3.6.1, §3.10.5; POSIX SO_LINGER; RFC 1337; RFC 8684 §3.5; Linux inet_csk_listen_stop().
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.LINGER)
    if not len(which):
        return
    closed = causes.closed[which]
    yield from _half_closed(e, which[closed])
    which = which[~closed]
    silent, asked = ~causes.was_sent_to[which], causes.unanswered[which]
    shared = ~silent & is_multipath(e)[causes.connection[which]]
    mute, early = silent & (causes.sent[which] == 1), causes.under_way[which] > 0
    served = causes.sender[which] & 1 == RESPONDER
    text = "the {who:end} aborted with an RST instead of a FIN, {after:duration} after the last segment; "
    same = "all of the {peer:end} was acknowledged: SO_LINGER 0, or the last left unread, which looks the same"
    paths = "both ends speak Multipath TCP, whose fast close ends all paths so: that, SO_LINGER 0, or data unread"
    coming = "{n:octets} of the {peer:end} had not come, and all that had was acknowledged: SO_LINGER 0, or that unread"
    answered = "it had answered the {peer:end}: SO_LINGER 0, or data of the {peer:end} unread, which looks the same"
    nothing = "neither end had sent data: "
    yield from _found_each(
        e,
        (
            (mute & ~served, text + nothing + "most likely a scan or a health check with SO_LINGER 0"),
            (mute & served, text + nothing + "SO_LINGER 0, or its listener was closed before accept() took it"),
            (
                silent & ~mute,
                text + "the {peer:end} had sent no data, so none were left unread: most likely SO_LINGER 0",
            ),
            (shared, text + paths),
            (~silent & ~shared & early, text + coming),
            (~silent & ~shared & ~early & asked, text + same),
            (~silent & ~shared & ~early & ~asked, text + answered),
        ),
        which,
        after=causes.silence_ns[which],
        n=causes.under_way[which],
    )


def _half_closed(e: Evidence, which: Rows) -> Iterator[FindingRows]:
    """Make findings of RSTs of ends that had sent a FIN before."""
    causes = e.shared(ResetCauses)
    fin = e.numbers.fin_row[causes.sender[which]]
    text = "the {who:end} aborted with an RST {after:duration} after its own FIN, before the {peer:end} had closed: "
    was_sent_to = causes.was_sent_to[which]
    yield from e.found_each(
        (
            (~was_sent_to, text + "most likely shutdown(), then SO_LINGER 0 or a timer"),
            (
                was_sent_to,
                text
                + "most likely shutdown(), then close() with data of the {peer:end} unread, SO_LINGER 0 or a timer",
            ),
        ),
        causes.connection[which],
        fin,
        causes.at[which],
        who=causes.sender[which] & 1,
        peer=causes.receiver[which] & 1,
        after=e.between_ns(fin, causes.at[which]),
    )


@rule("reset-idle", NOTE, needs=RST)
def reset_idle(e: Evidence) -> Iterator[FindingRows]:
    """An RST ended a connection on which nobody had spoken for long: most likely an idle timeout.

    What it means. The program, or a firewall, NAT or load balancer on the way that speaks in its name, has waited
    long enough. Linux itself ends no idle connection unless keep-alives are on, and those would be seen.

    Why it matters. The peer may have kept the connection in a pool: its next request on it fails. Keep-alives or a
    shorter timeout at the peer help.

    Reported when. An RST that answers nothing has the next number of its sender, whose peer has not closed, and neither
    end had sent anything for 30 s.

    Not reported when. Its end had repeated data or keep-alives in vain (`gave-up`), or the RST answers a segment
    (`connection-unknown`).

    Source. RFC 9293 §3.10.5; RFC 5382 §5, REQ-5 (a NAT waits 2 h 4 min).
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.IDLE)
    if not len(which):
        return
    yield from _found(
        e,
        "the {who:end} reset the connection after {idle:duration} without a segment: an idle timeout, of its program "
        "or of a middlebox that speaks for it",
        which,
        idle=causes.silence_ns[which],
    )


@rule("gave-up", WARN, example="keep-alive-dead.pcap", needs=RST)
def gave_up(e: Evidence) -> Iterator[FindingRows]:
    """An end got no answer to what it repeated, and gave the connection up with an RST.

    What it means. The peer is gone or the path is cut: keep-alives or data were sent again and again, and nothing came
    back; then the limit was reached (TCP_KEEPCNT, TCP_USER_TIMEOUT, tcp_retries2), or the program closed.

    Why it matters. recv() or send() failed with ETIMEDOUT. The peer, if it lives, does not know: it keeps a half-open
    connection.

    Reported when. Between the peer's last segment and an RST with the sender's next number, the sender repeated data or
    sent a keep-alive at least once.

    Not reported when. No RST follows (`peer-silent`), or the last segment of the peer is less than 200 ms old.

    Source. RFC 9293 §3.8.3, §3.8.4, §3.10.8; RFC 5482.
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.GAVE_UP)
    if not len(which):
        return
    yield from _found(
        e,
        "the {who:end} gave up with an RST: {tries:count repetition} unanswered, the last segment of the {peer:end} "
        "{after:duration} before",
        which,
        tries=causes.attempts[which],
        after=_after(e, which),
    )


@rule("reset-instead-of-fin", NOTE, example="reset-half-closed.pcap", needs=RST)
def reset_instead_of_fin(e: Evidence) -> Iterator[FindingRows]:
    """The peer had closed with a FIN, and this end answered with an RST instead of a FIN of its own.

    What it means. Browsers, load balancers and busy clients do so to be rid of a connection at once: SO_LINGER 0, or
    close() with data unread, after the peer's FIN was there. Neither end then owes TIME-WAIT.

    Why it matters. Mostly harmless: the peer had nothing more to say. If its program still reads, after shutdown(), it
    gets ECONNRESET instead of the rest of the stream.

    Reported when. An RST that answers nothing has the next number of its sender, who had received the FIN of the peer.

    Not reported when. The RST's own end had sent a FIN before (`reset-after-close`, `data-after-close`).

    Source. RFC 9293 §3.6, §3.10.5. Zeek conn_state RSTO, RSTR.
    """
    causes = e.shared(ResetCauses)
    which = causes.of(Cause.INSTEAD_OF_FIN)
    if not len(which):
        return
    which = which[~causes.closed[which]]
    fin = e.numbers.fin_row[causes.receiver[which]]
    yield e.found(
        "the {who:end} answered the FIN of the {peer:end} with an RST instead of a FIN, {after:duration} later",
        causes.connection[which],
        fin,
        causes.at[which],
        who=causes.sender[which] & 1,
        peer=causes.receiver[which] & 1,
        after=e.between_ns(fin, causes.at[which]),
    )


@rule("reset-with-data", CHAT, example="reset-with-data.server.pcap", needs=RST)
def reset_with_data(e: Evidence) -> Iterator[FindingRows]:
    """An RST carries octets.

    What it means. They are no data of the stream: some stacks explain there, in plain text, why they reset.

    Why it matters. Worth reading. A program never gets them.

    Reported when. An RST has payload.

    Not reported when. Its frame is only padded: padding does not count.

    Source. RFC 9293 §3.5.3, §3.10.7.4 (second); RFC 1122 §4.2.2.12. Zeek RST_with_data.
    """
    causes = e.shared(ResetCauses)
    which = np.flatnonzero(e.rows.payload[causes.at] > 0)
    which = which[first_of_runs(causes.connection[which])]
    if not len(which):
        return
    yield e.found(
        "the RST of the {who:end} carries {n:octets}: perhaps a text that says why",
        causes.connection[which],
        causes.at[which],
        who=causes.sender[which] & 1,
        n=e.rows.payload[causes.at[which]],
    )
