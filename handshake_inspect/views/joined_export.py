"""Joined connections for other programs: one JSON document, or a JSON object per line.

In: `Joined`. Out: pieces of text, to be written as they come. Mapping only, nothing is computed. Names stay; more may
be added. "first" and "second" are the two captures, in the order in which they were named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from handshake_inspect.connections.connection import Endpoint
from handshake_inspect.joined.join import Joined
from handshake_inspect.joined.model import (
    DirectionFate,
    JoinedConnection,
    JoinedError,
    JoinedSegment,
    Moment,
    PlacePair,
    Sighting,
)
from handshake_inspect.views.contract import SCHEMA, Json, capture_object, endpoint_object
from handshake_inspect.views.export import json_list

#: Gives what both places saw of a connection.
MomentsOf = Callable[[JoinedConnection], Sequence[Moment]]

_ENCODE = json.JSONEncoder().encode


def joined_document(
    joined: Joined, connections: Iterable[JoinedConnection], moments_of: MomentsOf | None = None
) -> Iterator[str]:
    """Yield one document, a connection per line; with all segments if `moments_of` gives them."""
    captures = [capture_object(inspection.captures[0]) for inspection in joined.inspections]
    offset = joined.offset
    clocks = {
        "offset_ns": None if offset is None else offset.middle_ns,
        "uncertainty_ns": None if offset is None else offset.uncertainty_ns,
        "contradiction_ns": joined.contradiction_ns,
    }
    yield f'{{"schema": {SCHEMA},\n "captures": {_ENCODE(captures)},\n "clocks": {_ENCODE(clocks)},\n "connections": '
    yield from json_list(_line(connection, moments_of) for connection in connections)
    yield "}\n"


def joined_lines(connections: Iterable[JoinedConnection], moments_of: MomentsOf | None = None) -> Iterator[str]:
    """Yield one JSON object per connection, each a line."""
    return (_line(connection, moments_of) + "\n" for connection in connections)


def _line(connection: JoinedConnection, moments_of: MomentsOf | None) -> str:
    return _ENCODE(joined_object(connection, moments_of(connection) if moments_of else None))


def joined_object(connection: JoinedConnection, moments: Sequence[Moment] | None = None) -> Json:
    """Return the object of one connection; with its segments, in the order in which they were first seen."""
    clock = connection.clock
    found: Json = {
        "number": connection.number,
        "first": {"capture": connection.captures.first, "stream": connection.streams.first},
        "second": {"capture": connection.captures.second, "stream": connection.streams.second},
        "originator": _sockets(connection.sockets.originator),
        "responder": _sockets(connection.sockets.responder),
        "near_first": connection.near_first,
        "near_known_by": connection.near_known_by,
        "ways": {"originator": _way(connection.ways.originator), "responder": _way(connection.ways.responder)},
        "changes": [
            {
                "what": change.what,
                "sender": change.sender,
                "before": change.before,
                "after": change.after,
                "segments": change.segments,
                "arrived": change.arrived,
            }
            for change in connection.changes
        ],
        "icmp_errors": [_error(one) for one in connection.icmp_errors],
        "options_cut": {"first": connection.cuts_options.first, "second": connection.cuts_options.second},
        "clock": None
        if clock is None
        else {"offset_ns": clock.offset_ns, "uncertainty_ns": clock.uncertainty_ns, "known_by": clock.known_by},
        "round_trip_ns": connection.round_trip_ns,
    }
    if moments is not None:
        segments = {id(moment.segment): moment.segment for moment in moments}
        found["segments"] = [_segment(segment) for segment in segments.values()]
    return found


def _sockets(sockets: PlacePair[Endpoint | None]) -> Json:
    first, second = (None if one is None else endpoint_object(one) for one in (sockets.first, sockets.second))
    return {"first": first, "second": second}


def _way(way: DirectionFate) -> Json:
    delays = way.delays
    return {
        "sent": way.sent,
        "arrived": way.arrived,
        "lost": list(way.lost),
        "unseen": list(way.unseen),
        "copied": list(way.copied),
        "late": list(way.late),
        "made": list(way.made),
        "unsent": list(way.unsent),
        "recut": list(way.recut),
        "partly": list(way.partly),
        "missed": list(way.missed),
        "routers": way.routers,
        "delay_ns": None
        if delays is None
        else {"least": delays.least_ns, "median": delays.median_ns, "greatest": delays.greatest_ns},
    }


def _error(joined: JoinedError) -> Json:
    error = joined.error
    return {
        "message": error.message,
        "type": error.type,
        "code": error.code,
        "source": error.source,
        "quotes": joined.quotes,
        "relative_seq": error.relative_seq,
        "first_frame": joined.frames.first,
        "second_frame": joined.frames.second,
    }


def _segment(segment: JoinedSegment) -> Json:
    step = segment.step
    return {
        "sender": segment.sender,
        "fate": segment.fate,
        "near": _sight(segment.near),
        "far": _sight(segment.far),
        "late": segment.late,
        "died": [{"relative_seq": part.relative_seq, "octets": part.payload_octets} for part in segment.died],
        "acknowledged_in_frame": segment.proof,
        "delay_ns": segment.delay_ns,
        "changes": [{"what": what, "before": before, "after": after} for what, before, after in segment.changes],
        "flags": step.flags,
        "relative_seq": step.relative_seq,
        "relative_ack": step.relative_ack,
        "payload_octets": step.payload_octets,
    }


def _sight(sight: Sighting | None) -> Json | None:
    return None if sight is None else {"frame": sight.frame, "time_ns": sight.time_ns}
