"""SACK blocks in the steps: counted from the initial number, D-SACK told apart, and what that tells of repetitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.connections.connection import SackBlock, Step
from handshake_inspect.connections.steps.sent_again import NEEDLESS
from handshake_inspect.inspection import Inspection
from handshake_inspect.views.folding import Fold, fold
from tests.engine.scenario import ISN_PAIRS, inspect_lines

#: Of some streams frame, edges, and the edges of a D-SACK: tshark 4.0 -r CAPTURE -Y tcp.options.sack_le -T fields
#: -e frame.number -e tcp.options.sack_le -e tcp.options.sack_re -e tcp.options.sack.dsack_le (which has its left edge).
TSHARK = {
    ("zeek__pppoe-over-qinq.pcap", 0): """
        14 1-1441 D | 17 2881-3337 D | 18 1441-2881 D | 26 3337-3388 D | 27 2705-3469 | 30 2705-3469 | 34 2705-3469 |
        40 3388-3910 D | 44 6349-7899 | 45 6349-7789 | 53 3910-4432 D | 54 9767-10779 | 58 3910-4432 D |
        60 9767-11322 | 61 9767-11322 | 62 9767-11322 | 64 10779-11322 D | 75 7899-9339 D | 76 7899-9339 D |
        77 9339-9767 D | 78 9339-10351 D
    """,
    ("zeek__tcp_retransmit-fast009.pcap", 0): """
        29 14301-15731 | 30 14301-17161 | 31 14301-18591 | 33 21451-22881 14301-18591 | 35 21451-23784 14301-18591 |
        37 21451-23784
    """,
    ("suricata-verify__output-eve-ftp-data.pcap", 23): "494 1-21 D | 766 55-78 D",
    ("zeek__rdp-x509.pcap", 0): "15 1-20 D",
    ("zeek__tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap", 0): "105 56543-56704",
}


def sent_again(inspection: Inspection) -> list[str]:
    """Return why each repeated segment came again."""
    steps = [step for step in inspection.steps(0) if step.retransmission]
    return [line.reason for step in steps for line in step.arithmetic if line.name == "seq"]


@pytest.mark.parametrize("isns", ISN_PAIRS.values(), ids=ISN_PAIRS)
def test_edges_are_counted_from_the_initial_number(isns: tuple[int, int]) -> None:
    steps = inspect_lines(
        """
        open
        A > A  x+1    (1000) ack y+1
        A > A  x+2001 (1000) ack y+1
        A > A  x+4001 (1000) ack y+1
        B > A  y+1    ack x+1001  sack x+4001:x+5001,x+2001:x+3001
        """,
        isns,
    ).steps(0)
    assert [step.sack for step in steps[:-1]] == [()] * 6
    assert steps[-1].sack == (SackBlock(4001, 5001), SackBlock(2001, 3001))


def test_what_came_twice_is_told_apart_and_named() -> None:
    """RFC 2883 §4: also a SYN, as at a simultaneous open, and a FIN."""
    steps = inspect_lines(
        """
        open
        B > SA y             ack x+1
        A > A  x+1           ack y+1     sack y:y+1
        A > A  x+1    (1000) ack y+1
        A > A  x+1001 (1000) ack y+1
        A > A  x+1    (1000) ack y+1
        B > A  y+1           ack x+2001  sack x+1:x+1001
        A > FA x+2001        ack y+1
        B > A  y+1           ack x+2002
        A > FA x+2001        ack y+1
        B > A  y+1           ack x+2002  sack x+2001:x+2002
        """
    ).steps(0)
    told = [str(line) for step in steps for line in step.arithmetic if line.name == "dsack"]
    assert told == [
        "dsack = y ✓ the SYN came twice (RFC 2883)",
        "dsack = x+1 ✓ 1,000 octets came twice (RFC 2883)",
        "dsack = u ✓ the FIN came twice (RFC 2883)",
    ]
    assert [one.is_duplicate for step in steps for one in step.sack or ()] == [True] * 3


OPENED = """
    open
    0.010 A > A  x+1    (1000) ack y+1
    0.110 A > A  x+1    (1000) ack y+1
