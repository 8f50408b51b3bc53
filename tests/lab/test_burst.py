"""20,000 connections in one burst, made by other processes: a capture with its defaults loses no segment."""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.lab.world import Child, in_private_world
from handshake_inspect.table import Names
from tests.lab.bursts import CONNECTIONS, burst
from tests.lab.privileges import as_ordinary_user, needs_private_world, needs_root

SYN, ACK = 0x02, 0x10
pytestmark = pytest.mark.usefixtures("loopback_alone")


def captured_burst() -> tuple[int, int, int, int, float]:
    """Read and decode while another process makes the burst: what is left to see of it."""
    decoder, syns = Decoder(Names()), []
    with LiveCapture("lo") as capture:
        maker = Child(burst)
        poll = select.poll()
        poll.register(maker, select.POLLIN)

        def look(timeout_s: float) -> bool:
            block = capture.read(timeout_s)
            if block is not None:
                segments = decoder.decode(block, 0).segments
                rows = segments["flags"] & (SYN | ACK) == SYN
                # A port may be used again after a second (tcp_tw_reuse); a SYN that is sent again has the same number.
                syns.append(np.stack([segments[name][rows] for name in ("src_lo", "src_port", "seq")], axis=1))
            return block is not None

        while not poll.poll(0) or maker.listen():
            look(0.05)
        while look(0.2):
            pass
        openings = len(np.unique(np.concatenate(syns), axis=0))
        return openings, capture.packets, capture.received, capture.dropped, maker.result()


def as_root() -> tuple[int, int, int, int, float]:
    needs_root("a network namespace without a user namespace around it")
    return in_private_world(captured_burst)


def as_user() -> tuple[int, int, int, int, float]:
    needs_private_world()
    return as_ordinary_user(partial(in_private_world, captured_burst))


@pytest.mark.parametrize("run", [as_root, as_user])
def test_a_burst_of_20_000_connections_is_captured_whole(run: Callable[[], tuple[int, int, int, int, float]]) -> None:
    openings, packets, received, dropped, seconds = run()
    assert openings == CONNECTIONS
    assert dropped == 0
    assert packets == received >= 10 * CONNECTIONS
    print(f"{packets:,} segments in {seconds:.2f} s")
