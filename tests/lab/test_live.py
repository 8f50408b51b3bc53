from __future__ import annotations

import ctypes.util
import errno
import fcntl
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.abc import MetaPathFinder

import pytest

from handshake_inspect.capture.live import LiveCapture
from handshake_inspect.capture.live.interfaces import (
    ARPHRD_LOOPBACK,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    Interface,
    link_type_of,
)
from handshake_inspect.capture.live.opening import CaptureRequest, open_scapy_socket
from handshake_inspect.capture.live.ring import RING_OCTETS
from handshake_inspect.capture.records import CaptureError
from handshake_inspect.lab.links import attribute
from handshake_inspect.lab.world import IFREQ, SIOCSIFFLAGS, in_private_world
from tests.lab.privileges import as_ordinary_user, needs_private_world, require

Key = tuple[int, int, int, int, int]


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def drained(capture: LiveCapture, is_all: Callable[[list[bytes]], bool] = bool) -> list[bytes]:
    """Return the frames that came: on a busy machine loopback delivers some time after send() has returned."""
    frames: list[bytes] = []
    deadline, is_over = time.monotonic() + 10, False
    while not is_over:
        is_over = is_all(frames) or time.monotonic() > deadline  # then once more: whatever comes twice comes at once
        time.sleep(0.02)
        frames += [block.octets(row) for block in capture.drain() for row in range(len(block))]
    return frames


def tcp_key(frame: bytes) -> Key:
    """Source port, destination port, seq, ack, flags of a frame of loopback without IP options."""
    version = frame[14] >> 4
    header = frame[14 + (20 if version == 4 else 40) :]
    source, destination, seq, ack, _, flags = struct.unpack_from("!HHIIBB", header)
    return source, destination, seq, ack, flags


SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK = 0x02, 0x12, 0x10, 0x18, 0x11


def segments_among(frames: list[bytes]) -> list[bytes]:
    """Leave out what IPv6 says for itself: neighbours, routers."""
    return [frame for frame in frames if len(frame) > 60 and frame[20] != 58]


def is_closed(frames: list[bytes]) -> bool:
    """Has the last ACK of a connection come?"""
    keys = list(dict.fromkeys(map(tcp_key, segments_among(frames))))
    return [key[4] for key in keys].count(FIN_ACK) == 2 and keys[-1][4] == ACK


def ten_connections(address: str) -> list[list[bytes]]:
    """Each with a capture opened just before it: what the ten captures saw."""
    seen = []
    for _ in range(10):
        with LiveCapture("lo") as capture:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.create_server((address, 0), family=family) as listener:
                client = socket.create_connection(listener.getsockname()[:2], timeout=20)
                served, _ = listener.accept()
                with served:
                    client.sendall(b"bith")
                    served.recv(16)
                    client.close()
                    served.recv(16)
            seen.append(segments_among(drained(capture, is_closed)))
            assert capture.dropped == 0
    return seen


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_first_syn_is_never_lost_and_each_segment_is_seen_once(address: str) -> None:
    """What a busy machine sends again is another frame, with another identification or time stamp."""
    for frames in in_private_world(ten_connections, address):
        assert len(set(frames)) == len(frames)
        keys = list(dict.fromkeys(map(tcp_key, frames)))
        flags = [key[4] for key in keys]
        assert flags[:4] == [SYN, SYN_ACK, ACK, PSH_ACK]
        assert flags.count(FIN_ACK) == 2
        assert flags[-1] == ACK
        assert keys[1][3] == (keys[0][2] + 1) % 2**32  # the SYN-ACK acks ISS+1


