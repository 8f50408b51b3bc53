"""Our conn.log of the public captures, cell by cell against Zeek's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.oracles.comparison import Comparison, answers_of
from tests.oracles.conn_log import compare_conn_logs

#: Cells that differ, by file and name: ours and Zeek's, and why.
KNOWN = {
    # One direction was captured. What it acknowledges of the other was sent, and counts; Zeek has 0.
    ("zeek__mixed-vlan-mpls.pcap", "bytes"): ((26, 50), (26, 0)),
    # The snapshot length cut off all payload. Its headers say that it was there: no gap.
    ("zeek__tcp_retransmit-fast009.pcap", "missed_bytes"): (0, 24257),
}
#: Lines of the oracle that can be compared; more when more link types are decoded.
LINES = 70


@pytest.fixture(scope="module")
def comparison(captures_dir: Path) -> Comparison:
    with (captures_dir / "oracle_zeek.jsonl").open() as lines:
        files = sorted({json.loads(line)["file"] for line in lines})
    return compare_conn_logs(captures_dir, [answer for file in files for answer in answers_of(captures_dir / file)])


@pytest.mark.parametrize("name", ["duration", "bytes", "pkts", "missed_bytes"])
def test_every_cell_is_zeeks_but_those_that_are_explained(comparison: Comparison, name: str) -> None:
    assert comparison.compared[name] >= LINES
    differences = {(one.file, one.name): (one.ours, one.theirs) for one in comparison.differences if one.name == name}
    assert differences == {key: cells for key, cells in KNOWN.items() if key[1] == name}


def test_every_line_has_a_connection(comparison: Comparison) -> None:
    assert set(comparison.compared) == {"duration", "bytes", "pkts", "missed_bytes"}
