"""The ring: memory shared with the kernel, which stores frames in it block by block (TPACKET_V3).

In: a packet socket. Out: `RingFrames`: the blocks that the kernel has finished, as one stretch of the ring, and a
column per field of the kernel's header of each frame. Nothing is copied and no system call is made per frame. The
blocks are ours until `give_back()`. Read first: Documentation/networking/packet_mmap.rst of the kernel,
<linux/if_packet.h>.

Facts behind the design (all measured, Linux 6.18):

- A block is handed over when it is full, or RETIRE_MS after its first frame; so the ring also fills with time: 128
  blocks hold 5 s of a thin stream, however few frames. The reader must return within that time.
- The kernel allows a ring of any size even in a user namespace; SO_RCVBUF is limited to net.core.rmem_max there.
- A frame longer than a block is cut to it: so blocks have twice the octets of the longest frame (BIG TCP).
- The number of frames in a block that is being filled can be read, but not whether the last one is complete.
- While a part of the mapping is in use, the socket stays open, even if its descriptor is closed.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import socket
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handshake_inspect.capture.live.filtering import FRAME_OCTETS_MAX
from handshake_inspect.capture.records import SLACK_OCTETS
from handshake_inspect.memory import available_octets

# <linux/if_packet.h>: numbers, because Python's socket module lacks the names.
SOL_PACKET = 263
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_VERSION = 10
PACKET_RESERVE = 12
TPACKET_V3 = 2
TP_STATUS_KERNEL = 0
TP_STATUS_USER = 1 << 0

#: Default capacity for frames that wait to be read: enough for 350,000 small segments.
RING_OCTETS = 64 << 20
BLOCK_OCTETS = 2 * FRAME_OCTETS_MAX
#: With one block the kernel would have none to fill while it is read.
FEWEST_BLOCKS = 2
#: Most blocks handed out at once: as much as a reader of files takes.
MOST_BLOCKS = 8
#: Time after which a block is handed over that is not full.
RETIRE_MS = 40
ETH_P_8021Q = 0x8100
#: Room before a frame for a VLAN tag that the network card removed from it.
VLAN_TAG_OCTETS = 4

#: struct tpacket_req3: block size, blocks, frame size (unused here), frames, retire timeout, private, features.
REQUEST = struct.Struct("@7I")
FRAME_SIZE = 2048
#: struct tpacket_block_desc: block_status, num_pkts, offset_to_first_pkt, from octet 8 on.
STATUS_AT, COUNT_AT = 8, 12
WORD, TWO_WORDS = struct.Struct("=I"), struct.Struct("=II")
#: struct tpacket3_hdr and the struct sockaddr_ll after it; they begin at multiples of 8 octets (V3_ALIGNMENT).
ALIGNMENT = 8
FIELDS = {
    "sec": ("u4", 4), "nsec": ("u4", 8), "captured": ("u4", 12), "original": ("u4", 16), "status": ("u4", 20),
    "mac": ("u2", 24), "tci": ("u4", 32), "tpid": ("u2", 36), "index": ("i4", 52), "type": ("u2", 56),
    "packet_type": ("u1", 58),
}  # fmt: skip
FRAME = np.dtype(
    {
        "names": list(FIELDS),
        "formats": [kind for kind, _ in FIELDS.values()],
        "offsets": [at for _, at in FIELDS.values()],
        "itemsize": 68,
    }
)


@dataclass
class RingFrames:
    """Frames in one stretch of the ring."""

    #: The stretch, with some octets after its last frame if the ring has them.
    octets: NDArray[np.uint8]
    #: Offset of the kernel's header of each frame in it.
    at: NDArray[np.int64]
    #: Those headers (dtype FRAME).
    headers: NDArray[np.void]


class Ring:
    """The ring of a packet socket. It begins empty: frames that the socket queued before are lost."""

    def __init__(self, ours: socket.socket, octets: int) -> None:
        ours.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        ours.setsockopt(SOL_PACKET, PACKET_RESERVE, VLAN_TAG_OCTETS)
        most = available_octets() // 2  # the kernel would use all memory
        self.blocks = allocate(ours, max(min(octets, most) // BLOCK_OCTETS, FEWEST_BLOCKS))
        self._memory = mmap.mmap(ours.fileno(), self.blocks * BLOCK_OCTETS)
        self._octets = np.frombuffer(self._memory, np.uint8)
        #: The next block to be read, and the number of blocks before it that are still ours.
        self._next = 0
        self._held = 0
        #: Blocks taken so far: after `blocks` more, everything that waits now has been taken.
        self.taken = 0

    @property
    def octets(self) -> int:
        """Its actual size in octets."""
        return self.blocks * BLOCK_OCTETS

    @property
    def is_filling(self) -> bool:
        """Whether the block that the kernel is filling contains a frame."""
        return self._word(self._next, COUNT_AT) > 0

    @property
    def waiting(self) -> float:
        """The share of it that is finished and not taken; at 1 frames are lost."""
        count = 0
        while count < self.blocks - self._held and self._is_ours((self._next + count) % self.blocks):
            count += 1
        return count / self.blocks

    def take(self) -> RingFrames | None:
        """Return the frames of the finished blocks, MOST_BLOCKS at once; None if no block is finished."""
        first, at = self._next, list[int]()
        last = min(first + MOST_BLOCKS, self.blocks)
        while self._next < last and self._is_ours(self._next):
            at += self._frames_of(self._next)
            self._next += 1
        if self._next == first:
            return None
        self._held += self._next - first
        self.taken += self._next - first
        begin, end = first * BLOCK_OCTETS, self._next * BLOCK_OCTETS
        self._next %= self.blocks
        places = np.array(at, np.int64) - begin
        octets = self._octets[begin : end + SLACK_OCTETS]
        every = np.ndarray(((end - begin - FRAME.itemsize) // ALIGNMENT + 1,), FRAME, octets, 0, (ALIGNMENT,))
        return RingFrames(octets, places, every[places // ALIGNMENT])

    def give_back(self) -> None:
        """Give the taken blocks back to the kernel."""
        for block in range(self._next - self._held, self._next):
            begin = block % self.blocks * BLOCK_OCTETS
            WORD.pack_into(self._memory, begin + COUNT_AT, 0)  # else `is_filling` before the kernel reopens it
            WORD.pack_into(self._memory, begin + STATUS_AT, TP_STATUS_KERNEL)
        self._held = 0

    def close(self) -> None:
        """Release the memory; frames that were handed out stay readable while they are in use."""
        del self._octets
        with contextlib.suppress(BufferError):
            self._memory.close()

    def _is_ours(self, block: int) -> bool:
        return bool(self._word(block, STATUS_AT) & TP_STATUS_USER)

    def _word(self, block: int, at: int) -> int:
        return int(WORD.unpack_from(self._memory, block * BLOCK_OCTETS + at)[0])

    def _frames_of(self, block: int) -> list[int]:
        """Follow the chain of frames in a block: some 100 ns each, a tenth of the cost of decoding one."""
        begin = block * BLOCK_OCTETS
        count, first = TWO_WORDS.unpack_from(self._memory, begin + COUNT_AT)
        memory, unpack, at, places = self._memory, WORD.unpack_from, begin + first, list[int]()
        for _ in range(count):
            places.append(at)
            at += unpack(memory, at)[0]
        return places


def allocate(ours: socket.socket, blocks: int) -> int:
    """Make the kernel create a ring of this many blocks, or of half as many until it can; return how many it has."""
    while True:
        request = REQUEST.pack(BLOCK_OCTETS, blocks, FRAME_SIZE, blocks * (BLOCK_OCTETS // FRAME_SIZE), RETIRE_MS, 0, 0)
        try:
            ours.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            return blocks
        except OSError as error:
            if error.errno != errno.ENOMEM or blocks == FEWEST_BLOCKS:
                raise
        blocks = max(blocks // 2, FEWEST_BLOCKS)


def statistics(ours: socket.socket) -> tuple[int, int]:
    """Return the frames that passed the filter, and those of them that were dropped, since the last call."""
    received, dropped, _ = struct.unpack("=III", ours.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
    return received, dropped


def restore_vlan_tags(filled: RingFrames, begin: NDArray[np.int64], rows: NDArray[np.intp]) -> None:
    """Put VLAN tags back after the two addresses of the frames in `rows`, which then begin four octets earlier."""
    headers, octets = filled.headers[rows], filled.octets
    addresses = begin[rows, None] + np.arange(12)
    octets[addresses - VLAN_TAG_OCTETS] = octets[addresses]
    kind = np.where(headers["tpid"], headers["tpid"], ETH_P_8021Q)  # not reported before Linux 3.14
    tag = np.stack([kind, headers["tci"]], axis=1).astype(">u2")
    octets[begin[rows, None] + np.arange(8, 12)] = tag.view(np.uint8)