def send_datagrams(
    count: int, octets: int, bpf: str | None = None, ring_octets: int = RING_OCTETS, interface: str = "lo"
) -> tuple[list[int], int, int, list[int], int]:
    with (
        LiveCapture(interface, bpf=bpf, ring_octets=ring_octets) as capture,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            began_ns = time.time_ns()
            for _ in range(count):
                sender.sendto(bytes(octets), receiver.getsockname())
        time.sleep(0.05)  # a busy kernel delivers on loopback a little after sendto() has returned
        ended_ns = time.time_ns()
        lengths: list[int] = []
        frames: list[int] = []
        for block in capture.drain():
            assert (block.captured == block.original).all()
            assert began_ns <= int(block.time_ns[0]) <= int(block.time_ns[-1]) <= ended_ns
            assert (block.link_type == LINKTYPE_ETHERNET).all()
            lengths.extend(block.captured.tolist())
            frames.extend(block.frame.tolist())
        first = capture.dropped
        assert capture.received == capture.packets + capture.dropped
        return lengths, first, capture.dropped, frames, capture.packets


@pytest.mark.parametrize("bpf", [None, "udp"])
def test_the_largest_frame_of_loopback_comes_whole(bpf: str | None) -> None:
    lengths, dropped, _, _, _ = in_private_world(send_datagrams, 3, 65507, bpf)
    assert lengths == [65549] * 3
    assert dropped == 0


def lengths_of_a_frame(bpf: str | None, frame_octets: int) -> tuple[int, int]:
    with LiveCapture("lo", bpf=bpf, frame_octets=frame_octets) as capture:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(60_000), ("127.0.0.1", 9))
        block = capture.read(10)
        assert block is not None
        return int(block.captured[0]), int(block.original[0])


@pytest.mark.parametrize("bpf", [None, "udp"])
def test_as_much_of_a_frame_as_is_wanted(bpf: str | None) -> None:
    assert in_private_world(lengths_of_a_frame, bpf, 4096) == (4096, 60_042)


def allow_big_tcp(octets: int) -> None:
    """Let segments of so many octets go over lo, as `ip link set lo gso_max_size N gso_ipv4_max_size N` does."""
    rtm_setlink, request_and_ack, gso_max_size, gso_ipv4_max_size = 19, 5, 41, 63
    size = struct.pack("=I", octets)
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("lo"), 0, 0)
    body += attribute(gso_max_size, size) + attribute(gso_ipv4_max_size, size)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), rtm_setlink, request_and_ack, 1, 0) + body)
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    require(error == 0, f"this kernel has no BIG TCP (RTM_SETLINK: {-error})")


def data_of(frames: Iterable[bytes], port: int) -> Iterator[tuple[int, bytes]]:
    """Yield what was sent to a port over IPv4 and loopback: from which octet of its stream, and the octets."""
    first = 0
    for frame in frames:
        if frame[14] == 0x45 and (key := tcp_key(frame))[1] == port:
            header_octets = 34 + (frame[46] >> 4) * 4
            if key[4] & 0x02:
                first = key[2] + 1
            elif len(frame) > header_octets:
                yield (key[2] - first) % 2**32, frame[header_octets:]


def big_segments() -> tuple[int, bool, bool, int, int]:
    allow_big_tcp(200_000)
    sent, seen = random.Random(7).randbytes(4 << 20), bytearray(4 << 20)
    with LiveCapture("lo") as capture, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
            thread = threading.Thread(target=client.sendall, args=(sent,))
            thread.start()
            received = b""
            while len(received) < len(sent):
                received += server.recv(1 << 20)
            thread.join()
        blocks = list(capture.drain())
        frames = [block.octets(row) for block in blocks for row in range(len(block))]
        whole = all((block.captured == block.original).all() for block in blocks)
        right = True
        for at, payload in data_of(frames, listener.getsockname()[1]):  # a busy machine may send some of it again
            right &= payload == sent[at : at + len(payload)]
            seen[at : at + len(payload)] = b"\1" * len(payload)
        return max(map(len, frames)), whole, right, seen.count(0), capture.dropped


def test_segments_of_big_tcp_come_whole() -> None:
    longest, whole, right, missing, dropped = in_private_world(big_segments)
    assert longest > 65549
    assert whole
    assert right
    assert (missing, dropped) == (0, 0)


def test_frames_are_numbered_from_one_across_blocks() -> None:
    lengths, dropped, _, frames, packets = in_private_world(send_datagrams, 300, 30_000)
    assert dropped == 0
    assert len(lengths) == packets == 300
    assert frames == list(range(1, 301))


@pytest.mark.parametrize("interface", ["lo", "any"])
@pytest.mark.parametrize("bpf", [None, "udp"])
def test_drops_are_counted_exactly_and_add_up(interface: str, bpf: str | None) -> None:
    """What the filter refuses is no drop: the leaving copies on lo."""
    lengths, dropped, again, _, _ = in_private_world(send_datagrams, 3000, 1000, bpf, 1 << 20, interface)
    assert dropped > 0
    assert again == dropped
    assert len(lengths) + dropped == 3000


