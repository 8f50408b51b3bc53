"""The JSON contract: connections as objects for other programs. Mapping only, nothing is computed.

In: the model of `connections.connection`, `exchanges` and `inspection`. Out: dicts whose names and order are the
contract, and `FIELDS`, the list of all of its names. More may be added; none changes its meaning without a new
`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handshake_inspect.capture.about import About, InterfaceAbout
from handshake_inspect.capture.headers.link_types import LINK_TYPE_NAMES
from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import (
    Connection,
    Endpoint,
    Finding,
    Frame,
    Handshake,
    IcmpError,
    Pair,
    Reset,
    Reuse,
    RunFinding,
    SackBlock,
    StateAt,
    Step,
    SynOptions,
    Teardown,
    TimeWait,
)
from handshake_inspect.exchanges import Exchange
from handshake_inspect.views.ladder_calls import SocketCall, texts_of

Json = dict[str, Any]
SCHEMA = 1


def connection_object(
    connection: Connection,
    *,
    steps: tuple[Step, ...] | None = None,
    calls: Sequence[SocketCall] | None = None,
    payload: bool = True,
) -> Json:
    """Return the contract's object of one connection; with `steps` and socket `calls` behind it if they are given.

    Without `payload` the octets in calls are counted, not shown.
    """
    found: Json = {
        "stream": connection.stream,
        "capture": connection.capture,
        "protocol": "tcp",
        "ip_version": connection.ip_version,
        "encapsulation": list(connection.encapsulation),
        "originator": endpoint_object(connection.originator),
        "responder": endpoint_object(connection.responder),
        "first_frame": _frame(connection.first_frame),
        "last_frame": _frame(connection.last_frame),
        "first_ns": connection.first_ns,
        "last_ns": connection.last_ns,
        "segments": _pair(connection.segments),
        "duplicates": connection.duplicates,
        "octets": _pair(connection.octets),
        "sent_octets": _pair(connection.sent_octets),
        "missing_octets": _pair(connection.missing_octets),
        "handshake": _handshake(connection.handshake),
        "teardown": _teardown(connection.teardown),
        "resets": [reset_object(reset) for reset in connection.resets],
        "icmp_errors": [_icmp_error(error) for error in connection.icmp_errors],
        "states": {
            "originator": _list_or_none(connection.states.originator),
            "responder": _list_or_none(connection.states.responder),
        },
        "time_wait": [time_wait_object(wait) for wait in connection.time_wait],
        "findings": [finding_object(finding) for finding in connection.findings],
        "conn_state": connection.conn_state,
        "history": connection.history,
        "completeness": connection.completeness,
    }
    if steps is not None:
        found["steps"] = [step_object(step) for step in steps]
    if calls is not None:
        found["calls"] = [call_object(call, payload=payload) for call in calls]
    return found


def call_object(call: SocketCall, *, payload: bool) -> Json:
    """Return the contract's object of one socket call: those of the left lane are the originator's."""
    text, result = texts_of(call, payload=payload)
    return {
        "by": "originator" if call.end == "client" else "responder",
        "name": call.name,
        "text": text,
        "result": result or None,
        "entered_ns": call.entered_ns,
        "returned_ns": call.returned_ns,
    }


def step_object(step: Step) -> Json:
    """Return the contract's object of one segment of a connection."""
    return {
        "frame": _frame(step.frame),
        "time_ns": step.time_ns,
        "sender": step.sender,
        "flags": step.flags,
        "seq": step.seq,
        "ack": step.ack,
        "relative_seq": step.relative_seq,
        "relative_ack": step.relative_ack,
        "symbolic_seq": step.symbolic_seq,
        "symbolic_ack": step.symbolic_ack,
        "window": step.window,
        "payload_octets": step.payload_octets,
        "retransmission": step.retransmission,
        "states": {
            "originator": _state_at(step.states.originator),
            "responder": _state_at(step.states.responder),
        },
        "passed": {
            "originator": [_state_at(one) for one in step.passed.originator],
            "responder": [_state_at(one) for one in step.passed.responder],
        },
        "events": [str(one) for one in step.events],
        "arithmetic": [str(line) for line in step.arithmetic],
        "ignored": step.ignored,
        "comments": list(step.comments),
        "sack": None if step.sack is None else [_sack_block(one) for one in step.sack],
    }


