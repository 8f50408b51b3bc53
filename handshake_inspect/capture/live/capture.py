"""Live capture: frames of network interfaces in blocks of records, as they arrive.

In: names of interfaces. Out: blocks of `Records` over the memory of the `ring`, in the kernel's order, and the number
of frames that it dropped. The reading loop stores only offsets and integer nanoseconds; `decode` interprets the frames
later. There is one socket for all interfaces: one ring, one order of time, one counter.

Facts behind the design (all measured):

- A bound socket is notified that its interface went down or away; one for several interfaces is not.
- Reading PACKET_STATISTICS resets it: the counters are added up here.
- A VLAN tag that the kernel removed from a frame is stored beside it: it is put back.
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

#: Longest time until the kernel hands over a block that is not full; a busy machine is late.
RETIRE_LIMIT_S = 0.5
#: Time between two checks of a block that the kernel is about to hand over.
LOOK_S = 0.005
#: Longest wait for frames in one step of the iteration.
PATIENCE_S = 0.1
#: Link type by interface type, and the value for types that are not read.
NOT_READ = 0xFFFF
LINK_TYPE_OF = np.full(1 << 16, NOT_READ, np.uint16)
LINK_TYPE_OF[list(LINK_TYPES)] = list(LINK_TYPES.values())


class LiveCapture:
    """An open capture of one interface by its name, of several, or of "any": all present and future interfaces.

    `bpf` is a filter in tcpdump's language (needs libpcap). `ring_octets` is the memory for frames that wait to be
    read, at most half of the free memory; it becomes smaller if the kernel has less. `frame_octets` are kept of each
    frame; the smaller, the more frames the ring holds. Frames queue from the moment the object exists. Use it as a
    context manager, or call `close()`.
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
        #: How many octets of each frame are kept.
        self.frame_octets = frame_octets
        #: The requested interfaces, for messages: "lo", "lo,eth0", "any".
        self.interface = wanted.name
        #: Name and link type of each interface, by its number in `Records.interface`. For "any" these are the
        #: interfaces seen so far: the list grows.
        self.interfaces: list[tuple[str, int]] = []
        #: Number of frames of interfaces under "any" whose link type is not read.
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
        """Close the socket. The counters and the last block stay readable."""
        if self._socket.fileno() == -1:
            return
        with contextlib.suppress(OSError):
            attach(self._socket, REFUSE)  # a block that is still in use keeps the socket alive
        self._read_statistics()
        self._ring.close()
        self._scapy_socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on, for use with `selectors`."""
        return self._socket.fileno()

    @property
    def link_type(self) -> int:
        """Link type of the first interface: of all frames, if there is one interface."""
        return self.interfaces[0][1] if self.interfaces else LINKTYPE_ETHERNET

    @property
    def ring_octets(self) -> int:
        """Memory that the kernel had for waiting frames, in octets."""
        return self._ring.octets

    @property
    def waiting(self) -> float:
        """The filled share of that memory; at 1 frames are dropped."""
        return self._ring.waiting

    @property
    def packets(self) -> int:
        """Frames handed out so far: the number of the last one."""
        return self._frames

    @property
    def received(self) -> int:
        """Frames that passed the filter: those handed out, unread, dropped, and still waiting."""
        self._read_statistics()
        return self._received

    @property
    def dropped(self) -> int:
        """Frames that the kernel could not queue, because they were not read fast enough."""
        self._read_statistics()
        return self._dropped

    def read(self, timeout_s: float | None = 0.0) -> Records | None:
        """Return the frames that the kernel has handed over; None if none arrives within `timeout_s`.

        A timeout of None waits for ever. The block is valid until the next call, which returns its memory to the
        kernel. Raises CaptureError when the only interface is down or gone, after its last frame.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (block := self._take()) is None:
            patience = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not self._wait(patience):
                return None
        return block

    def drain(self) -> Iterator[Records]:
        """Yield what is queued now, block by block, and stop: frames that arrive later do not extend it.

        Frames in a block that the kernel is still filling are waited for. It ends at a frame later than now, or after a
        whole round of the ring, as the clock may be set back meanwhile.
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
        """Yield blocks as frames arrive, until `stop()`."""
        while not self._stopped:
            block = self.read(PATIENCE_S)
            if block is not None:
                yield block
        yield from self.drain()

    def _wait(self, patience_s: float | None) -> bool:
        """Wait for a block of the ring; False if none arrives. Raises CaptureError if none can arrive any more."""
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
        """Return the error with ENODEV if the interface no longer exists, else with `number`."""
        index = next(iter(self._numbers))[0]
        gone = number == errno.ENETDOWN and name_of(self._socket, index).startswith("#")
        return OSError(errno.ENODEV if gone else number, os.strerror(number))

    def _take(self) -> Records | None:
        """Give the last blocks back to the kernel, and return the frames of finished ones; None if there are none."""
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
