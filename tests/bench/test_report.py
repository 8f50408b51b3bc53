"""What `make bench` says of what it has measured, from runs put together by hand."""

from __future__ import annotations

import pytest

from tests.bench.measure import README
from tests.bench.peers import GROWTH_AT_MOST, HOSTILE, PEERS
from tests.bench.report import (
    BEGIN,
    END,
    ONE_JOB,
    OWN,
    Growth,
    Hostile,
    Measured,
    growth_table,
    hostile_table,
    missed,
    stage_table,
    table,
    written_into,
)
from tests.bench.stopwatch import Amount, Run

AMOUNT = Amount(2_000_000, 100_000)
IDLE = Run(0.3, 0.25, 30_000_000)
STAGES = {"reading records": 0.25, "writing csv": 0.5}


def runs(*seconds: float, peak_mb: float = 90) -> list[Run]:
    return [Run(each, each, int(peak_mb * 1e6)) for each in seconds]


def measured(name: str = "bulk", *, own_mb: float = 90, **peers: list[Run]) -> Measured:
    own = {OWN: runs(1.0, 2.0, 1.0, peak_mb=own_mb)}
    return Measured(name, AMOUNT, own | {peer.replace("_", "-"): found for peer, found in peers.items()}, IDLE, STAGES)


def test_a_ratio_is_the_median_over_rounds_of_two_runs_one_after_the_other() -> None:
    """A round in which the machine was busy slows both down."""
    one = measured(tshark_fields=runs(46.0, 92.0, 10.0))
    assert one.ratio("tshark-fields") == 46
    assert "| `tshark -Y … -T fields` | 46.0 × as long: 46.00 s, 90 MB (≥ 45 ✓) |" in table([one], limits=True)
    assert missed([one]) == []


@pytest.mark.parametrize(
    ("peer", "seconds", "name", "cell"),
    [
        ("tshark-fields", 44.9, "bulk", "44.9 × as long: 44.90 s, 90 MB (≥ 45 ✗)"),
        ("tshark-fields", 24.0, "short", "24.0 × as long: 24.00 s, 90 MB (≥ 25 ✗)"),
        ("tcpdump", 0.2, "bulk", "1/5.0 as long: 0.20 s, 90 MB (≥ 1/3.5 ✗)"),
        ("tcptrace", 1.2, "bulk", "1.2 × as long: 1.20 s, 90 MB (≥ 1.3 ✗)"),
    ],
)
def test_a_limit_that_does_not_hold_is_named(peer: str, seconds: float, name: str, cell: str) -> None:
    own = {OWN: runs(1.0), peer: runs(seconds)}
    one = Measured(name, AMOUNT, own, IDLE, STAGES)
    assert f"| {PEERS[peer].label} | {cell} |" in table([one], limits=True)
    assert cell.partition(" (")[0] + " |" in table([one], limits=False)
    assert missed([one]) == [f"{name}: {PEERS[peer].label}: {cell}"]


def test_a_capture_of_which_nothing_is_meant_has_ratios_and_no_limits() -> None:
    one = measured("http", tcpdump=runs(0.1, 0.2, 0.1))
    assert "| 1/10.0 as long: 0.10 s, 90 MB |" in table([one], limits=True)
    assert missed([one]) == []


def test_memory_may_grow_with_connections() -> None:
    assert missed([measured(own_mb=160)]) == []
    assert missed([measured(own_mb=161)]) == ["bulk: memory: 1.00 s, 161 MB (≤ 160 MB ✗)"]
    assert "| its memory per connection | 600 octets |" in table([measured(own_mb=90)], limits=False)


def test_a_command_that_failed_is_said_and_one_that_nobody_has_is_left_out() -> None:
    told = table([measured(tcptrace=runs(1, 1, 1)), measured("short", tcptrace=[])], limits=True)
    assert "| `tcptrace -n` | 1.0 × as long: 1.00 s, 90 MB (≥ 1.3 ✗) | failed |" in told
    assert ONE_JOB not in told
    assert "tshark" not in told


def test_the_table_of_growth_marks_what_grew_too_much() -> None:
    grown = Growth("bulk", (Amount(200, 4), Amount(2000, 40)), (runs(1, 1, 1), runs(10.4, 10.6, 10.6, peak_mb=95)))
    assert growth_table([grown]).splitlines()[-1] == (
        "| `bulk` | 200 → 2,000 | 1.00 s → 10.60 s | 90 MB → 95 MB | 10.6 × (≤ 10.5 ✗) |"
    )
    assert missed([], [grown]) == ["bulk: growth: 10.6 ×"]
    assert GROWTH_AT_MOST == 10.5


def test_the_table_of_captures_made_to_be_slow_compares_packets() -> None:
    """What starting takes is no packet's."""
    idle, ordinary = runs(1, 2, 1), runs(3, 4, 3)
    some = [
        Hostile("fins", 100, 1000, runs(*each, peak_mb=300), ordinary, idle) for each in ((1.5, 2.5, 9), (2, 3.5, 1))
    ]
    assert hostile_table(some).splitlines()[2:] == [
        f"| `fins` | {HOSTILE['fins']} | 2.5 (≤ 3 ✓) | 300 MB |",
        f"| `fins` | {HOSTILE['fins']} | 5.0 (≤ 3 ✗) | 300 MB |",
    ]
    assert missed([], hostile=some) == ["fins: 5.0 packets"]


def test_the_table_of_stages_has_seconds_and_shares() -> None:
    assert stage_table([measured(), measured("short")]).splitlines()[2:] == [
        "| starting | 0.25 s, 25% | 0.25 s, 25% |",
        "| reading records | 0.25 s, 25% | 0.25 s, 25% |",
        "| writing csv | 0.50 s, 50% | 0.50 s, 50% |",
    ]


def test_every_row_of_a_table_has_as_many_cells() -> None:
    one = measured(tshark_fields=runs(1, 1, 1), tcpdump=runs(1, 1, 1))
    for text in (table([one, one], limits=True), growth_table([]), stage_table([one])):
        assert len({line.count("|") for line in text.splitlines()}) == 1


def test_the_tables_have_a_place_in_the_readme() -> None:
    text = README.read_text()
    changed = written_into(text, "| a | b |")
    assert f"{BEGIN}\n\n| a | b |\n\n{END}" in changed
    assert written_into(changed, "| c |").replace("| c |", "| a | b |") == changed
    assert changed.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert changed.partition(END)[2] == text.partition(END)[2]
    with pytest.raises(ValueError, match="no place"):
        written_into("nothing", "| a |")
