"""The SACK option: its edges, and octets that came twice."""

from __future__ import annotations

import pytest

from handshake_inspect.tcp.sack import Edges, edges_in, leaves_out_blocks, reports_duplicate

TWO_BLOCKS = bytes.fromhex("0101 0512 00000001 00000005 fffffff0 00000002")


@pytest.mark.parametrize(
    ("octets", "edges"),
    [
        ("", ()),
        ("0101 080a 00000000 00000000", ()),
        ("0101 050a 00000001 00000005", ((1, 5),)),
        (TWO_BLOCKS.hex(), ((1, 5), (0xFFFFFFF0, 2))),
        ("0101 050c 00000001 00000005 0000", ()),  # no whole number of blocks: no option of RFC 2018 §3
        ("0101 050a 00000001 0000", None),  # the capture ends inside it
        ("0101 050a 00000000 00000000", None),  # left out
        ("0101 08", None),  # cut: a SACK option may have stood behind it
    ],
)
def test_the_edges_that_an_option_list_names(octets: str, edges: tuple[Edges, ...] | None) -> None:
    assert edges_in(bytes.fromhex(octets)) == edges


def test_blocks_that_were_left_out_are_told_from_those_that_the_capture_cut() -> None:
    assert leaves_out_blocks(TWO_BLOCKS[:4] + bytes(16))
    assert not any(map(leaves_out_blocks, (TWO_BLOCKS, TWO_BLOCKS[:11], b"", bytes(12))))


@pytest.mark.parametrize(
    ("first", "second", "ack", "duplicate"),
    [
        ((3000, 3500), None, 4000, True),  # RFC 2883 §4.1.1, the first example
        ((3000, 3500), (4500, 5000), 4000, True),  # §4.1.1, the second
        ((5000, 5500), (4500, 5500), 4000, True),  # §4.2.1: a part of the block behind it
        ((4500, 5000), None, 4000, False),
        ((4500, 5000), (5500, 6000), 4000, False),
        ((4000, 4500), (4500, 5000), 4000, False),
        ((3500, 4500), None, 4000, False),  # what is beyond the acknowledgment is no duplicate
    ],
)
def test_octets_that_came_twice(first: Edges, second: Edges | None, ack: int, duplicate: bool) -> None:
    assert reports_duplicate(first, second, ack) is duplicate
