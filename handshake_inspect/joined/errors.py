"""ICMP errors that quote segments of a connection, and the places at which each was seen.

In: the `IcmpError`s of both places. Out: `JoinedError`s. Errors are matched by their message and the number that they
quote; several equal ones are matched in order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from handshake_inspect.connections.connection import End, IcmpError
from handshake_inspect.joined.model import JoinedError, PlacePair

#: Type, code, whose segment is quoted, and its number from the initial one.
_Key = tuple[int, int, End, int | None]


def join_errors(
    first: Sequence[IcmpError], second: Sequence[IcmpError], exchanged: Sequence[bool]
) -> Iterator[JoinedError]:
    """Yield the errors of the first place, then what only the second has.

    `exchanged`: has each place, by itself, the ends the other way round?
    """
    there: dict[_Key, deque[IcmpError]] = defaultdict(deque)
    for error in second:
        there[_key(error, exchanged[1])].append(error)
    for error in first:
        key = _key(error, exchanged[0])
        yield JoinedError(error, key[2], PlacePair(error.frame, there[key].popleft().frame if there[key] else None))
    for (_, _, quotes, _), left in there.items():
        for error in left:
            yield JoinedError(error, quotes, PlacePair(None, error.frame))


def _key(error: IcmpError, is_exchanged: bool) -> _Key:
    quotes: End = error.quotes
    if is_exchanged:
        quotes = "responder" if quotes == "originator" else "originator"
    return error.type, error.code, quotes, error.relative_seq
