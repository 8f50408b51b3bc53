"""Findings about openings that look complete, and are not."""

from __future__ import annotations

from tests.engine.scenario import Ends, inspect_lines, inspect_many, parse
from tests.findings.captures import messages_in

CASES = {
    "handshake-invalid": (
        ["third-segment-wrong-seq.server.pcap", "third-segment-wrong-ack.server.pcap"],
        [
            "third-segment-wrong-seq.pcap", "old-duplicate-syn.pcap", "desynchronized.pcap", "fast-open-declined.pcap",
            "third-ack-with-data.pcap",
        ],
    ),
    # Copies made on the way, a SYN-ACK that answers a repeated SYN, one that comes late, and a third segment that was
    # lost before it was captured.
    "third-ack-ignored": (
        ["accept-queue-overflow.pcap", "accept-queue-overflow.server.pcap", "lost-third-ack.pcap"],
        [
            "duplicate-syn.pcap", "late-duplicate-syn-ack.pcap", "lost-third-ack.server.pcap", "lost-syn-ack.pcap",
            "suricata-verify__bug-6269-01.pcap", "simultaneous-open.pcap",
        ],
    ),
    "third-ack-reset": (
        ["accept-queue-overflow-reset.pcap", "accept-queue-overflow-reset.server.pcap"],
        ["reset-syn-received.pcap", "reset-unread.pcap", "syn-cookie-vanished.pcap", "refused.pcap"],
    ),
    # The server had acknowledged something before it fell silent, or was reset; or it did so at last.
    "opened-only-by-client": (
        ["syn-cookie-vanished.pcap", "syn-cookie-vanished.server.pcap"],
        [
            "syn-cookie-rescued.pcap", "syn-cookie.pcap", "cut-in-mid-session.pcap", "half-open-data.pcap",
            "accept-queue-overflow-reset.pcap", "reset-unread.pcap",
        ],
    ),
}  # fmt: skip


def test_it_says_which_numbers_were_right() -> None:
    said = (
        "the third segment has sequence number 1456469226 and acknowledges 3376354198, "
        "where 1456470226 and 3376354198 are right: it opens nothing"
    )
    assert messages_in("third-segment-wrong-seq.server.pcap", "handshake-invalid") == [said]


def test_near_the_server_the_accept_queue_is_the_likely_cause() -> None:
    client, server = (
        messages_in(f"accept-queue-overflow{where}.pcap", "third-ack-ignored") for where in ("", ".server")
    )
    again = "the SYN-ACK comes again {} after the third segment, sent 2 times in all: {}"
    lost = "it was lost, the accept queue is full, or the server waits for data (TCP_DEFER_ACCEPT)"
    near = "seen near the server: most likely its accept queue is full, or it waits for data (TCP_DEFER_ACCEPT)"
    assert client == [again.format("1.015 s", lost)]
    assert server == [again.format("1.008 s", near)]


def test_a_server_that_waits_for_data_may_ignore_a_third_segment_without_any() -> None:
    """TCP_DEFER_ACCEPT of 1 s: it repeats its SYN-ACK once, and takes the data when they come."""
    waits = """
        A > S x
        0.000066 B > SA y ack x+1
        {} A > A x+1 ack y+1
        {}
        1.023697 B > SA y ack x+1
        A > A x+1 ack y+1
        3.500245 A > PA x+1 (4) ack y+1
        B > A y+1 ack x+5
    """
    again = "the SYN-ACK comes again {} after the third segment, sent 2 times in all: "
    ((_, bare),) = findings_of(waits.format("0.000082", ""))
    assert bare == again.format("1.024 s") + (
        "it was lost, the accept queue is full, or the server waits for data (TCP_DEFER_ACCEPT)"
    )
    ((_, near),) = findings_of(waits.format("0.020082", ""))
    assert near == again.format("1.004 s") + (
        "seen near the server: most likely its accept queue is full, or it waits for data (TCP_DEFER_ACCEPT)"
    )
    ((_, asked),) = findings_of(waits.format("0.000082", "A > PA x+1 (4) ack y+1"))
    assert asked.endswith(": it was lost, or the accept queue is full"), "it had the data"


