from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.views.page.packing import SHAPES_IN_BLOCK, SLOT, Packed, merged, packed_parts, parted

MARKUP = st.text(st.sampled_from("<b>x é 0123456789,"))


def together(parts: Iterable[Packed]) -> list[str]:
    """Put shapes and numbers together, as the page's script does."""
    data = {part.id: json.loads(zlib.decompress(base64.b64decode(part.data), -zlib.MAX_WBITS)) for part in parts}
    found = []
    for number in range(sum(name.startswith("ladders") for name in data)):
        for shape, numbers in data[f"ladders-{number}"]:
            pieces = data[f"shapes-{shape // SHAPES_IN_BLOCK}"][shape % SHAPES_IN_BLOCK].split(SLOT)
            values = numbers.split(",") if len(pieces) > 1 else []
            found.append("".join(a + b for a, b in zip(pieces, [*values, ""], strict=True)))
    return found


@given(st.lists(st.lists(MARKUP)))
def test_ladders_come_out_as_they_went_in(parts: list[list[str]]) -> None:
    packed = list(packed_parts(map(parted, parts)))
    assert together(packed) == [markup for part in parts for markup in part]


@given(st.lists(MARKUP, max_size=5))
def test_numbers_are_those_that_a_regular_expression_finds(ladders: list[str]) -> None:
    found = parted(ladders)
    for markup, (shape, numbers) in zip(ladders, found.ladders, strict=True):
        assert found.shapes[shape] == re.sub("[0-9]+", SLOT, markup)
        assert numbers == ",".join(re.findall("[0-9]+", markup))


@given(st.lists(st.tuples(st.integers(0, 2), MARKUP)))
def test_parts_that_are_merged_are_as_if_parted_together(ladders: list[tuple[int, str]]) -> None:
    parts = [parted([markup for number, markup in ladders if number == part]) for part in range(3)]
    assert merged(parts, [number for number, _ in ladders]) == parted(markup for _, markup in ladders)


def test_ladders_that_differ_in_numbers_alone_have_one_shape() -> None:
    found = parted(f"<b>{number}</b> at {number * 7}" for number in range(5, 15))
    assert len(found.shapes) == 1
    assert found.ladders[5] == (0, "10,70")


def test_shapes_stand_once_in_blocks_of_equal_size() -> None:
    ladders = ["<i>" * number for number in range(2 * SHAPES_IN_BLOCK + 1)]
    packed = list(packed_parts([parted(ladders), parted(ladders)]))
    assert [part.id for part in packed] == ["ladders-0", "shapes-0", "shapes-1", "ladders-1", "shapes-2"]
    assert together(packed) == ladders * 2
