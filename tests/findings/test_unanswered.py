"""SYNs that nobody answered."""

from __future__ import annotations

from tests.engine.scenario import BEGIN_NS, Ends, Segment, inspect_many
from tests.findings.captures import messages_in

CASES = {
    # In the last three the capture ends too early, an RST or an ICMP error is the answer.
    "unanswered": (
        ["unanswered.pcap", "unanswered-exponential.pcap", "suricata-verify__bug-7657-01.pcap"],
        ["refused.pcap", "unreachable.pcap", "old-duplicate-syn.pcap", "lost-syn.pcap", "libpcap__http_PPI.pcap"],
    ),
}


def test_it_says_how_often_the_syn_was_sent_and_that_the_host_answered_nobody() -> None:
    said = "4 SYNs to port 37661, no answer within 3.049 s; that host answered nobody: filtered, or no host there"
    assert messages_in("unanswered.pcap", "unanswered") == [said]


def test_a_port_that_answers_others_is_not_filtered() -> None:
    said = messages_in("suricata-verify__bug-7657-01.pcap", "unanswered")
    assert {one.partition("; ")[2] for one in said} == {"the port answered others: lost, or dropped by a full queue"}


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