"""


def test_a_repetition_that_a_d_sack_reports_was_needless() -> None:
    (why,) = sent_again(inspect_lines(OPENED + "0.120 B > A y+1 ack x+1001 sack x+1:x+1001"))
    assert why == f"sent before: a retransmission, 100.000 ms later; {NEEDLESS}"
    (why,) = sent_again(inspect_lines(OPENED + "0.120 B > A y+1 ack x+1001"))
    assert why == "sent before: a retransmission, 100.000 ms later"


@pytest.mark.parametrize(
    ("reports", "needless"),
    [
        ("", [False, False]),
        # The first may have been lost, and then the second was not needless: three arrivals would be two reports.
        ("0.220 B > A y+1 ack x+1001 sack x+1:x+1001", [False, True]),
        ("0.220 B > A y+1 ack x+1001 sack x+1:x+1001\n0.320 B > A y+1 ack x+1001 sack x+1:x+1001", [True, True]),
        ("0.220 B > A y+1 ack x+1001 sack x+2001:x+3001", [False, False]),
        ("0.220 A > A x+1001 ack y+1 sack y:y+1", [False, False]),
    ],
)
def test_as_many_repetitions_are_needless_as_arrivals_are_reported(reports: str, needless: list[bool]) -> None:
    again = sent_again(inspect_lines(OPENED + "0.210 A > A x+1 (1000) ack y+1\n" + reports))
    assert [one.endswith(NEEDLESS) for one in again] == needless


GAPS = """
    open
    0.010 A > A x+1    (1000) ack y+1
    0.010 A > A x+1001 (1000) ack y+1
    0.010 A > A x+2001 (1000) ack y+1
    0.010 A > A x+3001 (1000) ack y+1
    0.010 A > A x+4001 (1000) ack y+1
    0.020 B > A y+1 ack x+1 sack x+1001:x+2001
    0.020 B > A y+1 ack x+1 sack x+1001:x+2001,x+3001:x+4001
"""


@pytest.mark.parametrize(
    ("again", "why"),
    [
        ("x+1    (1000)", "sent before: a retransmission into a gap that SACK shows, 100.000 ms later"),
        ("x+2001 (1000)", "sent before: a retransmission into a gap that SACK shows, 100.000 ms later"),
        ("x+1001 (1000)", "sent before, and named in a SACK option: the receiver had it"),
        ("x+1    (1500)", "sent before: a retransmission, 100.000 ms later"),
        ("x+4001 (1000)", "sent before: a retransmission, 100.000 ms later"),
    ],
)
def test_what_a_receiver_has_and_lacks_tells_why_octets_come_again(again: str, why: str) -> None:
    """RFC 2018 §5: what is named need not be sent again, what lies below it is likely lost."""
    assert sent_again(inspect_lines(f"{GAPS} 0.110 A > A {again} ack y+1")) == [why]


def test_duplicate_acks_speak_of_the_gap_that_they_ask_for() -> None:
    """zeek__tcp_retransmit-fast009.pcap: with what they ask for comes what SACK shows to be lost as well."""
    third = "B > A y+1 ack x+1 sack x+1001:x+2001,x+3001:x+4001\n"
    found = inspect_lines(f"{GAPS}{third} 0.110 A > A x+1 (1000) ack y+1\n 0.110 A > A x+2001 (1000) ack y+1")
    assert sent_again(found) == [
        "sent before: a retransmission, after 3 duplicate ACKs",
        "sent before: a retransmission into a gap that SACK shows, 100.000 ms later",
    ]


def test_a_copy_is_not_called_needless() -> None:
    lines = """
        open
        0.010 A > A  x+1 (1000) ack y+1 id 7
        0.011 A > A  x+1 (1000) ack y+1 id 7
        0.020 B > A  y+1 ack x+1001 sack x+1:x+1001
    """
    assert sent_again(inspect_lines(lines)) == ["the same IP packet again: a copy"]


def test_a_long_transfer_is_not_folded_over_what_came_twice() -> None:
    lines = [f"A > A x+{1 + 100 * n} (100) ack y+1" for n in range(40)]
    lines[20:20] = ["B > A y+1 ack x+1901 sack x+1801:x+1901"]
    steps = inspect_lines("open\n" + "\n".join(lines)).steps(0)
    shown = list(fold(steps))
    assert any(isinstance(one, Fold) for one in shown)
    assert any(isinstance(one, Step) and one.sack for one in shown)


def told(inspection: Inspection, stream: int) -> str:
    """Spell the blocks of a connection as TSHARK has them."""
    said = []
    for step in inspection.steps(stream):
        blocks = "".join(f" {one.left_edge}-{one.right_edge}{' D' * one.is_duplicate}" for one in step.sack or ())
        said += [f"{step.frame}{blocks}"] if blocks else []
    return " | ".join(said)


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("reader", ["auto", "scapy"])
@pytest.mark.parametrize(("name", "stream"), TSHARK)
def test_blocks_are_those_that_tshark_finds(
    captures_dir: Path, name: str, stream: int, reader: str, fold: bool
) -> None:
    inspection = inspect(captures_dir / name, reader=reader, fold=fold)
    assert told(inspection, stream) == " ".join(TSHARK[name, stream].split())


def test_blocks_that_were_left_out_are_read_when_a_connection_is_described(
    captures_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be as many option lists with SACK as segments: only a number of them is kept."""
    monkeypatch.setattr(
        "handshake_inspect.table.OptionLists.leave_out_blocks", property(lambda self: self.most is not None)
    )
    ((name, stream), blocks), *_ = TSHARK.items()
    assert told(inspect(captures_dir / name), stream) == " ".join(blocks.split())
    with (captures_dir / name).open("rb") as file:  # nothing can be read again
        steps = inspect(file).steps(stream)
    assert [step.frame for step in steps if step.sack is None][:3] == [14, 17, 18]
    assert not any(step.sack for step in steps)
