"""What a caller holds in hand: a wrong name of an end is an error, not the other end."""

from __future__ import annotations

import pytest

from handshake_inspect.connections.connection import Pair


@pytest.mark.parametrize("end", ["client", "server", "Originator", 0, None])
def test_a_pair_has_no_end_of_another_name(end: str) -> None:
    with pytest.raises(KeyError, match="is no end: originator or responder"):
        Pair(4, 9)[end]  # type: ignore[index]


def test_a_pair_has_two_ends_in_order() -> None:
    octets = Pair(4, 9)
    assert [*octets] == [octets["originator"], octets["responder"]] == [4, 9]
    assert 5 not in octets
