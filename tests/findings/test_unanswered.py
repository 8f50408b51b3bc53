"""SYNs that nobody answered, and SYN-ACKs that nobody acknowledged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.scenario import BEGIN_NS, Ends, Segment, inspect_lines, inspect_many
from tests.findings.captures import messages_in

#: What listeners that answered others may have done with a SYN.
SIGNED = ", which are signed, as this is not: dropped for that, or lost"
FULL = ": lost, or dropped by a full queue"

CASES = {
    # In the last three the capture ends too early, an RST or an ICMP error is the answer.
    "unanswered": (
        ["unanswered.pcap", "unanswered-exponential.pcap", "zeek__rotation.pcap"],
        ["refused.pcap", "unreachable.pcap", "old-duplicate-syn.pcap", "lost-syn.pcap", "libpcap__http_PPI.pcap",
         "suricata-verify__bug-7657-01.pcap"],
    ),
    # The third segment opened the connection at the second attempt; of the last two only one SYN-ACK was captured.
    "half-open": (
        ["syn-flood.pcap", "syn-flood-cookies.server.pcap"],
        [
            "reset-syn-received.pcap", "lost-third-ack.pcap", "accept-queue-overflow.server.pcap",
            "trex-core__no_tcp_syn_ack.pcap", "zeek__wikipedia.pcap",
            "pcapflowlab__24_mpls_plain_bidirectional_same_inner_tcp.pcap",
        ],
    ),
}  # fmt: skip


def test_it_says_how_often_the_syn_was_sent_and_that_the_host_answered_nobody() -> None:
    said = "4 SYNs to port 37661, no answer within 3.049 s; that host answered nobody: filtered, or no host there"
    assert messages_in("unanswered.pcap", "unanswered") == [said]


def test_another_attempt_of_the_same_sockets_is_not_another_client() -> None:
    text = "A > S x\n{} A > S x+70000\nB > SA y ack x+70001\nA > A x+70001 ack y+1"
    (said,) = [one.message for one in inspect_lines(text.format(2)).connections[0].findings if one.code == "unanswered"]
    assert said.startswith("1 SYN to port 80, no answer within ")
    assert said.endswith("; another attempt of the same sockets was answered: lost, or dropped")
    sooner = inspect_lines(text.format(0.3)).connections[0].findings
    assert "unanswered" not in {one.code for one in sooner}


def syn(port: int, at_s: float = 0.0, *answer: Segment) -> tuple[list[Segment], Ends]:
    """A SYN to a port of one host, and what answers it."""
    asked = Segment(BEGIN_NS + int(at_s * 1e9), "A", 2, 7)
    return [asked, *answer], Ends((4, 0x0A000001, 40000 + int(at_s)), (4, 0x0A000002, port))


def test_whom_the_host_answers_ranks_the_causes() -> None:
    answer, refusal = (Segment(BEGIN_NS + 1_000_000, "B", bits, 0, ack=8) for bits in (18, 20))
    unanswered = [syn(port, at_s) for port, at_s in ((81, 1), (80, 2), (82, 3), (80, 4))]
    found = inspect_many([syn(80, 0, answer), syn(82, 0, refusal), *unanswered])
    said = [one.message for connection in found.connections for one in connection.findings if one.code == "unanswered"]
    assert said == [
        "1 SYN to port 81, no answer within 3.000 s; the host answered other SYNs: filtered, or lost",
        "1 SYN to port 80, no answer within 2.000 s; the port answered others: lost, or dropped by a full queue",
        "1 SYN to port 82, no answer within 1.000 s; the host answered other SYNs: filtered, or lost",
    ]


@pytest.mark.parametrize(
    ("options_of_others", "options", "hint"),
    [
        (["1312" + "5a" * 16 + "0000"], "020405b4", SIGNED),
        (["1d10" + "5a" * 14] * 2, "", SIGNED),
        # Signed too; the rest was not captured; others were answered without.
        (["1312" + "5a" * 16 + "0000"], "1312" + "a5" * 16 + "0000", FULL),
        (["1312" + "5a" * 16 + "0000"], "fe", FULL),
        (["1312" + "5a" * 16 + "0000", "020405b4"], "020405b4", FULL),
        (["020405b4"], "020405b4", FULL),
    ],
)
def test_a_listener_whose_connections_are_all_signed_drops_a_syn_that_is_not(
    options_of_others: list[str], options: str, hint: str
) -> None:
    """RFC 2385 §2: a segment without the expected signature is dropped, and never answered. So RFC 5925 §7.3."""
    answer = Segment(BEGIN_NS + 1_000_000, "B", 18, 0, ack=8)
    others = [(syn(80, at_s, answer), one) for at_s, one in enumerate(options_of_others)]
    asked = [*others, (syn(80, 5), options), (syn(81, 7), "")]
    with_options = [
        ([replace(first, options=bytes.fromhex(octets)), *after], ends) for ((first, *after), ends), octets in asked
    ]
    found = inspect_many(with_options)
    said = [one.message for connection in found.connections for one in connection.findings if one.code == "unanswered"]
    assert said == [f"1 SYN to port 80, no answer within 2.000 s; the port answered others{hint}"]


def half_open_in(*conversations: tuple[list[Segment], Ends]) -> list[str]:
    found = [one for connection in inspect_many(conversations).connections for one in connection.findings]
    return [one.message for one in found if one.code == "half-open"]


def opening(at_s: float, third_s: float | None) -> tuple[list[Segment], Ends]:
    """A SYN to one port, its SYN-ACK a millisecond later, and the third segment so long after that; None: never."""
    begin = BEGIN_NS + int(at_s * 1e9)
    segments = [Segment(begin, "A", 2, 7), Segment(begin + 1_000_000, "B", 18, 9, ack=8)]
    if third_s is not None:
        segments.append(Segment(begin + 1_000_000 + int(third_s * 1e9), "A", 16, 8, ack=10))
    return segments, Ends((4, 0x0A000001, 40000 + int(at_s * 10)), (4, 0x0A000002, 80))


def test_it_says_since_when_a_connection_is_half_open() -> None:
    assert messages_in("syn-flood.pcap", "half-open")[0] == "half-open for 70.913 ms: 1 SYN-ACK, none acknowledged"


def test_a_third_segment_may_be_on_its_way_when_the_capture_ends() -> None:
    assert not half_open_in(opening(0, None))
    waits = [opening(1.0, None), opening(1.3, 0.0)]
    assert len(half_open_in(*waits)) == 1
    assert not half_open_in(opening(0, 0.4), *waits)  # another one took as long
    assert len(half_open_in(opening(0, 3.0), *waits, opening(2.5, 0.0))) == 1  # but a second is enough


def test_it_says_that_the_syn_came_again() -> None:
    text = "A > S x\nB > SA y ack x+1\n1 A > S x\nB > SA y ack x+1\n1.1 A > S x"
    said = [one.message for one in inspect_lines(text).connections[0].findings if one.code == "half-open"]
    assert said == ["half-open for 1.099 s: 2 SYN-ACKs, none acknowledged, though the SYN came 3 times"]
