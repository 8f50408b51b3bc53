"""What pcapng files say about themselves: comments, names, interfaces, drops; each block built octet by octet."""

from __future__ import annotations

import io
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect import inspect
from handshake_inspect.capture import about as about_module
from handshake_inspect.capture.about import About
from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.formats.pcapng import notes
from handshake_inspect.capture.source import RecordReader
from tests.capture.builders import block, enhanced, interface, names, obsolete, option, rows, section, statistics

ORDERS = pytest.mark.parametrize("order", "<>")
UNDECODABLE = b"caf\xe9"


def read(data: bytes, block_octets: int = 1 << 20) -> RecordReader:
    reader = open_capture(io.BytesIO(data), block_octets=block_octets)
    rows(reader)
    return reader


def said(data: bytes) -> About:
    reader = read(data)
    assert reader.damage == []
    return reader.about


@ORDERS
def test_a_section_header_tells_machine_system_program_and_comments(order: str) -> None:
    options = [
        (1, b"first"),
        (2, b"a machine"),
        (3, b"an OS"),
        (4, b"a program\0"),
        (1, b""),
        (1, "zweitens: ü".encode()),
        (0, b""),
    ]
    about = said(section(order, b"".join(option(code, value, order) for code, value in options)))
    assert about.comments == ["first", "zweitens: ü"]
    assert (about.hardware, about.os, about.application) == ("a machine", "an OS", "a program")


def test_a_section_that_says_nothing_says_none() -> None:
    assert said(section() + interface(101, snaplen=96)) == About(interfaces=[about_module.InterfaceAbout(101, 96)])


@ORDERS
def test_an_interface_tells_its_name_filter_and_comments(order: str) -> None:
    options = [
        (2, b"eth0"), (3, b"the cable"), (11, b"\0tcp port 80"), (12, b"Linux"), (15, b"a card"), (1, b"x"), (1, b"y"),
    ]  # fmt: skip
    data = section(order) + interface(1, b"".join(option(*one, order) for one in options), order)
    data += interface(1, option(11, b"\1\0\0\0", order), order)  # BPF code
    data += statistics(0, option(1, b"z", order) + option(5, struct.pack(order + "Q", 4), order), order)
    first, second = said(data).interfaces
    assert (first.name, first.description, first.filter) == ("eth0", "the cable", "tcp port 80")
    assert (first.hardware, first.os, first.dropped) == ("a card", "Linux", 4)
    assert first.comments == ["x", "y", "z"]
    assert (second.filter, second.dropped, second.comments) == (None, None, [])


@ORDERS
def test_names_of_both_families_are_kept_and_unknown_records_skipped(order: str) -> None:
    four, six = ip_address("192.0.2.1").packed, ip_address("2001:db8::1").packed
    records = [
        (1, four + b"one.example\0uno.example\0"), (3, b"\0\1\2\3\4\5a MAC\0"), (2, six + b"six.example\0"),
        (1, four + b"one.example\0eins.example\0"), (1, four), (1, b"\x7f"), (77, b""),
    ]  # fmt: skip
    about = said(section(order) + names(records, option(1, b"by hand", order), order))
    assert about.names == {
        "192.0.2.1": ["one.example", "uno.example", "eins.example"],
        "2001:db8::1": ["six.example"],
    }
    assert about.comments == ["by hand"]


@ORDERS
@pytest.mark.parametrize("block_octets", [64, 500, 1 << 20])
def test_comments_on_packets_are_kept_by_number_of_frame(order: str, block_octets: int) -> None:
    flags = option(2, struct.pack(order + "I", 1), order)
    comment = option(1, b"here", order)
    many = b"".join(option(1, str(number).encode(), order) for number in range(18))
    data = section(order) + interface(order=order)
    for number, options in enumerate(
        [b"", flags, flags + comment, b"", comment + option(0, b"", order) + comment, flags * 20 + comment, many], 1
    ):
        data += enhanced(bytes(number), number, number, 0, order, options)
    data += obsolete(b"old", 8, 0, 0, order, comment)
    data += section(order) + interface(order=order) + enhanced(b"", 0, 9, 0, order, comment)
    reader = read(data, block_octets)
    assert reader.damage == []
    assert reader.about.frame_comments == {
        3: ["here"], 5: ["here"], 6: ["here"], 7: [str(number) for number in range(18)], 8: ["here"], 9: ["here"],
    }  # fmt: skip