def _sack_block(block: SackBlock) -> Json:
    return {"left_edge": block.left_edge, "right_edge": block.right_edge, "duplicate": block.is_duplicate}


def exchange_object(exchange: Exchange) -> Json:
    """Return the object of one UDP exchange."""
    return {
        "exchange": exchange.number,
        "capture": exchange.capture,
        "protocol": "udp",
        "ip_version": exchange.ip_version,
        "encapsulation": list(exchange.encapsulation),
        "originator": endpoint_object(exchange.originator),
        "responder": endpoint_object(exchange.responder),
        "first_frame": _frame(exchange.first_frame),
        "last_frame": _frame(exchange.last_frame),
        "first_ns": exchange.first_ns,
        "last_ns": exchange.last_ns,
        "datagrams": _pair(exchange.datagrams),
        "duplicates": exchange.duplicates,
        "octets": _pair(exchange.octets),
        "first_answer_ns": exchange.first_answer_ns,
        "errors": [{"frame": _frame(frame), "message": message} for frame, message in exchange.errors],
    }


def capture_object(capture: CaptureSummary) -> Json:
    """Return the object of one file, pipe or interface."""
    return {
        "name": capture.name,
        "format": capture.format,
        "link_types": list(capture.link_types),
        "frames": capture.frames,
        "segments": capture.segments,
        "datagrams": capture.datagrams,
        "first_ns": capture.first_ns,
        "last_ns": capture.last_ns,
        "dropped": capture.dropped,
        "out_of_order": {"frames": capture.disorder.frames, "largest_ns": capture.disorder.largest_ns},
        "clock_jumps": {
            "count": capture.disorder.jumps,
            "largest_ns": capture.disorder.largest_jump_ns,
            "first_frame": capture.disorder.first_jump_frame,
        },
        **_about(capture.about),
    }


def _about(about: About) -> Json:
    """Return the notes of a file about itself."""
    return {
        "files": about.files,
        "hardware": about.hardware,
        "os": about.os,
        "application": about.application,
        "comments": list(about.comments),
        "interfaces": [_interface(one) for one in about.interfaces],
        "names": {address: list(names) for address, names in about.names.items()},
        "frame_comments": [
            {"frame": frame, "comments": list(comments)} for frame, comments in about.frame_comments.items()
        ],
        "left_out": dict(about.left_out),
    }


def _interface(interface: InterfaceAbout) -> Json:
    return {
        "name": interface.name,
        "description": interface.description,
        "link_type": LINK_TYPE_NAMES.get(interface.link_type, f"link type {interface.link_type}"),
        "snaplen": interface.snaplen,
        "filter": interface.filter,
        "hardware": interface.hardware,
        "os": interface.os,
        "dropped": interface.dropped,
        "comments": list(interface.comments),
    }


def damage_object(damage: Damage) -> Json:
    """Return the object of one place where a capture could not be read."""
    return {
        "capture": damage.capture,
        "offset": damage.offset,
        "frames_before": damage.frames_before,
        "message": damage.message,
    }


def endpoint_object(endpoint: Endpoint) -> Json:
    """Return the object of a socket address."""
    return {"ip": endpoint.ip, "port": endpoint.port}


def _pair(pair: Pair[Any]) -> Json:
    return {"originator": pair.originator, "responder": pair.responder}


def _frame(frame: Frame) -> int | list[str | int]:
    return list(frame) if isinstance(frame, tuple) else frame


def _list_or_none(items: tuple[str, ...] | None) -> list[str] | None:
    return None if items is None else list(items)


def _state_at(state: StateAt) -> Json:
    return {"state": state.state, "basis": state.basis, "disproved": state.disproved}


