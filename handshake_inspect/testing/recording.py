"""Loopback recorded into a file while a block of a test runs.

In: the block of a `with`. Out: a capture file, complete from its first segment: the packet socket is open before the
block begins. Meanwhile a thread moves frames from the kernel's ring into the file: the ring fills within 5 s, however
few frames come. At the end it waits for connections to close: until the kernel has no socket of a captured connection
except in LISTEN and TIME-WAIT.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from handshake_inspect.capture.decode import Decoder
from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.records import CaptureError, Records
from handshake_inspect.capture.writing.pcapng import PcapngWriter
from handshake_inspect.expect.places import ExpectationError
from handshake_inspect.expect.understanding import port_number
from handshake_inspect.lab.performing import CLOSING_LIMIT_S, TABLES, busy_sockets
from handshake_inspect.quantities import counted
from handshake_inspect.table import Names, SegmentTable
from handshake_inspect.testing.handshakes import Capture, Handshakes

INTERFACE = "lo"
#: How long one read waits for frames while connections close.
LOOK_S = 0.005


class Recorder:
    """Writes the frames of loopback, of one port or all, to a file until `finish`.

    Raises CaptureError if this process may not capture, or if the file cannot be written.
    """

    def __init__(self, path: Path, port: int | None) -> None:
        self._port = port
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # import warnings of libraries do not concern the test
            self._capture = LiveCapture(INTERFACE)
        try:
            self._writer = PcapngWriter(path, self._capture.interfaces, dropped=lambda: self._capture.dropped)
        except CaptureError:
            self._capture.close()
            raise
        self._decoder = Decoder(Names())
        #: Pairs of source and destination port of the segments so far.
        self._ports: set[tuple[int, int]] = set()
        self._failure: CaptureError | None = None
        #: Pipe that ends the thread: by an octet, not by closing it, as a process forked by the test holds it open.
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._follow, name="handshake-inspect capture", daemon=True)
        self._thread.start()

    def finish(self, closing_s: float) -> int:
        """Wait at most `closing_s` for connections to close, and close the file. Returns the count of dropped frames.

        Raises CaptureError if frames could not be read or written.
        """
        os.write(self._end, b".")
        self._thread.join()
        os.close(self._end)
        os.close(self._ended)
        with self._capture, self._writer:
            if self._failure is not None:
                raise self._failure
            self._drain()
            deadline = time.monotonic() + closing_s
            while self._is_closing() and time.monotonic() < deadline:
                self._take(self._capture.read(LOOK_S))
            self._drain()
        return self._capture.dropped

    def _follow(self) -> None:
        """Write frames as they arrive, until told to end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ended, selectors.EVENT_READ)
            selector.register(self._capture, selectors.EVENT_READ)
            try:
                while self._ended not in [key.fd for key, _ in selector.select()]:
                    while (block := self._capture.read()) is not None:
                        self._take(block)
            except CaptureError as error:
                self._failure = error

    def _drain(self) -> None:
        for block in self._capture.drain():
            self._take(block)

    def _take(self, block: Records | None) -> None:
        """Write the frames of a block with the wanted port, and add their ports."""
        if block is None:
            return
        decoded = self._decoder.decode(block, 0)
        if self._port is not None:
            decoded = decoded.of_port(self._port)
        self._ports |= ports_of(decoded.segments)
        self._writer.write(block, None if self._port is None else np.isin(block.frame, decoded.frames()))

    def _is_closing(self) -> bool:
        """Does the kernel have a socket of a captured connection that may still send or expect a segment?"""
        return any(ports in self._ports for table in TABLES for ports in busy_sockets(Path("/proc/self/net", table)))


def _port_of(port: object) -> int:
    """Return the port that a test gives. Raises ExpectationError."""
    __tracebackhide__ = True
    try:
        return port_number(port)
    except ValueError as error:
        raise ExpectationError(f"capture_handshakes(): port: {error}") from None


def ports_of(segments: SegmentTable) -> set[tuple[int, int]]:
    """Return the distinct pairs of source and destination port."""
    pairs = np.unique(np.stack([segments["src_port"], segments["dst_port"]], axis=1), axis=0)
    return {(source, destination) for source, destination in pairs.tolist()}


async def in_a_thread(function: Callable[[], None]) -> None:
    """Call a function in a thread while the event loop of asyncio or Trio goes on."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        await trio.to_thread.run_sync(function)
        return
    import asyncio  # slow to import, and tests without an event loop do not need it

    await asyncio.to_thread(function)


class Recording:
    """Captures a block of a test: `with` or, where an event loop must run for connections to close, `async with`.

    Its value is empty while the block runs, and has the captured connections afterwards.
    """

    def __init__(self, capture: Capture, port: int | None = None, closing_s: float = CLOSING_LIMIT_S) -> None:
        __tracebackhide__ = True
        self._capture = capture
        self._port = None if port is None else _port_of(port)
        self._closing_s = closing_s
        self._recorder: Recorder | None = None

    def __enter__(self) -> Handshakes:
        (path,) = self._capture.files.values()
        self._recorder = Recorder(path, self._port)
        return Handshakes(self._capture)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        assert self._recorder is not None
        try:
            dropped = self._recorder.finish(self._closing_s)
        except CaptureError:
            if error is None:  # else the test fails by the error in the block
                raise
        else:
            if error is None:
                self._refuse_losses(dropped)
        finally:
            self._capture.is_going_on = False

    async def __aenter__(self) -> Handshakes:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        await in_a_thread(lambda: self.__exit__(kind, error, trace))

    def _refuse_losses(self, dropped: int) -> None:
        """Raise CaptureError if the kernel dropped frames: nothing can be asserted about such a capture."""
        if dropped:
            raise CaptureError(
                f"{self._capture.name}: {counted(dropped, 'frame')} dropped while capturing, for want of room: what "
                "the test did cannot be told; let it send less at once"
            )
