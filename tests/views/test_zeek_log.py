"""Zeek's conn.log: read back by a reader that follows Zeek's documentation."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.capture.records import records_of
from handshake_inspect.connections.conn_log import CONN_LOG
from handshake_inspect.connections.zeek.uid import capture_codes, uid_of, uids
from handshake_inspect.inspection import Inspection
from handshake_inspect.inspector import inspect
from handshake_inspect.views.zeek_log import conn_log, rows
from tests.oracles.conn_log import read_conn_log

PCAPS = Path(__file__).parents[2] / "pcaps"
ALL = sorted(PCAPS.glob("*.pcap"))
UID = re.compile(r"C[0-9A-Za-z]{17}")


def text_of(found: Inspection, *, udp: bool = False) -> str:
    streams = np.arange(len(found.connections))
    return b"".join(conn_log(found.captures, rows(found.connections, streams), found.exchanges if udp else ())).decode()


def rows_of(*files: Path, udp: bool = False) -> list[dict[str, Any]]:
    return read_conn_log(text_of(inspect(list(files)), udp=udp))


def test_the_header_is_zeeks_to_the_octet() -> None:
    lines = text_of(inspect(PCAPS / "refused.pcap")).splitlines()
    assert lines[:6] == [
        "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
        "#open\t2026-11-21-06-40-30",
    ]  # fmt: skip
    assert lines[6] == (
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\t"
        "resp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\t"
        "resp_ip_bytes\ttunnel_parents"
    )
    assert lines[7] == (
        "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount"
        "\tstring\tcount\tcount\tcount\tcount\tset[string]"
    )
    assert lines[-1] == "#close\t2026-11-21-06-40-30"
    assert len(lines) == 10


def test_a_session_is_what_its_capture_shows() -> None:
    (row,) = rows_of(PCAPS / "half-close.pcap")
    assert UID.fullmatch(row.pop("uid"))
    assert row == {
        "ts": Decimal("1795243229.562482"), "id.orig_h": "127.0.0.1", "id.orig_p": 35448, "id.resp_h": "127.0.0.1",
        "id.resp_p": 60307, "proto": "tcp", "service": None,
        # From the SYN to the second FIN, frame 12; the last ACK does not count.
        "duration": Decimal("0.404654"),
        "orig_bytes": 4, "resp_bytes": 19, "conn_state": "SF", "local_orig": None, "local_resp": None,
        "missed_bytes": 0, "history": "ShADadFf", "orig_pkts": 7, "orig_ip_bytes": None, "resp_pkts": 6,
        "resp_ip_bytes": None, "tunnel_parents": None,
    }  # fmt: skip


def test_rows_are_those_of_the_other_formats_and_differ_in_uid() -> None:
    found = inspect(ALL)
    rows = read_conn_log(text_of(found, udp=True))
    tcp, udp = rows[: len(found.connections)], rows[len(found.connections) :]
    for row, one in zip(tcp, found.connections, strict=True):
        assert (row["id.orig_h"], row["id.orig_p"]) == (one.originator.ip, one.originator.port)
        assert (row["id.resp_h"], row["id.resp_p"]) == (one.responder.ip, one.responder.port)
        assert (row["conn_state"], row["history"]) == (one.conn_state, one.history)
        assert (row["orig_pkts"], row["resp_pkts"]) == (one.segments.originator, one.segments.responder)
    assert [(row["proto"], row["conn_state"], row["history"], row["orig_bytes"]) for row in udp] == [
        ("udp", "S0", "D", None), ("udp", "SF", "Dd", 4),
    ]  # fmt: skip
    assert len({row["uid"] for row in rows}) == len(rows)
    assert all(UID.fullmatch(row["uid"]) for row in rows)


def test_two_runs_agree_and_so_do_two_folders(tmp_path: Path) -> None:
    copy = tmp_path / "four-way.pcap"
    copy.write_bytes((PCAPS / copy.name).read_bytes())
    one, same, moved = (text_of(inspect(path)) for path in (PCAPS / copy.name, PCAPS / copy.name, copy))
    assert one == same == moved
    alone = rows_of(PCAPS / "reset.pcap")
    among_others = rows_of(PCAPS / "four-way.pcap", PCAPS / "reset.pcap")
    assert among_others[1:] == alone


def test_a_log_without_connections_is_a_log() -> None:
    assert rows_of(PCAPS / "udp.pcap") == []
    assert read_conn_log(text_of(inspect([]))) == []


def frame(flags: int, seq: int, ack: int, payload: int = 0, *, back: bool = False) -> bytes:
    """An Ethernet frame of 10.0.0.1:1000 to 10.0.0.2:80, or back (RFC 791, RFC 9293 §3.1)."""
    ends, ports = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])], [(1000).to_bytes(2), (80).to_bytes(2)]
    if back:
        ends, ports = ends[::-1], ports[::-1]
    ip = bytes([0x45, 0]) + (40 + payload).to_bytes(2) + bytes([0, 0, 0x40, 0, 64, 6, 0, 0]) + b"".join(ends)
    tcp = b"".join(ports) + seq.to_bytes(4) + ack.to_bytes(4) + bytes([0x50, flags, 1, 0, 0, 0, 0, 0])
    return bytes(12) + b"\x08\x00" + ip + tcp + b"x" * payload


SYN, ACK, FIN, RST = 2, 16, 1, 4
OPENING = [frame(SYN, 100, 0), frame(SYN | ACK, 500, 101, back=True), frame(ACK, 101, 501)]


def row_of(frames: list[bytes], step_ns: int = 1_000_000) -> dict[str, Any]:
    from handshake_inspect.capture.records import RawFrame
    from handshake_inspect.inspector import Inspector

    raw = [RawFrame(octets, len(octets), 10**18 + i * step_ns, 1, 255) for i, octets in enumerate(frames)]
    inspector = Inspector()
    inspector.add_records(records_of(raw), inspector.begin_capture("made", "pcap"))
    (row,) = read_conn_log(text_of(inspector.result()))
    return row


@pytest.mark.parametrize(
    ("frames", "orig_bytes", "resp_bytes", "missed"),
    [
        (OPENING, 0, 0, 0),
        # A repetition counts once; open at the end, so nothing but the highest number tells.
        ([*OPENING, frame(ACK, 101, 501, 10), frame(ACK, 101, 501, 10)], 10, 0, 0),
        # 10 octets that are in no segment, and that the peer acknowledges: a gap, and sent.
        ([*OPENING, frame(ACK, 111, 501, 5), frame(ACK, 501, 116, back=True)], 15, 0, 10),
        # Acknowledged, and nothing captured after it.
        ([*OPENING, frame(ACK, 501, 131, back=True)], 30, 0, 30),
        # A FIN counts one number and no octet.
        ([*OPENING, frame(ACK, 101, 501, 7), frame(FIN | ACK, 108, 501)], 7, 0, 0),
        # Mid-stream: from the first number seen.
        ([frame(ACK, 101, 501, 7), frame(ACK, 501, 108, 3, back=True), frame(FIN | ACK, 108, 504)], 7, 3, 0),
    ],
)
def test_octets_are_sequence_space(frames: list[bytes], orig_bytes: int, resp_bytes: int, missed: int) -> None:
    row = row_of(frames)
    assert (row["orig_bytes"], row["resp_bytes"], row["missed_bytes"]) == (orig_bytes, resp_bytes, missed)


def test_nothing_counts_after_both_ends_have_ended() -> None:
    fins = [frame(FIN | ACK, 101, 501), frame(FIN | ACK, 501, 102, back=True), frame(ACK, 102, 502)]
    assert row_of([*OPENING, *fins])["duration"] == Decimal("0.004000")
    resets = [frame(FIN | ACK, 101, 501), frame(RST, 501, 0, back=True), frame(RST, 102, 0)]
    assert row_of([*OPENING, *resets])["duration"] == Decimal("0.004000")
    assert row_of([*OPENING, fins[0], frame(ACK, 501, 102, back=True)])["duration"] == Decimal("0.004000")


@pytest.mark.parametrize(("frames", "step_ns"), [(OPENING[:1], 1), (OPENING, 0), (OPENING, 400)])
def test_what_lasts_no_microsecond_has_no_octets(frames: list[bytes], step_ns: int) -> None:
    row = row_of(frames, step_ns)
    assert (row["duration"], row["orig_bytes"], row["resp_bytes"]) == (None, None, None)
    assert row["orig_pkts"] > 0


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1, max_size=20))
def test_identifiers_spell_their_96_bits(pairs: list[tuple[int, int]]) -> None:
    short, long = np.array(pairs, np.uint64).T
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for text, (first, second) in zip(uids(short, long).octets.astype(str).tolist(), pairs, strict=True):
        values = [digits.index(char) for char in text[1:]]
        assert sum(value * 62**place for place, value in enumerate(values[:6])) == first >> 32
        assert sum(value * 62**place for place, value in enumerate(values[6:])) == second


def test_equal_names_of_captures_are_told_apart() -> None:
    assert len(set(capture_codes(["a/x.pcap", "b/x.pcap", "x.pcap", "y.pcap", "c\\x.pcap"]).tolist())) == 5
    assert uid_of("one") != uid_of("two")


def test_every_column_has_a_type_that_zeek_knows() -> None:
    assert len(CONN_LOG) == 21
    assert set(CONN_LOG.values()) <= {"time", "string", "addr", "port", "enum", "interval", "count", "bool",
                                      "set[string]"}  # fmt: skip
