"""Live capture: frames of network interfaces in blocks of records, while they come.

In: names of interfaces. Out: blocks of `Records` over the memory of the `ring`, in the order in which the kernel saw
the frames, and how many it had to drop. The loop that reads keeps offsets and integer nanoseconds only; understanding
the frames is `decode`'s work, later. There is one socket for all interfaces: one ring, one order of time, one counter.

What shapes it (all measured):

- A bound socket is told that its interface went down or away; one for several interfaces is not.
- Reading PACKET_STATISTICS resets it: the counters are added up here.
- A VLAN tag that the kernel took out of a frame stands beside it: it is put back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.live.filtering import FRAME_OCTETS_MAX, REFUSE, attach
from handshake_inspect.capture.live.interfaces import (
    ANY,
    LINK_TYPES,
    LINKTYPE_ETHERNET,
    interface_failure,
    interfaces_named,
    name_of,
)
from handshake_inspect.capture.live.opening import CaptureRequest, open_ring
from handshake_inspect.capture.live.ring import RETIRE_MS, RING_OCTETS, RingFrames, restore_vlan_tags, statistics
from handshake_inspect.capture.records import CaptureError, Records

# <linux/if_packet.h>
TP_STATUS_VLAN_VALID = 1 << 4

#: How long the kernel may take to hand over a block that is not full; a busy machine is late.
RETIRE_LIMIT_S = 0.5
#: Between two looks at a block that the kernel is about to hand over.
LOOK_S = 0.005
#: How long one look of the iteration waits for frames.
PATIENCE_S = 0.1
#: Link type by interface type, and what stands for those that are not read.
NOT_READ = 0xFFFF
LINK_TYPE_OF = np.full(1 << 16, NOT_READ, np.uint16)
LINK_TYPE_OF[list(LINK_TYPES)] = list(LINK_TYPES.values())


class LiveCapture:
    """An open capture of one interface by its name, of several, or of "any": all there are and those that come later.

    `bpf` is a filter in tcpdump's language (needs libpcap). `ring_octets` is the memory in which frames wait for us,
    half of what is free at most; it becomes smaller where the kernel has not so much. `frame_octets` are kept of each
    frame, so a ring holds more of them. Frames queue from the moment the object exists. Use it as a context manager, or
    call `close()`.
    """

    def __init__(
        self,
        interfaces: str | Sequence[str],
        *,
        bpf: str | None = None,
        promiscuous: bool = False,
        ring_octets: int = RING_OCTETS,
        frame_octets: int = FRAME_OCTETS_MAX,
    ) -> None:
        names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
        found = interfaces_named(names)
        wanted = CaptureRequest(found, ANY in names, bpf, promiscuous, ring_octets, frame_octets)
        #: How much of each frame is kept.
        self.frame_octets = frame_octets
        #: What it was asked for, for messages: "lo", "lo,eth0", "any".
        self.interface = wanted.name
        #: Name and link type of each interface, by its number in `Records.interface`. "any" has those that were seen
        #: so far: it grows.
        self.interfaces: list[tuple[str, int]] = []
        #: Frames of interfaces under "any" whose link type nobody here reads.
        self.unread = 0
        self._is_one = wanted.is_one
        #: Number in `interfaces` by the kernel's number and type.
        self._numbers: dict[tuple[int, int], int] = {}
        self._received = self._dropped = self._frames = 0
        self._stopped = False
        self._failure: CaptureError | None = None
        self._scapy_socket, self._ring = open_ring(wanted)
        self._socket: socket.socket = self._scapy_socket.ins
        for one in () if wanted.is_any else found:
            self._number_of(one.index, one.type, one.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. The counters stay readable, and so does the last block."""
        if self._socket.fileno() == -1:
            return
        with contextlib.suppress(OSError):
            attach(self._socket, REFUSE)  # a block that somebody still holds keeps the socket alive
        self._read_statistics()
        self._ring.close()
        self._scapy_socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on, for use with `selectors`."""
        return self._socket.fileno()

    @property
    def link_type(self) -> int:
        """Link type of the first interface: of all frames, where there is one interface."""
        return self.interfaces[0][1] if self.interfaces else LINKTYPE_ETHERNET

    @property
    def ring_octets(self) -> int:
        """How much memory the kernel had for frames that wait."""
        return self._ring.octets

    @property
    def waiting(self) -> float:
        """Which part of that memory is full: 1 and frames are dropped."""
        return self._ring.waiting

    @property
    def packets(self) -> int:
        """Frames handed out so far: the number of the last one."""
        return self._frames

    @property
    def received(self) -> int:
        """Frames that passed the filter: those handed out, unread, dropped, and those that still wait."""
        self._read_statistics()
        return self._received

    @property
    def dropped(self) -> int:
        """Frames that the kernel could not queue, because we were not reading fast enough."""
        self._read_statistics()
        return self._dropped

    def read(self, timeout_s: float | None = 0.0) -> Records | None:
        """Return the frames that the kernel has handed over; None if none comes within `timeout_s`.

        None as timeout waits for ever. The block is valid until the next call: the kernel gets its memory back. Raises
        CaptureError when the only interface is down or gone, after its last frame.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (block := self._take()) is None:
            patience = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not self._wait(patience):
                return None
        return block

    def drain(self) -> Iterator[Records]:
        """Yield what is queued now, block by block, and stop: frames that arrive later do not keep it going.

        What stands in a block that the kernel is still filling is waited for. A frame that is later than now ends it,
        and a whole round of the ring: the clock may be set back meanwhile.
        """
        until_ns, until_block = time.time_ns(), self._ring.taken + self._ring.blocks
        deadline = time.monotonic() + RETIRE_LIMIT_S
        while True:
            block = self._take()
            if block is not None:
                yield block
                if int(block.time_ns[-1]) > until_ns or self._ring.taken >= until_block:
                    return
            elif not self._ring.is_filling or time.monotonic() > deadline:
                return
            else:
                time.sleep(LOOK_S)

    def stop(self) -> None:
        """End the iteration over this capture after what is queued now. May be called from a signal handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Records]:
        """Yield blocks as frames come, until `stop()`."""
        while not self._stopped:
            block = self.read(PATIENCE_S)
            if block is not None:
                yield block
        yield from self.drain()

    def _wait(self, patience_s: float | None) -> bool:
        """Wait for a block of the ring; False if none comes. Raises CaptureError if none can come any more."""
        if self._failure is None:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            events = poll.poll(None if patience_s is None else patience_s * 1000)
            if not events:
                return False
            if not events[0][1] & select.POLLERR:
                return True
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._failure = CaptureError(interface_failure(self._failed(number), self.interface))
        if not self._ring.is_filling:
            raise self._failure
        time.sleep(RETIRE_MS / 1000)
        return True

    def _failed(self, number: int) -> OSError:
        """Tell an interface that has gone from one that is down."""
        index = next(iter(self._numbers))[0]
        gone = number == errno.ENETDOWN and name_of(self._socket, index).startswith("#")
        return OSError(errno.ENODEV if gone else number, os.strerror(number))

    def _take(self) -> Records | None:
        """Give the last blocks back, and return the frames of those that are finished; None if there are none."""
        self._ring.give_back()
        while (filled := self._ring.take()) is not None:
            records = self._records(filled)
            if len(records):
                return records
            self._ring.give_back()
        return None

    def _records(self, filled: RingFrames) -> Records:
        link_type = LINK_TYPE_OF[filled.headers["type"]]
        is_read = link_type != NOT_READ
        if not is_read.all():
            self.unread += int(np.count_nonzero(~is_read))
            filled = RingFrames(filled.octets, filled.at[is_read], filled.headers[is_read])
            link_type = link_type[is_read]
        headers = filled.headers
        offset = filled.at + headers["mac"]
        captured, original = headers["captured"].astype(np.int64), headers["original"].astype(np.int64)
        tagged = (headers["status"] & TP_STATUS_VLAN_VALID != 0) & (link_type == LINKTYPE_ETHERNET) & (captured >= 12)
        if tagged.any():
            restore_vlan_tags(filled, offset, np.flatnonzero(tagged))
            offset, captured, original = offset - 4 * tagged, captured + 4 * tagged, original + 4 * tagged
        first = self._frames + 1
        self._frames += len(offset)
        return Records(
            buffer=filled.octets,
            offset=offset,
            captured=captured,
            original=original,
            time_ns=headers["sec"].astype(np.int64) * 1_000_000_000 + headers["nsec"],
            frame=np.arange(first, first + len(offset), dtype=np.int64),
            link_type=link_type,
            packet_type=headers["packet_type"].copy(),
            interface=None if self._is_one else self._interface_column(headers),
        )

    def _interface_column(self, headers: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the number of each frame's interface; new ones are numbered in the order of their first frames."""
        keys = headers["index"].astype(np.int64) << 16 | headers["type"]
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        numbers = np.zeros(len(distinct), np.int64)
        for place in np.argsort(first).tolist():
            index, kind = divmod(int(distinct[place]), 1 << 16)
            numbers[place] = self._number_of(index, kind)
        return numbers[which.reshape(-1)]

    def _number_of(self, index: int, kind: int, name: str | None = None) -> int:
        number = self._numbers.get((index, kind))
        if number is None:
            number = self._numbers[index, kind] = len(self.interfaces)
            self.interfaces.append((name or name_of(self._socket, index), LINK_TYPES[kind]))
        return number

    def _read_statistics(self) -> None:
        if self._socket.fileno() != -1:
            received, dropped = statistics(self._socket)
            self._received += received
            self._dropped += dropped
