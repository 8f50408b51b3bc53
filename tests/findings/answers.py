"""The rest of a handshake whose SYN a test chooses."""

from __future__ import annotations

from handshake_inspect.connections.splitting.rows import ACK
from tests.engine.scenario import Segment


def answered(flags: int, time_ns: int) -> list[Segment]:
    """Return a SYN-ACK with these control bits, and the third segment."""
    return [
        Segment(time_ns, "B", flags, 5000, ack=1001),
        Segment(time_ns + 1_000_000, "A", ACK, 1001, ack=5001),
    ]
