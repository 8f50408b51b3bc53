"""Which of several SYNs a SYN-ACK answers, by the timestamp that it echoes (RFC 7323 §3.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.connections.events.numbers import Numbers
from handshake_inspect.connections.splitting.rows import ACK, ORIGINATOR, RST, SYN, ConnectionRows
from handshake_inspect.connections.splitting.split import first_among

#: What `echoed_syns` says of a SYN-ACK.
FIRST, LATER = 1, 2


def echoed_syns(rows: ConnectionRows) -> NDArray[np.uint8]:
    """Say of each SYN-ACK to a SYN that was sent several times which of these it echoes. Shape (n,).

    FIRST: the first one, and no other has that timestamp: it has arrived. LATER: another one. Linux keeps echoing the
    SYN that came first (tcp_check_req()), so the first of all was most likely lost; FreeBSD, and whoever answers with
    SYN cookies, echo the SYN that came last. 0: it cannot be told, or is none.
    """
    found = np.zeros(len(rows), np.uint8)
    kind = rows.flags & (SYN | ACK | RST)
    syn = np.flatnonzero((kind == SYN) & (rows.seq == 0) & ~rows.ignored_syn)
    several = np.bincount(rows.end.take(syn), minlength=2 * rows.connections) > 1
    syn = syn[several.take(rows.end.take(syn)) & (rows.has_timestamps.take(syn) != 0)]
    if not len(syn):
        return found
    first = first_among(rows.end, syn, 2 * rows.connections)
    is_first = syn == first.take(rows.end.take(syn))
    said = rows.end.take(syn) << 32 | rows.timestamp_value.take(syn)
    later, repeated = said[~is_first], np.zeros(2 * rows.connections, np.bool_)
    repeated[rows.end.take(syn[is_first])] = np.isin(said[is_first], later)
    answer = np.flatnonzero((kind == (SYN | ACK)) & (rows.has_timestamps != 0))
    answer = answer[first.take(rows.peer.take(answer)) >= 0]
    peer = rows.peer.take(answer)
    echo = rows.timestamp_echo.take(answer)
    of_first = echo == rows.timestamp_value.take(first.take(peer))
    found[answer[of_first & ~repeated.take(peer)]] = FIRST
    found[answer[~of_first & np.isin(peer << 32 | echo, later)]] = LATER
    return found


def without_data_answered(rows: ConnectionRows, numbers: Numbers) -> Mask:
    """Mark connections whose SYN had data and came again without, if the SYN-ACK may answer the latter. Shape (m,).

    A client whose Fast Open is not answered tries it without, as some paths drop SYNs with data (RFC 7413 §7.1). Then a
    SYN-ACK that acknowledges none has declined nothing, unless it echoes the first SYN.
    """
    marked = np.zeros(rows.connections, np.bool_)
    first, answer = numbers.bare_syn_row[ORIGINATOR::2], rows.of_responders(numbers.syn_ack_row)
    asks = np.flatnonzero((first >= 0) & (answer >= 0))
    asks = asks[(rows.payload.take(first.take(asks)) > 0) & (rows.ack.take(answer.take(asks)) == 1)]
    if not len(asks):
        return marked
    at = rows.rows_of(asks)
    again = at[numbers.is_syn.take(at) & ((rows.flags.take(at) & ACK) == 0) & (rows.side.take(at) == ORIGINATOR)]
    conn = rows.conn.take(again)
    marked[conn[(again > first.take(conn)) & (again < answer.take(conn)) & (rows.payload.take(again) == 0)]] = True
    some = np.flatnonzero(marked)
    if len(some):
        marked[some] = echoed_syns(rows).take(answer.take(some)) != FIRST
    return marked
