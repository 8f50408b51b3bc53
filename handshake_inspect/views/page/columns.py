"""The table of connections: in columns for the page's script, and its first rows in words without it.

In: an inspection and the connections that the page lists. Out: JSON; what many connections have in common (addresses,
behaviours, sets of findings) stands once, and columns hold its number. Moments are offsets from the first one of the
run, in nanoseconds: JavaScript's numbers hold them exactly for 104 days, those since 1970 not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cells import distinct
from handshake_inspect.connections.connection import Connection
from handshake_inspect.connections.deciding.answers import NONE
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.connections.events.kinds import Judgement
from handshake_inspect.connections.flat import Addresses, sockets
from handshake_inspect.connections.model import Connections
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.inspection import Inspection
from handshake_inspect.pairs import address
from handshake_inspect.quantities import duration_or_dash
from handshake_inspect.views.address_names import NAMES_SHOWN
from handshake_inspect.views.escape import printable
from handshake_inspect.views.palette import CLOSING_ROLES, OPENING_ROLES, STATE_ROLES
from handshake_inspect.views.words import round_trip

Integers = NDArray[Any]


@dataclass(frozen=True)
class Column:
    """One column of the page's table."""

    #: What the page's script and style know it by.
    key: str
    title: str


@dataclass(frozen=True)
class Cell:
    """The contents of a cell."""

    key: str
    #: Words, each with the role of the palette whose colour it has; none: `text` is all.
    roles: tuple[tuple[str, str], ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Row:
    """One connection in words."""

    stream: int
    cells: list[Cell]


COLUMNS = (
    Column("stream", "#"),
    Column("originator", "Originator"),
    Column("responder", "Responder"),
    Column("opening", "Opening"),
    Column("closing", "Closing"),
    Column("found", "Findings"),
    Column("states", "Last states"),
    Column("rtt", "RTT"),
    Column("lasted", "Lasted"),
    Column("segments", "Segments"),
    Column("octets", "Octets → / ←"),
    Column("start", "Start, s"),
)


def listed_streams(connections: Connections, streams: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return the streams that the page lists: all, or those with the worst findings, then the earliest; rising."""
    if len(streams) <= limit:
        return streams
    worst = np.full(len(connections), -1, np.int64)
    for code, rows in connections.findings.rows_by_code().items():
        worst[rows] = np.maximum(worst[rows], int(code.severity))
    serious = np.where(worst >= Severity.NOTE, worst, -1)[connections.rows_of(streams)]
    return np.sort(streams[np.argsort(-serious, kind="stable")[:limit]])


def first_rows(connections: Connections, streams: NDArray[np.int64], begin_ns: int) -> Iterator[Row]:
    """Yield these rows of the table in words, as the page's script says them."""
    lasted = connections.lasted_ns(connections.rows_of(streams)).tolist()
    for one, lasted_ns in zip(connections.of_streams(streams), lasted, strict=True):
        yield Row(one.stream, _cells(one, None if lasted_ns == NONE else lasted_ns, begin_ns))


def _cells(one: Connection, lasted_ns: int | None, begin_ns: int) -> list[Cell]:
    opening, closing = one.handshake.kind, one.teardown.kind
    last = [states[-1] if states else None for states in (one.states.originator, one.states.responder)]
    micros = (one.first_ns - begin_ns) // 1000
    found = dict.fromkeys((finding.severity, finding.code) for finding in one.findings)
    return [
        Cell("originator", text=str(one.originator)),
        Cell("responder", text=str(one.responder)),
        Cell("opening", ((OPENING_ROLES.get(opening, "unknown"), opening),)),
        Cell("closing", ((CLOSING_ROLES.get(closing, "unknown"), closing),)),
        Cell("found", tuple(found)),
        Cell("states", tuple((STATE_ROLES.get(state or "", "unknown"), state or "-") for state in last)),
        Cell("rtt", text=round_trip(one.handshake)),
        Cell("lasted", text=duration_or_dash(lasted_ns)),
        Cell("segments", text=f"{one.segments.originator + one.segments.responder:,}"),
        Cell("octets", text=f"{one.octets.originator:,} / {one.octets.responder:,}"),
        Cell("start", text=f"+{micros // 1_000_000}.{micros % 1_000_000:06d}"),
    ]


def table_data(inspection: Inspection, streams: NDArray[np.int64], begin_ns: int) -> dict[str, Any]:
    """Return the table of these connections, in this order."""
    connections = inspection.connections
    rows = connections.rows_of(streams)
    table = connections.verdicts.table
    (originators, originator_ports), (responders, responder_ports) = sockets(connections, rows)
    addresses, numbers = _spelled([originators, responders])
    behaviours, behaviour = distinct(table["judgement"][rows])
    sent_again = (table["syn_retransmissions"][rows] != 0) | (table["syn_ack_retransmissions"][rows] != 0)
    sets, found = connections.findings.code_sets(rows)
    codes = list(dict.fromkeys(code for one in sets for code in one))
    return {
        "captures": [printable(name) for name in connections.captures],
        "addresses": addresses,
        "names": [[printable(name) for name in inspection.names_of(one)[:NAMES_SHOWN]] for one in addresses],
        "behaviours": [_behaviour(connections.verdicts.judgements[one]) for one in behaviours.tolist()],
        "codes": [[code, BY_CODE[code].code.severity.word, BY_CODE[code].sentence] for code in codes],
        "sets": [[codes.index(code) for code in one] for one in sets],
        "columns": {
            "stream": streams.tolist(),
            "capture": table["first_capture"][rows].tolist(),
            "originator": numbers[0].tolist(),
            "originator_port": originator_ports.tolist(),
            "responder": numbers[1].tolist(),
            "responder_port": responder_ports.tolist(),
            "behaviour": behaviour.tolist(),
            "found": found.tolist(),
            "start_ns": (table["first_ns"][rows] - begin_ns).tolist(),
            "lasted_ns": _or_null(connections.lasted_ns(rows)),
            "segments": (table["segments_o"][rows].astype(np.int64) + table["segments_r"][rows]).tolist(),
            "octets_originator": table["octets_o"][rows].tolist(),
            "octets_responder": table["octets_r"][rows].tolist(),
            "rtt_ns": _or_null(table["initial_rtt_ns"][rows]),
            "rtt_ambiguous": sent_again.astype(np.int64).tolist(),
        },
    }


def _behaviour(judgement: Judgement) -> dict[str, Any]:
    """Return the values that all connections of one shape share."""
    last = [states[-1] if states else None for states in judgement.states]
    return {
        "opening": judgement.handshake_kind,
        "opening_role": OPENING_ROLES.get(judgement.handshake_kind, "unknown"),
        "closing": judgement.teardown_kind,
        "closing_role": CLOSING_ROLES.get(judgement.teardown_kind, "unknown"),
        "states": last,
        "state_roles": [STATE_ROLES.get(state or "", "unknown") for state in last],
    }


def _spelled(ends: list[Addresses]) -> tuple[list[str], list[Integers]]:
    """Return the distinct addresses, by version and number, and the number of each end's in them."""
    parts = [np.stack([end.ip_version.astype(np.uint64), end.upper, end.lower], axis=1) for end in ends]
    known, number = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
    spelled = [address(version, upper, lower) for version, upper, lower in known.tolist()]
    return spelled, np.split(number.reshape(-1), len(ends))


def _or_null(values: Integers) -> list[int | None]:
    return [None if value < 0 else value for value in values.tolist()]
