"""What happens while one direction is closed: octets into the open one, and ends that stay so for long.

Read RFC 9293 §3.6, §3.6.1 and §3.10.4 (CLOSE call). One end is in FIN-WAIT-2, the other one in CLOSE-WAIT.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.events.numbers import previous_of_end
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.fin_answers import FinAnswers
from handshake_inspect.findings.rule import CHAT, NOTE, WARN, rule
from handshake_inspect.sets import first_of_runs
from handshake_inspect.tcp.time_wait import SECOND_NS

#: A program that reads the end of the stream closes at once, or sends what it still has.
HELD_NS = 10 * SECOND_NS
#: The shortest time after which a system gives up FIN-WAIT-2 by default: Linux, tcp_fin_timeout.
FIN_WAIT_2_NS = 60 * SECOND_NS


@rule("half-close", CHAT, example="half-close.pcap", needs=FIN)
def half_close(e: Evidence) -> Iterator[FindingRows]:
    """One end closed its direction, and the other one still sent octets, which were taken.

    What it means. The first end called shutdown(SHUT_WR): it had nothing more to send, and went on reading. Its FIN
    closes one direction only.

    Why it matters. It is legal, and old: the way to say "that was my whole request". A close() looks the same on the
    wire until the other end sends: its octets would then be answered by an RST.

    Reported when. After an end has acknowledged its peer's FIN it sends octets, and the peer acknowledges them.

    Not reported when. Nobody acknowledges them, or an RST does.

    Source. RFC 9293 §3.6, §3.9.1.4.
    """
    answer, numbers, rows = e.shared(FinAnswers).first, e.numbers, e.rows
    before = answer.take(rows.end.take(e.data_rows))
    last = e.last_of_end(e.data_rows[(before >= 0) & (before < e.data_rows)])
    ends = np.flatnonzero(last >= 0)
    ends = ends[~rows.self_connect[ends >> 1]]
    ends = ends[e.finally_acknowledged[e.peer_of(ends)] > rows.seq_end[answer[ends]]]
    if not len(ends):
        return
    # What has no ACK is dropped by its receiver (RFC 9293 §3.10.7.4, fifth).
    before = np.flatnonzero(np.isin(rows.end, ends) & ((rows.flags & (ACK | RST)) == ACK))
    before = before[before <= answer[rows.end[before]]]
    sent = np.zeros(2 * len(e), np.int64)
    np.maximum.at(sent, rows.end[before], (rows.seq_end - numbers.claims_fin)[before])
    closer = e.peer_of(ends)
    limit = np.where(numbers.fin_row[ends] >= 0, numbers.fin_end[ends] - 1, e.finally_acknowledged[closer])
    taken = np.minimum(e.finally_acknowledged[closer], limit) - sent[ends]
    ends, closer, taken = ends[taken > 0], closer[taken > 0], taken[taken > 0]
    yield e.found(
        "the {who:end} closed its direction, and took {taken:octets} that the {other:end} sent in the {after:duration} "
        "after it had acknowledged that",
        ends >> 1,
        numbers.fin_row[closer],
        last[ends],
        who=closer & 1,
        other=ends & 1,
        taken=taken,
        after=np.maximum(e.between_ns(answer[ends], last[ends]), 0),
    )


@rule("half-closed-at-end", CHAT, example="half-closed.pcap", needs=FIN)
def half_closed_at_end(e: Evidence) -> Iterator[FindingRows]:
    """One direction is closed and acknowledged, the other one is open when the capture ends.

    What it means. The end that closed is in FIN-WAIT-2, the other one in CLOSE-WAIT: it may still send, and has not
    called close().

    Why it matters. It is legal for as long as the other end has something to send. Where the first end called close(),
    and not shutdown(), its kernel waits in FIN-WAIT-2 for a while only (Linux: 60 s, tcp_fin_timeout) and then forgets
    the connection.

    Reported when. Of both ends captured one sent a FIN that is acknowledged, and the other one none.

    Not reported when. An RST ended the connection; the other end has held CLOSE-WAIT for long (`close-wait-held`).

    Source. RFC 9293 §3.6, §3.6.1. Zeek: conn_state S2 or S3.
    """
    half = np.flatnonzero(e.teardown("half-closed"))
    if not len(half):
        return
    ends, answer = e.ends_of(half), e.shared(FinAnswers).first
    is_held = np.zeros(2 * len(e), np.bool_)
    is_held[e.shared(_held)[0]] = True
    ends = ends[(answer[ends] >= 0) & ~is_held[ends]]
    if not len(ends):
        return
    closer = e.peer_of(ends)
    fin = e.numbers.fin_row[closer]
    yield e.found(
        "the {who:end} closed {since:duration} before the capture ends; the {other:end} has acknowledged that, and "
        "not closed",
        ends >> 1,
        fin,
        answer[ends],
        who=closer & 1,
        other=ends & 1,
        since=e.until_end_ns(np.where(fin >= 0, fin, answer[ends])),
    )


def _held(e: Evidence) -> tuple[Rows, Rows, Rows, Rows]:
    """Find the ends that stayed in CLOSE-WAIT for long: the end, its last segment of note, what ended it, how long.

    What ended it is -1 where nothing did before the capture ended.
    """
    rows, answer, fin = e.rows, e.shared(FinAnswers).first, e.numbers.fin_row
    ends = np.flatnonzero((answer >= 0) & ((fin < 0) | (fin > answer)))
    ends = ends[~rows.self_connect[ends >> 1] & (e.numbers.inferred_fin_row[ends] < 0)]
    # First, what costs nothing: is there time enough?
    ends = ends[(fin[ends] < 0) | (rows.time_ns[fin[ends]] - rows.time_ns[answer[ends]] >= HELD_NS)]
    extent = np.maximum(e.until_end_ns(answer[ends]), e.table["last_ns"][ends >> 1] - rows.time_ns[answer[ends]])
    ends = ends[(extent >= HELD_NS) & ((fin[ends] < 0) | (_passed(e, answer[ends], fin[ends]) >= HELD_NS))]
    if not len(ends):
        return ends, ends, ends, ends
    never = len(rows)
    over = np.full(len(ends), never)
    for found in (fin[ends], _reset_behind(e, answer[ends])):
        over = np.minimum(over, np.where(found >= 0, found, never))
    until = np.zeros(2 * len(e), np.int64)
    until[ends] = over
    data = e.data_rows[e.data_rows < until.take(rows.end.take(e.data_rows))]
    spoke, over = np.maximum(answer, e.last_of_end(data))[ends], np.where(over == never, -1, over)
    held = np.where(over >= 0, _passed(e, spoke, over), e.until_end_ns(spoke))
    # Whose peer has closed its window may want to send and not be able to.
    peer_last = e.last_word(e.peer_of(ends))
    some = (held >= HELD_NS) & (rows.window[peer_last] != 0)
    return ends[some], spoke[some], over[some], held[some]


def _reset_behind(e: Evidence, at: Rows) -> Rows:
    """Return the first RST behind each of these segments in its connection, -1 if there is none."""
    resets = np.append(e.events.resets.row, len(e.rows))
    behind = resets[np.searchsorted(resets, at, "right")]
    return np.where(behind < e.rows.start[e.rows.conn[at] + 1], behind, -1)


def _passed(e: Evidence, earlier: Rows, later: Rows) -> Rows:
    """Return the time between two segments, -1 if there is no later one, or the clock was set."""
    return np.where(later >= 0, e.between_ns(earlier, np.maximum(later, 0)), -1)


@rule("close-wait-held", WARN, example="close-wait-held.pcap", needs=FIN)
def close_wait_held(e: Evidence) -> Iterator[FindingRows]:
    """An end has received the FIN of its peer, and for 10 s or more it neither sends nor closes.

    What it means. The kernel has acknowledged the FIN, and the program has been told: recv() returns no octets. A
    program closes then, or sends what it still has. This one does neither: most often it forgot close(), or it waits
    for something else before it reads. A long computation before the answer looks the same.

    Why it matters. CLOSE-WAIT has no timer: the socket stays until the program closes it or ends. A server that forgets
    close() runs out of file descriptors. The peer's FIN-WAIT-2 runs out long before (Linux: 60 s).

    Reported when. For 10 s after it acknowledged the FIN, or after the last octets it sent behind that, an end sends
    nothing and does not close: until it closed at last, an RST came, or the capture ended.

    Not reported when. The peer's last window is 0, so that it could not send.

    Source. RFC 9293 §3.6, §3.10.4 (CLOSE call).
    """
    ends, spoke, over, held = e.shared(_held)
    if not len(ends):
        return
    is_rst = (over >= 0) & e.is_rst[np.maximum(over, 0)]
    for some, how in (
        (over < 0, "and the capture ends"),
        ((over >= 0) & ~is_rst, "and closed only then"),
        (is_rst, "until an RST ended the connection"),
    ):
        at = np.flatnonzero(some)
        yield e.found(
            "the {who:end} got the FIN of the {peer:end} and held CLOSE-WAIT: it neither sent nor closed for "
            "{held:duration}, " + how,
            ends[at] >> 1,
            e.numbers.fin_row[e.peer_of(ends[at])],
            spoke[at],
            over[at],
            who=ends[at] & 1,
            peer=e.peer_of(ends[at]) & 1,
            held=held[at],
        )


@rule("fin-wait-2-ended", NOTE, example="fin-wait-2-ended.pcap", needs=FIN | RST)
def fin_wait_2_ended(e: Evidence) -> Iterator[FindingRows]:
    """The end that closed first had left FIN-WAIT-2 before the other end closed: an RST answers what comes.

    What it means. Its FIN was acknowledged, and it waited for the other one in FIN-WAIT-2. After close() no program is
    left to read: the kernel waits for a limited time (Linux: 60 s, or less if tcp_fin_timeout or TCP_LINGER2 says so).
    Then it has no connection any more, and answers what comes with an RST.

    Why it matters. The other end was too slow: what it sent is lost, and its send() or recv() fails. Look there for
    `close-wait-held`.

    Reported when. The end whose FIN was acknowledged answers the other end's first FIN with an RST; or octets, after
    60 s or more.

    Not reported when. Octets come sooner: after close() they are answered by an RST in FIN-WAIT-2 as well.

    Source. RFC 9293 §3.5.2, §3.6.1, §3.10.7.1; RFC 1122 §4.2.2.13.
    """
    if not e.teardown("reset-after-fin").any():
        return
    resets, rows, answer = e.events.resets, e.rows, e.shared(FinAnswers).first
    at = resets.row[answer[rows.peer[resets.row]] >= 0]
    at = at[answer[rows.peer[at]] < at]
    if not len(at):
        return
    came = previous_of_end(rows, (rows.seq_end > rows.seq) & ~e.is_rst, rows.peer[at], at)
    at, came = at[came >= 0], came[came >= 0]
    since = e.between_ns(answer[rows.peer[at]], came)
    own = answer[rows.end[at]]
    # §3.5.2: the RST has the number that the segment acknowledged.
    answers = (rows.seq[at] == rows.ack[came]) & (came > answer[rows.peer[at]]) & ((own < 0) | (own > at))
    # Data that came before the FIN had the same answer.
    data = previous_of_end(rows, e.is_data, rows.peer[at], at)
    fin = (e.numbers.fin_row[rows.end[came]] == came) & (data < answer[rows.peer[at]]) & (rows.payload[came] == 0)
    at, came, since, fin = (column[answers & (fin | (since >= FIN_WAIT_2_NS))] for column in (at, came, since, fin))
    first = first_of_runs(rows.conn[at])
    at, came, since, fin = (column[first] for column in (at, came, since, fin))
    for some, what in ((fin, "FIN"), (~fin, "data")):
        one = np.flatnonzero(some & (since >= 0))
        yield e.found(
            f"the {{who:end}} answers the {{other:end}}'s {what} with an RST, {{since:duration}} after its own FIN was "
            "acknowledged: its FIN-WAIT-2 is over",
            rows.conn[at[one]],
            e.numbers.fin_row[rows.end[at[one]]],
            came[one],
            at[one],
            who=rows.side[at[one]],
            other=rows.side[came[one]],
            since=since[one],
        )
