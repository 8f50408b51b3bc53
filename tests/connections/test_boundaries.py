"""Where connections begin: the oracle of `tests.engine` says it of whole conversations, here is what it rests on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from handshake_inspect.connections.boundaries import SIDE_BIT, OctetsOnSyns
from handshake_inspect.tcp.seqnum import MODULUS

near = st.one_of(st.integers(0, 70), st.integers(MODULUS - 70, MODULUS - 1))
syns = st.tuples(st.integers(0, 1), near, st.integers(1, 40))


@given(st.lists(syns, max_size=12), st.lists(st.tuples(st.integers(0, 1), near), min_size=1, max_size=12))
def test_octets_on_syns_are_what_a_list_of_them_says(
    added: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    octets = OctetsOnSyns()
    for side, number, count in added:
        octets.add(side << SIDE_BIT | number, count)
    for side, number in asked:
        wanted = any(one == side and (number - first) % MODULUS <= count for one, first, count in added)
        assert octets.holds(side << SIDE_BIT | number) == wanted
