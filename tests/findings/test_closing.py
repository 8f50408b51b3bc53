"""Findings about closings: FINs that came again or were never answered, ends that stay open."""

from __future__ import annotations

from tests.findings.captures import codes_in, messages_in
from tests.findings.lines import found_in

#: Code -> captures in which it must appear, and captures in which it must not.
CASES = {
    "fin-unacknowledged": (
        ["fin-unacknowledged.pcap", "zeek__pppoe-over-qinq.pcap", "ipfixprobe__mqtt.pcap"],
        [
            "fin-unacknowledged.server.pcap",
            "lost-fin.pcap",
            "half-closed.pcap",
            "arkime__gre-erspan-vxlan.pcap",
            "cut-in-mid-session.pcap",
        ],
    ),
    "fin-retransmitted": (
        ["lost-fin.pcap", "lost-last-ack.server.pcap", "zeek__mysql_tls-13-amazon-rds.pcap"],
        ["lost-fin.server.pcap", "duplicate-fin.server.pcap", "lost-last-ack.pcap", "fin-storm.server.pcap"],
    ),
    "lost-last-ack": (
        ["lost-last-ack.pcap", "time-wait-restarted.pcap"],
        ["lost-last-ack.server.pcap", "time-wait-killed.pcap", "duplicate-fin.server.pcap", "lost-fin.pcap"],
    ),
    "half-close": (
        ["half-close.pcap", "half-close-server.pcap", "fin-with-data.server.pcap"],
        ["four-way.pcap", "data-after-close.pcap", "simultaneous-close-data.pcap", "zeek__tls_pop3-starttls.pcap"],
    ),
    "half-closed-at-end": (
        ["half-closed.pcap", "half-closed.server.pcap"],
        ["close-wait-held.pcap", "half-close.pcap", "reset-half-closed.pcap"],
    ),
    "close-wait-held": (
        ["close-wait-held.pcap", "close-wait-held.server.pcap"],
        ["half-closed.pcap", "half-close.pcap", "zeek__pppoe-over-qinq.pcap"],
    ),
    "fin-wait-2-ended": (
        ["fin-wait-2-ended.pcap", "made: fin-wait-2-ended-by-data"],
        # Octets, after a second only; into TIME-WAIT.
        ["orphan-fin-wait-2.pcap", "data-after-close.pcap", "time-wait-overflow.pcap", "zeek__tls_pop3-starttls.pcap"],
    ),
    "simultaneous-close": (
        ["simultaneous-close.pcap", "simultaneous-close-data.server.pcap"],
        ["three-segment.pcap", "self-connect.pcap"],
    ),
}


def test_a_fin_that_came_again_is_told_from_an_acknowledgment_that_was_lost() -> None:
    assert messages_in("lost-fin.pcap", "fin-retransmitted") == [
        "the client sent its FIN again after 205.740 ms, before an acknowledgment came: the FIN was "
        "lost, or its acknowledgment, or that was slow"
    ]
    assert messages_in("lost-last-ack.pcap", "lost-last-ack") == [
        "the server's FIN came again 2 times, first 207.428 ms after it was acknowledged: the last ACK was lost, or "
        "late. TIME-WAIT of the client acknowledged it again 2 times"
    ]


def test_how_often_a_fin_came_again_does_not_count_the_first_one() -> None:
    """Five FINs in all, at the times of Linux's timer."""
    sent = "open\nA > FA x+1 ack y+1\n0.2105 A > FA x+1 ack y+1\n{}1.75 B > A y+1 ack x+2\n"
    more = "0.62 A > FA x+1 ack y+1\n1.07 A > FA x+1 ack y+1\n1.7 A > FA x+1 ack y+1\n"
    why = "before an acknowledgment came: the FIN was lost, or its acknowledgment, or that was slow"
    again = "the client sent its FIN again {}207.500 ms, " + why
    assert found_in(sent.format(more))["fin-retransmitted"] == again.format("4 times, first after ")
    assert found_in(sent.format(""))["fin-retransmitted"] == again.format("after ")
    last = "open\nA > FA x+1 ack y+1\nB > FA y+1 ack x+2\nA > A x+2 ack y+2\n0.213 B > FA y+1 ack x+2\n"
    assert found_in(last + "A > A x+2 ack y+2")["lost-last-ack"] == (
        "the server's FIN came again 208.000 ms after it was acknowledged: the last ACK was lost, or late. TIME-WAIT "
        "of the client acknowledged it again 1 time"
    )


def test_a_fin_that_only_acknowledges_the_one_that_crossed_it_is_no_repetition() -> None:
    assert codes_in("suricata-verify__output-eve-ftp-data.pcap")["simultaneous-close"] == 20
    assert not codes_in("suricata-verify__output-eve-ftp-data.pcap")["fin-retransmitted"]


def test_an_ip_id_that_stays_does_not_make_copies_of_what_comes_later() -> None:
    assert sorted(messages_in("zeek__pppoe-over-qinq.pcap", "fin-unacknowledged")) == [
        "1 FIN of the client in 239.958 s, until the capture ends: none is acknowledged",
        "5 FINs of the server in 4.540 s, until the capture ends: none is acknowledged, nor are 31 octets sent "
        "before it",
    ]


def test_who_held_close_wait_and_for_how_long() -> None:
    assert messages_in("close-wait-held.pcap", "close-wait-held") == [
        "the server got the FIN of the client and held CLOSE-WAIT: it neither sent nor closed for 12.003 s, and closed "
        "only then"
    ]


def test_what_was_sent_into_the_open_half() -> None:
    assert messages_in("half-close-server.pcap", "half-close") == [
        "the server closed its direction, and took 4 octets that the client sent in the 256.505 ms after it had "
        "acknowledged that"
    ]
