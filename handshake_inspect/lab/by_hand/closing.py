"""How the echo programs by hand close, as planned and as first or second end: by the code of the demo's programs.

In: a connection, a plan, and how many octets there were. Out: a connection that is closed. Read RFC 9293 §3.6.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from handshake_inspect.lab.by_hand.echo_plans import ClientPlan, ServerPlan
from handshake_inspect.lab.calls import RecordedSocket
from handshake_inspect.lab.echo import close_first, close_second, octets_in_all


@dataclass(frozen=True)
class ByHand:
    """How a connection that had so many octets is to be closed: a `Closing` of `echo`."""

    half_close: bool
    pause_s: float
    octets: int

    @property
    def farewell(self) -> bytes:
        """The octets that are sent after the other end's half-close."""
        return octets_in_all(self.octets)


def close(connection: RecordedSocket, plan: ServerPlan | ClientPlan, octets: int, *, is_first: bool) -> None:
    """Close as planned, as the first end or as the second."""
    closing = ByHand(plan.half_close, plan.delay_s, octets)
    if is_first:
        time.sleep(plan.delay_s)
    if plan.reset:
        connection.reset()
    elif is_first:
        close_first(connection, closing)
    else:
        close_second(connection, closing)
