"""One digest per connection of a capture: connections with equal digests are the same, segment by segment.

In: an inspection. Out: a digest per connection, made in columns, no object per segment. Two connections with one digest
have equal normal rows and equal verdicts. The reverse need not hold: if two digests differ, the steps must be compared
(`difference`). A connection that ICMP errors quote has no digest: its steps must be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.compared.normal import NOT_OF_EVERY_RUN
from handshake_inspect.connections.connection import SynOptions
from handshake_inspect.connections.decided_part import DecidedPart
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.model import syn_options
from handshake_inspect.connections.splitting.rows import ACK, RST, SYN
from handshake_inspect.inspection import Inspection
from handshake_inspect.sets import set_of
from handshake_inspect.table import Names

DIGEST_OCTETS = 16
#: What a digest is made of, by row, as `normal.SegmentTraits` has it.
_ROW = np.dtype([
    ("side", "u1"), ("flags", "<u2"), ("seq", "<i8"), ("ack", "<i8"), ("payload", "<i8"), ("closes_window", "u1"),
    ("offer", "<i4"), ("folded_segments", "<i8"), ("folded_octets", "<i8"),
])  # fmt: skip
_EVENT = np.dtype([("code", "u1"), ("row", "<i8")])
_RESET = np.dtype([("valid", "i1"), ("reason", "u1"), ("distance", "<i8")])
_HEAD = np.dtype([("judgement", "<i8"), ("findings", "<i8"), ("iss_known", "u1", 2), ("self_connect", "u1")])
#: Octets of something, and where those of each connection begin and end.
_Part = tuple[bytes, list[int]]


@dataclass
class Numbering:
    """Numbers that all compared captures share: equal things have equal numbers."""

    judgements: dict[Judgement, int] = field(default_factory=dict)
    offers: dict[SynOptions, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Digests:
    """One entry per connection, in the order of the rows of the verdicts."""

    #: None: its steps tell.
    digest: list[bytes | None]
    #: Number of what was judged alike, over all captures that are compared.
    judgement: NDArray[np.int64]
    #: Segments in the middle of a long transfer of which only the count and the octets stand in the digest.
    folded_segments: NDArray[np.int64]


def digests_of(inspection: Inspection, numbering: Numbering) -> Digests:
    """Return the digests of all connections of an inspection."""
    count = len(inspection.connections)
    findings = _finding_numbers(inspection, numbering)
    digest: list[bytes | None] = []
    judgement, folded = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for decided in inspection.decided():
        at = slice(len(digest), len(digest) + decided.part.rows.connections)
        judgement[at] = _judgement_numbers(decided, numbering)
        folded[at] = np.add.reduceat(decided.part.rows.folded_segments, decided.part.rows.start[:-1])
        heads = _heads(decided, judgement[at], findings[at])
        parts = [heads, _rows(decided, numbering), *_events(decided), _resets(decided)]
        digest += _digested(parts, decided.part.rows.connections)
    for row in set_of(inspection.connections.verdicts.icmp_errors["connection"]).tolist():
        digest[row] = None
    return Digests(digest, judgement, folded)


def _digested(parts: list[_Part], count: int) -> Iterator[bytes]:
    """Yield the digest of each connection's columns, preceded by the lengths of the pieces."""
    lengths = np.stack([np.diff(start) for _, start in parts], axis=1)
    pieces = _part(lengths, np.arange(count + 1), lengths.itemsize * len(parts))
    columns = [[octets[a:b] for a, b in pairwise(start)] for octets, start in [pieces, *parts]]
    for whole in map(b"".join, zip(*columns, strict=True)):
        yield blake2b(whole, digest_size=DIGEST_OCTETS).digest()


def _part(records: NDArray[np.void] | NDArray[np.int64], start: NDArray[np.int64], octets: int) -> _Part:
    return records.tobytes(), (start * octets).tolist()


def _heads(decided: DecidedPart, judgement: NDArray[np.int64], findings: NDArray[np.int64]) -> _Part:
    rows = decided.part.rows
    records = np.zeros(rows.connections, _HEAD)
    records["judgement"], records["findings"] = judgement, findings
    records["iss_known"], records["self_connect"] = rows.iss_known, rows.self_connect
    return _part(records, np.arange(rows.connections + 1), _HEAD.itemsize)


def _rows(decided: DecidedPart, numbering: Numbering) -> _Part:
    rows = decided.part.rows
    rst = (rows.flags & RST) != 0
    records = np.zeros(len(rows), _ROW)
    records["side"], records["flags"], records["payload"] = rows.side, rows.flags, rows.payload
    with_ack = (rows.flags & ACK) != 0
    # RFC 9293 §3.5.2: 0 is what stands in the header, see `normal`.
    records["seq"] = np.where(rst & with_ack & (decided.stored["seq"] == 0), 0, rows.seq)
    records["ack"] = np.where(with_ack, rows.ack, 0)
    records["closes_window"] = (rows.window == 0) & ~rst
    records["offer"] = np.where((rows.flags & SYN) != 0, _offer_numbers(decided.names, numbering)[rows.options], 0)
    records["folded_segments"], records["folded_octets"] = rows.folded_segments, rows.folded_octets
    return _part(records, rows.start, _ROW.itemsize)


def _events(decided: DecidedPart) -> Iterator[_Part]:
    """Events, and which assumptions were disproved or confirmed; rows are counted from the connection's first."""
    events, start = decided.events, decided.part.rows.start
    conn = np.repeat(np.arange(len(start) - 1), np.diff(events.start))
    records = np.zeros(len(events.code), _EVENT)
    records["code"], records["row"] = events.code, events.row - start[conn]
    yield _part(records, events.start, _EVENT.itemsize)
    for facts, row_columns in ((events.disproved, 2), (events.confirmed, 1)):
        conn = facts[:, row_columns] >> 1
        order = np.argsort(conn, kind="stable")
        conn, relative = conn[order], facts[order].astype(np.int64)
        relative[:, :row_columns] -= start[conn][:, None]
        relative[:, row_columns] &= 1
        begins = np.searchsorted(conn, np.arange(len(start)))
        yield _part(relative, begins, relative.itemsize * relative.shape[1])


def _resets(decided: DecidedPart) -> _Part:
    table = decided.verdicts.resets
    records = np.zeros(len(table), _RESET)
    for name in ("valid", "reason", "distance"):
        records[name] = table[name]
    begins = np.searchsorted(table["connection"], np.arange(decided.part.rows.connections + 1))
    return _part(records, begins, _RESET.itemsize)


def _judgement_numbers(decided: DecidedPart, numbering: Numbering) -> NDArray[np.int64]:
    known = numbering.judgements
    numbers = [known.setdefault(one, len(known)) for one in decided.verdicts.judgements]
    return np.array(numbers, np.int64)[decided.verdicts.table["judgement"]]


def _offer_numbers(names: Names, numbering: Numbering) -> NDArray[np.int64]:
    """The number of what each option list offers, by the number of the list."""
    known = numbering.offers
    return np.array([known.setdefault(syn_options(octets), len(known)) for octets in names.options.values], np.int64)


def _finding_numbers(inspection: Inspection, numbering: Numbering) -> NDArray[np.int64]:
    """Number the sets of finding codes of the connections, as `normal.Verdict` has them."""
    sets, number = inspection.connections.findings.code_sets(np.arange(len(inspection.connections)))
    known = numbering.findings
    counted = [" ".join(sorted({*codes} - NOT_OF_EVERY_RUN)) for codes in sets]
    return np.array([known.setdefault(codes, len(known)) for codes in counted], np.int64)[number]
