"""Live capture: frames of a network interface through Scapy's packet socket, in small blocks of records.

In: the name of an interface. Out: blocks of `Records`, in the order in which the kernel saw the frames, and how many
the kernel had to drop. The loop that reads keeps octets and integer nanoseconds only; understanding them is
`decode`'s work, later. Linux only, and only when a capture is opened: importing this module is safe anywhere.

What shapes it (all measured):

- The socket is open before this object exists, so a program started after it cannot lose its first SYN.
- On `lo` the kernel shows every segment twice, leaving and arriving. PACKET_IGNORE_OUTGOING suppresses the first
  copy; where the kernel is older than 4.20 (and for frames queued before the option was set) the packet type in the
  address of each frame tells them apart. Frames are never compared by their octets: a real duplicate must survive.
- SO_TIMESTAMPNS gives the kernel's time of each frame as integers; Scapy's own float has steps of 238 ns.
- The kernel begins to stamp arriving frames only when a work queue has run after the first socket asked for it; until
  then a frame silently gets the time at which it is *read* (measured on a busy machine: 30 of 100 first frames, late
  by as long as they lay in the queue). So stamping is seen to work before the capture opens.
- A frame of `lo` can have 65549 octets, more with BIG TCP: MSG_TRUNC tells the real length of a longer one.
- A VLAN tag that the network card took out of the frame stands in the auxiliary data: it is put back.
- Reading PACKET_STATISTICS resets it: the counters are added up here.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from handshake_inspect.capture.records import CaptureError, Records

# <linux/if_packet.h>, <asm-generic/socket.h>: numbers, because Python's socket module lacks the names.
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

#: What the kernel is asked to hold while we are busy: enough for 200,000 small segments.
KERNEL_BUFFER_OCTETS = 64 << 20
#: Room that must be left in a block for one more frame; frames longer than this are cut.
FRAME_OCTETS_MAX = 256 << 10
BLOCK_OCTETS = 4 << 20
BLOCK_FRAMES = 8192

ARPHRD_LOOPBACK = 772
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
#: Interface type (ARPHRD_ in <linux/if_arp.h>) -> LINKTYPE_ of what its packet socket delivers.
LINK_TYPES = {
    1: LINKTYPE_ETHERNET,
    ARPHRD_LOOPBACK: LINKTYPE_ETHERNET,
    519: LINKTYPE_RAW,  # ARPHRD_RAWIP: mobile broadband
    768: LINKTYPE_RAW,  # ARPHRD_TUNNEL: IPIP
    769: LINKTYPE_RAW,  # ARPHRD_TUNNEL6
    776: LINKTYPE_RAW,  # ARPHRD_SIT
    65534: LINKTYPE_RAW,  # ARPHRD_NONE: tun, WireGuard
}

#: How long to wait for the kernel to begin stamping frames on arrival.
TIMESTAMPS_LIMIT_S = 0.5
#: struct timespec of SO_TIMESTAMPNS.
TIMESPEC = struct.Struct("@ll")

#: One frame of a block: offset, octets captured, octets on the wire, time in ns, packet type.
Row = tuple[int, int, int, int, int]


class LiveCapture:
    """An open capture of `interface`, by its name. `bpf` is a filter in tcpdump's language (needs libpcap).

    Frames queue from the moment the object exists. Use it as a context manager, or call `close()`.
    """

    def __init__(self, interface: str, *, bpf: str | None = None, promiscuous: bool = False) -> None:
        check_interface(interface)
        self.interface = interface
        with timestamps_switched_on():
            self._scapy_socket = open_scapy_socket(interface, bpf, promiscuous)
        self._socket: socket.socket = self._scapy_socket.ins
        self._frames = 0
        self._dropped = 0
        self._stopped = False
        try:
            interface_type = self._socket.getsockname()[3]
            self.link_type = link_type_of(interface, interface_type)
            self._skips_outgoing = interface_type == ARPHRD_LOOPBACK
            self._set_options()
        except BaseException:
            self.close()
            raise
        self._buffer = np.zeros(BLOCK_OCTETS, np.uint8)
        self._octets = memoryview(self._buffer)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. The counters stay readable."""
        if self._socket.fileno() != -1:
            self._read_statistics()
        self._scapy_socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on, for use with `selectors`."""
        return self._socket.fileno()

    @property
    def packets(self) -> int:
        """Frames handed out so far: the number of the last one."""
        return self._frames

    @property
    def dropped(self) -> int:
        """Frames that the kernel could not queue, because we were not reading fast enough."""
        if self._socket.fileno() != -1:
            self._read_statistics()
        return self._dropped

    def read(self, timeout_s: float | None = 0.0) -> Records | None:
        """Return the frames that are queued, at most one block; None if none comes within `timeout_s`.

        None as timeout waits for ever. The block is valid until the next call: its buffer is used again.
        """
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(None if timeout_s is None else timeout_s * 1000):
            return None
        rows: list[Row] = []
        position = 0
        while len(rows) < BLOCK_FRAMES and position + FRAME_OCTETS_MAX <= BLOCK_OCTETS:
            row = self._receive(position)
            if row is None:
                break
            if self._skips_outgoing and row[4] == PACKET_OUTGOING:
                continue
            rows.append(row)
            position += row[1]
        return self._records(rows) if rows else None

    def drain(self) -> Iterator[Records]:
        """Yield what is queued now, block by block, and stop: frames that arrive later do not keep it going."""
        until_ns = time.time_ns()
        while (block := self.read(0.0)) is not None:
            yield block
            if int(block.time_ns[-1]) > until_ns:
                return

    def stop(self) -> None:
        """End the iteration over this capture after what is queued now. May be called from a signal handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Records]:
        """Yield blocks as frames come, until `stop()`."""
        while not self._stopped:
            block = self.read(0.1)
            if block is not None:
                yield block
        yield from self.drain()

    def _set_options(self) -> None:
        ours = self._socket
        try:
            ours.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, KERNEL_BUFFER_OCTETS)
        except PermissionError:  # in a user namespace; the kernel cuts this down to net.core.rmem_max
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_OCTETS)
        ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        ours.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        if self._skips_outgoing:
            try:
                ours.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            except OSError as error:
                if error.errno != errno.ENOPROTOOPT:
                    raise

    def _receive(self, position: int) -> Row | None:
        """Read one frame into the buffer at `position`; None if the queue is empty."""
        room = self._octets[position : position + FRAME_OCTETS_MAX - 4]
        try:
            length, notes, _, address = self._socket.recvmsg_into([room], 256, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
        except BlockingIOError:
            return None
        except OSError as error:
            raise CaptureError(interface_failure(error, self.interface)) from error
        captured = min(length, len(room))
        time_ns = kernel_time_ns(notes)
        for level, kind, data in notes:
            if level == SOL_PACKET and kind == PACKET_AUXDATA and self._restore_vlan(data, position, captured):
                captured, length = captured + 4, length + 4
        if time_ns is None:  # queued in the instant between opening and SO_TIMESTAMPNS
            time_ns = time.time_ns()
        return position, captured, length, time_ns, address[2]

    def _restore_vlan(self, auxiliary: bytes, position: int, captured: int) -> bool:
        """Put a VLAN tag that the network card removed back behind the two addresses."""
        status, _, _, _, _, tag, protocol = struct.unpack_from("=IIIHHHH", auxiliary)
        if not status & TP_STATUS_VLAN_VALID or self.link_type != LINKTYPE_ETHERNET or captured < 12:
            return False
        start, end = position + 12, position + captured
        self._octets[start + 4 : end + 4] = bytes(self._octets[start:end])
        ethertype = protocol if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
        self._octets[start : start + 4] = struct.pack("!HH", ethertype, tag)
        return True

    def _records(self, rows: list[Row]) -> Records:
        columns = np.array(rows, np.int64).T.copy()
        first = self._frames + 1
        self._frames += len(rows)
        return Records(
            buffer=self._buffer,
            offset=columns[0],
            captured=columns[1],
            original=columns[2],
            time_ns=columns[3],
            frame=np.arange(first, first + len(rows), dtype=np.int64),
            link_type=np.full(len(rows), self.link_type, np.uint16),
            packet_type=columns[4].astype(np.uint8),
        )

    def _read_statistics(self) -> None:
        _, drops = struct.unpack("=II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._dropped += drops


def kernel_time_ns(notes: list[tuple[int, int, bytes]]) -> int | None:
    """Return the time in the control messages of a frame, nanoseconds since the Unix epoch; None without one."""
    for level, kind, data in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


@contextlib.contextmanager
def timestamps_switched_on() -> Iterator[None]:
    """Keep the kernel stamping frames as they arrive: it does so before the body begins, and goes on in it.

    Found out with empty datagrams of a socket to itself on loopback: a real stamp is older than the moment at which
    its datagram was already waiting. Where loopback is down, a short wait has to do.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            probe.bind(("127.0.0.1", 0))
            probe.connect(probe.getsockname())
            probe.settimeout(TIMESTAMPS_LIMIT_S)
            deadline = time.monotonic() + TIMESTAMPS_LIMIT_S
            while not is_stamped_on_arrival(probe) and time.monotonic() < deadline:
                time.sleep(0.001)
        except OSError:
            time.sleep(TIMESTAMPS_LIMIT_S / 10)
        yield


def is_stamped_on_arrival(probe: socket.socket) -> bool:
    """Send an empty datagram from a socket to itself and tell whether its time is that of its arrival."""
    probe.send(b"")
    poll = select.poll()
    poll.register(probe, select.POLLIN)
    poll.poll(TIMESTAMPS_LIMIT_S * 1000)
    waiting_ns = time.time_ns()
    _, notes, _, _ = probe.recvmsg(1, 256)
    time_ns = kernel_time_ns(notes)
    return time_ns is not None and time_ns <= waiting_ns


def check_interface(interface: str) -> None:
    """Raise CaptureError unless this is Linux and `interface` exists."""
    if not sys.platform.startswith("linux"):
        raise CaptureError("live capture needs Linux; elsewhere: tcpdump -i lo0 -w - | handshake-inspect read -")
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        hint = " ('any' can be read from: tcpdump -i any -w -)" if interface == "any" else ""
        raise CaptureError(f"{interface}: no such interface{hint}; there are: {', '.join(names) or 'none'}")


def open_scapy_socket(interface: str, bpf: str | None, promiscuous: bool) -> Any:
    """Open Scapy's listening packet socket on an interface that exists; errors become CaptureError."""
    from scapy.arch.linux import L2ListenSocket
    from scapy.config import conf
    from scapy.error import Scapy_Exception

    known = conf.ifaces.data.get(interface)
    if known is None or known.index != socket.if_nametoindex(interface):
        conf.ifaces.reload()  # Scapy's list was made in another network namespace, or before the interface was
    scapy_log = logging.getLogger("scapy.runtime")
    level = scapy_log.level
    scapy_log.setLevel(logging.ERROR)  # it warns that no layer is loaded to dissect with: none is wanted
    try:
        return L2ListenSocket(iface=interface, promisc=promiscuous, filter=bpf)
    except Scapy_Exception as error:
        remedy = "; install libpcap (libpcap0.8)" if "libpcap is not available" in str(error) else ""
        message = f"{interface}: the filter {bpf!r} cannot be used: {one_line(error)}{remedy}"
        raise CaptureError(message) from error
    except OSError as error:
        raise CaptureError(interface_failure(error, interface)) from error
    finally:
        scapy_log.setLevel(level)


def link_type_of(interface: str, interface_type: int) -> int:
    """Return the link type of what the packet socket of an interface of this ARPHRD_ type delivers."""
    if interface_type not in LINK_TYPES:
        raise CaptureError(
            f"{interface}: frames of interface type {interface_type} are not read live; "
            f"use: tcpdump -i {interface} -w - | handshake-inspect read -"
        )
    return LINK_TYPES[interface_type]


def interface_failure(error: OSError, interface: str) -> str:
    """Say what went wrong with the packet socket, and what to do, in one line."""
    if isinstance(error, PermissionError):
        return (
            f"capturing on {interface} needs CAP_NET_RAW: run as root (sudo), "
            f"or where tcpdump may: tcpdump -i {interface} -w - | handshake-inspect read -"
        )
    if error.errno == errno.ENETDOWN:
        return f"{interface}: the interface is down; ip link set {interface} up"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{interface}: the interface has gone"
    return f"{interface}: cannot be captured: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """Return the message of `error` without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
