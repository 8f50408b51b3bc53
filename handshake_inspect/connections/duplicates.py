"""Collapses the second copies that a capture of loopback, or of `any`, has of every segment.

Linux shows a segment on `lo` twice, when it leaves and when it arrives. In: `StoredRows` sorted by conversation and
capture order. Out: the same without the second copies, which are counted in the rows that stay.

Two rows are copies if they are equal in everything that a sender would change, IP identification included, and lie
within `COPY_WITHIN_NS`. A real retransmission has a new identification (RFC 6864 §4.1 allows otherwise only where
there is no fragmentation; Linux then sends 0) and comes after 200 ms at the earliest. Where the link layer says which
way a frame went, the first must have gone out and the second must have come in. Where it does not, only loopback
addresses are looked at, and only conversations most of whose segments stand there twice: two equal SYN-ACKs within
microseconds do occur. An identification of 0 without timestamps proves nothing by itself, and is believed only in a
conversation that has certain copies too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.connections.conversations import KeyTable
from handshake_inspect.connections.split import StoredRows
from handshake_inspect.table import PACKET_OUTGOING, PACKET_TYPE_UNKNOWN

COPY_WITHIN_NS = 100_000
#: Share of a conversation's segments that must stand there twice where no packet type tells.
MOSTLY_DOUBLED = 0.7

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
    identified = (stored["ip_id"] != 0) | (stored["has_timestamps"] != 0)
    weight = (1 + stored["folded_segments"].astype(np.int64), stored["duplicates"].astype(np.int64))
    first, second = second_copies(stored.columns, _SAME, identified, loopback, weight)
    if not len(second):
        return stored
    counts = stored["duplicates"].astype(np.int64)
    counts[first] += 1 + counts[second]
    stays = np.ones(len(stored), np.bool_)
    stays[second] = False
    return StoredRows(dict(stored.columns) | {"duplicates": counts}).take(stays)


def second_copies(
    columns: Mapping[str, NDArray[Any]],
    same: Sequence[str],
    identified: NDArray[np.bool_],
    loopback: NDArray[np.bool_],
    weight: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows that are second copies. Returns the rows that they are copies of, and the copies.

    `columns` has `conversation`, `packet_type` and `time_ns` beside the columns `same` that copies have in common;
    `identified` says of each row whether being equal means something; `loopback` is as for `collapse`; `weight` gives
    the segments that each row stands for, and how many copies of them were collapsed before.
    """
    conversation, packet_type, time_ns = columns["conversation"], columns["packet_type"], columns["time_ns"]
    directed = packet_type != PACKET_TYPE_UNKNOWN
    candidates = np.flatnonzero(directed | loopback[conversation])
    order = candidates[np.lexsort([candidates, *(columns[name][candidates] for name in reversed(same))])]
    first, second = order[:-1], order[1:]
    copy = time_ns[second] - time_ns[first] <= COPY_WITHIN_NS
    for name in same:
        copy &= columns[name][first] == columns[name][second]
    arrives = (packet_type[first] == PACKET_OUTGOING) & (packet_type[second] != PACKET_OUTGOING)
    copy &= np.where(directed[second], directed[first] & arrives, ~directed[first])
    certain = copy & (directed[second] | identified[second])
    doubled = np.zeros(len(loopback), np.bool_)
    doubled[conversation[second[certain]]] = True
    copy = _every_other(copy & doubled[conversation[second]])
    # Rows that stand for copies already (`weight`: segments of a row, its copies) count too.
    segments, copies = weight
    total = np.bincount(conversation, segments + copies, len(loopback))
    twice = 2 * (
        np.bincount(conversation, copies, len(loopback)) + np.bincount(conversation[second[copy]], None, len(loopback))
    )
    copy &= directed[second] | (twice >= MOSTLY_DOUBLED * total)[conversation[second]]
    return first[copy], second[copy]


def _every_other(copy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each run of equal neighbours keep the odd ones: four equal rows are two segments seen twice."""
    index = np.arange(len(copy))
    run_start = np.maximum.accumulate(np.where(copy, -1, index))
    odd: NDArray[np.bool_] = copy & ((index - run_start) % 2 == 1)
    return odd
