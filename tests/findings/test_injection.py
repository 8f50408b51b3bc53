"""Findings about RSTs that do not come from whom they pretend, or with numbers that no sender has."""

from __future__ import annotations

from tests.findings.captures import messages_in
from tests.findings.lines import found_in

CASES = {
    "suspected-injection": (
        [
            "forged-reset.server.pcap",
            "reset-with-data.server.pcap",
            "suricata-verify__with_evasion_windows.pcap",
            "suricata-verify__urgent11_cve_2019_12260.pcap",
        ],
        [
            "forged-reset.pcap",
            "blind-reset.server.pcap",
            "old-duplicate-syn.pcap",
            "time-wait-protected.pcap",
            "lost-rst.pcap",
        ],
    ),
    "reset-from-elsewhere": (
        ["injected-reset.server.pcap"],
        [
            "zeek__ldap_simpleauth.pcap",
            "zeek__ldap_simpleauth-diff-port.pcap",
            "forged-reset.server.pcap",
            "reset.pcap",
            "drill__arpWithNullIP.pcap",
            "zeek__tls_xmpp-starttls.pcap",
        ],
    ),
    "reset-outside-window": (
        ["blind-reset.server.pcap"],
        [
            "forged-reset.server.pcap",
            "injected-reset.server.pcap",
            "suricata-verify__output-eve-ftp-data.pcap",
            "suricata-verify__tcp_fastopen_segmentation.pcap",
        ],
    ),
    "reset-challenged": (
        ["blind-reset.server.pcap", "injected-reset.server.pcap", "syn-reset.server.pcap"],
        ["blind-reset.pcap", "forged-reset.server.pcap", "reset.pcap"],
    ),
    "desynchronized": (
        ["desynchronized.pcap", "desynchronized.server.pcap"],
        ["duplicate-data.pcap", "swapped-data.pcap", "time-wait-protected.pcap", "half-open-syn.pcap"],
    ),
    "reset-storm": (
        ["reset-storm.server.pcap"],
        ["reset-storm.pcap", "blind-reset.server.pcap", "zeek__ipv6-violation.pcap"],
    ),
}


def test_the_marks_of_another_speaker_are_named() -> None:
    assert messages_in("forged-reset.server.pcap", "suspected-injection") == [
        "an RST in the name of the client, which knew nothing of it and went on 0.427 ms later; IP ID 1 (before: "
        "2145), window 8192 (before: 63)"
    ]


def test_how_far_it_misses_is_said() -> None:
    assert messages_in("blind-reset.server.pcap", "reset-outside-window") == [
        "1 RST in the name of the client outside the window: 1,073,741,824 octets above the next number expected, so "
        "guessed or old, and dropped"
    ]
    assert messages_in("blind-reset.server.pcap", "reset-challenged") == [
        "an RST in the name of the client is 1,000 octets above the next number expected: met by a challenge ACK after "
        "0.021 ms"
    ]


def test_a_storm_says_whether_its_numbers_were_asked_for() -> None:
    assert messages_in("reset-storm.server.pcap", "reset-storm") == [
        "20 RSTs in the name of the client within 64.066 ms, 20 with a number that nobody asked for: the window is "
        "combed"
    ]


def test_answers_to_one_segment_each_are_a_storm_of_another_kind() -> None:
    answered = "\n".join(f"B > PA y+{5 + 100 * i} (100) ack x+5\nA > R x+5" for i in range(12))
    found = found_in(f"open\nA > PA x+1 (4) ack y+1\nB > PA y+1 (4) ack x+5\nA > A x+5 ack y+5\n{answered}")
    assert found["reset-storm"] == (
        "12 RSTs in the name of the client within 22.000 ms, most with the number asked for: each answers a segment of "
        "the server, which goes on"
    )


def test_an_rst_in_the_window_that_nobody_asks_back() -> None:
    found = found_in(
        """
        open
        A > PA x+1 (4) ack y+1
        B > PA y+1 (4) ack x+5
        A > R  x+105
        A > PA x+5 (4) ack y+5
        B > A  y+5     ack x+9
        """
    )
    assert found["reset-challenged"].endswith(
        "100 octets above the next number expected: no challenge ACK: ignored, or segments are missing"
    )


def test_an_old_rst_is_outside_the_window_unless_it_answers_late() -> None:
    old = """
        open
        A > PA x+1 (4) ack y+1
        B > PA y+1 (4) ack x+5
        A > {} x+1 {}
        A > PA x+5 (4) ack y+5
        B > A  y+5     ack x+9
        """
    assert "4 octets below the next number expected" in found_in(old.format("RA", "ack y+1"))["reset-outside-window"]
    closed = """
        open
        A > FA x+1 ack y+1
        B > PA y+1 (4) ack x+1
        B > A  y+5     ack x+2
        A > R  x+1
        A > R  x+2
        """
    assert found_in(closed).keys() == {"data-after-close"}


def test_the_ttl_of_a_sender_that_goes_on_is_named_with_it() -> None:
    (message,) = messages_in("injected-reset.server.pcap", "reset-from-elsewhere")
    assert message == "the RST of the client came from elsewhere, a middlebox or a forger; TTL 37 (before: 64)"


def test_how_far_an_end_fell_back() -> None:
    assert messages_in("desynchronized.pcap", "desynchronized") == [
        "the client fell back: 4 segments acknowledge 18 octets less than it had before, and the first begins 18 "
        "octets below what it had sent"
    ]
