"""Who belongs together: by server, then by what was done, whatever the order."""

from __future__ import annotations

from handshake_inspect.compared.pairing import Candidate, Pairing, pair
from handshake_inspect.connections.connection import Endpoint

HTTPS, HTTP = Endpoint("192.0.2.1", 443), Endpoint("192.0.2.1", 80)


def some(*did: str, server: Endpoint = HTTPS, first: int = 0) -> list[Candidate]:
    """Connections of one server: the first letter says how each opened and closed, the digits are its octets."""
    return [
        Candidate(first + n, server, one.encode(), ord(one[0]), (int(one[1:] or 0), 0)) for n, one in enumerate(did)
    ]


def streams(found: Pairing) -> list[tuple[int, int]]:
    return [(one.stream, other.stream) for one, other in found.pairs]


def test_the_order_does_not_matter() -> None:
    found = pair(some("a1", "b1", "c1"), some("c1", "a1", "b1"))
    assert streams(found) == [(0, 1), (1, 2), (2, 0)]
    assert found.only_a == found.only_b == []


def test_one_too_many_in_the_middle_is_one_too_many() -> None:
    a, b = some("a1", "b1", "c1"), some("a1", "b1", "d1", "c1")
    found = pair(a, b)
    assert streams(found) == [(0, 0), (1, 1), (2, 3)]
    assert [one.stream for one in found.only_b] == [2]
    back = pair(b, a)
    assert [one.stream for one in back.only_a] == [2]


def test_of_equal_ones_the_last_is_too_many() -> None:
    found = pair(some("a1", "a1"), some("a1", "a1", "a1"))
    assert streams(found) == [(0, 0), (1, 1)]
    assert [one.stream for one in found.only_b] == [2]


def test_of_what_changed_the_most_alike_are_partners() -> None:
    """The verdict and the octets, then the verdict."""
    a = some("a10", "a20", "b30")
    b = some("b31", "a21", "a10")
    assert streams(pair(a, b)) == [(0, 2), (1, 1), (2, 0)]
    a = [Candidate(0, HTTPS, b"other", ord("a"), (7, 0)), Candidate(1, HTTPS, b"another", ord("a"), (8, 0))]
    assert streams(pair(a, some("a8", "a7"))) == [(0, 1), (1, 0)]


def test_what_has_nothing_in_common_is_paired_by_its_neighbour() -> None:
    a = some("a1", "b1", "c1")
    b = some("x9", "a1", "y9", "c1")
    assert streams(pair(a, b)) == [(0, 1), (1, 2), (2, 3)]


def test_what_is_left_is_paired_in_order() -> None:
    found = pair(some("a1", "b1"), some("x9"))
    assert streams(found) == [(0, 0)]
    assert [one.stream for one in found.only_a] == [1]


def test_servers_are_kept_apart() -> None:
    a = [*some("a1"), *some("b1", server=HTTP, first=1)]
    b = [*some("b1"), *some("a1", server=HTTP, first=1)]
    assert streams(pair(a, b)) == [(0, 0), (1, 1)]
    gone = pair(a, some("a1"))
    assert [one.stream for one in gone.only_a] == [1]


def test_a_server_that_has_moved_is_known_by_its_port() -> None:
    a = [*some("a1"), *some("b1", server=HTTP, first=1)]
    moved = [
        *some("b1", server=Endpoint("198.51.100.9", 80)),
        *some("a1", server=Endpoint("198.51.100.9", 443), first=1),
    ]
    assert streams(pair(a, moved)) == [(0, 1), (1, 0)]


def test_servers_at_ports_that_a_kernel_chose_are_taken_together() -> None:
    a = [*some("a1", server=Endpoint("127.0.0.1", 40001)), *some("b1", server=Endpoint("127.0.0.1", 40002), first=1)]
    b = [*some("b1", server=Endpoint("127.0.0.1", 50001)), *some("a1", server=Endpoint("127.0.0.1", 50002), first=1)]
    assert streams(pair(a, b)) == [(0, 1), (1, 0)]


def test_without_a_digest_nothing_is_taken_for_equal() -> None:
    a = [Candidate(n, HTTPS, None, 1, (n, 0)) for n in range(3)]
    b = [Candidate(n, HTTPS, None, 1, (2 - n, 0)) for n in range(3)]
    assert streams(pair(a, b)) == [(0, 2), (1, 1), (2, 0)]
