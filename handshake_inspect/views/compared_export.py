"""Two captures compared, as JSON: the content of the text, with every stream.

In: a `Comparison` and both inspections. Out: the document. Numbers are counted from the SYN, since the others differ in
any two runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from handshake_inspect.compared.comparison import AlikePairs, Comparison
from handshake_inspect.compared.normal import Row
from handshake_inspect.connections.connection import IcmpError, Pair
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.contract import SCHEMA, step_object
from handshake_inspect.views.export import json_list

Json = dict[str, Any]
#: What of a segment does not differ in any two runs, and its frame.
_TOLD = (
    "frame", "sender", "flags", "relative_seq", "relative_ack", "symbolic_seq", "symbolic_ack", "payload_octets",
    "retransmission", "states", "ignored",
)  # fmt: skip
_ENCODE = json.JSONEncoder().encode


def comparison_json(found: Comparison, a: Inspection, b: Inspection) -> Iterator[str]:
    """Yield the document, a line for each kind of difference."""
    head = {
        "schema": SCHEMA,
        "level": found.level,
        "is_same": found.is_same,
        "a": {"captures": [one.name for one in a.captures]},
        "b": {"captures": [one.name for one in b.captures]},
        "same": found.same,
        "same_elsewhere": found.same_elsewhere,
        "same_by_sums": found.same_by_sums,
        "only_a": found.only_a,
        "only_b": found.only_b,
    }
    yield "{" + "".join(f'"{name}": {_ENCODE(value)},\n ' for name, value in head.items()) + '"different": '
    yield from json_list(_ENCODE(_alike_object(alike)) for alike in found.different)
    yield "}\n"


def _alike_object(alike: AlikePairs) -> Json:
    """Return the object of pairs that differ in the same way; the segments are those of the first of them."""
    first = alike.first
    verdicts = first.unequal.items()
    parted = None
    if first.parted is not None:
        both = zip("ab", first.parted, first.there, strict=True)
        parted = {letter: {"segment": place + 1, **_row_object(row)} for letter, place, row in both}
    return {
        "streams": alike.streams,
        "parted": parted,
        "verdict": {name: {"a": _plain(ours), "b": _plain(theirs)} for name, (ours, theirs) in verdicts},
    }


def _row_object(row: Row | None) -> Json:
    """Return the object of a row; nothing for one behind the last."""
    if row is None:
        return {}
    if isinstance(row, IcmpError):
        return {"frame": row.frame, "quotes": row.quotes, "icmp": row.message, "type": row.type, "code": row.code}
    whole = step_object(row)
    return {name: whole[name] for name in _TOLD} | {"options": None if row.options is None else asdict(row.options)}


def _plain(value: object) -> object:
    if isinstance(value, Pair):
        return {"originator": value.originator, "responder": value.responder}
    return value
