"""Findings about RSTs: why a socket aborted, and what an end says that has no connection any more."""

from __future__ import annotations

from tests.findings.captures import codes_in, messages_in
from tests.findings.lines import found_in

CASES = {
    "abandoned": (
        ["reset-syn-received.pcap", "old-duplicate-syn.server.pcap", "suricata-verify__urgent11_cve_2019_12260.pcap"],
        ["accept-queue-overflow-reset.pcap", "old-duplicate-syn.pcap", "refused.pcap"],
    ),
    "reset-unread": (
        ["reset-unread.pcap", "reset-unread.server.pcap", "suricata-verify__tcp-rst-with-data.pcap"],
        ["reset.pcap", "reset-half-closed.pcap", "lost-rst.pcap", "keep-alive-dead.pcap"],
    ),
    "reset-linger": (
        ["reset.pcap", "lost-rst.pcap", "old-duplicate-syn-passive.pcap"],
        ["reset-unread.pcap", "server-crash.pcap", "keep-alive-dead.pcap", "zeek__ldap_simpleauth.pcap"],
    ),
    "reset-idle": (
        ["zeek__tcp_retransmit-fast009.pcap", "zeek__ldap_simpleauth.pcap"],
        ["reset.pcap", "keep-alive-dead.pcap"],
    ),
    "gave-up": (["keep-alive-dead.pcap"], ["keep-alive-dead.server.pcap", "user-timeout.pcap", "reset.pcap"]),
    "reset-instead-of-fin": (
        ["reset-half-closed.pcap", "suricata-verify__tcp_fastopen_segmentation.pcap"],
        ["reset.pcap", "data-after-close.pcap", "half-close.pcap"],
    ),
    "reset-with-data": (
        ["reset-with-data.server.pcap", "suricata-verify__tcp-rst-with-data.pcap"],
        ["reset.pcap", "refused.pcap"],
    ),
    "connection-unknown": (
        [
            "server-crash.pcap",
            "half-open-data.pcap",
            "half-open-syn.pcap",
            "lost-rst.server.pcap",
            "forged-reset.pcap",
        ],
        [
            "lost-rst.pcap",
            "data-after-close.pcap",
            "refused.pcap",
            "reset-syn-received.pcap",
            "forged-reset.server.pcap",
            "syn-cookie-vanished.pcap",
            "time-wait-killed.pcap",
        ],
    ),
    "data-after-close": (
        ["data-after-close.pcap", "orphan-fin-wait-2.pcap", "zeek__ipv6-violation.pcap"],
        ["half-close.pcap", "reset-half-closed.pcap", "server-crash.pcap", "time-wait-killed.pcap"],
    ),
    "reset-after-close": (
        ["time-wait-killed.pcap", "time-wait-old-syn.pcap", "time-wait-overflow.pcap"],
        ["data-after-close.pcap", "reset-half-closed.pcap", "four-way.pcap"],
    ),
    "segments-after-reset": (
        ["lost-rst.pcap", "zeek__ipv6-violation.pcap"],
        ["lost-rst.server.pcap", "reset.pcap", "forged-reset.server.pcap", "old-duplicate-syn-passive.pcap"],
    ),
    "reset-alone": (
        ["reset-alone.pcap", "tcpdump__tcp_eight_lowest_weight_flags_set.pcap"],
        ["refused.pcap", "reset.pcap"],
    ),
}


def test_unread_data_are_named_with_when_they_came() -> None:
    assert messages_in("reset-unread.pcap", "reset-unread") == [
        "the server aborted with an RST, 50.757 ms after the last 6 octets of the client, acknowledged and unanswered: "
        "most likely closed with data unread, else SO_LINGER 0"
    ]


def test_octets_not_yet_acknowledged_are_counted() -> None:
    assert messages_in("suricata-verify__tcp-rst-with-data.pcap", "reset-unread") == [
        "the client aborted with an RST, the first to acknowledge 17 octets of the server, the last 0.875 ms before: "
        "most likely closed with data unread, else SO_LINGER 0"
    ]


#: The server answers, and sends more, which has not come when the client aborts.
COMING = "open\nA > PA x+1 (4) ack y+1\nB > PA y+1 (9) ack x+5\nA > A x+5 ack y+10\nB > PA y+10 (100) ack x+5\n"


def test_what_had_not_come_was_not_left_unread() -> None:
    found = found_in(COMING + "A > RA x+5 ack y+10")
    assert "reset-unread" not in found
    assert found["reset-linger"] == (
        "the client aborted with an RST instead of a FIN, 1.000 ms after the last segment; 100 octets of the server "
        "had not come, and all that had was acknowledged: SO_LINGER 0, or that unread"
    )
    assert (
        "the first to acknowledge 40 octets of the server" in found_in(COMING + "A > RA x+5 ack y+50")["reset-unread"]
    )
    without_ack = found_in(COMING + "A > PA x+5 (3) ack y+10\nA > R x+8")["reset-unread"]
    assert "100 octets of the server not yet acknowledged" in without_ack


