"""What the ends of a connection are called: names that a capture tells of addresses.

In: a run and a connection of it. Out: a line for each address that has names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handshake_inspect.connections.connection import Connection
from handshake_inspect.quantities import listed

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.overview import Overview

#: Names of one address that there is room for.
NAMES_SHOWN = 3


def names_of_ends(run: Inspection | Overview, connection: Connection) -> list[str]:
    """Return what the capture says the two addresses are called, if anything."""
    addresses = dict.fromkeys([connection.originator.ip, connection.responder.ip])
    known = {address: run.names_of(address)[:NAMES_SHOWN] for address in addresses}
    return [f"{address} is {listed(names, 'or')}" for address, names in known.items() if names]
