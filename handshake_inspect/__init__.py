"""How every TCP connection of a capture opened, lived and closed, proven by sequence arithmetic.

>>> from handshake_inspect import inspect
>>> inspect("echo.pcap").connections[0].teardown.kind  # doctest: +SKIP
'four-way'

Reading order for newcomers, as data flows: `tcp` (what RFC 9293 says), `table` (segments as columns), `capture` (files
and interfaces -> tables), `connections` (segments -> connections, events, states), `findings`, `inspector` (the wiring
of these), `views` (text, JSON, pages). What uses them: `compared`, `joined`, `conditions`, `expect`, `explain`,
`lesson`, `screen`, `cli`, `testing`; `lab` makes real connections. The `__init__` of each folder lists its modules.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handshake_inspect.capture.records import CaptureError, Damage
    from handshake_inspect.capture.summary import CaptureSummary
    from handshake_inspect.connections.connection import (
        Arithmetic,
        Connection,
        Endpoint,
        Finding,
        Handshake,
        HandshakeKind,
        Happened,
        IcmpError,
        Pair,
        Reset,
        Restart,
        Reuse,
        RunFinding,
        StateAt,
        Step,
        SynOptions,
        Teardown,
        TeardownKind,
        TimeWait,
    )
    from handshake_inspect.connections.endless.retention import LetGo
    from handshake_inspect.connections.ledger.ledger import Owed, TimeWaitLedger
    from handshake_inspect.connections.ledger.owing import HostOwes
    from handshake_inspect.connections.ledger.port_use import PortUse
    from handshake_inspect.exchanges import Exchange
    from handshake_inspect.inspection import Inspection
    from handshake_inspect.inspector import inspect
    from handshake_inspect.tcp.states import Event, StateName
    from handshake_inspect.tcp.time_wait import PortRange, Profile

__version__ = "0.1.0"

__all__ = [
    "Arithmetic",
    "CaptureError",
    "CaptureSummary",
    "Connection",
    "Damage",
    "Endpoint",
    "Event",
    "Exchange",
    "Finding",
    "Handshake",
    "HandshakeKind",
    "Happened",
    "HostOwes",
    "IcmpError",
    "Inspection",
    "LetGo",
    "Owed",
    "Pair",
    "PortRange",
    "PortUse",
    "Profile",
    "Reset",
    "Restart",
    "Reuse",
    "RunFinding",
    "StateAt",
    "StateName",
    "Step",
    "SynOptions",
    "Teardown",
    "TeardownKind",
    "TimeWait",
    "TimeWaitLedger",
    "inspect",
]


#: Where each of these is: numpy costs a tenth of a second, and `handshake-inspect --help` must not pay for it.
_PLACES = {
    "capture.records": ("CaptureError", "Damage"),
    "capture.summary": ("CaptureSummary",),
    "connections.connection": (
        "Arithmetic", "Connection", "Endpoint", "Finding", "Handshake", "HandshakeKind", "Happened", "IcmpError",
        "Pair", "Reset", "Restart", "Reuse", "RunFinding", "StateAt", "Step", "SynOptions", "Teardown", "TeardownKind",
        "TimeWait",
    ),
    "connections.endless.retention": ("LetGo",),
    "connections.ledger.ledger": ("Owed", "TimeWaitLedger"),
    "connections.ledger.owing": ("HostOwes",),
    "connections.ledger.port_use": ("PortUse",),
    "exchanges": ("Exchange",),
    "inspection": ("Inspection",),
    "inspector": ("inspect",),
    "tcp.states": ("Event", "StateName"),
    "tcp.time_wait": ("PortRange", "Profile"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
