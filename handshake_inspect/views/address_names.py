"""Names of addresses, from name resolution records in captures.

In: a run and a connection of it. Out: a line for each address that has names. Long names are cut; the JSON has all
names in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handshake_inspect.connections.connection import Connection
from handshake_inspect.quantities import listed
from handshake_inspect.views.table import cut_end

if TYPE_CHECKING:
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.overview import Overview

#: Names of one address that there is room for, and terminal columns of one: a name of DNS may have 253 characters.
NAMES_SHOWN, LONGEST_NAME = 3, 60


def names_of_ends(run: Inspection | Overview, connection: Connection) -> list[str]:
    """Return the names that the captures have for the two addresses, if any."""
    addresses = dict.fromkeys([connection.originator.ip, connection.responder.ip])
    known = {address: run.names_of(address)[:NAMES_SHOWN] for address in addresses}
    shown = {address: [cut_end(name, LONGEST_NAME) for name in names] for address, names in known.items()}
    return [f"{address} is {listed(names, 'or')}" for address, names in shown.items() if names]