def test_the_fast_close_of_multipath_tcp_is_named_where_both_ends_speak_it() -> None:
    """RFC 8684 §3.5. In frame 10 the client sends MP_FASTCLOSE, which the RST of the server answers."""
    assert messages_in("tcpdump__mptcp-fclose.pcap", "reset-linger") == [
        "the server aborted with an RST instead of a FIN, 0.131 ms after the last segment; both ends speak Multipath "
        "TCP, whose fast close ends all paths so: that, SO_LINGER 0, or data unread"
    ]


def test_a_closed_window_shows_that_data_are_unread() -> None:
    """The end has answered the peer, and acknowledged all: nothing but its window tells that its program never read."""
    read = "open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nB > PA y+1 (9) ack x+5\nA > A x+5 ack y+10 win {}\n"
    assert found_in(read.format(0) + "A > RA x+5 ack y+10 win 9")["reset-unread"] == (
        "the client aborted with an RST, 1.000 ms after it had last said that its window is closed: its buffer was "
        "full of data of the server that its program had not read"
    )
    assert "reset-unread" not in found_in(read.format(1) + "A > RA x+5 ack y+10 win 0")
    assert "reset-unread" not in found_in(read.format(0) + "A > A x+5 ack y+10 win 9\nA > RA x+5 ack y+10 win 9")
    unasked = "open\nA > PA x+1 (4) ack y+1 win 0\nB > A y+1 ack x+5\nA > RA x+5 ack y+1"
    assert "reset-unread" not in found_in(unasked), "nothing was sent to it"


def test_a_window_that_only_the_rst_opens_shows_that_data_were_unread() -> None:
    """A program that reads so much has its kernel tell the new window at once; close() empties the buffer itself."""
    read = "open\nA > PA x+1 (4) ack y+1\nB > PA y+1 (9) ack x+5\nA > A x+5 ack y+10 win 38\n"
    assert found_in(read + "A > RA x+5 ack y+10 win 93")["reset-unread"] == (
        "the client aborted with an RST, 1.000 ms after the last segment, and the RST opens its window to twice the "
        "last one or more, which reading would have told before: most likely closed with data of the server unread"
    )
    assert "reset-linger" in found_in(read + "A > A x+5 ack y+10 win 93\nA > RA x+5 ack y+10 win 93")
    assert "reset-linger" in found_in(read + "A > RA x+5 ack y+10 win 75")
    assert "reset-linger" in found_in(read.replace("38", "40000") + "A > RA x+5 ack y+10 win 65535")
    unasked = "open\nA > PA x+1 (4) ack y+1 win 38\nB > A y+1 ack x+5\nA > RA x+5 ack y+1 win 93"
    assert "reset-linger" in found_in(unasked), "nothing was sent to it"


def test_an_abort_that_may_have_either_cause_names_both() -> None:
    assert messages_in("reset.pcap", "reset-linger") == [
        "the client aborted with an RST instead of a FIN, 52.180 ms after the last segment; all of the server was "
        "acknowledged: SO_LINGER 0, or the last left unread, which looks the same"
    ]


def test_an_answer_does_not_show_that_all_was_read() -> None:
    """RFC 9293 §3.6.1. The server read 100 of 20,004 octets, answered "413", and closed: close() sent the RST."""
    refused = """
        open
        A > PA x+1     (7240)  ack y+1
        B > A  y+1             ack x+7241
        A > PA x+7241  (7240)  ack y+1
        B > A  y+1             ack x+14481
        A > PA x+14481 (5524)  ack y+1
        B > A  y+1             ack x+20005
        0.058 B > PA y+1 (26)   ack x+20005
        A > A  x+20005         ack y+27
        0.079 B > RA y+27      ack x+20005
    """
    assert found_in(refused)["reset-linger"] == (
        "the server aborted with an RST instead of a FIN, 20.000 ms after the last segment; it had answered the "
        "client: SO_LINGER 0, or data of the client unread, which looks the same"
    )


def test_it_says_how_often_it_was_tried() -> None:
    assert messages_in("keep-alive-dead.pcap", "gave-up") == [
        "the client gave up with an RST: 2 repetitions unanswered, the last segment of the server 3.074 s before"
    ]


def test_what_found_the_half_open_connection_is_named() -> None:
    assert [messages_in(name, "connection-unknown")[0].partition(":")[2].partition(", ")[0] for name in (
        "server-crash.pcap", "half-open-syn.pcap",
    )] == [
        " its RST answers 4 octets of the client",
        " its RST answers the ACK with which the server met its new SYN; it crashed",
    ]  # fmt: skip


def test_data_after_close_says_whether_the_fin_was_known() -> None:
    assert messages_in("data-after-close.pcap", "data-after-close") == [
        "the client had closed: 4 octets of the server were met by 1 RST, 301.018 ms after the FIN, and are lost; "
        "the server had acknowledged the FIN before it sent them"
    ]
    assert messages_in("zeek__ipv6-violation.pcap", "data-after-close")[0].endswith(
        "had not seen the FIN when it sent them"
    )