def _handshake(handshake: Handshake) -> Json:
    return {
        "kind": handshake.kind,
        "complete": handshake.complete,
        "missing": list(handshake.missing),
        "syn_retransmissions": handshake.syn_retransmissions,
        "syn_ack_retransmissions": handshake.syn_ack_retransmissions,
        "syn_to_syn_ack_ns": handshake.syn_to_syn_ack_ns,
        "syn_ack_to_ack_ns": handshake.syn_ack_to_ack_ns,
        "initial_rtt_ns": handshake.initial_rtt_ns,
        "rtt_ambiguous": handshake.rtt_ambiguous,
        "fast_open": handshake.fast_open,
        "options": {
            "originator": syn_options_object(handshake.options.originator),
            "responder": syn_options_object(handshake.options.responder),
        },
    }


def syn_options_object(options: SynOptions | None) -> Json | None:
    """Return the contract's object of what an end offered; None where its SYN was not captured."""
    if options is None:
        return None
    return {
        "mss": options.mss,
        "window_scale": options.window_scale,
        "sack_permitted": options.sack_permitted,
        "timestamps": options.timestamps,
        "signature": options.signature,
    }


def _teardown(teardown: Teardown) -> Json:
    return {
        "kind": teardown.kind,
        "complete": teardown.complete,
        "missing": list(teardown.missing),
        "closed_first": teardown.closed_first,
        "reset_by": teardown.reset_by,
        "fin_retransmissions": teardown.fin_retransmissions,
        "half_closed_ns": teardown.half_closed_ns,
    }


def reset_object(reset: Reset) -> Json:
    """Return the contract's object of one RST."""
    return {"frame": _frame(reset.frame), "by": reset.by, "valid": reset.valid, "reason": reset.reason}


def _icmp_error(error: IcmpError) -> Json:
    return {
        "frame": _frame(error.frame),
        "time_ns": error.time_ns,
        "source": error.source,
        "type": error.type,
        "code": error.code,
        "message": error.message,
        "kind": error.kind,
        "quotes": error.quotes,
        "seq": error.seq,
        "relative_seq": error.relative_seq,
        "symbolic_seq": error.symbolic_seq,
        "flags": error.flags,
        "mtu": error.mtu,
        "answers_syn": error.answers_syn,
        "was_sent": error.was_sent,
    }


def time_wait_object(wait: TimeWait) -> Json:
    """Return the contract's object of one TIME-WAIT."""
    return {
        "owner": wait.owner,
        "entered_ns": wait.entered_ns,
        "restarts_ns": list(wait.restarts_ns),
        "profile": wait.profile,
        "earliest_end_ns": wait.earliest_end_ns,
        "outcome": wait.outcome,
        "entered_frame": _frame(wait.entered_frame),
        "restarts": [
            {"frame": _frame(one.frame), "time_ns": one.time_ns, "segment": one.segment} for one in wait.restarts
        ],
        "ended_ns": wait.ended_ns,
        "ended_frame": None if wait.ended_frame is None else _frame(wait.ended_frame),
        "reuse": None if wait.reuse is None else _reuse(wait.reuse),
    }


def _reuse(reuse: Reuse) -> Json:
    return {
        "stream": reuse.stream,
        "by": reuse.by,
        "rules": list(reuse.rules),
        "initial_seq": reuse.initial_seq,
        "last_seq": reuse.last_seq,
        "timestamp": reuse.timestamp,
        "last_timestamp": reuse.last_timestamp,
        "answer_seq": reuse.answer_seq,
        "last_answer_seq": reuse.last_answer_seq,
    }


def finding_object(finding: Finding) -> Json:
    """Return the contract's object of a finding about a connection."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "frames": [_frame(frame) for frame in finding.frames],
        "message": finding.message,
    }


def run_finding_object(finding: RunFinding) -> Json:
    """Return the contract's object of a finding about a listener, a host or a capture."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "about": finding.about,
        "connections": finding.connections,
        "frames": [_frame(frame) for frame in finding.frames],
        "message": finding.message,
    }