@ORDERS
def test_drops_are_those_of_statistics_else_those_that_packets_tell_of(order: str) -> None:
    def lost(count: int) -> bytes:
        return option(4, struct.pack(order + "Q", count), order)

    data = section(order) + interface(order=order) * 3
    data += enhanced(b"a", 1, 1, 0, order, lost(2)) + enhanced(b"b", 1, 2, 1, order, lost(5))
    data += enhanced(b"c", 1, 3, 0, order, lost(1)) + enhanced(b"d", 1, 4, 0, order, option(4, b"odd", order))
    data += statistics(1, option(7, struct.pack(order + "Q", 100), order), order)
    data += obsolete(b"e", 5, 2, 7, order) + obsolete(b"f", 6, 2, 0xFFFF, order)
    for block_octets in (64, 1 << 20):
        reader = read(data, block_octets)
        assert reader.dropped == 3 + 100 + 7
        assert [one.dropped for one in reader.about.interfaces] == [3, 100, 7]


def test_secrets_journals_custom_and_unknown_blocks_are_skipped() -> None:
    skipped = [
        block(10, struct.pack("<II", 0x544C534B, 6) + b"CLIENT"), block(9, b"MESSAGE=hello\n"),
        block(0x0BAD, struct.pack("<I", 32473) + b"x"), block(0x40000BAD, struct.pack("<I", 32473)), block(0x7777, b""),
    ]  # fmt: skip
    data = section() + interface()
    for number, one in enumerate(skipped):
        data += one + enhanced(b"x", 1, number)
    reader = open_capture(io.BytesIO(data))
    assert len(rows(reader)) == len(skipped)
    assert reader.damage == []


# --- broken ----------------------------------------------------------------------------------------------------------

TOO_LONG = struct.pack("<HH", 1, 60_000) + b"text"


@pytest.mark.parametrize(
    "data",
    [
        section(options=TOO_LONG) + interface(),
        section() + interface(options=TOO_LONG),
        section() + interface() + names([(1, b"\x7f\0\0\1localhost\0")], TOO_LONG),
        section() + interface() + block(4, struct.pack("<HH", 1, 60_000) + b"\x7f\0\0\1x"),
        section() + interface() + statistics(0, TOO_LONG),
        section() + interface() + statistics(77, option(1, b"of no interface")),
        section() + interface() + block(5, b"short"),
        section() + block(5, b"short") + statistics(0, option(5, bytes(8))) + interface(),
        section() + interface() + block(4, b""),
        section() + interface() + enhanced(b"abc", 3, 1, options=TOO_LONG),
        section() + interface() + enhanced(b"abc", 3, 1, options=b"\1\0"),
    ],
)
def test_broken_options_and_records_cost_nothing_but_themselves(data: bytes) -> None:
    reader = open_capture(io.BytesIO(data + enhanced(b"last", 4, 2)))
    assert rows(reader)[-1][0] == b"last"
    assert reader.damage == []
    assert reader.about.comments == []
    assert reader.about.frame_comments == {}


@given(st.binary(max_size=200), st.sampled_from("<>"))
def test_options_and_records_of_random_octets_raise_nothing(octets: bytes, order: str) -> None:
    octets = octets[: len(octets) & ~3]
    data = section(order, octets) + interface(1, octets, order) + block(4, octets, order)
    data += statistics(0, octets, order) + enhanced(b"abc", 3, 1, 0, order, octets) + enhanced(b"last", 4, 2, 0, order)
    reader = open_capture(io.BytesIO(data))
    assert [row[0] for row in rows(reader)] == [b"abc", b"last"]
    assert reader.damage == []


def test_a_block_whose_length_at_its_end_differs_ends_the_reading() -> None:
    """As in libpcap and Wireshark: one of the two is wrong, and nobody knows which."""
    good = section() + interface() + enhanced(b"abc", 3, 1)
    bad = enhanced(b"defg", 4, 2)
    for block_octets in (64, 1 << 20):
        data = good + bad[:-4] + struct.pack("<I", 99) + enhanced(b"later", 5, 3)
        reader = open_capture(io.BytesIO(data), block_octets=block_octets)
        assert [row[0] for row in rows(reader)] == [b"abc"]
        (damage,) = reader.damage
        assert (damage.offset, damage.frames_before) == (len(good), 1)
        assert damage.message == "a block claims 36 octets, and 99 at its end"


