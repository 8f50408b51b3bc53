"""The rows of whole connections: what `split` hands to `events`, `derived` and `verdict`.

Rows are sorted by connection, within a connection by capture order. Sequence numbers are unwrapped (64 bits) and
relative, so that comparing and subtracting them is ordinary arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

# Control bits as in the header (RFC 9293 §3.1).
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
FLAG_NAMES = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
#: Control bits in the order in which people say them.
SPOKEN = (1, 0, 2, 3, 5, 6, 7, 8, 4)

ORIGINATOR, RESPONDER = 0, 1

#: What a row's control bits say can be looked up in a table of 64: the lower five of them, and whether it has payload.
KEY_BITS, KEY_PAYLOAD = 0x1F, 1 << 5

_PER_CONNECTION = {"start", "iss", "iss_known", "self_connect"}


@dataclass
class ConnectionRows:
    """`n` rows of `m` connections.

    An *end* is numbered `2 * connection + side`. `peer` is the other end, except for a self-connect (both sockets
    equal), where an end is its own peer and all rows have side 0.
    """

    #: Where the rows of each connection begin; `start[m]` is `n`. Shape (m + 1,).
    start: NDArray[np.int64]
    #: Connection of each row, 0 to m - 1. Shape (n,), as all below unless said otherwise.
    conn: NDArray[np.int64]
    #: ORIGINATOR or RESPONDER: who sent it.
    side: NDArray[np.int64]
    #: Control bits.
    flags: NDArray[np.uint16]
    #: SEG.SEQ − ISS of the sender (its SYN has 0). Where the ISS is unknown the first number seen counts as 1.
    seq: NDArray[np.int64]
    #: SEG.ACK − ISS of the receiver likewise; meaningless where the ACK bit is clear.
    ack: NDArray[np.int64]
    #: Octets of payload.
    payload: NDArray[np.int64]
    #: SEG.WND as in the header.
    window: NDArray[np.uint16]
    time_ns: NDArray[np.int64]
    frame: NDArray[np.int64]
    capture: NDArray[np.uint16]
    #: `Names.options` number of a SYN's option list.
    options: NDArray[np.uint32]
    timestamp_value: NDArray[np.uint32]
    has_timestamps: NDArray[np.uint8]
    #: IPv4 identification (0 for IPv6).
    ip_id: NDArray[np.uint16]
    #: Time to live, hop limit.
    ttl: NDArray[np.uint8]
    #: How often the clock of its capture had jumped back: times of rows with different numbers cannot be compared.
    clock: NDArray[np.uint16]
    #: What `compact` folded into a row: segments of the same end right before it, and their octets, which are the
    #: numbers from `seq - folded_octets` to `seq`.
    folded_segments: NDArray[np.int64]
    folded_octets: NDArray[np.int64]
    #: Copies of the segment that were collapsed.
    duplicates: NDArray[np.int64]
    #: A bare SYN that its receiver answers with a challenge ACK: it belongs to no connection of its own.
    ignored_syn: NDArray[np.bool_]
    #: Absolute ISS of each end, -1 if unknown (for mid-stream ends the number that counts as 0). Shape (m, 2).
    iss: NDArray[np.int64]
    #: Is `iss` proven by a SYN, or by a SYN-ACK's acknowledgment? Shape (m, 2).
    iss_known: NDArray[np.bool_]
    #: Both sockets are equal. Shape (m,).
    self_connect: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.conn)

    def only(self, connection: int) -> ConnectionRows:
        """Return the rows of one connection, as connection 0."""
        rows = slice(int(self.start[connection]), int(self.start[connection + 1]))
        one = slice(connection, connection + 1)
        parts = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in _PER_CONNECTION}
        parts |= {name: getattr(self, name)[one] for name in ("iss", "iss_known", "self_connect")}
        parts["conn"] = np.zeros(rows.stop - rows.start, np.int64)
        return ConnectionRows(start=np.array([0, rows.stop - rows.start]), **parts)

    @property
    def connections(self) -> int:
        """How many connections there are (m)."""
        return len(self.start) - 1

    @cached_property
    def end(self) -> NDArray[np.int64]:
        """Number of the sending end of each row."""
        return 2 * self.conn + self.side

    @cached_property
    def peer(self) -> NDArray[np.int64]:
        """Number of the receiving end of each row."""
        peer: NDArray[np.int64] = np.where(self.self_connect[self.conn], self.end, self.end ^ 1)
        return peer

    @cached_property
    def seq_end(self) -> NDArray[np.int64]:
        """SEG.SEQ + SEG.LEN: the number after the segment's last (RFC 9293 §3.4: SYN and FIN count one each)."""
        counted = ((self.flags & SYN) != 0).astype(np.int64) + ((self.flags & FIN) != 0)
        after: NDArray[np.int64] = self.seq + self.payload + counted
        return after


def control_keys(rows: ConnectionRows) -> NDArray[np.int64]:
    """Return control bits and presence of payload of each row, as an index into tables. Shape (n,)."""
    return ((rows.flags & np.uint16(KEY_BITS)) | (rows.payload > 0) * np.uint16(KEY_PAYLOAD)).astype(np.int64)


@lru_cache(maxsize=1 << 12)
def flag_names(flags: int) -> str:
    """Spell control bits: "SYN,ACK"; an unnamed (reserved) bit as its value in hexadecimal."""
    names = [FLAG_NAMES[bit] for bit in SPOKEN if flags >> bit & 1]
    return ",".join([*names, *([f"0x{flags >> 9 << 9:x}"] if flags >> 9 else [])])
