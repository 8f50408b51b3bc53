"""By what an RST differs from the segments of its pretended sender: TTL, IP identification, window.

None of these marks is proof: kernels send some RSTs without a socket, with IP ID 0 and window 0, and some stacks use
another initial TTL for them. Together, and with a sender that goes on, they are evidence (RFC 5961 §3, RFC 6864).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask, Rows
from handshake_inspect.connections.deciding.found import FindingRows
from handshake_inspect.connections.splitting.rows import SYN
from handshake_inspect.findings.evidence import Evidence
from handshake_inspect.findings.reset_causes import ResetCauses
from handshake_inspect.sets import set_of

#: Paths to one place differ by a hop or two; more is another speaker.
OTHER_HOPS = 3
#: A host that counts its packets is this far at most from its last one within a second.
OTHER_ID = 1000


def with_marks(
    e: Evidence, text: str, which: Rows, shown: tuple[Rows, Rows], **values: NDArray[Any]
) -> Iterator[FindingRows]:
    """Make findings of these RSTs, with the marks in which each differs from its supposed sender."""
    if not len(which):
        return
    causes, rows = e.shared(ResetCauses), e.rows
    said, at = np.maximum(causes.said[which], 0), causes.at[which]
    marks = (
        ("TTL {ttl:d} (before: {own_ttl:d})", has_other_hops(e, which)),
        ("IP ID {ip_id:d} (before: {own_ip_id:d})", _other_count(e, which)),
        ("window {window:d} (before: {own_window:d})", _other_window(e, which)),
    )
    combination = np.sum([mark.astype(np.int64) << bit for bit, (_, mark) in enumerate(marks)], axis=0)
    for number in set_of(combination).tolist():
        named = ", ".join(name for bit, (name, _) in enumerate(marks) if number >> bit & 1)
        some = combination == number
        yield e.found(
            f"{text}; {named}" if named else text,
            causes.connection[which[some]],
            *(rows_shown[some] for rows_shown in shown),
            who=causes.sender[which[some]] & 1,
            ttl=rows.ttl[at[some]],
            own_ttl=rows.ttl[said[some]],
            ip_id=rows.ip_id[at[some]],
            own_ip_id=rows.ip_id[said[some]],
            window=rows.window[at[some]],
            own_window=rows.window[said[some]],
            **{name: value[some] for name, value in values.items()},
        )


def has_other_hops(e: Evidence, which: Rows) -> Mask:
    """Mark the RSTs whose TTL differs from the sender's last segment, SYN, first ACK, first data and FIN before."""
    causes, rows, numbers = e.shared(ResetCauses), e.rows, e.numbers
    at, said, sender = causes.at[which], causes.said[which], causes.sender[which]
    ttl = rows.ttl[at].astype(np.int64)
    differs: Mask = (said >= 0) & e.at_one_place(at, said)
    differs &= np.abs(ttl - rows.ttl[said]) >= OTHER_HOPS
    if not differs.any():
        return differs
    for first in (numbers.syn_row, numbers.ack_row, e.data_row, numbers.fin_row):
        earlier = first[sender]
        known = (earlier >= 0) & (earlier < at) & e.at_one_place(earlier, at)
        differs &= ~known | (np.abs(ttl - rows.ttl[earlier]) >= OTHER_HOPS)
    return differs


def _other_count(e: Evidence, which: Rows) -> Mask:
    """Mark the RSTs whose IP ID is out of the sequence of a sender that counts packets; 0 means nothing (RFC 6864)."""
    causes, rows = e.shared(ResetCauses), e.rows
    at, said = causes.at[which], causes.said[which]
    speaks = ~e.is_rst & ~e.is_syn & ~e.is_syn_ack
    first = e.first_of_end(np.flatnonzero(speaks))[causes.sender[which]]
    sent = np.cumsum(np.where(speaks, 1 + rows.folded_segments, 0))
    ids = rows.ip_id.astype(np.int64)
    known = (first >= 0) & (said > first) & (ids[first] != 0) & (ids[said] != 0) & (ids[at] != 0)
    stepped = (ids[said] - ids[first]) % 65536
    counts = known & (stepped > 0) & (stepped <= 4 * (sent[said] - sent[first]))
    soon = e.between_ns(said, at)
    ahead = (ids[at] - ids[said]) % 65536
    stranger: Mask = counts & (ahead >= OTHER_ID) & (soon >= 0) & (soon <= 1_000_000_000)
    return stranger


def _other_window(e: Evidence, which: Rows) -> Mask:
    """Mark the RSTs that offer another window than their sender before; RSTs without ACK offer none."""
    causes, rows = e.shared(ResetCauses), e.rows
    at, said = causes.at[which], causes.said[which]
    scaled = (said >= 0) & ((rows.flags[said] & SYN) == 0)
    differs: Mask = scaled & (rows.window[at] != 0) & (rows.window[at] != rows.window[said])
    return differs