def test_where_the_section_header_does_not_repeat_its_length_nobody_looks_for_it() -> None:
    parts = [section(), interface(), enhanced(b"abc", 3, 1), enhanced(b"defg", 4, 2)]
    reader = open_capture(io.BytesIO(b"".join(one[:-4] + bytes(4) for one in parts)))
    assert [row[0] for row in rows(reader)] == [b"abc", b"defg"]
    assert reader.damage == []


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_COMMENTS", "MOST_INTERFACES", "MOST_NAMED", "MOST_FRAMES", "MOST_OF_ONE"):
        monkeypatch.setattr(about_module, name, 2)
    monkeypatch.setattr(notes, "MOST_INTERFACES", 2)
    monkeypatch.setattr(about_module, "MOST_CHARACTERS", 5)
    comments = b"".join(option(1, b"comment %d" % number) for number in range(5))
    data = section(options=comments) + interface(options=comments) * 3
    data += names([(1, bytes([10, 0, 0, number]) + b"a\0b\0c\0") for number in range(4)])
    data += b"".join(enhanced(b"", 0, number, options=comments) for number in range(3))
    about = said(data)
    assert about.comments == ["comme…", "comme…"]
    assert [one.comments for one in about.interfaces] == [["comme…", "comme…"]] * 2
    assert about.names == {"10.0.0.0": ["a", "b"], "10.0.0.1": ["a", "b"]}
    assert about.frame_comments == {1: ["comme…"] * 2, 2: ["comme…"] * 2}
    assert about.left_out == {"comments": 3 + 3 + 3 + 5 + 3 + 3 + 5, "interfaces": 1, "names": 1 + 1 + 3 + 3}


def test_text_that_is_no_utf_8_is_kept_as_far_as_it_is() -> None:
    assert said(section(options=option(1, UNDECODABLE))).comments == ["caf\ufffd"]


# --- how it is shown -------------------------------------------------------------------------------------------------

FOUR_WAY = Path(__file__).parent.parent.parent / "pcaps" / "four-way.pcap"
EVIL = "\x1b[31m\u202eevil"


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Write four-way.pcap as pcapng, with names, comments and drops."""
    (records,) = open_capture(FOUR_WAY)
    comment = option(1, b"look: the first FIN") + option(1, EVIL.encode())
    packets = [
        enhanced(
            records.octets(row), int(records.original[row]), int(records.time_ns[row]),
            options=comment if records.frame[row] == 8 else b"",
        )
        for row in range(len(records))
    ]  # fmt: skip
    described = interface(int(records.link_type[0]), option(9, b"\x09") + option(2, b"lo") + option(11, b"\0tcp"))
    path = tmp_path / "annotated.pcapng"
    path.write_bytes(
        section(options=option(1, b"recorded for the book" + EVIL.encode()) + option(4, b"a program"))
        + described
        + names([(1, b"\x7f\0\0\1localhost\0loop.example\0")])
        + b"".join(packets)
        + statistics(0, option(5, struct.pack("<Q", 3)))
    )
    return path


@pytest.mark.parametrize("reader", ["auto", "scapy"])
def test_an_inspection_has_them(annotated: Path, reader: str) -> None:
    found = inspect(annotated, reader=reader)
    (capture,) = found.captures
    assert capture.about.application == "a program"
    assert capture.dropped == 3
    assert found.names_of("127.0.0.1") == ("localhost", "loop.example")
    assert found.names_of("127.0.0.2") == ()
    with_comments = {step.frame: step.comments for step in found.steps(0) if step.comments}
    assert with_comments == {8: ("look: the first FIN", EVIL)}


def test_commands_print_them(annotated: Path) -> None:
    from tests.test_robustness import command

    listing = command("read", annotated)
    assert ": comment: recorded for the book\\x1b[31m\\u202eevil\n" in listing.stderr
    assert ": 1 frame has comments; show prints them\n" in listing.stderr
    assert "3 frames dropped" in listing.stderr
    shown = command("show", annotated)
    assert "127.0.0.1 is localhost or loop.example" in shown.stdout
    lines = shown.stdout.splitlines()
    (place,) = (number for number, line in enumerate(lines) if "comment: look: the first FIN" in line)
    assert any("FIN,ACK" in line for line in lines[place - 2 : place])
    assert "comment: \\x1b[31m\\u202eevil" in lines[place + 1]


def test_json_has_them(annotated: Path) -> None:
    import json

    from tests.test_robustness import command

    (capture,) = json.loads(command("read", "--format", "json", annotated).stdout)["captures"]
    wanted: dict[str, Any] = {
        "application": "a program", "hardware": None, "os": None, "comments": ["recorded for the book" + EVIL],
        "names": {"127.0.0.1": ["localhost", "loop.example"]}, "left_out": {},
        "frame_comments": [{"frame": 8, "comments": ["look: the first FIN", EVIL]}],
        "interfaces": [{
            "name": "lo", "description": None, "link_type": "Ethernet", "snaplen": None, "filter": "tcp",
            "hardware": None, "os": None, "dropped": 3, "comments": [],
        }],
    }  # fmt: skip
    assert {name: capture[name] for name in wanted} == wanted
    connection = json.loads(command("show", "--format", "json", annotated).stdout)
    assert [step["frame"] for step in connection["steps"] if step["comments"]] == [8]
    plain = json.loads(command("show", "--format", "json", FOUR_WAY).stdout)
    assert all(step["comments"] == [] for step in plain["steps"])
