"""A place in a frame at which a header begins, and the step from one to the next.

In: octets and their kind. Out: the places further in, until one is an IP packet's transport. A step reads one header
with a class of `layers` and yields the places after it; it raises `Unread` if there is no TCP, UDP or ICMP error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from handshake_inspect.capture.scapy_side.layers import read_header

#: Headers around a transport; more are treated as damage.
MOST_HEADERS = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Octets that begin with a header of one kind."""

    #: Name of the step that reads them.
    kind: str
    octets: bytes
    #: Octets from here on, on the wire: including those that were not captured.
    original: int
    #: Number that came with `kind`: a link type, Ethertype or IP protocol.
    number: int = 0
    #: Words for `Names.encapsulation` and `Names.tunnel`, outermost first.
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    #: Headers before this one; reassembled packets around it; whether it is in an 802.11 aggregate.
    depth: int = 0
    wholes: int = 0
    aggregate: bool = False

    def after(self, octets: int, kind: str, number: int = 0) -> Place:
        """Return the place after this header's `octets`; with 0 octets another interpretation of this place."""
        return replace(
            self, kind=kind, octets=self.octets[octets:], original=max(self.original - octets, 0), number=number,
            depth=self.depth + (octets > 0),
        )  # fmt: skip

    def sized(self, length: int) -> Place:
        """Return the same place with the length from a header; octets after it are padding."""
        return replace(self, octets=self.octets[:length], original=length)

    def named(self, word: str, key: str = "") -> Place:
        """Return the same place with one more word; `key`, if any, also becomes part of the key of a connection."""
        return replace(self, words=(*self.words, word), keys=(*self.keys, key) if key else self.keys)


Step = Callable[[Place], Iterator[Place]]


class Unread(Exception):  # noqa: N818 (no error: what holds no row)
    """The content of a place that has no row. The argument is its kind, as `Block.unread` counts it."""


def header_at(place: Place, kind: Any, at_least: int, name: str) -> tuple[Any, int]:
    """Return the header of class `kind` at a place and its length. Raises Unread if it was not captured in full."""
    found = read_header(kind, place.octets, at_least)
    if found is None:
        raise Unread(f"truncated {name}")
    return found


def fixed_header_at(place: Place, kind: Any, octets: int, name: str) -> Any:
    """Return the header of class `kind`, of which the first `octets` are read, without options. Raises Unread."""
    found = read_header(kind, place.octets[:octets], octets)
    if found is None:
        raise Unread(f"truncated {name}")
    return found[0]