def test_data_that_were_acknowledged_after_the_rst_are_not_lost() -> None:
    """No segment is the lost one then; the last row of the partition was taken for it."""
    found = found_in(
        """
        open
        B > FA y+1 ack x+1
        A > A x+1 (10) ack y+2
        B > R y+2
        B > A y+2 ack x+11
        """
    )
    assert found["data-after-close"].endswith("met by 1 RST, 2.000 ms after the FIN")


def test_an_rst_has_one_cause() -> None:
    causes = CASES.keys() - {"reset-with-data", "segments-after-reset", "reset-alone"}
    for name in ("reset.pcap", "reset-unread.pcap", "server-crash.pcap", "data-after-close.pcap"):
        assert len(causes & codes_in(name).keys()) == 1


def test_an_abort_of_an_end_to_which_nothing_was_sent_left_nothing_unread() -> None:
    assert found_in("open\nA > RA x+1 ack y+1")["reset-linger"] == (
        "the client aborted with an RST instead of a FIN, 1.000 ms after the last segment; neither end had sent data: "
        "most likely a scan or a health check with SO_LINGER 0"
    )
    served = found_in("open\n0.102 B > RA y+1 ack x+1")["reset-linger"]
    assert served == (
        "the server aborted with an RST instead of a FIN, 100.000 ms after the last segment; neither end had sent "
        "data: SO_LINGER 0, or its listener was closed before accept() took it"
    ), "who scans or checks is the client"
    asked = found_in("open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nA > RA x+5 ack y+1")["reset-linger"]
    assert asked.endswith("the server had sent no data, so none were left unread: most likely SO_LINGER 0")


def test_of_an_rst_with_another_ttl_it_is_not_said_that_its_end_knows_no_connection() -> None:
    """A box between the ends reset both, each in the name of the other."""
    talk = "open\nA > PA x+1 (4) ack y+1\nB > PA y+1 (4) ack x+5\nA > A x+5 ack y+5\nB > R y+5"
    assert found_in(talk)["connection-unknown"].startswith("the server has no such connection: its RST answers")
    found = found_in(f"{talk} ttl 255")
    assert found["connection-unknown"] == (
        "an RST in the name of the server answers an ACK of the client: by its TTL a box on the way made it, or a "
        "forger"
    )
    assert "reset-from-elsewhere" in found


def test_after_a_long_silence_a_timer_is_the_likely_cause() -> None:
    crashed = "open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\n{} A > FA x+5 ack y+1\nB > R y+1"
    late = found_in(crashed.format(90))["connection-unknown"]
    assert late == (
        "the server has no such connection: its RST answers the FIN of the client, 89.997 s after its own last "
        "segment; most likely a timer ran out, its own or a middlebox's, else it crashed or restarted"
    )
    assert "it crashed, restarted or timed out" in found_in(crashed.format(2))["connection-unknown"]


def test_where_the_clock_was_set_times_are_not_known() -> None:
    found = found_in("open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\n0.0001 A > RA x+5 ack y+1")
    assert found["reset-linger"].startswith("the client aborted with an RST instead of a FIN, an unknown time after")


def test_an_abort_of_an_end_whose_peer_was_not_captured_is_not_explained() -> None:
    alone = "A > S x\nA > A x+1 ack y+1\nA > PA x+1 (4) ack y+1\nA > A x+5 ack y+9\nA > RA x+5 ack y+9"
    assert not found_in(alone).keys() & CASES.keys()


def test_an_answer_comes_at_once() -> None:
    bare = "open\nA > PA x+1 (4) ack y+1\nB > A y+1 ack x+5\nB > PA y+1 (4) ack x+5\nA > A x+5 ack y+5\n{} B > R y+5"
    assert found_in(bare.format(0.5)).keys() == {"connection-unknown"}
    assert found_in(bare.format(5)).keys() == {"reset-linger"}
    assert found_in(bare.format(60)).keys() == {"reset-idle"}


def test_an_abort_after_its_own_fin_is_told_as_one() -> None:
    for answer in ("", "B > A y+1 ack x+2\n"):
        found = found_in(f"open\nA > FA x+1 ack y+1\n{answer}A > RA x+2 ack y+1")
        assert "aborted with an RST" in found["reset-linger"] and "after its own FIN" in found["reset-linger"]


def test_after_its_own_fin_data_may_be_unread_if_the_peer_sent_some() -> None:
    """shutdown(SHUT_WR); 6 octets come, are acknowledged, and stay in the buffer until close()."""
    closed = "open\nA > PA x+1 (3) ack y+1\nB > A y+1 ack x+4\nA > FA x+4 ack y+1\n0.04 B > A y+1 ack x+5\n"
    told = "before the server had closed: most likely shutdown(), then {}SO_LINGER 0 or a timer"
    came = found_in(closed + "0.06 B > PA y+1 (6) ack x+5\nA > A x+5 ack y+7\n0.1 A > RA x+5 ack y+7")
    assert came["reset-linger"].endswith(told.format("close() with data of the server unread, "))
    assert found_in(closed + "0.1 A > RA x+5 ack y+1")["reset-linger"].endswith(told.format(""))
