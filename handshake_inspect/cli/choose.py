"""Which connections, in which order, how many: `--where`, `--host`, `--port`, `--sort`, `--limit`.

In: all connections. Out: those chosen. Without `--sort` they pass through one at a time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from handshake_inspect.cli.where import Condition, sort_key
from handshake_inspect.cli.where_parser import WhereError, field_path, parse
from handshake_inspect.connections.connection import Connection
from handshake_inspect.exchanges import Exchange
from handshake_inspect.views.contract import connection_object

T = TypeVar("T", Connection, Exchange)


@dataclass
class Choice:
    """What was asked for, and how many connections were passed over for `--limit`."""

    where: Condition | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    port: int | None = None
    sort: tuple[str, ...] = ()
    descending: bool = False
    limit: int | None = None
    #: Chosen, but not shown because of the limit.
    beyond_limit: int = 0

    @property
    def chooses(self) -> bool:
        """Is anything left out for what it is?"""
        return self.where is not None or self.network is not None or self.port is not None

    def of(self, connections: Iterable[Connection]) -> Iterator[Connection]:
        """Yield the connections chosen, in the order asked for."""
        chosen = (one for one in self.by_address(connections) if self._where_holds(one))
        if self.sort:
            keyed = [(sort_key(self.sort, connection_object(one)), one) for one in chosen]
            known = [item for item in keyed if not item[0][0]]
            known.sort(key=lambda item: item[0], reverse=self.descending)
            chosen = (one for _, one in [*known, *(item for item in keyed if item[0][0])])
        yield from islice(chosen, self.limit)
        if self.limit is not None:
            self.beyond_limit = sum(1 for _ in chosen)

    def streams(self, connections: Sequence[Connection]) -> NDArray[np.int64]:
        """Return the numbers of the connections chosen, in the order asked for; makes no object if all are."""
        if not self.chooses and not self.sort:
            shown = len(connections) if self.limit is None else min(self.limit, len(connections))
            self.beyond_limit = len(connections) - shown
            return np.arange(shown)
        return np.array([one.stream for one in self.of(connections)], np.int64)

    def by_address(self, items: Iterable[T]) -> Iterator[T]:
        """Yield those of the host and the port."""
        for item in items:
            ends = (item.originator, item.responder)
            if self.port is not None and all(end.port != self.port for end in ends):
                continue
            if self.network is not None and all(not _within(end.ip, self.network) for end in ends):
                continue
            yield item

    def _where_holds(self, connection: Connection) -> bool:
        return self.where is None or self.where.holds(connection_object(connection))


def choice(
    where: str | None, host: str | None, port: int | None, sort: str | None = None, limit: int | None = None
) -> Choice:
    """Understand the options. Raises click.BadParameter."""
    chosen = Choice(port=port, limit=limit)
    if where is not None:
        try:
            chosen.where = parse(where)
        except WhereError as error:
            raise click.BadParameter(str(error), param_hint="--where") from None
    if host is not None:
        try:
            chosen.network = ipaddress.ip_network(host, strict=False)
        except ValueError:
            message = f"{host!r} is no IP address and no network (10.0.0.0/8, 2001:db8::/32)"
            raise click.BadParameter(message, param_hint="--host") from None
    if sort is not None:
        try:
            chosen.sort = field_path(sort.removeprefix("-"))
        except WhereError as error:
            raise click.BadParameter(str(error), param_hint="--sort") from None
        chosen.descending = sort.startswith("-")
    return chosen


def _within(ip: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    address = ipaddress.ip_address(ip)
    return address.version == network.version and address in network