def test_it_says_when_the_third_segment_was_refused() -> None:
    (said,) = messages_in("accept-queue-overflow-reset.server.pcap", "third-ack-reset")
    assert said.startswith("port 50953 answers the third segment 0.022 ms later with an RST")


def test_an_rst_before_the_third_segment_is_no_answer_to_it() -> None:
    opened = "A > S x\nB > SA y ack x+1\n{} > {}\n{} > {}"
    third, reset = ("A", "A x+1 ack y+1"), ("B", "R y+1")
    assert [code for code, _ in findings_of(opened.format(*third, *reset))] == ["third-ack-reset"]
    assert not findings_of(opened.format(*reset, *third))


def test_it_says_that_the_server_has_no_such_connection() -> None:
    (said,) = messages_in("syn-cookie-vanished.pcap", "opened-only-by-client")
    assert said.startswith("the server answers the client with an RST 1.005 s after the third segment")


def findings_of(text: str) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in inspect_lines(text).connections[0].findings if one.code in CASES]


def test_a_syn_ack_that_crossed_the_third_segment_on_the_way_was_not_sent_because_of_it() -> None:
    opened = "A > S x\n{} B > SA y ack x+1\nA > A x+1 ack y+1\n{} B > SA y ack x+1\nA > A x+1 ack y+1"
    assert [code for code, _ in findings_of(opened.format("0.2", "1.2"))] == ["third-ack-ignored"]
    assert not findings_of(opened.format("1.5", "2.6"))


def test_a_syn_that_comes_again_where_both_ends_sent_one_is_no_syn_ack() -> None:
    """It shows that the acknowledgment of it did not arrive, in a connection without any SYN-ACK."""
    opened = (
        "A > S x\nB > S y\nA > A x+1 ack y+1\nB > A y+1 ack x+1\nB > S y\nA > PA x+1 (1) ack y+1\nB > A y+1 ack x+2"
    )
    assert not findings_of(opened)


def test_a_syn_ack_of_another_connection_says_nothing_of_this_one() -> None:
    """The first SYN-ACK of the second connection was not captured: whether a timer sent the next one is not known."""
    texts = (
        "A > S x\nB > SA y ack x+1\nA > A x+1 ack y+1",
        "1 B > A y+1 ack x+1\nA > A x+1 ack y+1\nB > SA y ack x+1\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5",
    )
    opened, late = (parse(text).segments((1000, 5000)) for text in texts)
    ends = Ends(a=(4, 0x0A000001, 4001), b=(4, 0x0A000002, 80))
    for found in (inspect_many([(late, ends)]), inspect_many([(opened, Ends()), (late, ends)])):
        assert "third-ack-ignored" not in [one.code for one in found.connections[-1].findings]


def test_a_handshake_with_a_wrong_syn_ack_is_invalid_even_if_it_is_acknowledged() -> None:
    said = "the SYN-ACK acknowledges 1000008 where 1000001 is right; the client sends an ACK all the same"
    assert ("handshake-invalid", said) in findings_of("A > S x\nB > SA y ack x+8\nA > A x+1 ack y+1")


def test_data_that_nobody_acknowledges_leave_open_whether_the_server_is_there() -> None:
    text = "A > S x\nB > SA y ack x+1\nA > A x+1 ack y+1\nA > PA x+1 (4) ack y+1\n0.3 A > PA x+1 (4) ack y+1"
    (said,) = findings_of(text)
    assert said == (
        "opened-only-by-client",
        "the client sends 2 segments of data in 297.000 ms, and the server nothing since its SYN-ACK: "
        "whether it has the connection is not shown",
    )
    assert not findings_of(text + "\nB > A y+1 ack x+5")
