"""Findings about segments that are too large for the path, of which no ICMP error says so."""

from __future__ import annotations

import pytest

from tests.engine.scenario import ISN_PAIRS, inspect_segments, parse
from tests.findings.captures import messages_in
from tests.findings.lines import found_in

CASES = {
    "mtu-black-hole": (
        ["mtu-black-hole.pcap", "mtu-black-hole-probed.pcap"],
        [
            "mtu-black-hole.server.pcap",
            "mtu-black-hole-probed.server.pcap",
            "path-mtu.pcap",
            "user-timeout.pcap",
            "lost-data.pcap",
            "large-transfer.pcap",
            "zeek__pppoe-over-qinq.pcap",
        ],
    ),
}
LARGE = (
    "speaks, but has acknowledged nothing that large: most likely the path takes no such packets, and the ICMP error "
    "that says so is filtered or not heeded"
)
PARTS = "arrived: the path takes no such packets, and no ICMP error says so"


def test_a_segment_that_never_passes() -> None:
    assert messages_in("mtu-black-hole.pcap", "mtu-black-hole") == [
        f"the client sent the same 1,400 octets 5 times in 1.680 s: the server {LARGE}"
    ]


def test_the_same_octets_pass_in_smaller_segments() -> None:
    assert messages_in("mtu-black-hole-probed.pcap", "mtu-black-hole") == [
        "the client sent 1,400 octets 4 times in vain; the first 1,024 octets of them, sent alone 1.476 s after the "
        f"first repetition, {PARTS}"
    ]


#: A server whose first large segment does not pass, and a small one behind it does; its client goes on speaking.
BLACK_HOLE = """
    open
    A > PA x+1 (517) ack y+1
    B > A y+1 ack x+518
    B > A y+1 (1448) ack x+518
    B > PA y+1449 (200) ack x+518
    A > A x+518 ack y+1
    0.3 B > A y+1 (1448) ack x+518
    0.7 B > A y+1 (1448) ack x+518
    1.5 B > A y+1 (1448) ack x+518
"""


def test_a_segment_is_too_large_though_a_small_one_behind_it_arrived() -> None:
    found = found_in(BLACK_HOLE + "5 A > FA x+518 ack y+1\nB > A y+1649 ack x+519")
    assert found["mtu-black-hole"] == f"the server sent the same 1,448 octets 4 times in 1.495 s: the client {LARGE}"
    assert "peer-silent" not in found
    smaller = BLACK_HOLE.replace("1.5 B > A y+1 (1448)", "1.5 B > A y+1 (1300)")
    assert found_in(smaller + "5 A > FA x+518 ack y+1")["mtu-black-hole"] == (
        "the server sent the octet that the client expects 4 times in 1.495 s, with 1,300 octets or more at once: "
        f"the client {LARGE}"
    )


def test_who_gave_up_with_a_reset_met_a_black_hole_all_the_same() -> None:
    found = found_in(BLACK_HOLE + "1.6 A > A x+518 ack y+1\n3 B > A y+1 (1448) ack x+518\n9 B > RA y+1649 ack x+518")
    assert {"mtu-black-hole", "gave-up"} <= found.keys()


@pytest.mark.parametrize(
    "text",
    [
        BLACK_HOLE,  # nobody knows whether the client is still there
        BLACK_HOLE.replace("1448", "1220") + "5 A > FA x+518 ack y+1",  # fits everywhere
        BLACK_HOLE + "5 A > FA x+518 ack y+1 win 0",  # nobody takes them
        # A segment of that size had arrived.
        BLACK_HOLE.replace("y+1 (1448)", "y+1449 (1448)").replace(
            "B > PA y+1449 (200)", "B > A y+1 (1448) ack x+518\nB > PA y+2897 (200)"
        )
        + "A > A x+518 ack y+1449\n5 A > FA x+518 ack y+1449",
        # The client repeats what the server acknowledged: nothing of the server arrives.
        BLACK_HOLE + "5 A > PA x+1 (517) ack y+1",
        # It passed at last.
        BLACK_HOLE + "A > A x+518 ack y+1649\n5 A > FA x+518 ack y+1649",
    ],
)
def test_what_else_is_lost_is_not_too_large(text: str) -> None:
    assert "mtu-black-hole" not in found_in(text)


#: A client whose large segment passes in two.
PARTED = """
    A > S x mss 1460
    B > SA y ack x+1 mss 1460
    A > A x+1 ack y+1
    A > PA x+1 (1460) ack y+1
    0.3 A > PA x+1 (1460) ack y+1
    0.9 A > PA x+1 (1460) ack y+1
    2.1 A > A x+1 (1024) ack y+1
    B > A y+1 ack x+1025
    A > PA x+1025 (436) ack y+1
    B > A y+1 ack x+1461
"""


def test_octets_that_pass_in_parts_show_the_black_hole() -> None:
    assert found_in(PARTED)["mtu-black-hole"] == (
        "the client sent 1,460 octets 3 times in vain; the first 1,024 octets of them, sent alone 1.800 s after the "
        f"first repetition, {PARTS}"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    0.9 A > PA x+1 (1460) ack y+1\n", ""),  # not often enough
        ("B > SA y ack x+1 mss 1460", "B > SA y ack x+1 mss 536"),  # what is captured is cut up by the card
        ("B > SA y ack x+1 mss 1460", "B > SA y ack x+1"),  # nor can that be told
        ("(1460)", "(1220)"),  # fits everywhere
        ("(1024)", "(100)"),  # what the window allows
        ("    2.1 A > A x+1 (1024) ack y+1\n", "    2.1 A > A x+1 (1024) ack y+1\n    2.5 A > PA x+1 (1460) ack y+1\n"),
    ],
)
def test_what_does_not_pass_in_parts(old: str, new: str) -> None:
    text = PARTED.replace(old, new)
    assert text != PARTED
    assert "mtu-black-hole" not in found_in(text)


def test_what_never_arrives_does_not_pass_in_parts() -> None:
    assert "mtu-black-hole" not in found_in(PARTED.partition("    B > A y+1 ack x+1025")[0])


def test_where_icmp_tells_what_fits_there_is_no_black_hole() -> None:
    scenario, isns = parse(PARTED), ISN_PAIRS["plain"]
    for code, codes in ((1, {"mtu-black-hole"}), (4, {"path-mtu"})):
        found = inspect_segments(scenario.segments(isns), quoted=[isns[0] + 1], icmp_code=code)
        (connection,) = found.connections
        assert {one.code for one in connection.findings} & {"mtu-black-hole", "path-mtu"} == codes
