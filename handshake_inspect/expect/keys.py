"""The value of a key in a file -> claims.

In: a value as TOML parses it. Out: claims (`CLAIMS`). Every function raises ValueError with one line: what is wrong
with the value, and what it may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache, partial
from typing import Any, TypeVar

from handshake_inspect.connections.deciding.found import Severity
from handshake_inspect.expect.amounts import COUNT, MOST, amount, is_count
from handshake_inspect.expect.claims import (
    ENDS,
    Claim,
    HandshakeTime,
    HasFinding,
    HasNoFinding,
    Octets,
    OneOf,
    Retransmissions,
    States,
)
from handshake_inspect.findings.catalogue import BY_CODE
from handshake_inspect.quantities import listed
from handshake_inspect.tcp.states import State
from handshake_inspect.views.words import HANDSHAKE_KINDS, TEARDOWN_KINDS, nearest

T = TypeVar("T")
STATES = tuple(dict.fromkeys(state.label for state in State))


class OfEndError(ValueError):
    """The value for one end cannot be understood."""

    def __init__(self, end: str, message: str) -> None:
        super().__init__(message)
        self.end = end


def _one_of(key: str, known: Sequence[str], value: Any) -> Iterator[Claim]:
    words = _texts(value)
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is none of {listed([*known])}.{nearest(word, [*known])}")
    yield OneOf(key, tuple(words))


def _states(listing: Any) -> tuple[str, ...]:
    states = tuple(listing.replace(">", " ").split()) if isinstance(listing, str) else tuple(_texts(listing))
    if not states:
        raise ValueError('expected are states: "CLOSED > SYN-SENT > ESTABLISHED"')
    for state in states:
        if state not in STATES:
            raise ValueError(f"{state!r} is no state.{nearest(state, [*STATES]) or f' States are {listed(STATES)}.'}")
    return states


def _handshake_time(value: Any) -> Iterator[Claim]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST:
        raise ValueError("expected is a number of milliseconds above 0")
    yield HandshakeTime(value)


def _retransmissions(value: Any) -> Iterator[Claim]:
    if not is_count(value):
        raise ValueError(f"expected is {COUNT}")
    yield Retransmissions(value)


def _findings(value: Any) -> Iterator[Claim]:
    for code in _texts(value):
        if code not in BY_CODE:
            raise ValueError(f"there is no finding {code!r}.{nearest(code, [*BY_CODE])}")
        yield HasFinding(code)


def _no_findings(value: Any) -> Iterator[Claim]:
    for text in _texts(value):
        yield none_of(text)


@cache
def none_of(text: str) -> HasNoFinding:
    """Forbid findings: a code, codes that a pattern matches, or a severity and above. Raises ValueError."""
    severities = [one.word for one in Severity]
    if text in severities:
        codes = {
            word for word, rule in BY_CODE.items() if rule.code.severity.word in severities[severities.index(text) :]
        }
        return HasNoFinding(frozenset(codes), f"none of severity {text}{' or above' * (text != severities[-1])}")
    codes = {code for code in BY_CODE if fnmatchcase(code, text)}
    if not codes:
        raise ValueError(f"there is no finding {text!r}, nor severity.{nearest(text, [*BY_CODE, *severities])}")
    return HasNoFinding(frozenset(codes), "none" if text == "*" else f"no {text}")


def _texts(value: Any) -> list[str]:
    """Return one or several words as a tuple."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(one, str) for one in texts):
        raise ValueError('expected is a word, or several: ["...", "..."]')
    return [*texts]


def _by_end(make: Callable[[str, T], Claim], read: Callable[[Any], T], value: Any) -> Iterator[Claim]:
    """Yield the value for each end, with the word for the end."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("expected is a value for an end, or for each: { client = ..., server = ... }")
    for end, said in value.items():
        if end not in ENDS:
            raise OfEndError(end, "that is no end: client or server (originator or responder)")
        try:
            yield make(end, read(said))
        except ValueError as error:
            raise OfEndError(end, str(error)) from None
    if len({ENDS[end] for end in value}) < len(value):
        raise ValueError(f"{listed([*value])}: one end is named twice; the originator is the client, if there is one")


Reading = Callable[[Any], Iterator[Claim]]
#: Key -> how its value is understood.
CLAIMS: Mapping[str, Reading] = {
    "handshake": partial(_one_of, "handshake", HANDSHAKE_KINDS),
    "teardown": partial(_one_of, "teardown", TEARDOWN_KINDS),
    "closed_first": partial(_one_of, "closed_first", (*ENDS, "both", "none")),
    "states": partial(_by_end, States, _states),
    "time_wait": partial(_one_of, "time_wait", (*ENDS, "both", "none")),
    "max_handshake_ms": _handshake_time,
    "max_retransmissions": _retransmissions,
    "findings": _findings,
    "no_findings": _no_findings,
    "octets": partial(_by_end, Octets, amount),
}
