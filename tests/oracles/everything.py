"""Everything that the contract says of an inspection, as one list: two ways to one capture must give equal lists."""

from __future__ import annotations

from handshake_inspect.inspection import Inspection
from handshake_inspect.views.contract import Json, connection_object, exchange_object


def everything(inspection: Inspection, *, steps: bool = False) -> list[Json]:
    """Return the objects of all connections and exchanges, without the name of the capture."""
    found = [
        connection_object(one, steps=inspection.steps(one.stream) if steps else None) for one in inspection.connections
    ]
    found += [exchange_object(one) for one in inspection.exchanges]
    for one in found:
        del one["capture"]
    return found
