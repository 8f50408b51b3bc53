"""A live capture without a network: recorded frames that come when a test says so."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.records import Records
from handshake_inspect.cli.watch import Watch, WatchRequest
from handshake_inspect.screen.app import ConnectionsApp
from handshake_inspect.screen.colours import Colours
from handshake_inspect.screen.live import Live
from tests.cli.running import PCAPS
from tests.screen.showing import Shown

ETHERNET = 1
SECOND_NS = 1_000_000_000


@dataclass
class Interface:
    """What a `LiveCapture` says of itself."""

    interface: str = "lo"
    dropped: int = 0
    frame_octets: int = 262_144
    interfaces: list[tuple[str, int]] = field(default_factory=lambda: [("lo", ETHERNET)])


def frames_of(name: str, ago_s: float = 0.0) -> list[Records]:
    """Return the frames of a recorded capture, a block each, as if the last had come so long ago."""
    with open_capture(PCAPS / name) as reader:
        (records,) = [replace(block, buffer=block.buffer.copy()) for block in reader]
    shift_ns = time.time_ns() - int(ago_s * SECOND_NS) - int(records.time_ns[-1])
    single = []
    for row in range(len(records)):
        rows = np.array([row])
        columns = ("offset", "captured", "original", "time_ns", "frame", "link_type")
        single.append(
            Records(
                buffer=records.buffer,
                **{one: getattr(records, one)[rows] + shift_ns * (one == "time_ns") for one in columns},
            )
        )
    return single


class Feed:
    """A live capture into which a test puts frames."""

    def __init__(self) -> None:
        self.interface = Interface()
        self.watch = Watch(self.interface, WatchRequest(), on_screen=True)  # type: ignore[arg-type]
        self._blocks: queue.SimpleQueue[Records | None] = queue.SimpleQueue()
        self.is_left = False
        self._frames = 0

    def put(self, *blocks: Records) -> None:
        """Let these frames come, under the next numbers."""
        for block in blocks:
            self._frames += len(block)
            self._blocks.put(replace(block, frame=np.arange(self._frames - len(block), self._frames) + 1))

    def end(self) -> None:
        """Let the capture end."""
        self._blocks.put(None)

    def blocks(self) -> Iterator[Records | None]:
        while not self.is_left:
            try:
                block = self._blocks.get(timeout=0.02)
            except queue.Empty:
                yield None
                continue
            if block is None:
                return
            yield block


def show_live(
    feed: Feed, check: Callable[[Shown], Awaitable[None]], ended: str = "", size: tuple[int, int] = (120, 36)
) -> None:
    """Show what comes into a feed, and do something with it."""
    live = Live(feed.watch)

    def follow() -> None:
        feed.watch.follow(live.attended(feed.blocks()))
        live.ended = ended

    def run(live: Live) -> None:
        async def checked() -> None:
            app = ConnectionsApp(live, Colours())
            async with app.run_test(size=size) as pilot:
                await check(Shown(app, pilot))

        asyncio.run(checked())

    def leave() -> None:
        feed.is_left = True

    live.shown(follow, run, leave)
