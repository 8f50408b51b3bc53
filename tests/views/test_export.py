"""The contract, and the formats for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.records import Damage
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.connections.connection import Connection, Finding, Pair, Restart, Reuse, RunFinding, SackBlock
from handshake_inspect.connections.flat import FLAT_COLUMNS
from handshake_inspect.inspector import inspect
from handshake_inspect.views import export
from handshake_inspect.views.contract import connection_object, step_object
from handshake_inspect.views.escape import octets_text, printable
from handshake_inspect.views.fields import FIELDS
from tests.views.sessions import aborted, four_way, unreachable

PCAPS = Path(__file__).parent.parent.parent / "pcaps"

CONTRACT = [
    "stream", "capture", "protocol", "ip_version", "encapsulation", "originator", "responder",
    "first_frame", "last_frame", "first_ns", "last_ns", "segments", "duplicates", "octets", "sent_octets",
    "missing_octets", "handshake", "teardown", "resets", "icmp_errors", "states", "time_wait", "findings", "conn_state",
    "history", "completeness",
]  # fmt: skip


def test_names_and_their_order_are_those_of_the_contract() -> None:
    found = connection_object(four_way())
    assert list(found) == CONTRACT
    assert list(found["handshake"]) == [
        "kind", "complete", "missing", "syn_retransmissions", "syn_ack_retransmissions", "syn_to_syn_ack_ns",
        "syn_ack_to_ack_ns", "initial_rtt_ns", "rtt_ambiguous", "fast_open", "options",
    ]  # fmt: skip
    assert list(found["teardown"]) == [
        "kind", "complete", "missing", "closed_first", "reset_by", "fin_retransmissions", "half_closed_ns",
    ]  # fmt: skip
    assert list(connection_object(unreachable())["icmp_errors"][0]) == [
        "frame", "time_ns", "source", "type", "code", "message", "kind", "quotes", "seq", "relative_seq",
        "symbolic_seq", "flags", "mtu", "answers_syn", "was_sent",
    ]  # fmt: skip
    assert list(found["time_wait"][0]) == [
        "owner", "entered_ns", "restarts_ns", "profile", "earliest_end_ns", "outcome", "entered_frame", "restarts",
        "ended_ns", "ended_frame", "reuse",
    ]  # fmt: skip


def test_steps_carry_both_states_with_their_basis() -> None:
    connection = four_way()
    step = step_object((connection.steps or ())[2])
    assert step["states"]["responder"] == {"state": "ESTABLISHED", "basis": "assumed", "disproved": False}
    assert step["arithmetic"][1] == "ack = y+1 ✓ SYN counts one"
    assert step["ignored"] is None


def test_steps_carry_the_blocks_of_sack() -> None:
    step = (four_way().steps or ())[2]
    blocks = (SackBlock(1, 5, is_duplicate=True), SackBlock(9, 12))
    assert step_object(replace(step, sack=blocks))["sack"] == [
        {"left_edge": 1, "right_edge": 5, "duplicate": True},
        {"left_edge": 9, "right_edge": 12, "duplicate": False},
    ]
    assert [step_object(replace(step, sack=one))["sack"] for one in ((), None)] == [[], None]


def test_fields_lists_exactly_the_leaves_of_the_contract() -> None:
    finding = Finding("some-code", "note", (1,), "text")
    reuse = Reuse(1, "originator", ("timestamps",), 9, 8, 7, 6, 5, 4)
    wait = replace(four_way().time_wait[0], restarts=(Restart(3, 4, "FIN"),), reuse=reuse)
    found = connection_object(replace(aborted(), findings=(finding,), time_wait=(wait,)))
    found["resets"] = [{"frame": 1, "by": "originator", "valid": None, "reason": ""}]
    found["icmp_errors"] = connection_object(unreachable())["icmp_errors"]
    assert set(leaves(found)) == set(FIELDS)


def leaves(found: dict[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, value in found.items():
        path = prefix + name
        if isinstance(value, dict):
            names += leaves(value, path + ".")
            continue
        names.append(path)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            names += leaves(value[0], path + ".")
    return names


FLOOD = RunFinding("syn-flood", "warn", "10.0.0.2:80", 24, (("echo.pcap", 3),), "24 half-open at once")


def document(connections: list[Connection]) -> Any:
    captures = [CaptureSummary("echo.pcap", "pcap")]
    damage = [Damage("echo.pcap", 99, 3, "cut")]
    lines = (f"{json.dumps(connection_object(one))}\n".encode() for one in connections)
    return json.loads(b"".join(export.json_document(captures, lines, [], damage, [FLOOD])))


def test_json_document_is_one_document_however_many_connections() -> None:
    for count in (0, 1, 3):
        found = document([four_way()] * count)
        assert list(found) == ["schema", "captures", "connections", "exchanges", "damage", "findings"]
        assert found["schema"] == 1
        assert found["findings"] == [
            {
                "code": "syn-flood",
                "severity": "warn",
                "about": "10.0.0.2:80",
                "connections": 24,
                "frames": [["echo.pcap", 3]],
                "message": "24 half-open at once",
            }
        ]
        assert len(found["connections"]) == count
        assert found["damage"][0]["offset"] == 99


def test_csv_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    odd = tmp_path / 'a,"b".pcap'
    shutil.copy(PCAPS / "refused.pcap", odd)
    found = inspect([PCAPS / "four-way.pcap", odd]).connections
    text = b"".join(export.csv_lines(found, np.array([0, 1]))).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(FLAT_COLUMNS)
    assert rows[0]["states_responder"] == "LISTEN>SYN-RECEIVED>ESTABLISHED>CLOSE-WAIT>LAST-ACK>CLOSED"
    assert rows[0]["reset_by"] == ""
    assert rows[1]["capture"] == str(odd)
    assert rows[1]["missing_octets_responder"] == ""


def test_markdown_cells_stay_text() -> None:
    text = "".join(export.markdown_table(["name"], [["a|b <b>`x`"], [""]]))
    assert text.splitlines()[2] == r"| a\|b \<b\>\`x\` |"


def test_unknown_states_are_null() -> None:
    found = connection_object(replace(four_way(), states=Pair(("CLOSED", "SYN-SENT"), None)))
    assert found["states"] == {"originator": ["CLOSED", "SYN-SENT"], "responder": None}


@given(st.text())
def test_printable_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_octets_of_a_name_that_is_no_utf_8_are_spelled_as_octets() -> None:
    """Not as the surrogates by which Python holds them, which nobody ever typed."""
    assert printable(os.fsdecode(b"\xff\x80 na\xc3\xafve.pcap")) == r"\xff\x80 naïve.pcap"


@given(st.binary())
def test_octets_are_spelled_in_ascii(octets: bytes) -> None:
    text = octets_text(octets, len(octets))
    assert text.isascii()
    assert text.isprintable()
    assert text.encode("ascii").decode("unicode_escape").encode("latin-1") == octets
