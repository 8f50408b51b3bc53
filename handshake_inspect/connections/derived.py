"""Other tools' terms for a connection: Zeek's `conn_state` and `history`, Wireshark's `tcp.completeness`.

In: `ConnectionRows`. Out: `DerivedWords`. The rules are those of these tools, quirks included: they serve
cross-checks and filters written for these tools; our own verdicts are elsewhere. Wireshark's rules are here
(Wireshark 4.0, packet-tcp.c, as `tshark -2` prints it), Zeek's in the folder `zeek`, whose modules name differences.

**Folded rows.** Nothing depends on a row that `compact` folds if it continues its direction exactly, is not the first
of its kind, has a window, is captured before it is acknowledged, and acknowledges neither octets that were not
captured nor, for the first time, a hole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Rows
from handshake_inspect.connections.splitting.rows import (
    ACK,
    FIN,
    KEY_BITS,
    KEY_PAYLOAD,
    RST,
    SYN,
    ConnectionRows,
    control_keys,
)
from handshake_inspect.connections.zeek.gaps import Gaps, find_gaps
from handshake_inspect.connections.zeek.in_step import watch_all
from handshake_inspect.connections.zeek.reach import find_reach
from handshake_inspect.connections.zeek.tokens import token_strings
from handshake_inspect.plain import mutable


@mutable
class DerivedWords:
    """The terms of other tools for `m` connections."""

    #: Index of each connection's behaviour as Zeek sees it. Shape (m,).
    shape: Rows
    #: Zeek's `conn_state` and `history` of each behaviour.
    state_of_shape: list[str]
    history_of_shape: list[str]
    #: Wireshark's `tcp.completeness`: SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32. Shape (m,).
    completeness: NDArray[np.uint8]
    #: The few connections with gaps, by number, and the octets of their gaps: Zeek's `missed_bytes`.
    with_gaps: Rows
    gap_octets: Rows

    @property
    def conn_state(self) -> list[str]:
        """Zeek's `conn_state` of each connection: S0, SF, REJ, ..."""
        return [self.state_of_shape[number] for number in self.shape.tolist()]

    @property
    def history(self) -> list[str]:
        """Zeek's `history` of each connection: "ShADadFf" ..."""
        return [self.history_of_shape[number] for number in self.shape.tolist()]


def derive(rows: ConnectionRows) -> DerivedWords:
    """Derive the terms of all connections. Every connection has a row that is not an ignored SYN."""
    keys = control_keys(rows)
    reach = find_reach(rows)
    gaps = find_gaps(rows, reach)
    shape, strings = token_strings(rows, keys, reach, gaps)
    states, histories = watch_all(strings)
    reported = np.array(["G" in history or "g" in history for history in histories], np.bool_)
    return DerivedWords(shape, states, histories, _completeness(rows, keys), *_gap_octets(rows, gaps, reported, shape))


def _gap_octets(rows: ConnectionRows, gaps: Gaps, reported: NDArray[np.bool_], shape: Rows) -> tuple[Rows, Rows]:
    """Add up the gaps of each connection whose history shows one: for others Zeek reports none."""
    conn = rows.conn[gaps.row]
    here = reported[shape[conn]]
    with_gaps, inverse = np.unique(conn[here], return_inverse=True)
    return with_gaps, np.bincount(inverse, gaps.octets[here], len(with_gaps)).astype(np.int64)


# --- Wireshark -------------------------------------------------------------------------------------------------------

WS_SYN, WS_SYN_ACK, WS_ACK, WS_DATA, WS_FIN, WS_RST = (1 << bit for bit in range(6))


def _completeness_of(flags: int, has_payload: bool) -> int:
    """Return the bits that a row adds at any position. A bare SYN adds none: it counts only in the first row."""
    bits = WS_RST if flags & RST else 0
    if flags & (SYN | ACK) == SYN | ACK:
        bits |= WS_SYN_ACK
    if flags & (SYN | ACK) == ACK:
        bits |= WS_DATA if has_payload else WS_ACK
    if flags & (FIN | ACK) == FIN | ACK:
        bits |= WS_FIN
    return bits


COMPLETENESS = np.array(
    [_completeness_of(key & KEY_BITS, bool(key & KEY_PAYLOAD)) for key in range(2 * KEY_PAYLOAD)], np.uint8
)


def _completeness(rows: ConnectionRows, keys: Rows) -> NDArray[np.uint8]:
    """Return the completeness of each connection. Shape (m,).

    Wireshark looks for the bare SYN in a conversation's first packet only. It adds the other bits of that packet in its
    second pass, after printing it, so a conversation of one packet has at most the bit of the bare SYN.
    """
    bits = COMPLETENESS.take(keys)
    bits[np.flatnonzero(rows.ignored_syn)] = 0
    begin = rows.start[:-1]
    seen: NDArray[np.uint8] = np.bitwise_or.reduceat(bits, begin) if len(begin) else np.zeros(0, np.uint8)
    seen[(np.diff(rows.start) == 1) & (rows.duplicates[begin] == 0)] = 0
    bare = (rows.flags[begin] & (SYN | ACK)) == SYN
    seen[bare] |= WS_SYN
    seen[bare & (rows.payload[begin] > 0)] |= WS_DATA
    return seen
