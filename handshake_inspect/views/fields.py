"""Every field of a connection in the JSON contract, by its dotted path, and what kind of value it holds.

In: nothing. Out: `FIELDS`, which `--where` and `--sort` look names up in; a test compares it with `contract`. A path
through a list of objects (`findings.code`) means the list of all its values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from handshake_inspect.connections.connection import Outcome
from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.tcp.states import StateName
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS

Kind = Literal["number", "text", "flag", "list", "any"]

_BOTH_ENDS: dict[str, Kind] = {
    f"{name}.{end}": "number"
    for name in ("segments", "octets", "sent_octets", "missing_octets")
    for end in ("originator", "responder")
}
_OPTION_KINDS: dict[str, Kind] = {
    "mss": "number", "window_scale": "number", "sack_permitted": "flag", "timestamps": "flag",
    "signature": "text",
}  # fmt: skip
_OPTIONS: dict[str, Kind] = {
    f"handshake.options.{end}.{name}": kind
    for end in ("originator", "responder")
    for name, kind in _OPTION_KINDS.items()
}

FIELDS: Mapping[str, Kind] = {
    "stream": "number",
    "capture": "text",
    "protocol": "text",
    "ip_version": "number",
    "encapsulation": "list",
    "originator.ip": "text",
    "originator.port": "number",
    "responder.ip": "text",
    "responder.port": "number",
    "first_frame": "any",
    "last_frame": "any",
    "first_ns": "number",
    "last_ns": "number",
    **_BOTH_ENDS,
    "duplicates": "number",
    "handshake.kind": "text",
    "handshake.complete": "flag",
    "handshake.missing": "list",
    "handshake.syn_retransmissions": "number",
    "handshake.syn_ack_retransmissions": "number",
    "handshake.syn_to_syn_ack_ns": "number",
    "handshake.syn_ack_to_ack_ns": "number",
    "handshake.initial_rtt_ns": "number",
    "handshake.rtt_ambiguous": "flag",
    "handshake.fast_open": "text",
    **_OPTIONS,
    "teardown.kind": "text",
    "teardown.complete": "flag",
    "teardown.missing": "list",
    "teardown.closed_first": "text",
    "teardown.reset_by": "text",
    "teardown.fin_retransmissions": "number",
    "teardown.half_closed_ns": "number",
    "resets": "list",
    "resets.frame": "list",
    "resets.by": "list",
    "resets.valid": "list",
    "resets.reason": "list",
    "icmp_errors": "list",
    "icmp_errors.frame": "list",
    "icmp_errors.time_ns": "list",
    "icmp_errors.source": "list",
    "icmp_errors.type": "list",
    "icmp_errors.code": "list",
    "icmp_errors.message": "list",
    "icmp_errors.kind": "list",
    "icmp_errors.quotes": "list",
    "icmp_errors.seq": "list",
    "icmp_errors.relative_seq": "list",
    "icmp_errors.symbolic_seq": "list",
    "icmp_errors.flags": "list",
    "icmp_errors.mtu": "list",
    "icmp_errors.answers_syn": "list",
    "icmp_errors.was_sent": "list",
    "states.originator": "list",
    "states.responder": "list",
    "time_wait": "list",
    "time_wait.owner": "list",
    "time_wait.entered_ns": "list",
    "time_wait.restarts_ns": "list",
    "time_wait.profile": "list",
    "time_wait.earliest_end_ns": "list",
    "time_wait.outcome": "list",
    "time_wait.entered_frame": "list",
    "time_wait.restarts": "list",
    "time_wait.restarts.frame": "list",
    "time_wait.restarts.time_ns": "list",
    "time_wait.restarts.segment": "list",
    "time_wait.ended_ns": "list",
    "time_wait.ended_frame": "list",
    "time_wait.reuse.stream": "list",
    "time_wait.reuse.by": "list",
    "time_wait.reuse.rules": "list",
    "time_wait.reuse.initial_seq": "list",
    "time_wait.reuse.last_seq": "list",
    "time_wait.reuse.timestamp": "list",
    "time_wait.reuse.last_timestamp": "list",
    "time_wait.reuse.answer_seq": "list",
    "time_wait.reuse.last_answer_seq": "list",
    "findings": "list",
    "findings.code": "list",
    "findings.severity": "list",
    "findings.frames": "list",
    "findings.message": "list",
    "conn_state": "text",
    "history": "text",
    "completeness": "number",
}

#: Zeek's verdicts, as its documentation of conn.log lists them.
CONN_STATES = ("S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH")
_ENDS = ("originator", "responder", "both")
#: Fields that hold one of a few words: a misspelt word would silently match nothing.
CHOICES: Mapping[str, Sequence[str]] = {
    "protocol": ("tcp",),
    "handshake.kind": HANDSHAKE_KINDS,
    "handshake.fast_open": ("requested", "accepted", "declined"),
    **dict.fromkeys((f"handshake.options.{end}.signature" for end in ("originator", "responder")), ("md5", "tcp-ao")),
    "teardown.kind": TEARDOWN_KINDS,
    "teardown.closed_first": _ENDS,
    "teardown.reset_by": _ENDS,
    "conn_state": CONN_STATES,
    **dict.fromkeys(("states.originator", "states.responder"), get_args(StateName)),
    "time_wait.owner": ("originator", "responder"),
    "time_wait.outcome": get_args(Outcome),
    "findings.code": tuple(BY_CODE),
    "findings.severity": tuple(one.word for one in Severity),
}


def subfields(prefix: str) -> list[str]:
    """Return the names below an object: `handshake` has `kind`, `complete` ...; nothing if it is none."""
    below = (path[len(prefix) + 1 :] for path in FIELDS if path.startswith(prefix + "."))
    return list(dict.fromkeys(name.split(".")[0] for name in below))


def value_at(found: Any, path: Sequence[str]) -> Any:
    """Return the value at `path` of a contract object; None where a part of it is null."""
    for position, name in enumerate(path):
        if found is None:
            return None
        if isinstance(found, list):
            return _all_values(value_at(item, path[position:]) for item in found)
        found = found[name]
    return found


def _all_values(values: Iterable[Any]) -> list[Any]:
    """Return all values of the objects of a list: those of their own lists too, but a frame of another file stays."""
    found: list[Any] = []
    for value in values:
        is_list = isinstance(value, list) and [*map(type, value)] != [str, int]
        found += value if is_list else [value]
    return found
