"""Selects connections and UDP exchanges by columns: addresses, ports, times, stream numbers.

In: the options of a selection. Out: the stream numbers selected, found without an object per connection; exchanges are
few, and each is tested. A connection is selected as a whole: its verdict rests on all its segments, also on those
before `--since`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.arrays import Mask
from handshake_inspect.plain import mutable, plain

if TYPE_CHECKING:  # options are parsed before the engine is imported
    from handshake_inspect.conditions.moments import Moment
    from handshake_inspect.exchanges import Exchange
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.pairs import KeyTable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOWER_64 = (1 << 64) - 1


@plain
class StreamRange:
    """Streams from `first` to `last`, both included; None: to the end."""

    first: int
    last: int | None

    def __str__(self) -> str:
        if self.first == self.last:
            return f"stream {self.first}"
        return f"stream {self.first} and later" if self.last is None else f"streams {self.first} to {self.last}"


class SelectionError(ValueError):
    """A text that is no network or no list of streams. The message is one line."""


def network(text: str) -> Network:
    """Parse an address, or a network with its prefix length. Raises SelectionError."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SelectionError(f"{text!r} is no IP address and no network (10.0.0.0/8, 2001:db8::/32)") from None


def stream_ranges(text: str) -> tuple[StreamRange, ...]:
    """Parse stream numbers and ranges of them: "3", "3,7-9", "20-". Raises SelectionError."""
    ranges = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,10})\s*(-\s*(\d{1,10})?)?\s*", part, re.ASCII)
        if not found:
            raise SelectionError(f"{part!r} is no number of a stream and no range (3 or 3,7-9 or 20-)")
        first = int(found[1])
        last = first if found[2] is None else None if found[3] is None else int(found[3])
        if last is not None and last < first:
            raise SelectionError(f"{part!r} is a range that ends before it begins")
        ranges.append(StreamRange(first, last))
    return tuple(ranges)


@mutable
class Selection:
    """Criteria that must all hold; those that are None or empty exclude nothing."""

    host: Network | None = None
    #: At least one end lies in one of these networks.
    nets: tuple[Network, ...] = ()
    port: int | None = None
    since: Moment | None = None
    until: Moment | None = None
    streams: tuple[StreamRange, ...] = ()

    def of(self, inspection: Inspection) -> NDArray[np.int64]:
        """Return the streams selected, in order."""
        connections = inspection.connections
        chosen = np.ones(len(connections), np.bool_)
        table = connections.verdicts.table
        if self.host is not None or self.nets or self.port is not None:
            by_conversation = self._has_ends(connections.keys)
            chosen &= by_conversation[table["conversation"][connections.order]]
        if self.since is not None or self.until is not None:
            since, until = self.window(inspection)
            first, last = (table[name][connections.order] for name in ("first_ns", "last_ns"))
            chosen &= (np.maximum(first, last) >= since) & (first <= until)
        if self.streams:
            named = np.zeros(len(connections), np.bool_)
            for one in self.streams:
                named |= _named(connections.streams, one)
            chosen &= named
        return connections.streams[chosen]

    def _has_ends(self, keys: KeyTable) -> Mask:
        chosen = np.ones(len(keys), np.bool_)
        if self.port is not None:
            chosen &= (keys["lower_port"] == self.port) | (keys["higher_port"] == self.port)
        if self.host is not None:
            chosen &= _touches(keys, self.host)
        if self.nets:
            chosen &= np.logical_or.reduce([_touches(keys, net) for net in self.nets])
        return chosen

    def takes(self, exchange: Exchange, inspection: Inspection) -> bool:
        """Is a UDP exchange selected? It has no stream number, so a selection by number excludes it."""
        if self.streams:
            return False
        ends = (exchange.originator, exchange.responder)
        if self.port is not None and all(end.port != self.port for end in ends):
            return False
        addresses = [ipaddress.ip_address(end.ip) for end in ends]
        if self.host is not None and all(one not in self.host for one in addresses):
            return False
        if self.nets and all(one not in net for net in self.nets for one in addresses):
            return False
        since, until = self.window(inspection)
        return max(exchange.first_ns, exchange.last_ns) >= since and exchange.first_ns <= until

    def window(self, inspection: Inspection) -> tuple[int, int]:
        """Return since and until in nanoseconds since the Unix epoch; they may be relative to the run's first frame."""
        first_ns = min((one.first_ns for one in inspection.captures if one.first_ns is not None), default=0)
        far = np.iinfo(np.int64)
        since = int(far.min) if self.since is None else self.since.at(first_ns)
        until = int(far.max) if self.until is None else self.until.at(first_ns)
        return since, until

    def absent(self, inspection: Inspection) -> tuple[StreamRange, ...]:
        """Return the ranges asked for that match no stream."""
        streams = inspection.connections.streams
        return tuple(one for one in self.streams if not _named(streams, one).any())


def _named(streams: NDArray[np.int64], wanted: StreamRange) -> Mask:
    """Mark the streams that lie in a range."""
    last = np.iinfo(np.int64).max if wanted.last is None else wanted.last
    named: Mask = (streams >= wanted.first) & (streams <= last)
    return named


def _touches(keys: KeyTable, network: Network) -> Mask:
    """Mark the keys with an end in the network."""
    mask, prefix = int(network.netmask), int(network.network_address)
    inside = np.zeros(len(keys), np.bool_)
    for end in ("lower", "higher"):
        upper = keys[f"{end}_hi"] & np.uint64(mask >> 64) == np.uint64(prefix >> 64)
        inside |= upper & (keys[f"{end}_lo"] & np.uint64(mask & LOWER_64) == np.uint64(prefix & LOWER_64))
    inside &= keys["ip_version"] == network.version
    return inside
