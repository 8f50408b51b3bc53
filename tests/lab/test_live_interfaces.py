"""Several interfaces, or all there are, as one capture: its order, its numbers, its filters, and what goes away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from handshake_inspect.capture.files import open_capture
from handshake_inspect.capture.live import LiveCapture, filtering
from handshake_inspect.capture.live.interfaces import LINKTYPE_ETHERNET, LINKTYPE_RAW
from handshake_inspect.capture.live.ring import BLOCK_OCTETS, REQUEST, RETIRE_MS, allocate
from handshake_inspect.capture.records import CaptureError, RawFrame
from handshake_inspect.lab.links import join
from handshake_inspect.lab.world import IFREQ, SIOCSIFFLAGS, bring_up, in_private_world
from tests.lab.privileges import needs_private_world, needs_root, require

# <linux/if_tun.h>
TUNSETIFF, TUNSETLINK = 0x400454CA, 0x400454CD
IFF_TUN, IFF_NO_PI = 1, 0x1000
ARPHRD_CAN = 280
TUN = Path("/dev/net/tun")

OUTGOING = 4
SOURCE, DESTINATION = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
Address = tuple[str, int]


@pytest.fixture(autouse=True)
def private_world() -> None:
    needs_private_world()


def drained(capture: LiveCapture) -> list[RawFrame]:
    time.sleep(0.02)  # a busy kernel delivers a little after send() has returned
    return [block.raw(row) for block in capture.drain() for row in range(len(block))]


def ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, addresses) + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    address = socket.inet_pton(socket.AF_INET6, "::1")
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64, address, address) + payload


def tcp(source: int, destination: int) -> bytes:
    return struct.pack("!HHIIBBHHH", source, destination, 1, 0, 0x50, 2, 1000, 0, 0)


def udp(source: int, destination: int) -> bytes:
    return struct.pack("!HHHH", source, destination, 8, 0)


def ethernet(kind: int, payload: bytes, tag: bytes = b"") -> bytes:
    return DESTINATION + SOURCE + tag + struct.pack("!H", kind) + payload


def tagged(vlan: int, kind: int = 0x8100) -> bytes:
    return struct.pack("!HH", kind, vlan)


def send(interface: str, *frames: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        for frame in frames:
            sender.send(frame)


def pair_of_interfaces(name: str, peer: str) -> None:
    """Two ends of a virtual wire, both in this network."""
    join(name, peer, os.getpid())
    for one in (name, peer):
        Path(f"/proc/sys/net/ipv6/conf/{one}/disable_ipv6").write_text("1")  # it would talk of its own
        bring_up(one)


@contextlib.contextmanager
def tunnel(name: str, kind: int | None = None) -> Iterator[int]:
    """A tun interface that is up, while its descriptor is open; what is written to that arrives there."""
    with TUN.open("r+b", buffering=0) as device:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        if kind is not None:
            fcntl.ioctl(device, TUNSETLINK, kind)
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        bring_up(name)
        yield device.fileno()


def needs_tunnels() -> None:
    require(os.access(TUN, os.R_OK | os.W_OK), f"no {TUN} to open here")


def take_down(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, IFREQ.pack(interface.encode(), 0))


# --- which frames, and of which interface ----------------------------------------------------------------------------

#: What is sent, in this order, from a0 to its peer b0 and on lo.
FIRST, SECOND = ethernet(0x0800, ip("10.0.0.1", "10.0.0.2", 17, udp(1, 2))), bytes(12) + b"\x08\x00" + bytes(46)


def seen_by(asked: list[str]) -> tuple[list[tuple[str, int]], str, list[RawFrame], int]:
    pair_of_interfaces("a0", "b0")
    pair_of_interfaces("c0", "d0")
    with LiveCapture(asked) as capture:
        send("a0", FIRST)
        send("lo", SECOND)
        send("c0", FIRST)
        frames = drained(capture)
        assert capture.received == capture.packets
        return capture.interfaces, capture.interface, frames, capture.dropped


def places(frames: list[RawFrame]) -> list[tuple[int, int]]:
    return [(frame.interface, frame.packet_type) for frame in frames]


def test_several_interfaces_are_one_capture_in_order_of_time() -> None:
    interfaces, name, frames, dropped = in_private_world(seen_by, ["lo", "b0", "a0", "lo"])
    assert (interfaces, name) == ([("lo", 1), ("b0", 1), ("a0", 1)], "lo,b0,a0")
    # c0 and d0 were not asked for; of lo each frame comes once, as it arrives.
    assert [(frame.interface, frame.octets) for frame in frames] == [(2, FIRST), (1, FIRST), (0, SECOND)]
    assert frames[0].packet_type == OUTGOING
    assert [frame.time_ns for frame in frames] == sorted(frame.time_ns for frame in frames)
    assert dropped == 0


def test_any_has_all_interfaces_numbered_as_they_are_seen() -> None:
    interfaces, name, frames, _ = in_private_world(seen_by, ["any"])
    assert (interfaces, name) == ([("a0", 1), ("b0", 1), ("lo", 1), ("c0", 1), ("d0", 1)], "any")
    assert [number for number, _ in places(frames)] == [0, 1, 2, 3, 4]


def test_one_interface_has_no_number() -> None:
    interfaces, name, frames, _ = in_private_world(seen_by, ["c0"])
    assert (interfaces, name) == ([("c0", 1)], "c0")
    assert places(frames) == [(-1, OUTGOING)]


def later() -> tuple[list[tuple[str, int]], list[RawFrame], int]:
    packet = ip("10.9.0.1", "10.9.0.2", 17, udp(1, 2))
    with LiveCapture("any") as capture:
        send("lo", SECOND)
        with tunnel("late0") as device, tunnel("can0", ARPHRD_CAN) as unreadable:
            os.write(device, packet)
            os.write(unreadable, packet)
            os.write(unreadable, packet)
            frames = drained(capture)
            interfaces = list(capture.interfaces)
        send("lo", SECOND)
        frames += drained(capture)  # an interface that went away does not end it
        assert capture.received == capture.packets + capture.unread
        return interfaces, frames, capture.unread


def test_any_sees_interfaces_that_come_later_and_counts_what_it_cannot_read() -> None:
    needs_tunnels()
    interfaces, frames, unread = in_private_world(later)
    assert interfaces == [("lo", LINKTYPE_ETHERNET), ("late0", LINKTYPE_RAW)]
    assert [(frame.interface, frame.link_type) for frame in frames] == [(0, 1), (1, 101), (0, 1)]
    assert frames[1].octets[0] == 0x45
    assert unread == 2


def unreadable_by_name() -> None:
    with tunnel("can0", ARPHRD_CAN):
        LiveCapture(["lo", "can0"]).close()


def test_a_named_interface_must_be_readable_there_and_up() -> None:
    needs_tunnels()
    with pytest.raises(CaptureError, match=r"^can0: frames of interface type 280 are not read live; use: tcpdump"):
        in_private_world(unreadable_by_name)
    with pytest.raises(CaptureError, match=r"^nope0: no such interface; there are: lo$"):
        in_private_world(lambda: LiveCapture(["lo", "nope0"]).close())


def promiscuity(interface: str) -> int:
    """How many sockets want the frames that are for others (IFLA_PROMISCUITY of rtnetlink(7))."""
    rtm_getlink, request, ifla_promiscuity = 18, 1, 30
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(interface), 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), rtm_getlink, request, 1, 0) + body)
        answer = netlink.recv(1 << 16)
    at = 32
    while at < len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == ifla_promiscuity:
            return int(struct.unpack_from("=I", answer, at + 4)[0])
        at += length + 3 & ~3
    raise AssertionError("the kernel does not tell")


def promiscuities(asked: list[str], promiscuous: bool) -> tuple[list[int], list[int]]:
    """Of lo, a0 and b0, during a capture and after it."""
    pair_of_interfaces("a0", "b0")
    with LiveCapture(asked, promiscuous=promiscuous):
        during = [promiscuity(name) for name in ("lo", "a0", "b0")]
    return during, [promiscuity(name) for name in ("lo", "a0", "b0")]


@pytest.mark.parametrize(
    ("asked", "during"), [(["b0"], [0, 0, 1]), (["a0", "b0"], [0, 1, 1]), (["any"], [1, 1, 1])], ids=str
)
def test_frames_for_others_are_wanted_while_the_capture_is_open(asked: list[str], during: list[int]) -> None:
    assert in_private_world(promiscuities, asked, True) == (during, [0, 0, 0])
    assert in_private_world(promiscuities, asked, False) == ([0, 0, 0], [0, 0, 0])


# --- filters ---------------------------------------------------------------------------------------------------------

FRAMES = {
    "tcp 80": ethernet(0x0800, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 80))),
    "tcp 80 back": ethernet(0x0800, ip("10.0.0.2", "10.0.0.1", 6, tcp(80, 1234))),
    "tcp 81": ethernet(0x0800, ip("10.0.0.1", "10.0.0.3", 6, tcp(1234, 81))),
    "udp 80": ethernet(0x0800, ip("10.0.0.1", "10.0.0.2", 17, udp(5, 80))),
    "ipv6 tcp 80": ethernet(0x86DD, ipv6(6, tcp(1234, 80))),
    "vlan 42, tcp 80": ethernet(0x0800, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 80)), tagged(42)),
    "vlan 7, udp": ethernet(0x0800, ip("10.0.0.1", "10.0.0.2", 17, udp(5, 80)), tagged(7)),
    "vlan 7 in 42, tcp 80": ethernet(
        0x0800, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 80)), tagged(42, 0x88A8) + tagged(7)
    ),
    "arp": ethernet(0x0806, bytes(28)),
}
#: What each lets through live: the kernel has taken the outermost tag out of a frame that arrives.
FILTERS = {
    "tcp port 80": {"tcp 80", "tcp 80 back", "ipv6 tcp 80", "vlan 42, tcp 80"},
    "host 10.0.0.2": {"tcp 80", "tcp 80 back", "udp 80", "vlan 42, tcp 80", "vlan 7, udp"},
    "not tcp": {"udp 80", "arp", "vlan 7, udp", "vlan 7 in 42, tcp 80"},
    "vlan": {"vlan 42, tcp 80", "vlan 7, udp", "vlan 7 in 42, tcp 80"},
    "vlan 42": {"vlan 42, tcp 80", "vlan 7 in 42, tcp 80"},
    "vlan 42 and tcp port 80": {"vlan 42, tcp 80"},
    "vlan 42 and vlan 7 and tcp port 80": {"vlan 7 in 42, tcp 80"},
    "arp or (ip6 and tcp)": {"arp", "ipv6 tcp 80"},
    "greater 4000": set[str](),
}
NAMES = {octets: name for name, octets in FRAMES.items()}


def filtered(interfaces: list[str], via: str) -> dict[str, list[bytes]]:
    """What each filter lets through of all the frames, sent once each."""
    pair_of_interfaces("a0", "b0")
    pair_of_interfaces("c0", "d0")
    found = {}
    for expression in FILTERS:
        with LiveCapture(interfaces, bpf=expression) as capture:
            send(via, *FRAMES.values())
            found[expression] = [frame.octets for frame in drained(capture)]
            assert capture.received == capture.packets
    return found


@pytest.mark.parametrize(("interfaces", "via"), [(["b0"], "a0"), (["b0", "lo", "c0"], "a0"), (["lo"], "lo")])
def test_a_filter_is_libpcaps(interfaces: list[str], via: str) -> None:
    found = in_private_world(filtered, interfaces, via)
    assert {expression: {NAMES[octets] for octets in some} for expression, some in found.items()} == FILTERS
    assert all(len(some) == len(set(some)) for some in found.values())


def chosen_by_tcpdump(folder: Path) -> dict[str, set[str]]:
    """What tcpdump saves, live, with each of the filters."""
    pair_of_interfaces("a0", "b0")
    command = ["tcpdump", "-i", "b0", "-Z", "root", "-U", "--immediate-mode", "-w"]
    running = {
        expression: subprocess.Popen([*command, folder / str(number), expression], stderr=subprocess.PIPE, text=True)
        for number, expression in enumerate(FILTERS)
    }
    for each in running.values():
        assert each.stderr is not None
        assert "listening on b0" in each.stderr.readline()
    send("a0", *FRAMES.values())
    time.sleep(0.1)
    found = {}
    for number, (expression, each) in enumerate(running.items()):
        each.send_signal(signal.SIGINT)
        each.communicate(timeout=60)
        with open_capture(folder / str(number)) as reader:
            found[expression] = {NAMES[block.octets(row)] for block in reader for row in range(len(block))}
    return found


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_a_filter_means_what_it_means_to_tcpdump(tmp_path: Path) -> None:
    needs_root("tcpdump in a network namespace")
    assert in_private_world(chosen_by_tcpdump, tmp_path) == FILTERS


def raw_and_ethernet(expression: str) -> list[tuple[int, int]]:
    with tunnel("tun0") as device, LiveCapture(["lo", "tun0"], bpf=expression) as capture:
        os.write(device, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 80)))
        os.write(device, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 81)))
        send("lo", FRAMES["tcp 80"], FRAMES["tcp 81"])
        return [(frame.interface, frame.link_type) for frame in drained(capture)]


def raw_that_comes_later(expression: str) -> list[tuple[int, int]]:
    with LiveCapture("any", bpf=expression) as capture, tunnel("tun0") as device:
        os.write(device, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 80)))
        os.write(device, ip("10.0.0.1", "10.0.0.2", 6, tcp(1234, 81)))
        send("lo", FRAMES["tcp 80"], FRAMES["vlan 42, tcp 80"])
        return [(frame.interface, frame.link_type) for frame in drained(capture)]


def test_a_filter_is_compiled_for_the_link_type_of_each_interface() -> None:
    needs_tunnels()
    assert in_private_world(raw_and_ethernet, "tcp port 80") == [(1, 101), (0, 1)]
    assert in_private_world(raw_that_comes_later, "tcp port 80") == [(0, 101), (1, 1), (1, 1)]
    assert in_private_world(raw_that_comes_later, "vlan 42") == [(0, 1)]  # there are none on tun0
    with pytest.raises(CaptureError, match=r"^tun0: the filter 'vlan 42' cannot be used: "):
        in_private_world(raw_and_ethernet, "vlan 42")


def test_what_is_no_filter_is_said_before_anything_is_captured() -> None:
    for interfaces in ("lo", "any"):
        with pytest.raises(CaptureError, match=r"^lo: the filter 'no such words' cannot be used: "):
            in_private_world(partial(LiveCapture, interfaces, bpf="no such words"))


def test_a_filter_that_the_kernel_does_not_take_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "MOST_INSTRUCTIONS", 40)
    with pytest.raises(
        CaptureError, match=r"^lo: the filter is too long: it comes to \d+ instructions, where the kernel"
    ):
        in_private_world(partial(LiveCapture, "lo", bpf="tcp port 80 or host 10.0.0.1"))


# --- what goes away, and what does not fit ---------------------------------------------------------------------------


def lost(asked: str | list[str], end: str) -> tuple[list[int], str]:
    """Frames, and what the capture says, when an interface goes down or away while a frame of it waits."""
    said, lengths = "", list[int]()
    with contextlib.ExitStack() as going, contextlib.ExitStack() as staying:
        device = going.enter_context(tunnel("tun0"))
        capture = staying.enter_context(LiveCapture(asked))
        os.write(device, bytes([0x45]) + bytes(39))
        if end == "down":
            take_down("tun0")
        else:
            going.close()
        if isinstance(asked, list):
            send("lo", SECOND)
        try:
            while (block := capture.read(0.3)) is not None:
                lengths += block.captured.tolist()
        except CaptureError as error:
            said = str(error)
            with pytest.raises(CaptureError, match="tun0"):
                capture.read(0.0)
            assert not list(capture.drain())
    return lengths, said


@pytest.mark.parametrize(
    ("end", "says"),
    [("down", "tun0: the interface is down; ip link set tun0 up"), ("away", "tun0: the interface has gone")],
)
def test_when_the_only_interface_goes_it_is_said_after_the_last_frame(end: str, says: str) -> None:
    needs_tunnels()
    assert in_private_world(lost, "tun0", end) == ([40], says)


@pytest.mark.parametrize("end", ["down", "away"])
def test_when_one_of_several_goes_the_others_go_on(end: str) -> None:
    needs_tunnels()
    assert in_private_world(lost, ["tun0", "lo"], end) == ([40, 60], "")


def held() -> tuple[bool, bool, int, int]:
    """A block that is held while the capture is closed stays as it was, though frames go on coming."""
    with LiveCapture("lo", ring_octets=2 * BLOCK_OCTETS) as capture:
        send("lo", SECOND)
        (block,) = capture.drain()
        before = block.octets(0)
    send("lo", *[ethernet(0x0800, bytes([number % 256]) * 1000) for number in range(2000)])
    return block.octets(0) == before == SECOND, capture.fileno() == -1, capture.dropped, capture.received


def test_a_block_outlives_its_capture() -> None:
    assert in_private_world(held) == (True, True, 0, 1)


def round_and_round() -> tuple[list[int], list[int], int]:
    """Through a ring of two blocks many times, read as it fills."""
    lengths, frames = list[int](), list[int]()
    sizes = [(number * 37 % 1400) + 60 for number in range(5000)]
    with LiveCapture("lo", ring_octets=1) as capture:
        assert capture.ring_octets == 2 * BLOCK_OCTETS
        for first in range(0, len(sizes), 100):
            send("lo", *[ethernet(0x0800, bytes(size - 14)) for size in sizes[first : first + 100]])
            deadline = time.monotonic() + 10  # a busy machine delivers on loopback a little later
            while len(lengths) < first + 100 and time.monotonic() < deadline:
                if (block := capture.read(0.1)) is not None:
                    lengths += block.captured.tolist()
                    frames += block.frame.tolist()
        lengths += [length for block in capture.drain() for length in block.captured.tolist()]
        assert lengths == sizes
        return lengths, frames, capture.dropped


@pytest.mark.usefixtures("loopback_alone")  # a burst may fill the kernel's backlog, where nobody counts what is dropped
def test_a_ring_goes_round_and_nothing_is_lost_or_twice() -> None:
    lengths, frames, dropped = in_private_world(round_and_round)
    assert len(lengths) == 5000
    assert frames == list(range(1, 5001))
    assert dropped == 0


def drained_while_more_comes() -> tuple[int, int]:
    """Frames wait, the clock is set back, and more come for as long as somebody looks."""
    more = [ethernet(0x0800, bytes(1000))] * 200
    with LiveCapture("lo", ring_octets=1) as capture, mock.patch("time.time_ns", return_value=1 << 62):
        send("lo", *more)
        looks = frames = 0
        for block in capture.drain():
            looks, frames = looks + 1, frames + len(block)
            if looks == 50:
                break
            send("lo", *more)
            time.sleep(2 * RETIRE_MS / 1000)  # what was sent is handed over
        return looks, frames


def test_what_waits_is_handed_out_and_no_more_when_the_clock_is_set_back() -> None:
    looks, frames = in_private_world(drained_while_more_comes)
    assert 1 <= looks <= 2
    assert frames >= 200


def test_a_ring_becomes_smaller_where_the_kernel_has_not_so_much_memory() -> None:
    class Poor(socket.socket):
        """The kernel's answers, had it memory for ten blocks."""

        asked: list[int]

        def setsockopt(self, level: int, name: int, value: bytes) -> None:  # type: ignore[override]
            _, blocks, *_ = REQUEST.unpack(value)
            self.asked = [*getattr(self, "asked", []), blocks]
            if blocks > self.most:
                raise OSError(errno.ENOMEM, "Cannot allocate memory")

        most = 10

    with Poor() as ours:
        assert allocate(ours, 128) == 8
        assert ours.asked == [128, 64, 32, 16, 8]
        Poor.most = 1
        with pytest.raises(OSError, match="memory"):
            allocate(ours, 5)
        assert ours.asked[5:] == [5, 2]
