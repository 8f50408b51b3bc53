"""Findings about what went unanswered, and about windows that were closed."""

from __future__ import annotations

from tests.findings.captures import messages_in
from tests.findings.lines import found_in

CASES = {
    "keep-alive": (
        ["keep-alive.pcap", "keep-alive-dead.pcap", "syn-cookie-vanished.pcap"],
        ["zero-window.pcap", "lost-data.pcap", "four-way.pcap"],
    ),
    "peer-silent": (
        ["user-timeout.pcap", "cut-in-mid-session.pcap", "cut-in-mid-session.server.pcap"],
        ["user-timeout.server.pcap", "lost-data.pcap", "keep-alive-dead.pcap", "keep-alive.pcap", "zero-window.pcap"],
    ),
    "zero-window": (
        ["zero-window.pcap", "zero-window.server.pcap"],
        ["large-transfer.pcap", "reset.pcap", "keep-alive.pcap"],
    ),
    "many-retransmissions": (
        ["zeek__pppoe-over-qinq.pcap"],
        ["lost-data.pcap", "swapped-data.pcap", "zeek__tcp_retransmit-fast009.pcap"],
    ),
}


def test_a_keep_alive_says_after_which_pause_it_came() -> None:
    assert messages_in("keep-alive-dead.pcap", "keep-alive") == [
        "2 keep-alives of the client, the first after 1.022 s without a segment of its own"
    ]


def test_how_often_and_how_long_the_same_was_sent() -> None:
    assert messages_in("user-timeout.pcap", "peer-silent") == [
        "the client sent the same 4 octets 4 times in 852.622 ms: the server is silent"
    ]


def test_how_long_the_window_was_closed() -> None:
    assert messages_in("zero-window.pcap", "zero-window") == [
        "the server kept its window closed for 262.877 ms: its program did not read; 1 probe of the client"
    ]


def test_how_many_segments_were_sent_again() -> None:
    assert messages_in("zeek__pppoe-over-qinq.pcap", "many-retransmissions") == [
        "12 of the 44 segments of the client bring nothing new: they were sent again",
        "14 of the 42 segments of the server bring nothing new: they were sent again",
    ]


ASKED = """
    open
    A > PA x+1 (4) ack y+1
    B > A  y+1     ack x+5
    60 A > A x+4   ack y+1
    """


def test_keep_alives_that_nobody_answers() -> None:
    found = found_in(ASKED + "61 A > A x+4 ack y+1\n62 A > A x+4 ack y+1")
    assert found["peer-silent"] == "3 keep-alives of the client within 61.996 s: the server is silent"
    assert found_in(ASKED).keys() == {"keep-alive"}
    assert found_in(ASKED + "B > A y+1 ack x+5\n120 A > A x+4 ack y+1\nB > A y+1 ack x+5").keys() == {"keep-alive"}


def test_who_speaks_but_acknowledges_nothing_is_not_silent() -> None:
    found = found_in(
        """
        open
        A > PA x+1 (1460) ack y+1
        0.3 A > PA x+1 (1460) ack y+1
        0.4 B > PA y+1 (10) ack x+1
        A > A x+1461 ack y+11
        0.9 A > PA x+1 (1460) ack y+11
        """
    )
    assert found["peer-silent"] == (
        "the client sent the same 1,460 octets 3 times in 897.000 ms: the server speaks, but never acknowledged them"
    )


def test_what_arrived_in_part_is_not_said_to_be_acknowledged_never() -> None:
    """The server took 500 octets of the first segment, and acknowledged those."""
    found = found_in(
        """
        open
        A > PA x+1 (1460) ack y+1
        B > A y+1 ack x+501
        0.3 A > PA x+1 (1460) ack y+1
        0.4 B > PA y+1 (10) ack x+501
        0.9 A > PA x+501 (960) ack y+11
        """
    )
    assert found["peer-silent"] == (
        "the client sent the octet that the server expects 3 times in 897.000 ms: "
        "the server speaks, but never acknowledged it"
    )


def test_how_long_it_was_repeated_ends_with_the_last_repetition() -> None:
    """What its end sends later, as the ACK of a FIN, is none."""
    again = "0.3 A > PA x+1 (1460) ack y+1\n0.9 A > PA x+1 (1460) ack y+1\n"
    found = found_in("open\nA > PA x+1 (1460) ack y+1\n" + again + "60 B > FA y+1 ack x+1\nA > A x+1461 ack y+2")
    assert found["peer-silent"].startswith("the client sent the same 1,460 octets 3 times in 897.000 ms: ")


FULL = """
    open
    A > PA x+1 (1000) ack y+1
    B > A  y+1 ack x+1001 win 0
    """


def test_a_window_that_never_opens_again() -> None:
    probed = "1 A > A x+1000 ack y+1\nB > A y+1 ack x+1001 win 0\n"
    assert found_in(FULL + probed) == {
        "zero-window": "the server never opened its window again, closed 997.000 ms before the last segment: it reads "
        "no more; 1 probe of the client"
    }


def test_a_window_that_was_closed_for_long_several_times() -> None:
    """Those that were short do not count, though the ladder shows them too."""
    opened = "{} B > A y+1 ack x+{} win 500\nA > PA x+{} (500) ack y+1\nB > A y+1 ack x+{} win 0\n"
    said = found_in(
        FULL
        + opened.format("1", 1001, 1001, 1501)
        + opened.format("1.01", 1501, 1501, 2001)
        + "1.6 B > A y+1 ack x+2001 win 500\nA > PA x+2001 (500) ack y+1\nB > A y+1 ack x+2501\n"
    )
    assert said == {
        "zero-window": "the server kept its window closed 2 times for 200 ms or more, up to 996.000 ms: its program "
        "did not read; 0 probes of the client"
    }


def test_a_window_that_opens_soon_or_of_which_nobody_wants_anything_is_not_worth_a_word() -> None:
    assert found_in(FULL + "B > A y+1 ack x+1001 win 500\n1 A > PA x+1001 (500) ack y+1\nB > A y+1 ack x+1501") == {}
    assert (
        found_in("open\nA > FA x+1 ack y+1\nB > A y+1 ack x+2 win 0\n1 B > FA y+1 ack x+2 win 0\nA > A x+2 ack y+2")
        == {}
    )


def test_repetitions_of_different_lengths_are_not_the_same_octets() -> None:
    (said,) = messages_in("zeek__pppoe-over-qinq.pcap", "peer-silent")
    assert said == "the server sent the octet that the client expects 6 times in 239.547 s: the client is silent"
