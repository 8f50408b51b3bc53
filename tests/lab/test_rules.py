from __future__ import annotations

import pytest

from handshake_inspect.lab.altering import Change
from handshake_inspect.lab.rules import EVERY, Rule, parse_rule
from handshake_inspect.lab.segments import KINDS, Segment
from handshake_inspect.lab.world import LabError

VERBS = "drop, hold, delay, duplicate, swap, pass, keep, set, clamp, strip or shift"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("drop first SYN from client", Rule("drop", 1, 1, "SYN", "client")),
        ("drop first SYN-ACK from server", Rule("drop", 1, 1, "SYN-ACK", "server")),
        ("drop first 2 FIN from server", Rule("drop", 1, 2, "FIN", "server")),
        ("drop every segment from client", Rule("drop", 1, EVERY, "segment", "client")),
        ("drop every data over 1280 octets from server", Rule("drop", 1, EVERY, "data", "server", over_octets=1280)),
        ("hold second data from client", Rule("hold", 2, 1, "data", "client")),
        ("delay third ACK from server by 300 ms", Rule("delay", 3, 1, "ACK", "server", 0.3)),
        ("duplicate first RST from client", Rule("duplicate", 1, 1, "RST", "client")),
        ("  duplicate first SYN  from client after 20 ms ", Rule("duplicate", 1, 1, "SYN", "client", 0.02)),
        ("swap first data from client", Rule("swap", 1, 1, "data", "client")),
        ("keep second data from client", Rule("keep", 2, 1, "data", "client")),
        ("pass first 3 FIN from server", Rule("pass", 1, 3, "FIN", "server")),
        (
            "set TTL to 63 on first SYN-ACK from server",
            Rule("change", 1, 1, "SYN-ACK", "server", change=Change("TTL", 63)),
        ),
        (
            "clamp MSS to 1200 on every SYN from client",
            Rule("change", 1, EVERY, "SYN", "client", change=Change("MSS", 1200)),
        ),
        (
            "strip timestamps on second data from client",
            Rule("change", 2, 1, "data", "client", change=Change("timestamps")),
        ),
        (
            "set source to 192.0.2.7 on every segment from client",
            Rule("change", 1, EVERY, "segment", "client", change=Change("source", address="192.0.2.7")),
        ),
        (
            "shift ack by -5 on every segment from server",
            Rule("change", 1, EVERY, "segment", "server", change=Change("ack", -5)),
        ),
    ],
)
def test_a_rule_is_one_line(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"{VERBS} is missing"),
        ("lose first SYN from client", f"'lose' stands where {VERBS} is expected"),
        ("drop SYN from client", "'SYN' stands where first, second, third or every is expected"),
        ("drop 1st SYN from client", "'1st' stands where first, second, third or every is expected"),
        (
            "drop first FIN,ACK from client",
            "'FIN,ACK' stands where SYN, SYN-ACK, ACK, data, FIN, RST or segment is exp",
        ),
        ("drop first 0 SYN from client", "'0' stands where SYN, SYN-ACK, ACK, data, FIN, RST or segment is expected"),
        ("drop every 2 SYN from client", "'2' stands where SYN, SYN-ACK, ACK, data, FIN, RST or segment is expected"),
        ("drop first SYN", "from is missing"),
        ("drop first SYN from nobody", "'nobody' stands where client or server is expected"),
        ("change MSS to 1200 on first SYN from client", f"'change' stands where {VERBS} is expected"),
        ("clamp window to 1200 on first SYN from client", "'window' stands where MSS is expected"),
        ("clamp MSS by 1200 on first SYN from client", "'by' stands where to is expected"),
        ("set TTL to none on first SYN from client", "'none' stands where a number of at most 10 digits is expected"),
        ("set source to home on first SYN from client", "'home' stands where an IPv4 address is expected"),
        ("strip timestamps first SYN from client", "'first' stands where on is expected"),
        ("shift seq by 5 on first SYN from client by 3 ms", "only delay (needs it) and duplicate (may have it) take"),
        ("delay first SYN from client in 3 ms", "'in' stands where by or after is expected"),
        ("delay first SYN from client by x ms", "'x' stands where a number from 0 to 99999 is expected"),
        ("delay first SYN from client by 9999999 ms", "'9999999' stands where a number from 0 to 99999 is expected"),
        ("delay first SYN from client by", "a number from 0 to 99999 is missing"),
        ("delay first SYN from client by 3", "ms is missing"),
        ("delay first SYN from client by 3 ms or so", "'or so' is too much"),
        ("drop every segment over many octets from client", "'many' stands where a number from 1 to 99999 is expected"),
        ("drop every segment over 1280 from client", "'from' stands where octets is expected"),
        ("drop every segment over 0 octets from client", "'0' stands where a number from 1 to 99999 is expected"),
        ("drop first SYN from client by 3 ms", "only delay (needs it) and duplicate (may have it) take 'by N ms'"),
        ("delay first SYN from client", "only delay (needs it) and duplicate (may have it) take 'by N ms'"),
        ("hold first SYN from client after 1 ms", "only delay (needs it) and duplicate (may have it) take 'by N ms'"),
    ],
)
def test_of_what_is_no_rule_the_wrong_word_is_named(text: str, says: str) -> None:
    with pytest.raises(LabError) as said:
        parse_rule(text)
    assert str(said.value).startswith(f"{text!r} is no rule of a wire, such as 'drop first SYN from client': {says}")
    assert "\n" not in str(said.value)


def segment(flags: int, payload: bytes = b"") -> Segment:
    return Segment(("192.0.2.1", 1), ("192.0.2.2", 2), 5, 6, flags, payload, b"")


@pytest.mark.parametrize(
    ("flags", "payload", "kind"),
    [
        (0x02, b"", "SYN"), (0x02, b"fast", "SYN"), (0xC2, b"", "SYN"), (0x12, b"", "SYN-ACK"), (0x10, b"", "ACK"),
        (0x18, b"x", "data"), (0x10, b"x", "data"), (0x11, b"", "FIN"), (0x19, b"x", "FIN"), (0x04, b"", "RST"),
        (0x14, b"", "RST"),
    ],
)  # fmt: skip
def test_a_segment_is_of_exactly_one_kind(flags: int, payload: bytes, kind: str) -> None:
    found = segment(flags, payload)
    assert found.kind == kind
    assert [one for one in KINDS if parse_rule(f"drop first {one} from client").is_about(found, "client")] == [kind]
    assert parse_rule("drop every segment from client").is_about(found, "client")
    assert not parse_rule("drop every segment from client").is_about(found, "server")


def test_a_rule_takes_those_that_it_counts() -> None:
    assert [number for number in range(1, 6) if parse_rule("drop first 3 FIN from client").takes(number)] == [1, 2, 3]
    assert [number for number in range(1, 6) if parse_rule("drop second FIN from client").takes(number)] == [2]


def test_a_rule_about_large_packets_counts_octets_behind_the_ethernet_header() -> None:
    rule = parse_rule("drop every segment over 1280 octets from client")
    fits, too_large = (Segment(("", 1), ("", 2), 5, 6, 0x10, b"", bytes(14 + octets)) for octets in (1280, 1281))
    assert rule.is_about(too_large, "client")
    assert not rule.is_about(fits, "client")
    assert not rule.is_about(too_large, "server")
