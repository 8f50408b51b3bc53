"""Collapses the second copies that a capture of loopback, or of `any`, has of every segment.

Linux shows a segment on `lo` twice, when it leaves and when it arrives. In: `StoredRows` sorted by conversation and
capture order. Out: the same without the second copies, which are counted in the rows that stay.

Two rows are copies if they are equal in everything that a sender would change, IP identification included, and lie
within `COPY_WITHIN_NS`. A real retransmission has a new identification (RFC 6864 §4.1 allows otherwise only where
there is no fragmentation; Linux then sends 0) and comes after 200 ms at the earliest. Where the link layer says which
way a frame went, the first must have gone out and the second must have come in. Where it does not, only loopback
addresses are looked at; an identification of 0 without timestamps proves nothing by itself, and is believed only in a
conversation that has certain copies too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.conversations import KeyTable
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.table import PACKET_OUTGOING, PACKET_TYPE_UNKNOWN

COPY_WITHIN_NS = 100_000

_SAME = (
    "conversation", "from_higher", "seq", "ack", "flags", "ip_id", "payload_octets", "window", "timestamp_value",
    "options",
)  # fmt: skip

LOOPBACK_4 = 127
LOOPBACK_6 = 1


def is_loopback(keys: KeyTable) -> NDArray[np.bool_]:
    """Say of each conversation whether it can only have been captured on loopback."""
    v4 = (keys["ip_version"] == 4) & (keys["lower_lo"] >> np.uint64(24) == LOOPBACK_4)
    v6 = (keys["ip_version"] == 6) & (keys["lower_hi"] == 0) & (keys["lower_lo"] == LOOPBACK_6)
    same_host = (keys["lower_hi"] == keys["higher_hi"]) & (keys["lower_lo"] == keys["higher_lo"])
    found: NDArray[np.bool_] = v4 | v6 | same_host
    return found


def collapse(stored: StoredRows, loopback: NDArray[np.bool_]) -> StoredRows:
    """Collapse second copies. `loopback`: can a conversation only have been captured on loopback?"""
    directed = stored["packet_type"] != PACKET_TYPE_UNKNOWN
    candidates = np.flatnonzero(directed | loopback[stored["conversation"]])
    if len(candidates) < 2:
        return stored
    order = candidates[np.lexsort([candidates, *(stored[name][candidates] for name in reversed(_SAME))])]
    first, second = order[:-1], order[1:]
    copy = stored["time_ns"][second] - stored["time_ns"][first] <= COPY_WITHIN_NS
    for name in _SAME:
        copy &= stored[name][first] == stored[name][second]
    arrives = (stored["packet_type"][first] == PACKET_OUTGOING) & (stored["packet_type"][second] != PACKET_OUTGOING)
    copy &= np.where(directed[second], directed[first] & arrives, ~directed[first])
    certain = copy & (directed[second] | (stored["ip_id"][second] != 0) | (stored["has_timestamps"][second] != 0))
    doubled = np.zeros(len(loopback), np.bool_)
    doubled[stored["conversation"][second[certain]]] = True
    copy &= doubled[stored["conversation"][second]]
    copy = _every_other(copy)
    counts = stored["duplicates"].astype(np.int64)
    counts[first[copy]] += 1 + counts[second[copy]]
    stays = np.ones(len(stored), np.bool_)
    stays[second[copy]] = False
    return StoredRows(dict(stored.columns) | {"duplicates": counts}).take(stays)


def _every_other(copy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each run of equal neighbours keep the odd ones: four equal rows are two segments seen twice."""
    index = np.arange(len(copy))
    run_start = np.maximum.accumulate(np.where(copy, -1, index))
    odd: NDArray[np.bool_] = copy & ((index - run_start) % 2 == 1)
    return odd
