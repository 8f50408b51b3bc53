"""Until when the captures of a run show what happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from handshake_inspect import inspect
from handshake_inspect.capture.frames import fetch
from handshake_inspect.capture.order import Disorder
from handshake_inspect.capture.summary import CaptureSummary
from handshake_inspect.capture.writing.pcap import write_pcap
from handshake_inspect.findings.run import covered_until_ns

PCAPS = Path(__file__).parent.parent.parent / "pcaps"
ETHERNET, SECOND_NS = 1, 1_000_000_000


def capture(first_s: float, last_s: float, link: str = "Ethernet", jumps: int = 0) -> CaptureSummary:
    summary = CaptureSummary("some.pcap", "pcap", (link,))
    summary.first_ns, summary.last_ns = int(first_s * SECOND_NS), int(last_s * SECOND_NS)
    summary.disorder = Disorder(jumps=jumps)
    return summary


@pytest.mark.parametrize(
    ("captures", "until_s"),
    [
        ([capture(10, 20)], [20]),
        ([capture(10, 20), capture(20.5, 30), capture(29.5, 40)], [40, 40, 40]),
        ([capture(29.5, 40), capture(10, 20), capture(20.5, 30)], [40, 40, 40]),
        ([capture(10, 20), capture(22, 30)], [20, 30]),
        ([capture(10, 20), capture(20, 30, "raw IP")], [20, 30]),
        ([capture(10, 20), capture(20, 30, jumps=1)], [20, 30]),
        # Two interfaces, each in two files.
        ([capture(10, 20), capture(10, 20), capture(20, 30), capture(20, 31)], [31, 31, 30, 31]),
        # One lasts for years in which others were made.
        ([capture(0, 10_000), capture(10, 20), capture(20.5, 30), capture(5_000, 5_001)], [10_000, 30, 30, 5_001]),
    ],
)
def test_a_capture_goes_on_where_another_one_begins_as_it_ends(
    captures: list[CaptureSummary], until_s: list[float]
) -> None:
    assert covered_until_ns(captures) == [int(one * SECOND_NS) for one in until_s]


def test_a_connection_that_goes_on_in_another_file_after_a_pause_shows_that_the_capture_did(tmp_path: Path) -> None:
    """Nothing but a third SYN-ACK is in the second file, four seconds after the first one ended."""
    frames = fetch(PCAPS / "syn-flood.pcap", [1, 2])
    shown = [frames[1], frames[2], *(replace(frames[2], time_ns=frames[2].time_ns + s * SECOND_NS) for s in (1, 5))]
    write_pcap(tmp_path / "whole.pcap", shown, ETHERNET)
    for name, part in (("1.pcap", shown[:-1]), ("2.pcap", shown[-1:])):
        write_pcap(tmp_path / name, part, ETHERNET)
    for paths in ([tmp_path / "whole.pcap"], [tmp_path / "1.pcap", tmp_path / "2.pcap"]):
        (found,) = (one.message for one in inspect(paths).connections[0].findings if one.code == "half-open")
        assert found == "half-open for 5.000 s: 3 SYN-ACKs, none acknowledged"


def test_no_attempt_waits_for_years_because_an_unrelated_capture_spans_them(captures_dir: Path) -> None:
    """zeek__mixed-vlan-mpls.pcap was put together of frames from 2000 to 2010; zeek__fragmented-4.pcap is of 2002."""
    names = ("zeek__mixed-vlan-mpls.pcap", "zeek__fragmented-4.pcap", "zeek__connect-with-smtp.pcap")
    run = inspect([captures_dir / name for name in names])
    alone = [inspect(captures_dir / name) for name in names]
    told = [[one.message for one in every.findings if one.code == "unanswered"] for every in run.connections]
    by_itself = [
        [one.message for one in every.findings if one.code == "unanswered"]
        for one in alone
        for every in one.connections
    ]
    assert sorted(told) == sorted(by_itself)
