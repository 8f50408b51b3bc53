"""A plain packet socket on loopback, as simple sniffers open one: it sees every frame twice, leaving and arriving.

In: nothing; loopback of the network that this process is in. Out: a `Tap`'s work, with both copies (packet(7)).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from handshake_inspect.capture.live.interfaces import LINKTYPE_ETHERNET, interface_failure
from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.lab.vantage import Vantage

LOOPBACK = "lo"
ETH_P_ALL = 3
# <asm-generic/socket.h>, <linux/if_packet.h>
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_STATISTICS = 263, 6
BUFFER_OCTETS, FRAME_OCTETS_MAX = 4 << 20, 1 << 17


class PlainTap:
    """An open plain packet socket and its frames so far."""

    def __init__(self, name: str) -> None:
        """Raises CaptureError."""
        self.name = name
        self._frames: list[RawFrame] = []
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        except OSError as error:
            raise CaptureError(interface_failure(error, LOOPBACK)) from error
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        self._socket.bind((LOOPBACK, ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def keep(self) -> None:
        """Read the frames that the kernel has by now, without waiting for more."""
        while True:
            try:
                octets, about, _, address = self._socket.recvmsg(FRAME_OCTETS_MAX, 128, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("@qq", about[0][2])
            time_ns = seconds * 1_000_000_000 + nanoseconds
            self._frames.append(RawFrame(octets, len(octets), time_ns, LINKTYPE_ETHERNET, address[2]))

    def hand_over(self, concerns: Callable[[bytes], bool]) -> Vantage:
        """Return what was seen of the session since this was last called, and begin anew."""
        self.keep()
        return self.so_far(concerns)

    def so_far(self, concerns: Callable[[bytes], bool]) -> Vantage:
        """Return what `keep` has read of it, and begin anew."""
        frames = [frame for frame in self._frames if concerns(frame.octets)]
        self._frames = []
        _, dropped = struct.unpack("@II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return Vantage(self.name, LOOPBACK, LINKTYPE_ETHERNET, frames, dropped)
