"""The lines of datagrams, and of the ICMP errors about them."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from handshake_inspect.table import DatagramTable, IcmpErrorTable
from handshake_inspect.views.datagram_line import datagram_lines

FAR = {"ip_version": 6, "src_hi": 0x20010DB800001111, "src_lo": 0x2222333344445555, "src_port": 50000,
       "dst_hi": 0x20010DB800001111, "dst_lo": 0x6666777788889999, "dst_port": 8123}  # fmt: skip
NEAR = {"ip_version": 4, "src_lo": 127 << 24 | 1, "src_port": 50000, "dst_lo": 127 << 24 | 1, "dst_port": 8123}


def lines(width: int | None, where: str = "") -> list[str]:
    """Return the lines of two datagrams and of an error about the second."""
    rows = [NEAR, FAR]
    columns = {name: np.array([row.get(name, 0) for row in rows]) for name in DatagramTable.DTYPES}
    datagrams = DatagramTable({**columns, "payload_octets": np.array([1200, 4])})
    about = IcmpErrorTable.empty(1).columns
    given = {name: about[name] + FAR.get(name, 0) for name in about} | {"icmp_type": about["icmp_type"] + 1}
    timed = datagram_lines(datagrams, IcmpErrorTable(given), width, lambda _frame: where)
    return [line.plain for _, line in timed]


def test_without_a_terminal_every_datagram_is_one_line() -> None:
    near, far, error = lines(None)
    assert near.endswith("udp  127.0.0.1:50000 → 127.0.0.1:8123  1,200 octets")
    assert far.endswith(":5555]:50000 → [2001:db8:0:1111:6666:7777:8888:9999]:8123  4 octets")
    assert " ← " in error
    assert " ICMP " in error


@pytest.mark.parametrize("where", ["", "eth0"])
@pytest.mark.parametrize("width", [66, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int, where: str) -> None:
    found = lines(width, where)
    assert all(cell_len(line) <= width for line in found)
    assert " ".join(" ".join(found).split()).count("[2001:db8:0:1111:2222:3333:4444:5555]:50000") == 2


def test_what_does_not_fit_stands_below_the_sender() -> None:
    first, second = lines(56)[:2]
    assert first.endswith(" 127.0.0.1:50000 → 127.0.0.1:8123")
    assert second == " " * first.index("127.0.0.1") + "1,200 octets"