def tagged_frame() -> tuple[bytes, list[bytes]]:
    tag = struct.pack("!HH", 0x8100, 42)
    frame = bytes(12) + tag + struct.pack("!H", 0x0800) + bytes(46)
    with LiveCapture("lo") as capture, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("lo", 0))
        sender.send(frame)
        return frame, drained(capture)


def test_a_vlan_tag_that_the_kernel_took_out_is_put_back() -> None:
    sent, seen = in_private_world(tagged_frame)
    assert seen == [sent]


def iterate_until_stopped() -> tuple[int, float]:
    began = time.monotonic()
    count = 0
    with LiveCapture("lo") as capture, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        assert capture.read(0.05) is None
        peer.sendto(b"one", peer.getsockname())
        for block in capture:
            if not count:
                peer.sendto(b"two", peer.getsockname())
                time.sleep(0.02)
            count += len(block)
            capture.stop()
    return count, time.monotonic() - began


def test_stop_ends_the_iteration_with_what_is_queued() -> None:
    count, seconds = in_private_world(iterate_until_stopped)
    assert count == 2
    assert seconds < 3


def filtered() -> list[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wanted:
        wanted.bind(("127.0.0.1", 9999))
        with (
            LiveCapture("lo", bpf="udp dst port 9999") as capture,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            other.bind(("127.0.0.1", 0))
            other.sendto(b"1", wanted.getsockname())
            wanted.sendto(b"2", other.getsockname())
            return [len(frame) for frame in drained(capture)]


def test_a_filter_is_compiled_by_libpcap() -> None:
    if ctypes.util.find_library("pcap"):
        assert in_private_world(filtered) == [43]
        with pytest.raises(CaptureError, match=r"^lo: the filter 'no such words' cannot be used: "):
            in_private_world(lambda: LiveCapture("lo", bpf="no such words").close())
    else:
        with pytest.raises(CaptureError, match="install libpcap"):
            in_private_world(filtered)


def take_down(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, IFREQ.pack(interface.encode(), 0))


def down_interface(asked: str) -> None:
    take_down("lo")
    LiveCapture(asked).close()


def test_what_cannot_be_captured_is_said_in_one_line() -> None:
    with pytest.raises(CaptureError, match=r"^nope0: no such interface; there are: lo$"):
        in_private_world(lambda: LiveCapture("nope0").close())
    with pytest.raises(CaptureError, match=r"^any: no interface is up; ip link set lo up$"):
        in_private_world(down_interface, "any")
    with pytest.raises(CaptureError, match=r"^lo: the interface is down; ip link set lo up$"):
        in_private_world(down_interface, "lo")
    with pytest.raises(CaptureError, match=r"^capturing on lo needs CAP_NET_RAW: run as root"):
        as_ordinary_user(lambda: LiveCapture("lo").close())


def test_the_link_type_of_an_interface_is_known_or_refused() -> None:
    assert link_type_of("eth0", 1) == LINKTYPE_ETHERNET
    assert link_type_of("tun0", 65534) == LINKTYPE_RAW
    with pytest.raises(CaptureError, match=r"^can0: .*tcpdump -i can0 -w - \| handshake-inspect read -$"):
        link_type_of("can0", 280)


def test_importing_it_imports_neither_scapy_nor_anything_of_linux() -> None:
    program = (
        "import sys; import handshake_inspect.capture.live; "
        "assert not [name for name in sys.modules if name.startswith('scapy') or name == 'fcntl']"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Unreadable(MetaPathFinder):
    """Scapy's module for Linux, whose import reads a cache, here in a folder of another user."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "scapy.arch.linux":
            raise PermissionError(errno.EACCES, "Permission denied", "/home/me/.cache/scapy/services.pickle")


def test_a_cache_of_scapy_that_is_another_user_s_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "scapy.arch.linux", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Unreadable(), *sys.meta_path])
    with pytest.raises(
        CaptureError, match=r"^Scapy may not read /home/me/\.cache/scapy/services\.pickle: give it back"
    ):
        loopback = Interface("lo", 1, ARPHRD_LOOPBACK, is_up=True)
        open_scapy_socket(CaptureRequest([loopback], False, None, False, 1 << 20, 1 << 18))
