"""Which end enters TIME-WAIT at which segment, what can restart it, and which RST ends it.

In: rows, their events, and the judgements of their shapes. Out: `WaitTable` and `RestartTable`. Read RFC 9293 §3.6.1,
§3.10.7.4 (eighth) and RFC 1337. How long it lasts is not decided here: that depends on the assumed profile.
"""

from __future__ import annotations

import numpy as np

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.deciding.answers import CUTS, NONE, RESTARTING, RestartTable, WaitTable
from handshake_inspect.connections.events.events import Events
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.events.numbers import next_of_end
from handshake_inspect.connections.splitting.rows import ACK, FIN, RST, ConnectionRows
from handshake_inspect.sets import consecutive

#: Columns of a shape for each of its two ends.
ENTERED, CUT, HOW = range(3)


def find_waits(
    rows: ConnectionRows, events: Events, shape: Rows, judgements: list[Judgement]
) -> tuple[WaitTable, RestartTable]:
    """Return every TIME-WAIT of these connections, and the segments that may have restarted one."""
    if not any(judgement.time_wait for judgement in judgements):
        return WaitTable.empty(), RestartTable.empty()
    said = np.full((len(judgements), 2, 3), NONE, np.int64)
    for number, judgement in enumerate(judgements):
        for wait in judgement.time_wait:
            cut = NONE if wait.cut is None else wait.cut
            said[number, wait.end] = wait.entered, cut, CUTS.index(wait.cut_short)
    conn, side = np.nonzero((said[:, :, ENTERED] >= 0)[shape])
    ordinal, cut, how = said[shape.take(conn), side].T
    entered = events.row[events.start[conn] + ordinal]
    reset = np.where(cut >= 0, events.source[events.start[conn] + np.maximum(cut, 0)], NONE)
    waits = WaitTable(
        {
            "connection": conn,
            "side": side,
            "entered_ns": rows.time_ns[entered],
            "capture": rows.capture[entered],
            "frame": rows.frame[entered],
            "cut_short": how,
            "cut_ns": np.where(reset >= 0, rows.time_ns[reset], NONE),
            "cut_capture": np.where(reset >= 0, rows.capture[reset], 0),
            "cut_frame": np.where(reset >= 0, rows.frame[reset], 0),
        }
    )
    return waits, _restarts(rows, 2 * conn + side, entered, np.where(reset >= 0, reset, len(rows)))


def _restarts(rows: ConnectionRows, owner: Rows, began: Rows, ended: Rows) -> RestartTable:
    """Return the segments with ACK that reach an end in TIME-WAIT: a retransmitted FIN restarts its 2MSL.

    Those answered by an RST are left out: then there was no TIME-WAIT any more. `owner`: the end that holds each
    TIME-WAIT; `began`, `ended`: the rows at which it begins and ends.
    """
    count = np.maximum(np.minimum(rows.start[(owner >> 1) + 1], ended) - began - 1, 0)
    at = consecutive(began + 1, count)
    owner, began = np.repeat(owner, count), np.repeat(began, count)
    later = (rows.time_ns[at] > rows.time_ns[began]) | (rows.clock[at] != rows.clock[began])
    again = later & (rows.peer[at] == owner) & ((rows.flags[at] & (FIN | ACK)) != 0) & ((rows.flags[at] & RST) == 0)
    at, owner = at[again], owner[again]
    order = np.argsort(at)
    at, owner = at[order], owner[order]
    answer = next_of_end(rows, np.ones(len(rows), np.bool_), owner, at)
    refused = (answer >= 0) & ((rows.flags[answer] & RST) != 0)
    at, owner = at[~refused], owner[~refused]
    fin, data, ack = (RESTARTING.index(name) for name in ("FIN", "data", "ACK"))
    return RestartTable(
        {
            "connection": rows.conn[at],
            "side": owner & 1,
            "time_ns": rows.time_ns[at],
            "capture": rows.capture[at],
            "frame": rows.frame[at],
            "segment": np.select([(rows.flags[at] & FIN) != 0, rows.payload[at] > 0], [fin, data], ack),
        }
    )
